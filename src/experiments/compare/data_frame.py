"""A comparison as a pandas DataFrame that draws itself. Imports pandas, and matplotlib to draw."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.compare.analysis import Comparison, analyse
from experiments.compare.cells import COSTS, gather
from experiments.errors import UserError, unknown
from experiments.run.record import read_record
from experiments.system.pandas_package import require_pandas

if TYPE_CHECKING:
    import pandas

    class Compared(pandas.DataFrame):
        """For type checkers: see `_class`."""

        comparison: Comparison
        folders: list[Path]

        def plot(self, kind: str | None = None) -> Any: ...  # type: ignore[override]

        def report(self, path: str | Path) -> Path: ...

        def text(self) -> str: ...


@lru_cache(maxsize=1)
def _class() -> Any:
    pandas = require_pandas()

    class Compared(pandas.DataFrame):  # type: ignore[misc, name-defined, valid-type]
        """Cells, best first, one a row; a part of it is an ordinary DataFrame.

        Attributes:
            comparison: what the statistics say of them.
            folders: where the runs lie.
        """

        _metadata = ["comparison", "folders"]  # noqa: RUF012, of pandas

        @property
        def _constructor(self) -> Any:
            return pandas.DataFrame

        def plot(self, kind: str | None = None) -> Any:
            """Return a chart as a matplotlib Figure: `intervals`, `curves_val_loss`, `cost_parameters` and others of
            the report; None takes the first.

            Raises:
                UserError: for a chart that this comparison does not have.
            """
            from experiments.compare.charts import all_charts

            tables = {
                name: drawing
                for field in self.comparison.fields
                for name, _, _, drawing in all_charts(field, self.comparison.effects)
            }
            if not tables:
                raise UserError("there is nothing to draw: compare two cells or more")
            if kind is None:
                kind = next(iter(tables))
            if kind not in tables:
                raise UserError(unknown(f"kind={kind}", "no chart of this comparison", kind, list(tables)))
            figure = tables[kind].figure()
            figure._repr_png_ = lambda: _png(figure)  # shown in a notebook, with or without pyplot
            return figure

        def report(self, path: str | Path) -> Path:
            """Writes the HTML report, and gives its path."""
            from experiments.compare.report import report
            from experiments.system.files import write_text

            write_text(Path(path), report(self.comparison, self.folders, work=True, target=Path(path)))
            return Path(path)

        def text(self) -> str:
            """Return what `experiments compare` prints: the tables, which cell is best, and whether that is certain."""
            from experiments.compare.compare import as_text

            return as_text(self.comparison)

    return Compared


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=144)
    return out.getvalue()


def framed(comparison: Comparison, folders: Sequence[Path]) -> Compared:
    """Return a row for each cell: its choices, the mean and its interval, seeds, costs, and what is said of it beside
    the best.

    Raises:
        UserError: where pandas is not installed.
    """
    rows = []
    for field in comparison.fields:
        for cell in field.cells:
            low, high = field.interval(cell)
            verdict = field.verdict_of.get(id(cell))
            row: dict[str, Any] = {key: cell.level(key) for key in comparison.columns}
            row |= {"metric": field.metric, "mean": cell.mean(field.metric), "low": low, "high": high}
            row |= {"seeds": len(cell.values(field.metric)), "p": verdict.p if verdict else math.nan}
            row["verdict"] = verdict.word if verdict else ""
            row |= {key: cell.cost(key) for key in COSTS if not math.isnan(cell.cost(key))}
            rows.append(row)
    table = _class()(rows)
    table.comparison, table.folders = comparison, list(folders)
    return table  # type: ignore[no-any-return]


def framed_by_validation(folder: Path) -> Compared:
    """Return the cells of a sweep by the metric that its runs were judged by.

    Raises:
        UserError: where pandas is not installed, or no run is there.
    """
    cells, _ = gather([folder])
    judged: dict[str, Any] = {}
    for run in (run for cell in cells for run in cell.finished):
        with contextlib.suppress(UserError):
            judged = read_record(run.folder).get("judged") or {}
        if judged.get("metric") in run.metrics:
            lower = judged.get("mode") == "min"
            return framed(analyse(cells, metric=judged["metric"], lower=lower), [folder])
    return framed(analyse(cells), [folder])

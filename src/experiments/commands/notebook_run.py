"""A finished run in Python: what it says of itself, its curves, its pictures, and a look inside."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from experiments.config.metric_names import split_of
from experiments.errors import UserError, as_typed
from experiments.run.banner import result_table
from experiments.run.folder import read_config
from experiments.run.loaded import Loaded
from experiments.run.loaded import load as load_run
from experiments.system.arguments import flat


class NotebookPicture:
    """A picture that a run drew; a notebook shows it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"Picture({as_typed(self.path)})"


class NotebookPictures(Mapping[str, NotebookPicture]):
    """Pictures by name; a notebook shows all."""

    def __init__(self, folder: Path) -> None:
        self._found = {path.stem: NotebookPicture(path) for path in sorted(folder.glob("*.png"))}

    def __getitem__(self, name: str) -> NotebookPicture:
        if name not in self._found:
            raise UserError(f"there is no picture {name}: choose from {', '.join(self._found) or 'none'}")
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return f"Pictures({', '.join(self._found)})"

    def _repr_html_(self) -> str:
        return "".join(f"<figure><figcaption>{escape(name)}</figcaption>{_image(figure)}</figure>" for name, figure in self.items())  # fmt: skip


class Run(Loaded):
    """A finished run, with its best weights in evaluation mode.

    Besides `predict`, `prepare`, `model`, `task`, `data`, `spec`, `config` and `record`: its `history`, `figures` and `show`.
    Stands for its folder where one is asked for, as in `evaluate(run)`.
    """

    def __fspath__(self) -> str:
        return str(self.folder)

    @cached_property
    def history(self) -> Any:
        """Every logged value by epoch, as a DataFrame whose index counts epochs from 1.

        Raises:
            UserError: where pandas is missing, or the run kept no metrics.csv.
        """
        from experiments.system.pandas_package import require_pandas

        pandas = require_pandas()
        path = self.folder / "metrics.csv"
        if not path.exists():
            raise UserError(f"{as_typed(path)} is not there: train with logger=default or logger=csv to have a history")
        table = pandas.read_csv(path)
        table.index = pandas.Index(table.pop("epoch") + 1, name="epoch")
        return table

    @property
    def figures(self) -> NotebookPictures:
        """The pictures that the run drew, by name."""
        return NotebookPictures(self.folder / "figures")

    def show(
        self,
        *inputs: str | Path | Sequence[str | Path],
        only: str | tuple[str, ...] | list[str] = (),
        to: str | Path | None = None,
    ) -> NotebookPictures:
        """Looks inside the network, as `experiments show` does; the pictures, by name.

        Args:
            inputs: image files or texts, also in a list; none takes test examples.
            only: a panel, or several; none draws all that apply.
            to: a folder to write to; None takes `show` in the run's folder.

        Raises:
            UserError: for a panel that is none of this run's, and for tasks that have none.
        """
        from experiments.commands.show.panel import Wanted
        from experiments.commands.show.run import show

        wanted = Wanted(tuple(map(str, flat(inputs))), None, None, None, 1000)
        panels = [only] if isinstance(only, str) else list(only)
        page = show(str(self.folder), wanted, panels, None if to is None else Path(to))
        return NotebookPictures(page.parent)

    def __repr__(self) -> str:
        chosen, metrics = self.config.run.choices, self.record["metrics"]
        judged = (self.record.get("judged") or {}).get("metric")
        first = next((n for n in metrics if split_of(n) == "test" and not n.endswith("loss")), None)
        names = [name for name in dict.fromkeys([judged, first]) if name and metrics.get(name) is not None]
        shown = ", ".join(f"{name} {metrics[name]:.4f}" for name in names)
        name = _network(self.record, chosen)
        return f"Run({name} on {chosen.get('data')}, seed {self.config.seed}: {shown or self.record['status']}; {as_typed(self.folder)})"  # fmt: skip

    def _repr_html_(self) -> str:
        drawn = self.figures
        picture = _image(drawn["curves"]) if "curves" in drawn else ""
        return result_html(self.record, self.folder) + picture


def open_run(folder: Path) -> Run:
    """Return a run from its folder, as `load` of the package gives it.

    Raises:
        UserError: as `experiments.run.loaded.load`.
    """
    loaded = load_run(folder)
    return Run(loaded.folder, loaded.config, loaded.record, loaded.spec, loaded.task)


def _network(record: Mapping[str, Any], chosen: Mapping[str, Any]) -> str | None:
    """Return what a run is called by: its model, else the class of its own LightningModule, else its task."""
    return record["choices"].get("model") or chosen.get("model") or chosen.get("task")


def result_html(record: Mapping[str, Any], folder: Path) -> str:
    """Return the result of a run as a small table."""
    chosen = read_config(folder.absolute()).run.choices
    head, rows = result_table(dict(record))
    name = _network(record, chosen)
    title = f"{name} on {chosen.get('data')}, seed {record['choices'].get('seed')}"
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return (
        f"<strong>{escape(title)}</strong><table><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>"
        f"<code>{escape(as_typed(folder))}</code>"
    )


def _image(picture: NotebookPicture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    return f'<img alt="{escape(picture.path.stem)}" style="max-width:100%" src="data:image/png;base64,{data}">'

"""`metrics.csv`: the numbers of a run, a row an epoch."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import os
from collections.abc import Iterable, Mapping

from lightning.pytorch.utilities import rank_zero_only

from experiments.config.metric_names import split_of
from experiments.loggers.base import RunLogger
from experiments.system.bounded_files import open_plain
from experiments.system.files import atomic_path

log = logging.getLogger(__name__)


class CSV(RunLogger):
    """`metrics.csv`: a row an epoch, train and validation side by side, the last value of each within the
    epoch.

    Test metrics belong to no epoch and are in record.json. Every row is written out when it changes, so a
    killed run has all it logged.

    Args:
        dir: the run folder.
    """

    def __init__(self, dir: str) -> None:
        super().__init__(dir)
        self._path = self._dir / "metrics.csv"
        self._columns = ["epoch", "step"]
        self._rows: list[dict[str, str]] = []
        self._file: io.BufferedRandom | None = None
        self._last = 0  # where the last row begins, in bytes

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {k: f"{v:.7g}" for k, v in metrics.items() if k != "epoch" and split_of(k) != "test"}
        if not values:
            return
        latest = int(self._rows[-1]["epoch"]) if self._rows else 0
        epoch = int(metrics.get("epoch", max(self.epoch, latest)))
        if self._file is None:
            self._take_up(epoch)
        new_columns = [k for k in values if k not in self._columns]
        if not self._rows or int(self._rows[-1]["epoch"]) != epoch:
            self._rows.append({"epoch": str(epoch)})
            if self._file is not None:
                self._last = self._file.seek(0, os.SEEK_END)
        self._rows[-1].update(values, step=str(step))
        if new_columns or self._file is None:
            self._columns[2:] = sorted(self._columns[2:] + new_columns, key=_column_order)
            self._write_all()
        else:
            self._file.seek(self._last)
            self._file.write(_line(self._rows[-1].get(c, "") for c in self._columns))
            self._file.truncate()
            self._file.flush()

    def close(self, status: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take_up(self, epoch: int) -> None:
        """Keep what an earlier attempt wrote of the epochs before this one."""
        if not self._path.exists():
            return
        try:
            with io.TextIOWrapper(open_plain(self._path), newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                names = list(reader.fieldnames or [])
                if names[:2] != self._columns[:2] or len(set(names)) < len(names):
                    raise ValueError("its first line does not name epoch, step and metrics")
                for row in reader:
                    whole = None not in row and None not in row.values() and row["epoch"].isdecimal()
                    if whole and int(row["epoch"]) < epoch:
                        self._rows.append({k: v for k, v in row.items() if v})
                self._columns = names
        except (OSError, ValueError, csv.Error) as error:  # what a power cut or another program left
            self._rows = []
            aside = self._path.with_name("metrics.csv.damaged")
            log.warning(
                "%s cannot be read (%s): the table begins anew, and that file is %s", self._path, error, aside.name
            )
            with contextlib.suppress(OSError):
                os.replace(self._path, aside)

    def _write_all(self) -> None:
        """The whole file anew, under its name only when complete."""
        lines = [_line(self._columns), *(_line(r.get(c, "") for c in self._columns) for r in self._rows)]
        with atomic_path(self._path) as temporary:
            temporary.write_bytes(b"".join(lines))
        self.close("")
        self._file = self._path.open("r+b")
        self._last = sum(map(len, lines[:-1]))


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _column_order(name: str) -> int:
    """Train before validation before the rest; within each as they came (sorting is stable)."""
    return {"train": 0, "val": 1}.get(split_of(name), 2)

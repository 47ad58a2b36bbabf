"""Series of numbers over time: split, scaled, and served as windows that are views of one array."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.config.value_rules import require_amount, require_values
from experiments.data.common.loading import BatchedData, whole
from experiments.data.common.sampling import Picks
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint
from experiments.data.series.gaps import filled, regular, usable
from experiments.data.series.number_table import Table
from experiments.errors import UserError
from experiments.spec import SeriesSpec

log = logging.getLogger(__name__)


class Past(NamedTuple):
    """What a forecast is made from, of N tables.

    Attributes:
        values: (N, history, C) float32, scaled.
        times: of each table the times to forecast, as they would stand in it.
    """

    values: torch.Tensor
    times: list[list[str]]


class SeriesWindows(Dataset):
    """Windows of a series, each one copied when its batch is gathered and not before.

    Args:
        values: (T, C) float32, contiguous.
        starts: (N,) int64, the row at which each window begins.
        history: rows of the past.
        horizon: rows of the future that follow it.
    """

    def __init__(self, values: np.ndarray, starts: np.ndarray, history: int, horizon: int) -> None:
        self.values, self.starts, self.history, self.horizon = values, starts, history, horizon

    def __len__(self) -> int:
        return len(self.starts)

    def __getitems__(self, picks: Picks | range) -> tuple[torch.Tensor, torch.Tensor]:
        """Past (B, history, C) and future (B, horizon, C)."""
        chosen = slice(picks.start, picks.stop) if isinstance(picks, range) else picks.indices
        length, (rows, columns) = self.history + self.horizon, self.values.shape
        step = self.values.strides[0]
        # A window is one piece of memory, so gathering a batch copies B such pieces and nothing else.
        views = np.lib.stride_tricks.as_strided(
            self.values, (max(rows - length + 1, 0), length * columns), (step, self.values.itemsize), writeable=False
        )
        batch = torch.from_numpy(views[self.starts[chosen]]).view(-1, length, columns)
        return batch[:, : self.history], batch[:, self.history :]


class SeriesData(BatchedData):
    """Base of the series: a subclass says how to `read` a table, and may say where its splits end.

    Rows are cut into training, validation and test split in order of time. The future of a window lies within its split;
    so does its past, unless `borrow` is set. Columns are scaled by mean and deviation of the training split.

    Args:
        history: rows of the past that a forecast is made from.
        horizon: rows of the future to forecast.
        season: rows in a period (24 for hours of days); 1 for none. MASE and the seasonal baseline use it.
        missing: what to do about missing values and rows: `error`; `drop` leaves out the windows that touch one; `fill`
            repeats the last value before it.
        even: whether rows must follow one another at equal distances; if not, a row is a step whatever its time.
        validation: rows of the validation split, a count or a share.
        test: likewise, the last ones.
        borrow: let the first windows of validation and test read their past from the end of the split before, as is
            usual in published comparisons. No split's future is ever read by another.
        limit: train on the last so many training windows, or this share of them; None: all.
        batch_size: as in `BatchedData`.
        workers: as in `BatchedData`.
        seed: as in `BatchedData`.
        mean: of each column; None: that of the training split.
        std: standard deviation, likewise.

    Attributes:
        table: as read, missing rows filled in where `missing` says so.
        bounds: rows at which each split begins and ends.

    Raises:
        UserError: a value is out of range, the table is not as it should be, or a split is shorter than a window.
    """

    name = "series"

    def __init__(
        self,
        *,
        history: int,
        horizon: int,
        season: int,
        missing: str,
        even: bool,
        validation: float,
        test: float,
        borrow: bool,
        limit: float | None,
        batch_size: int,
        workers: int,
        seed: int,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        for key, value in (("history", history), ("horizon", horizon), ("season", season)):
            whole(f"data.{key}", value, 1)
        require_values("series", missing=missing)
        require_amount("data.validation", validation)
        require_amount("data.test", test)
        require_amount("data.limit", limit)
        self.history, self.horizon, self.season = history, horizon, season
        self.missing, self.even, self.borrow, self.limit = missing, even, borrow, limit
        self.validation, self.test, self.mean, self.std = validation, test, mean, std
        self.bounds: dict[str, tuple[int, int]] = {}
        self.starts: dict[str, np.ndarray] = {}
        self.values = np.zeros((0, 0), np.float32)  # (T, C), scaled
        self.table: Table

    # What a dataset defines.

    def read(self) -> Table:
        """Return the whole series."""
        raise NotImplementedError

    def read_file(self, path: Path) -> Table:
        """Another file of the same form, to forecast what follows."""
        raise NotImplementedError

    def ends(self, rows: int) -> tuple[int, int, int]:
        """Rows at which training, validation and test split end."""
        held = [amount if isinstance(amount, int) else round(amount * rows) for amount in (self.validation, self.test)]
        return rows - sum(held), rows - held[1], rows

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Read, check, split and scale, once."""
        if self.bounds:
            return
        table = self.read()
        counts = {"missing_values": int(np.isnan(table.values).sum())}
        table, steps = regular(table, self.missing, self.even)
        counts["missing_rows"] = int(steps[-1]) + 1 - len(table.lines) if self.missing != "fill" else 0
        table, counts["filled_values"] = filled(table, self.missing)
        self.table = table
        rows = len(table.values)
        train, validation, test = self.ends(rows)
        bounds = {"train": (0, train), "validation": (train, validation), "test": (validation, test)}
        self._check_lengths(bounds)
        if self.season >= train:
            raise UserError(
                f"data.season={self.season} is not less than the {train} rows of the training split: set the rows of one period, or data.season=1 for none"
            )
        whole_windows = usable(table.values, steps, self.history + self.horizon)
        for split, (begin, end) in bounds.items():
            first = max(begin - self.history, 0) if self.borrow else begin
            every = np.arange(first, end - self.history - self.horizon + 1)
            self.starts[split] = every[whole_windows[every]]
            counts[f"{split}_windows_dropped"] = len(every) - len(self.starts[split])
            if not len(self.starts[split]):
                raise UserError(
                    f"{table.path}: every window of the {split} split touches a missing value: set data.missing=fill, or"
                    " less data.history"
                )
        if self.limit is not None:
            self.starts["train"] = self._limited(self.starts["train"])
        self.bounds = bounds
        self._scale(table.values[:train])
        self.splits = {split: len(self.starts[split]) for split in SPLITS}
        self.splits |= {"rows": rows} | {key: value for key, value in counts.items() if value}
        self.splits["fingerprint"] = fingerprint((split, self.starts[split]) for split in SPLITS)
        self._report(counts)

    def dataset(self, split: str) -> SeriesWindows:
        return SeriesWindows(self.values, self.starts[split], self.history, self.horizon)

    def sample(self, split: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows of a split as the model gets them, spread evenly over it: past (N, history, C) and future (N, horizon, C)."""
        total = len(self.starts[split])
        chosen = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(np.int64))
        return self.dataset(split).__getitems__(Picks(chosen, self.seed, 0, 0, 0))

    def prepare(self, inputs: Sequence[str | Path]) -> Past:
        """Return the last rows of some files, as the model gets them.

        Raises:
            UserError: one has other columns, too few rows, or misses values that `missing` does not let pass.
        """
        pasts, times = [], []
        for path in inputs:
            table = self.read_file(Path(path))
            if table.columns != self.spec.columns:
                raise UserError(
                    f"{path} has the columns {', '.join(table.columns)} and the run was trained on"
                    f" {', '.join(self.spec.columns)}: give it those"
                )
            pasts.append(self._past(table))
            ahead = table.times.after(self.spec.horizon)
            times.append([ahead.text(step) for step in range(len(ahead))])
        return Past(torch.from_numpy(np.stack(pasts)), times)

    def _past(self, table: Table) -> np.ndarray:
        """Return the last rows (history, C) float32 of a table, scaled as in training."""
        history = self.spec.history
        table, steps = regular(table, self.missing, self.even)
        table, _ = filled(table, self.missing)
        if len(table.values) < history:
            raise UserError(
                f"{table.path} has {len(table.values)} rows and the model reads the last {history}: give it more"
            )
        past = table.values[-history:]
        if np.isnan(past).any() or steps[-1] - steps[-history] != history - 1:
            raise UserError(f"{table.path}: values are missing in its last {history} rows: set data.missing=fill")
        return ((past - np.asarray(self.spec.mean)) / np.asarray(self.spec.std)).astype(np.float32)

    def _check_lengths(self, bounds: dict[str, tuple[int, int]]) -> None:
        path, window = self.table.path, self.history + self.horizon
        for split, (begin, end) in bounds.items():
            borrowed = min(begin, self.history) if self.borrow else 0
            if end - begin + borrowed < window or end <= begin:
                raise UserError(
                    f"{path}: the {split} split has {max(end - begin, 0)} rows, fewer than a window of {window - borrowed}"
                    f" (data.history={self.history}, data.horizon={self.horizon}): take less of either, or a longer"
                    " series"
                )

    def _limited(self, starts: np.ndarray) -> np.ndarray:
        assert self.limit is not None
        count = self.limit if isinstance(self.limit, int) else max(1, round(self.limit * len(starts)))
        if count > len(starts):
            raise UserError(f"data.limit={self.limit} is more than the {len(starts)} training windows; null takes all")
        return starts[-count:]

    def _scale(self, train: np.ndarray) -> None:
        """Sets `values` and `spec` by the training rows (T, C)."""
        mean = np.nanmean(train, axis=0) if self.mean is None else np.atleast_1d(np.asarray(self.mean, float))
        std = np.nanstd(train, axis=0) if self.std is None else np.atleast_1d(np.asarray(self.std, float))
        columns = self.table.columns
        for key, values in (("mean", mean), ("std", std)):
            if len(values) != len(columns):
                raise UserError(
                    f"data.{key} has {len(values)} values, one a column of the run or of your own, and {self.table.path} has "
                    f"{len(columns)} columns ({', '.join(columns[:10])}): give a series with as many columns"
                )
        std = np.where(std > 0, std, 1.0)  # a constant column: nothing to scale
        self.values = np.ascontiguousarray(((self.table.values - mean) / std).astype(np.float32))
        scaled = (train - mean) / std
        naive = np.nanmean(np.abs(scaled[self.season :] - scaled[: -self.season]), axis=0)
        self.spec = SeriesSpec(
            columns,
            self.history,
            self.horizon,
            self.season,
            *(tuple(map(float, values)) for values in (mean, std, naive)),
        )

    def _report(self, counts: dict[str, int]) -> None:
        gaps = {key.replace("_", " "): value for key, value in counts.items() if value}
        if gaps:
            log.warning("%s: %s.", self.table.path, ", ".join(f"{key}: {value}" for key, value in gaps.items()))

"""A generated series that looks like monthly sunspot numbers: cycles of about eleven years, uneven and noisy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.series.number_table import Table, read_table
from experiments.data.series.series_data import SeriesData
from experiments.data.series.times import parse

YEAR = 12


class GeneratedSeries(SeriesData):
    """One column, `generated`, and one row a month from January 1749 on; always the same numbers.

    Args:
        rows: months.
        rest: the keys of `SeriesData`.
    """

    name = "generated_series"

    def __init__(self, *, rows: int, **rest: Any) -> None:
        super().__init__(missing="error", even=True, **rest)
        self.rows = rows

    def read(self) -> Table:
        months = [f"{1749 + month // YEAR}-{month % YEAR + 1:02}" for month in range(self.rows)]
        values = generate(self.rows)[:, None]
        return Table(Path(self.name), parse(months, None), ("generated",), values, np.arange(self.rows) + 2)

    def read_file(self, path: Path) -> Table:
        """Return a CSV file with a column of times and a column called `generated`."""
        return read_table(path, None, ["generated"], None)


def generate(rows: int) -> np.ndarray:
    """(rows,) float64, 0 or more: cycles of 9 to 13 years that rise faster than they fall, with noise."""
    rng = np.random.default_rng(0)
    level = np.zeros(0)
    while len(level) < rows:
        length = int(rng.uniform(9, 13) * YEAR)
        rise = rng.uniform(0.3, 0.45)
        phase = np.arange(length) / length
        warped = np.where(phase < rise, phase / rise / 2, 0.5 + (phase - rise) / (1 - rise) / 2)
        level = np.concatenate([level, rng.uniform(50, 180) * np.sin(np.pi * warped) ** 2])
    level = level[:rows] + 3
    return np.round(np.maximum(level + rng.normal(0, 2 + 1.2 * np.sqrt(level)), 0), 1)

"""What one cell has more than another, seed by seed: paired where seeds and splits agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from experiments.compare.cells import Cell
from experiments.compare.statistics import Difference, paired, unpaired


def difference(first: Cell, second: Cell, metric: str, bootstrap: bool = False) -> Difference:
    """First less second: paired where seeds and splits agree, else by Welch's test."""
    alike = [seed for seed in first.values(metric) if first.split(seed) == second.split(seed)]
    return difference_of_values(first.values(metric), second.values(metric), alike, bootstrap)


def difference_of_values(
    first: Mapping[str, float], second: Mapping[str, float], alike: Iterable[str], bootstrap: bool = False
) -> Difference:
    """First less second, of values by seed; paired where there are enough seeds in both that are `alike` in their splits."""
    pairs = [less(first[seed], second[seed]) for seed in alike if seed in first and seed in second]
    if len(pairs) >= 2 or (pairs and min(len(first), len(second)) < 2):
        return paired(pairs, bootstrap)
    return unpaired(list(first.values()), list(second.values()))


def less(first: float, second: float) -> float:
    """Return the difference, or zero where it is no more than the rounding of single precision."""
    return 0.0 if abs(first - second) <= 1e-6 * max(abs(first), abs(second)) else first - second

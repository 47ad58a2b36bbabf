"""Differences of two cells, against SciPy."""

from __future__ import annotations

import pytest

from experiments.compare.differences import difference_of_values, less

stats = pytest.importorskip("scipy.stats")
FIRST, SECOND = {"0": 0.8, "1": 0.85, "2": 0.82}, {"0": 0.7, "1": 0.79, "2": 0.75}


def test_equal_seeds_are_paired() -> None:
    difference = difference_of_values(FIRST, SECOND, ["0", "1", "2"])
    test = stats.ttest_rel(list(FIRST.values()), list(SECOND.values()))
    interval = test.confidence_interval(0.95)
    assert difference.paired and difference.n == 3 and difference.p == pytest.approx(test.pvalue)
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))


def test_other_splits_are_not_paired() -> None:
    difference = difference_of_values(FIRST, SECOND, ["0"])
    test = stats.ttest_ind(list(FIRST.values()), list(SECOND.values()), equal_var=False)
    assert not difference.paired and difference.p == pytest.approx(test.pvalue)
    assert difference.mean == pytest.approx(sum(FIRST.values()) / 3 - sum(SECOND.values()) / 3)


def test_rounding_is_no_difference() -> None:
    assert less(0.5, 0.5 + 1e-8) == 0 and less(0.75, 0.5) == 0.25 and less(0.0, 0.0) == 0

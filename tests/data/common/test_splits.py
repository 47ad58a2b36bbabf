from __future__ import annotations

import numpy as np
import pytest

from experiments.data.common.splits import fingerprint, hold_out, keep
from experiments.errors import UserError

LABELS = np.repeat([0, 1, 2], [60, 30, 10])


@pytest.mark.parametrize("amount", [20, 0.2])
def test_hold_out_is_disjoint_fixed_and_in_proportion(amount: float) -> None:
    rest, held = hold_out(LABELS, amount, 0, "data.validation")
    assert sorted([*rest, *held]) == list(range(100))
    assert np.bincount(LABELS[held]).tolist() == [12, 6, 2]
    assert np.array_equal(hold_out(LABELS, amount, 0, "data.validation")[1], held)
    assert not np.array_equal(hold_out(LABELS, amount, 1, "data.validation")[1], held)
    assert hold_out(LABELS, 7, 0, "data.validation")[1].size == 7


def test_limit_is_balanced_and_nested() -> None:
    assert np.bincount(LABELS[keep(LABELS, 12, 0)]).tolist() == [4, 4, 4]
    assert np.bincount(LABELS[keep(LABELS, 50, 0)]).tolist() == [20, 20, 10]
    assert np.bincount(LABELS[keep(LABELS, 0.1, 0)]).tolist() == [6, 3, 1]
    assert set(keep(LABELS, 12, 0)) < set(keep(LABELS, 13, 0)) < set(keep(LABELS, 50, 0))
    assert keep(LABELS, 1.0, 0).size == keep(LABELS, 100, 0).size == 100


def test_amounts_that_cannot_be() -> None:
    with pytest.raises(UserError, match="leaves classes empty"):
        keep(LABELS, 2, 0)
    with pytest.raises(UserError, match="more than the 100"):
        keep(LABELS, 101, 0)
    with pytest.raises(
        UserError, match=r"data\.validation=0\.2 would take all of the 1 training examples left: .*more"
    ):
        hold_out(LABELS[:1], 0.2, 0, "data.validation", of=2)
    with pytest.raises(UserError, match="would take all"):
        hold_out(LABELS, 100, 0, "data.validation")


def test_fingerprint_tells_members_and_parts_apart() -> None:
    first, other = np.arange(3), np.arange(4)
    assert fingerprint([("train", first)]) == fingerprint([("train", first)])
    assert len({fingerprint([("train", first)]), fingerprint([("train", other)]), fingerprint([("test", first)])}) == 3

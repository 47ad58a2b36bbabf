"""Generated sequences: what is asked can be answered from what is there, and only by remembering."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from experiments.batches import IGNORED
from experiments.data.generated.diagnostics import BLANK, FIRST, GO, Adding, CopyMemory, DelayedRecall, Parity, Sorting
from experiments.errors import UserError

KEYS: dict[str, Any] = {"count": 80, "batch_size": 16, "workers": 0, "seed": 0}


def rows(kind: Any, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (N, T), lengths, targets of the training split."""
    data = kind(length=length, **KEYS)
    data.setup()
    (values, lengths), targets = data.sample("train", 80)
    assert data.splits["train"] == 80 and data.splits["test"] == 20
    return values.numpy(), lengths.numpy(), targets.numpy()


def test_delayed_recall_asks_for_the_first_symbol_after_so_many_blanks() -> None:
    values, lengths, labels = rows(DelayedRecall, 12)
    assert set(lengths) == {14}
    assert (values[:, 0] - FIRST == labels).all()
    assert (values[:, 1:-1] == BLANK).all() and (values[:, -1] == GO).all()


def test_copy_memory_asks_for_all_symbols_in_order() -> None:
    values, _, labels = rows(CopyMemory, 7)
    assert values.shape == (80, 27)
    assert (values[:, 10:17] == BLANK).all() and (values[:, 17] == GO).all()
    assert (labels[:, :17] == IGNORED).all()
    assert (labels[:, 17:] == values[:, :10] - FIRST).all()


def test_sorting_parity_and_adding() -> None:
    values, _, labels = rows(Sorting, 6)
    assert (labels[:, 6:] == np.sort(values[:, :6], axis=1) - FIRST).all()
    values, lengths, labels = rows(Parity, 9)
    assert lengths.min() >= 4 and lengths.max() == 9 and len(set(lengths)) > 2
    assert ((values == FIRST + 1).sum(1) % 2 == labels).all()
    values, _, sums = rows(Adding, 11)
    assert (values[..., 1].sum(1) == 2).all()
    assert (values[:, :5, 1].sum(1) == 1).all()
    np.testing.assert_allclose((values[..., 0] * values[..., 1]).sum(1), sums[:, 0], rtol=1e-6)


def test_parts_differ_and_are_always_the_same() -> None:
    first, again = (DelayedRecall(length=30, **KEYS) for _ in range(2))
    first.setup()
    again.setup()
    assert all((first.sets[part].values == again.sets[part].values).all() for part in first.sets)
    assert not (first.sets["train"].targets[:20] == first.sets["test"].targets).all()
    other = DelayedRecall(length=31, **KEYS)
    other.setup()
    assert other.splits["fingerprint"] != first.splits["fingerprint"]


@pytest.mark.parametrize(("kind", "length"), [(DelayedRecall, 0), (Adding, 1), (Sorting, True)])
def test_lengths_that_make_no_sense(kind: Any, length: int) -> None:
    with pytest.raises(UserError, match=r"data\.length="):
        kind(length=length, **KEYS)

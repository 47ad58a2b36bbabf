"""Pairs of texts that a model reads one by one."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.data.common.sequence_data import SequenceData, Store
from experiments.data.text.pairs_apart import ApartStore
from experiments.spec import TextSpec


@pytest.mark.parametrize("side", [0, 1])
def test_any_token_of_either_text_changes_the_digest(side: int) -> None:
    """Also one in the middle of a long split, where NumPy's words for an array leave values out."""
    data = SequenceData(batch_size=2, max_tokens=None, bucket=True, workers=0, seed=0)
    data.spec = TextSpec(10, 3, 3, apart=True)
    sides = [Store(np.zeros(3000, np.int64), np.full(1000, 3), np.zeros(1000, np.int64)) for _ in range(2)]
    digests = set()
    for token in (0, 1):
        sides[side].values[1500] = token
        data.sets = {"train": ApartStore(*sides)}
        digests.add(data.digest("train", augmented=False))
    assert len(digests) == 2

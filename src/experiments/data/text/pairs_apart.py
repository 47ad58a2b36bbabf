"""Pairs of texts that a model reads one by one: all first texts of a batch, and behind them all second ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.batches import Sequences
from experiments.data.common.sequence_data import Store, StoredSequences


class ApartStore(NamedTuple):
    """Pairs of one split.

    Attributes:
        firsts: the first texts, with the targets.
        seconds: the second ones.
    """

    firsts: Store
    seconds: Store

    @property
    def lengths(self) -> np.ndarray:
        """(N,) int64, of the longer text of each pair."""
        return np.maximum(self.firsts.lengths, self.seconds.lengths)

    @property
    def values(self) -> np.ndarray:
        """All tokens."""
        return np.concatenate([self.firsts.values, self.seconds.values])

    @property
    def targets(self) -> np.ndarray:
        """As in `Store`."""
        return self.firsts.targets


class StoredApart(Dataset):
    """Pairs served by the batch: `Sequences` of twice as many rows, and targets."""

    def __init__(self, store: ApartStore) -> None:
        self.sides, self.lengths = [StoredSequences(store.firsts), StoredSequences(store.seconds)], store.lengths

    def __len__(self) -> int:
        return len(self.sides[0])

    def __getitems__(self, picks: Any) -> tuple[Sequences, torch.Tensor]:
        (first, targets), (second, _) = (side.__getitems__(picks) for side in self.sides)
        return joined(first, second), targets


def joined(first: Sequences, second: Sequences) -> Sequences:
    """Return the rows of both, filled up to one length."""
    longest = max(first.values.shape[1], second.values.shape[1])
    values = [
        torch.nn.functional.pad(sequences.values, (0, longest - sequences.values.shape[1]))
        for sequences in (first, second)
    ]
    return Sequences(torch.cat(values), torch.cat([first.lengths, second.lengths]))

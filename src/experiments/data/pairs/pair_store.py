"""Pairs of sentences as tokens in memory, served by the batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.batches import END, IGNORED, START, Labels, Pairs, Sequences
from experiments.data.common.sampling import Picks


class PairStore(NamedTuple):
    """Pairs of one split as tokens, each side laid end to end.

    Attributes:
        source: (total,) int64.
        source_lengths: (N,) int64, each 1 or more.
        target: (total,) int64, without start and end.
        target_lengths: (N,) int64.
        start: what a decoder reads first.
        end: what it is to say last.
    """

    source: np.ndarray
    source_lengths: np.ndarray
    target: np.ndarray
    target_lengths: np.ndarray
    start: int = START
    end: int = END

    @property
    def lengths(self) -> np.ndarray:
        """(N,) steps that a pair takes: of its longer side, the target with one for its end."""
        return np.maximum(self.source_lengths, self.target_lengths + 1)

    @classmethod
    def of(cls, source: list[list[int]], target: list[list[int]], start: int = START, end: int = END) -> PairStore:
        """From one list of tokens a sentence."""
        columns = [(np.fromiter((t for row in side for t in row), np.int64), np.array([len(row) for row in side], np.int64))
                   for side in (source, target)]  # fmt: skip
        return cls(*columns[0], *columns[1], start, end)


class StoredPairs(Dataset):
    """A store served by the batch: (`Pairs`, `Labels`), each side padded to its longest."""

    def __init__(self, store: PairStore) -> None:
        self.store, self.lengths = store, store.lengths
        self.starts = [np.cumsum(lengths) - lengths for lengths in (store.source_lengths, store.target_lengths)]

    def __len__(self) -> int:
        return len(self.store.source_lengths)

    def __getitems__(self, picks: Picks | np.ndarray | range) -> tuple[Pairs, Labels]:
        rows = np.asarray(picks.indices if isinstance(picks, Picks) else picks, dtype=np.int64)
        store = self.store
        source, _ = _padded(store.source, self.starts[0][rows], store.source_lengths[rows])
        some = store.target_lengths[rows]
        target, inside = _padded(store.target, self.starts[1][rows], some)
        count = len(rows)
        read = np.concatenate([np.full((count, 1), store.start), target], axis=1)
        target_with_end = np.concatenate([np.where(inside, target, IGNORED), np.full((count, 1), IGNORED)], axis=1)
        target_with_end[np.arange(count), some] = store.end
        pairs = Pairs(
            Sequences(torch.from_numpy(source), torch.from_numpy(store.source_lengths[rows])),
            Sequences(torch.from_numpy(read), torch.from_numpy(some + 1)),
        )
        return pairs, Labels(torch.from_numpy(target_with_end), torch.from_numpy(rows))


def _padded(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, T) tokens, zeros behind each row's end, and (B, T) where there are some."""
    steps = np.arange(int(lengths.max()))
    inside = steps < lengths[:, None]
    return np.where(inside, values[np.where(inside, starts[:, None] + steps, 0)], 0), inside

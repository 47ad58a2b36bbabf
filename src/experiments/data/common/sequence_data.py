"""Sequences of unequal length in memory: what every such dataset shares, from the store to the batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.batches import IGNORED, Sequences
from experiments.data.common.buckets import BucketSampler, EvalBuckets
from experiments.data.common.loading import BatchedData, require_enough, whole
from experiments.data.common.sampling import Picks
from experiments.errors import UserError
from experiments.spec import to_plain


class Store(NamedTuple):
    """Sequences of one split, laid end to end.

    Attributes:
        values: (total,) int64 tokens, or (total, D) float32 vectors.
        lengths: (N,) int64, each 1 or more.
        targets: (N,) int64 labels, or (N, K) float32 numbers; or (total,) int64, one a step, where `every_step`.
        every_step: whether there is a target for each step.
    """

    values: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    every_step: bool = False

    @classmethod
    def of(cls, sequences: list[Any], targets: Any, every_step: bool = False) -> Store:
        """Make the sequences from one array each, and from their targets."""
        lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        values = np.concatenate([np.asarray(sequence) for sequence in sequences])
        return cls(values, lengths, np.concatenate(targets) if every_step else np.asarray(targets), every_step)


class StoredSequences(Dataset):
    """A store served by the batch: (`Sequences`, targets), padded to the longest of the batch."""

    def __init__(self, store: Store) -> None:
        self.store, self.lengths = store, store.lengths
        self.starts = np.cumsum(store.lengths) - store.lengths

    def __len__(self) -> int:
        return len(self.store.lengths)

    def __getitems__(self, picks: Picks | np.ndarray | range) -> tuple[Sequences, torch.Tensor]:
        indices = np.asarray(picks.indices if isinstance(picks, Picks) else picks)
        values, lengths, targets, every_step = self.store
        some = lengths[indices]
        steps = np.arange(int(some.max()))
        inside = steps < some[:, None]
        # Beyond its end a sequence would read from the next one, and the last from nowhere.
        places = np.where(inside, self.starts[indices][:, None] + steps, 0)
        chosen = values[places]
        chosen[~inside] = 0
        wanted = np.where(inside, targets[places], IGNORED) if every_step else targets[indices]
        return Sequences(torch.from_numpy(chosen), torch.from_numpy(some)), torch.from_numpy(wanted)


class SequenceData(BatchedData):
    """Base of the sequence datasets: a subclass fills `sets`, `spec` and `splits` in `load`.

    Args:
        batch_size: sequences a step, over all processes together.
        max_tokens: in its place, tokens a step with padding; or None.
        bucket: whether a batch holds sequences of like length.
        workers: processes that fetch batches; 0 is fastest for what is in memory.
        seed: of shuffling.

    Attributes:
        sets: the stores of train, validation and test, once `setup` has run.
        spec: what the model needs to know.
        splits: examples in each split, what was left out or cut, and a fingerprint, for the record.
    """

    name = "sequences"

    def __init__(self, *, batch_size: int, max_tokens: int | None, bucket: bool, workers: int, seed: int) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        if max_tokens is not None:
            whole("data.max_tokens", max_tokens, 1)
        self.max_tokens, self.bucket = max_tokens, bucket
        self.sets: dict[str, Any] = {}

    def load(self) -> None:
        """Read, check and split; fill `sets`, `spec` and `splits`."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Load once; later calls return at once."""
        if not self.sets:
            self.load()
            for split, store in self.sets.items():
                if not len(store.lengths):
                    raise UserError(f"{self.name}: the {split} split is empty, and needs at least one example.")

    def dataset(self, split: str) -> Dataset:
        """Return a split, served by the batch."""
        return StoredSequences(self.sets[split])

    def train_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        if self.bucket or self.max_tokens is not None:
            return BucketSampler(dataset.lengths, self.batch_size, self.max_tokens, self.seed, rank, world)
        return super().train_sampler(dataset, share, rank, world)

    def eval_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        if self.bucket or self.max_tokens is not None:
            require_enough(len(dataset), world)
            return EvalBuckets(dataset.lengths, self.batch_size, self.max_tokens, rank, world)
        return super().eval_sampler(dataset, share, rank, world)

    def _share(self) -> tuple[int, int, int]:
        rank, world = self._place()
        # A batch of so many tokens has no number of sequences to divide.
        return (rank, world, 0) if self.max_tokens is not None else super()._share()

    @property
    def class_counts(self) -> list[int]:
        """Training examples of each class."""
        return np.bincount(self.sets["train"].targets, minlength=self.spec.num_classes).tolist()

    changes: tuple[str, ...] = ()  # what is drawn anew in each epoch: nothing

    def digest(self, split: str, augmented: bool) -> str:
        """Hexadecimal digits that differ when anything does of what the model gets of a split, in order."""
        digest = hashlib.sha256(json.dumps(to_plain(self.spec)).encode())
        for column in _columns(self.sets[split]):
            digest.update(
                np.ascontiguousarray(column).tobytes() if isinstance(column, np.ndarray) else str(column).encode()
            )
        return digest.hexdigest()

    def in_order(self, split: str, views: int, size: int) -> Any:
        """Return every example of a split, at most `size` at a time, in the order that the loader's `batch_sampler` has."""
        buckets = EvalBuckets(self.sets[split].lengths, min(size, self.batch_size), self.max_tokens)
        return self._loader(self.dataset(split), buckets)

    def sample(self, split: str, count: int) -> Any:
        """Return the first examples of a split, as the model gets them."""
        served: Any = self.dataset(split)
        return served.__getitems__(range(min(count, len(self.sets[split].lengths))))


def _columns(store: Any) -> Iterator[Any]:
    """Yield the columns of a store, and of one that is made of several those of each."""
    for column in store:
        if isinstance(column, tuple):
            yield from _columns(column)
        else:
            yield column

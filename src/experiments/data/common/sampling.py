"""Which examples make up which batch: a pure function of the seed, the epoch and the number of the batch.

Nothing here is drawn from a global generator and nothing is remembered between epochs, so an interrupted run that
names its epoch and batch again continues with the very batches it would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from experiments.errors import UserError

ORDER, PLACES, EXTRA, MIX, TRANSFORM = range(5)  # what a stream of random numbers is for; no two purposes share numbers


def stream(seed: int, epoch: int, batch: int, purpose: int) -> np.random.Generator:
    """Random numbers of one batch and purpose: a counter-based generator needs no state to be kept or restored."""
    mask = 2**64 - 1
    return np.random.Generator(np.random.Philox(counter=[0, batch, epoch, purpose], key=[seed & mask, 0]))


class Picks(NamedTuple):
    """One process's share of a training batch, and the key from which its augmentation is drawn.

    Attributes:
        indices: (B,) int64, examples of the training split.
        seed: of the run.
        epoch: counted from 0.
        batch: number of the batch in its epoch.
        position: where this share begins in the batch of all processes together.
    """

    indices: np.ndarray
    seed: int
    epoch: int
    batch: int
    position: int


class TrainSampler(Sampler[Picks]):
    """Shuffled batches. Every global batch is cut into equal contiguous shares, one a process.

    The last batch is filled up from the start of the epoch's order, so that every process gets equally many, and at
    least two where `share` allows it (batch normalisation has no variance of one).

    Attributes:
        epoch: decides the order; Lightning calls `set_epoch`, which it finds as `batch_sampler.sampler`.
        start_batch: batches to leave out when next iterated, then 0 again: where a resumed run begins.

    Args:
        count: examples.
        share: examples a process and batch.
        seed: of the run.
        rank: of this process.
        world: processes.
    """

    def __init__(self, count: int, share: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.count, self.share, self.seed, self.rank, self.world = count, share, seed, rank, world
        self.epoch = 0
        self.start_batch = 0
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        """Batches in an epoch, whatever `start_batch` says: progress is counted from the epoch's beginning."""
        return math.ceil(self.count / (self.share * self.world))

    def __iter__(self) -> Iterator[Picks]:
        # A generator: epoch and start_batch are read at the first `next`, when Lightning has long set them.
        first, self.start_batch = self.start_batch, 0
        epoch, size = self.epoch, self.share * self.world
        order = stream(self.seed, epoch, 0, ORDER).permutation(self.count)
        for batch in range(first, len(self)):
            whole = order[batch * size : (batch + 1) * size]
            share = max(math.ceil(len(whole) / self.world), min(2, self.share))
            if len(whole) < share * self.world:
                whole = np.concatenate([whole, np.resize(order, share * self.world - len(whole))])
            position = self.rank * share
            yield Picks(whole[position : position + share], self.seed, epoch, batch, position)


class EvalSampler(Sampler[range]):
    """Every example once, in order. Each process has one contiguous block; blocks may differ by one example."""

    def __init__(self, count: int, share: int, rank: int = 0, world: int = 1) -> None:
        self.block = range(count * rank // world, count * (rank + 1) // world)
        self.share = share

    def __len__(self) -> int:
        return math.ceil(len(self.block) / self.share)

    def __iter__(self) -> Iterator[range]:
        for start in range(0, len(self.block), self.share):
            yield self.block[start : start + self.share]


class LazyLoader(DataLoader):
    """A DataLoader of whole batches that starts at the first `next`, not at `iter`.

    Lightning calls `iter` before it names the epoch to continue with; workers would by then be fetching the first
    batches of epoch 0. A `UserError` that a dataset returns in place of a batch is raised here, so that it arrives from
    a worker as it was written.

    Attributes:
        instead: asked at the first `next` for another dataset to read this time, such as cached features; None: this one.
    """

    instead: Callable[[], Dataset | None] | None = None

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches: Iterable[Any]
        other = self.instead() if self.instead else None
        if other is not None:  # no worker could read it sooner
            batches = map(other.__getitems__, self.batch_sampler)  # type: ignore[attr-defined, arg-type]
        elif self.num_workers or self.pin_memory:
            batches = super().__iter__()
        else:  # what DataLoader does, less 26 µs a batch for its profiling marks
            batches = map(self.dataset.__getitems__, self.batch_sampler)  # type: ignore[attr-defined, arg-type]
        for batch in batches:
            if isinstance(batch, UserError):
                raise batch
            yield batch


def as_is(batch: Any) -> Any:
    """Collate nothing: the dataset's `__getitems__` has made the whole batch."""
    return batch

"""Batches of sequences of like length, so that little is computed for padding.

Lengths are rounded up to a grid that grows by a tenth. Sorted by rounded length, the training split is cut into
batches; an epoch shuffles the examples of equal rounded length, and then the batches. Where the cuts lie depends on
the lengths alone, so every epoch has equally many batches, and what is in them is a function of seed and epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from experiments.data.common.sampling import ORDER, Picks, TrainSampler, stream
from experiments.errors import UserError


def rounded(lengths: np.ndarray) -> np.ndarray:
    """Return each length rounded up to a grid that grows by a tenth, and by one at least."""
    grid, last = [0], int(lengths.max(initial=1))
    while grid[-1] < last:
        grid.append(max(grid[-1] + 1, math.floor(grid[-1] * 1.1)))
    return np.array(grid)[np.searchsorted(grid, lengths)]


def cuts(lengths: np.ndarray, batch_size: int, max_tokens: int | None, least: int) -> list[int]:
    """Where sorted lengths are cut into batches: the first index of each, and their number.

    Args:
        lengths: (N,) ascending.
        batch_size: sequences a batch; where there is a budget it does not count.
        max_tokens: budget of a batch, padding included, or None.
        least: sequences that a batch has at least, even beyond the budget.
    """
    count = len(lengths)
    if max_tokens is None:
        return [*range(0, count, batch_size), count]
    edges = [0]
    while edges[-1] < count:
        start, end = edges[-1], min(edges[-1] + least, count)
        while end < count and int(lengths[end]) * (end + 1 - start) <= max_tokens:
            end += 1
        edges.append(end)
    return edges


class BucketSampler(TrainSampler):
    """Shuffled batches of like length; every process takes every `world`-th sequence of a batch.

    Where a batch cannot be shared equally, it is filled up from its own beginning.

    Args:
        lengths: (N,) of the training sequences.
        batch_size: sequences a batch, over all processes.
        max_tokens: in its place, tokens a batch over all processes, padding included; or None.
        seed: of the run.
        rank: of this process.
        world: processes.

    Raises:
        UserError: when a sequence is longer than the budget.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        max_tokens: int | None,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        super().__init__(len(lengths), max(1, batch_size // world), seed, rank, world)
        check_budget(lengths, max_tokens)
        self.rounded = rounded(lengths)
        self.cuts = cuts(np.sort(self.rounded), batch_size, max_tokens, world)

    def __len__(self) -> int:
        """Batches in an epoch, the same in each."""
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[Picks]:
        first, self.start_batch = self.start_batch, 0
        epoch, random = self.epoch, stream(self.seed, self.epoch, 0, ORDER)
        order = np.lexsort((random.permutation(self.count), self.rounded))
        for batch, place in list(enumerate(random.permutation(len(self)).tolist()))[first:]:
            whole = order[self.cuts[place] : self.cuts[place + 1]]
            share = math.ceil(len(whole) / self.world)
            whole = np.resize(whole, share * self.world)
            yield Picks(whole[self.rank :: self.world], self.seed, epoch, batch, self.rank)


class EvalBuckets(Sampler[np.ndarray]):
    """Every sequence once, in batches of like length; each process takes every `world`-th of them."""

    def __init__(
        self, lengths: np.ndarray, batch_size: int, max_tokens: int | None, rank: int = 0, world: int = 1
    ) -> None:
        check_budget(lengths, max_tokens)
        self.order = np.argsort(lengths, kind="stable")[rank::world]
        share = None if max_tokens is None else max(1, max_tokens // world)
        self.cuts = cuts(lengths[self.order], max(1, batch_size // world), share, 1)

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __iter__(self) -> Iterator[np.ndarray]:
        for start, end in zip(self.cuts, self.cuts[1:], strict=False):
            yield self.order[start:end]


class Views(Sampler[Picks]):
    """Every sequence so many times over, in the batches of `EvalBuckets`, each time as of another epoch of seed 0.

    Attributes:
        order: places in all views laid end to end.
    """

    def __init__(self, buckets: EvalBuckets, views: int) -> None:
        self.buckets, self.views = buckets, views
        self.order = np.concatenate([buckets.order + view * len(buckets.order) for view in range(views)])

    def __len__(self) -> int:
        return self.views * len(self.buckets)

    def __iter__(self) -> Iterator[Picks]:
        for view in range(self.views):
            for number, rows in enumerate(self.buckets):
                yield Picks(rows, 0, view, number, 0)


def check_budget(lengths: np.ndarray, max_tokens: int | None) -> None:
    """Refuse a budget that the longest sequence alone exceeds."""
    longest = int(lengths.max(initial=0))
    if max_tokens is not None and max_tokens < longest:
        raise UserError(
            f"data.max_tokens={max_tokens} is less than the longest sequence, {longest}: "
            f"take {longest} or more, or cut sequences with data.max_length={max_tokens}"
        )

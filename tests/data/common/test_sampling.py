from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from experiments.data.common.sampling import EvalSampler, LazyLoader, TrainSampler, as_is


def batches(sampler: TrainSampler, epoch: int = 0, start: int = 0) -> list[list[int]]:
    sampler.set_epoch(epoch)
    sampler.start_batch = start
    return [picks.indices.tolist() for picks in sampler]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first = batches(TrainSampler(50, 8, seed=3), epoch=2)
    torch.manual_seed(99)
    np.random.seed(99)
    used = TrainSampler(50, 8, seed=3)
    batches(used, epoch=0)
    assert batches(used, epoch=2) == first
    assert batches(used, epoch=3) != first
    assert batches(TrainSampler(50, 8, seed=0), epoch=2) != batches(TrainSampler(50, 8, seed=1), epoch=2)
    assert sorted(chain(*first)) == list(range(50))


def test_goes_on_at_start_batch_once() -> None:
    sampler = TrainSampler(50, 8, seed=3)
    whole = batches(sampler, epoch=1)
    assert batches(sampler, epoch=1, start=4) == whole[4:]
    assert sampler.start_batch == 0
    assert len(sampler) == len(whole) == 7


@pytest.mark.parametrize("count", [48, 50, 33])
def test_ranks_share_each_batch(count: int) -> None:
    whole = batches(TrainSampler(count, 16, seed=5))
    ranks = [batches(TrainSampler(count, 8, seed=5, rank=rank, world=2)) for rank in range(2)]
    assert [len(share) for share in ranks[0]] == [len(share) for share in ranks[1]]
    together = [left + right for left, right in zip(*ranks, strict=True)]
    assert together[:-1] == whole[:-1]
    assert together[-1][: len(whole[-1])] == whole[-1]
    assert set(chain(*together)) == set(range(count))


def test_last_batch_has_two_a_process() -> None:
    assert [len(share) for share in batches(TrainSampler(17, 8, seed=0))] == [8, 8, 2]
    assert len(batches(TrainSampler(17, 4, seed=0, rank=1, world=4))[-1]) == 2
    assert len(batches(TrainSampler(5, 1, seed=0))[-1]) == 1


@pytest.mark.parametrize(("count", "world"), [(10, 1), (10, 3), (2, 4)])
def test_evaluation_sees_each_example_once(count: int, world: int) -> None:
    samplers = [EvalSampler(count, 3, rank, world) for rank in range(world)]
    assert list(chain(*chain(*samplers))) == list(range(count))
    assert [len(list(sampler)) for sampler in samplers] == [len(sampler) for sampler in samplers]


class Echo(torch.utils.data.Dataset):
    def __getitems__(self, picks):  # type: ignore[no-untyped-def]
        return picks.epoch, picks.batch, picks.indices.tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_honours_an_epoch_named_after_iter(workers: int) -> None:
    sampler = TrainSampler(40, 8, seed=1)
    loader = LazyLoader(
        Echo(), batch_sampler=sampler, collate_fn=as_is, num_workers=workers, persistent_workers=workers > 0
    )
    for epoch, start in ((4, 3), (5, 0)):
        waiting = iter(loader)
        sampler.set_epoch(epoch)
        sampler.start_batch = start
        seen = list(waiting)
        assert [batch[:2] for batch in seen] == [(epoch, batch) for batch in range(start, 5)]
        assert [batch[2] for batch in seen] == batches(TrainSampler(40, 8, seed=1), epoch)[start:]

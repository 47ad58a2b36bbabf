"""Schedules and the length of a run."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LinearLR, LRScheduler, SequentialLR

from experiments.tasks.parts.schedules import Horizon, forget_length, one_cycle


def one_cycle_of(steps: int, within: bool) -> LRScheduler:
    """One for a run of some steps, alone or as the second of two."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    made: LRScheduler = one_cycle(optimizer, Horizon(steps, steps, "min"), warmup_share=0.3)["scheduler"]
    return SequentialLR(optimizer, [LinearLR(optimizer, total_iters=1), made], milestones=[1]) if within else made


def stepped(schedule: LRScheduler, times: int) -> float:
    for _ in range(times):
        schedule.optimizer.step()
        schedule.step()
    return float(schedule.optimizer.param_groups[0]["lr"])


def test_a_longer_run_has_a_cycle_of_its_own_length() -> None:
    for within in (False, True):
        short, long = one_cycle_of(10, within), one_cycle_of(20, within)
        stepped(short, 8)
        state = short.state_dict()
        forget_length([state])
        long.load_state_dict(state)
        assert stepped(long, 4) == stepped(one_cycle_of(20, within), 12)

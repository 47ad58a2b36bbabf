"""Means over an epoch, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from experiments.tasks.parts.running_sums import RunningSums, joined

MODULE: Any = SimpleNamespace(trainer=SimpleNamespace(world_size=1))


def test_means_are_of_examples_not_of_batches() -> None:
    sums = RunningSums()
    assert sums.means(MODULE) == {}
    sums.add(3, torch.tensor(1.0), right=torch.tensor(2.0))
    sums.add(1, torch.tensor(5.0), right=torch.tensor(1.0))
    sums.add(0, torch.tensor(float("nan")))
    means = sums.means(MODULE)
    assert means["loss"].item() == pytest.approx((3 * 1 + 1 * 5) / 4) and means["right"].item() == pytest.approx(3 / 4)
    sums.reset()
    assert sums.means(MODULE) == {}


def test_a_weighted_loss_is_the_mean_by_weight() -> None:
    sums = RunningSums()
    sums.add(2, torch.tensor(1.0), torch.tensor(0.5))
    sums.add(2, torch.tensor(4.0), torch.tensor(1.5))
    sums.add(2, torch.tensor(float("nan")), torch.tensor(0.0))
    assert sums.means(MODULE)["loss"].item() == pytest.approx((0.5 * 1 + 1.5 * 4) / 2)


def test_processes_are_joined() -> None:
    both = [RunningSums(), RunningSums()]
    both[0].add(1, torch.tensor(2.0))
    both[1].add(3, torch.tensor(6.0))
    whole = RunningSums()
    whole.load_state_dict(joined([sums.state_dict() for sums in both]), torch.device("cpu"))
    assert whole.means(MODULE)["loss"].item() == pytest.approx((2 + 3 * 6) / 4)

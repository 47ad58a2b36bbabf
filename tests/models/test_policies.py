"""Policies: shapes, stages, memory, and normalisation."""

from __future__ import annotations

import pytest
import torch

from experiments.batches import Observations
from experiments.models.policy import Moments, PolicyGRU, PolicyMLP


@pytest.mark.parametrize("continuous", [False, True])
def test_shapes_stages_and_gradients(continuous: bool) -> None:
    numbers = 6 if continuous else 3
    for shared in (False, True):
        mlp = PolicyMLP(5, 3, continuous, hidden=[8, 7], shared=shared)
        assert [name for name, _ in mlp.named_children()] == ["normalise", "layer1", "layer2", "head"]
        out = mlp(torch.randn(4, 5))
        assert (out.action.shape, out.value.shape, out.state.shape) == ((4, numbers), (4,), (4, 0))
        (out.action.sum() + out.value.sum()).backward()
        assert all(parameter.grad is not None for parameter in mlp.parameters())
        x = torch.randn(4, 5)
        assert torch.equal(mlp.act(x), mlp(x).action)
    gru = PolicyGRU(5, 3, continuous, hidden=8, memory=6)
    assert [name for name, _ in gru.named_children()] == ["normalise", "encoder", "recurrent", "head"]
    out = gru(torch.randn(4, 7, 5))
    assert (out.action.shape, out.value.shape, out.state.shape) == ((4, 7, numbers), (4, 7), (4, 6))


def test_steps_one_by_one_are_the_sequence() -> None:
    gru = PolicyGRU(3, 2, hidden=8, memory=6)
    steps, state = torch.randn(2, 5, 3), torch.zeros(2, 6)
    whole = gru(Observations(steps, state))
    for step in range(5):
        moved = gru(Observations(steps[:, step], state))
        state = moved.state
        assert torch.allclose(moved.action, whole.action[:, step], atol=1e-6)
    assert torch.allclose(state, whole.state, atol=1e-6)


def test_moments_are_those_of_all_rows() -> None:
    rows, moments = torch.randn(50, 3) * 4 + 2, Moments(3)
    for some in rows.split(17):
        moments.update(len(some), some.mean(0), some.var(0, correction=0))
    assert torch.allclose(moments.mean, rows.mean(0), atol=1e-5)
    assert torch.allclose(moments.var, rows.var(0, correction=0), atol=1e-4)
    assert int(moments.count) == 50


def test_layers_without_units_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model.hidden=\[\]"):
        PolicyMLP(hidden=[], shared=False)
    with pytest.raises(ValueError, match=r"model\.memory=0"):
        PolicyGRU(hidden=4, memory=0)

"""Low-rank updates beside other parametrisations of weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from experiments.transfer.lora import add_low_rank, merge, merged


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(weight_norm(nn.Conv1d(2, 2, 3)), nn.Flatten(), nn.Linear(4, 3), nn.Linear(3, 2))


def test_normed_weights_stay_what_they_are() -> None:
    """In a plain state dict, and beside low-rank updates of the other layers."""
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert any("parametrizations" in name for name in before)
    assert merged(model.state_dict()).keys() == before.keys()
    names = add_low_rank(model, 2, 4.0, None, "3")
    assert names == ["2.parametrizations.weight.0.down", "2.parametrizations.weight.0.up"]
    assert set(names) <= dict(model.named_parameters()).keys()
    plain = merged(model.state_dict())
    assert plain.keys() == before.keys() == merge(model).state_dict().keys()
    network().load_state_dict(plain)

"""A network that cannot fit is refused while it is built, and every network is built once."""

from __future__ import annotations

import pytest
import torch

from experiments.config.compose import compose
from experiments.errors import UserError
from experiments.run import model_memory
from experiments.run.model_memory import require_model_memory
from experiments.system import memory


def test_what_cannot_fit_is_refused_before_its_values_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "total_memory", lambda: 100_000)
    monkeypatch.setattr(model_memory, "total_memory", lambda: 100_000)
    config = compose(["model=mlp", "data=digits", "optimizer=adam", "trainer.accelerator=cpu"])
    built = []
    with require_model_memory(config):  # weights, gradients and two moments: four times 4 bytes
        built.append(torch.nn.Linear(60, 100, bias=False))
    with (
        pytest.raises(UserError, match=r"6,300 parameters or more, which in training takes"),
        require_model_memory(config),
    ):
        built.append(torch.nn.Sequential(torch.nn.Linear(62, 100, bias=False), torch.nn.Linear(1, 100, bias=False)))
    assert len(built) == 1
    torch.nn.Linear(100, 100)  # nothing is counted any more
    with pytest.raises(UserError, match=r"model=mlp needs more memory than there is"), require_model_memory(config):
        torch.nn.Linear(1 << 31, 1 << 31)  # more bytes than a number holds
    with pytest.raises(UserError, match=r"model=mlp in training takes .* of memory"), require_model_memory(config):
        torch.nn.Linear(1 << 24, 1 << 24)  # more than can be asked for


def test_layers_without_sizes_are_not_counted() -> None:
    with require_model_memory(compose(["model=mlp", "data=digits", "trainer.accelerator=cpu"])):
        torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Linear(2, 2))

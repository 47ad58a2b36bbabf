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


def test_a_large_network_is_counted_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is known after the first large layer, and the count leaves first values as they are."""
    config = compose(["model=mlp", "data=digits", "optimizer=adam", "trainer.accelerator=cpu"])
    monkeypatch.setattr(model_memory, "_LARGE", 10_000)
    made: list[torch.nn.Module] = []

    def network(layers: int) -> torch.nn.Module:
        for _ in range(layers):
            made.append(torch.nn.Linear(60, 100, bias=False))
        return torch.nn.Sequential(*made[-layers:])

    torch.manual_seed(0)
    alone = network(3)
    torch.manual_seed(0)
    with require_model_memory(config, lambda: network(3)):
        counted = network(3)
    assert all(torch.equal(*pair) for pair in zip(alone.parameters(), counted.parameters(), strict=True))
    monkeypatch.setattr(memory, "total_memory", lambda: 1_000_000)
    made.clear()
    with (
        pytest.raises(UserError, match=r"model=mlp has 600,000 parameters, which in training takes"),
        require_model_memory(config, lambda: network(100)),
    ):
        network(100)
    assert sum(not layer.weight.is_meta for layer in made) == 0, "refused within the first layer"


def test_layers_without_sizes_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_memory, "_LARGE", 0)

    def build() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.LazyLinear(3), torch.nn.Linear(2, 2))

    with require_model_memory(compose(["model=mlp", "data=digits", "trainer.accelerator=cpu"]), build):
        build()

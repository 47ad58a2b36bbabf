"""How large gradients are: before clipping, of all steps, and from first to last stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.callbacks.gradient_norms import GradientNorms


class Module(nn.Module):
    """A model of two stages, with what the callback asks of a LightningModule."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
        self.logged: dict[str, float] = {}

    def log_dict(self, values: dict[str, float]) -> None:
        self.logged = values

    def step(self, callback: GradientNorms, first: float, last: float) -> None:
        for layer, value in ((self.model[0], first), (self.model[2], last)):
            layer.weight.grad = torch.tensor([[value]])
        callback.on_before_optimizer_step(None, self, None)  # type: ignore[arg-type]


def test_norms_of_steps_and_stages() -> None:
    callback, module = GradientNorms(), Module()
    module.step(callback, 3.0, 4.0)
    module.step(callback, 6.0, 8.0)
    callback.on_train_epoch_end(None, module)  # type: ignore[arg-type]
    assert module.logged == pytest.approx(
        {"train/gradient_norm": 7.5, "train/gradient_largest": 10.0, "train/gradient_first_to_last": 0.75}
    )
    again = GradientNorms()
    again.load_state_dict(callback.state_dict())
    module.step(again, float("nan"), 1.0)
    again.on_train_epoch_end(None, module)  # type: ignore[arg-type]
    assert module.logged["train/gradient_largest"] == pytest.approx(1e38)
    assert module.logged["train/gradient_first_to_last"] == pytest.approx(0.75), "that of the first epoch stays"


def test_a_run_records_them_before_clipping(experiments) -> None:
    words = ["data=shapes", "data.limit=64", "model=mlp", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    words += ["callbacks=gradients", "callbacks.figures=null", "trainer.gradient_clip_val=1e-6", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words)
    assert code == 0, errors
    metrics = json.loads(Path("run/record.json").read_text())["metrics"]
    assert metrics["train/gradient_largest"] >= metrics["train/gradient_norm"] > 1e-3
    assert metrics["train/gradient_first_to_last"] > 0

"""How large gradients are: before clipping, of all steps, and from first to last stage."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from experiments.callbacks.gradient_norms import GradientNorms

TRAINER: Any = SimpleNamespace(current_epoch=0)


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
    callback.on_train_epoch_end(TRAINER, module)  # type: ignore[arg-type]
    assert module.logged == pytest.approx(
        {
            "train/gradient_norm": 7.5,
            "train/gradient_largest": 10.0,
            "train/gradient_first_to_last": 0.75,
            "train/gradient_spread": 4 / 3,
        }
    )
    assert callback.layers == ["0", "2"]
    assert callback.by_layer["0"] == pytest.approx([3.0, 4.0]), "the first step"
    assert callback.by_layer["1"] == pytest.approx([math.sqrt(18), math.sqrt(32)]), "geometric means of the epoch"
    assert callback.by_step == pytest.approx([5.0, 10.0])
    again = GradientNorms()
    again.load_state_dict(callback.state_dict())
    module.step(again, float("nan"), 1.0)
    again.on_train_epoch_end(TRAINER, module)  # type: ignore[arg-type]
    assert module.logged["train/gradient_largest"] == pytest.approx(1e38)
    assert again.by_step == pytest.approx([5.0, 10.0, 1e38]), "what is no number is told as the largest"
    assert module.logged["train/gradient_first_to_last"] == pytest.approx(0.75), "that of the first epoch stays"
    assert module.logged["train/gradient_spread"] == pytest.approx(4 / 3)
    old = GradientNorms()
    old.load_state_dict({"largest": 1.0, "first_to_last": 0.5})  # of a checkpoint from before layers were measured
    assert old.by_layer == {}


@pytest.mark.slow
def test_a_run_records_them_before_clipping(experiments) -> None:
    words = ["data=shapes", "data.limit=64", "model=mlp", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    words += ["callbacks=gradients", "callbacks.figures=null", "trainer.gradient_clip_val=1e-6", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words)
    assert code == 0, errors
    metrics = json.loads(Path("run/record.json").read_text())["metrics"]
    assert metrics["train/gradient_largest"] >= metrics["train/gradient_norm"] > 1e-3
    assert metrics["train/gradient_first_to_last"] > 0 and metrics["train/gradient_spread"] >= 1
    by_layer = json.loads(Path("run/gradient_by_layer.json").read_text())
    assert [len(norms) for norms in by_layer["norms_by_epochs_trained"].values()] == [len(by_layer["layers"])] * 2
    assert Path("run/figures/gradient_by_layer.png").stat().st_size > 5000
    assert len(json.loads(Path("run/gradient_by_step.json").read_text())["norms"]) == 1
    assert Path("run/figures/gradient_by_step.png").stat().st_size > 5000

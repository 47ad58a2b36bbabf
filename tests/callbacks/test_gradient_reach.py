"""Sequence tasks, written-out cells and the reach of gradients, through the command where a person would use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from experiments.batches import pad
from experiments.callbacks.gradient_reach import reach, state_gradients
from experiments.models.recurrent import Recurrent
from experiments.models.recurrent_cells import unroll
from experiments.models.recurrent_layer import CELLS

QUICK = ["trainer=cpu", "trainer.max_epochs=1", "data.count=120", "model.hidden=16", "callbacks=none", "logger=none"]
RECURRENT: dict[str, Any] = {
    "embedding": 4, "hidden": 6, "layers": 1, "nonlinearity": "tanh", "bidirectional": False, "pooling": "last",
    "initial": "zero", "layer_norm": False, "input_dropout": 0.0, "dropout": 0.0, "output_dropout": 0.0,
    "truncate": None, "forget_bias": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "metric", "task"),
    [
        ("adding", "test/close", "regression"),
        ("copy_memory", "test/accuracy", "labelling"),
        ("sorting", "test/accuracy", "labelling"),
        ("parity", "test/f1", "classification"),
        ("delayed_recall", "test/accuracy", "classification"),
    ],
)
def test_data_alone_is_an_experiment(data: str, metric: str, task: str, experiments) -> None:
    code, _, errors = experiments("train", f"data={data}", *QUICK, "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads(Path("run/record.json").read_text())
    assert metric in record["metrics"]
    assert (record["choices"]["task"], record["choices"]["model"]) == (task, "lstm")
    code, _, errors = experiments("predict", "run", "x")
    assert code == 2
    assert errors == (
        f"error: data={data} generates its sequences and takes no inputs: test the run again with experiments evaluate RUN\n"
    )
    if task != "classification":
        code, _, errors = experiments("show", "run")
        assert code == 2
        message = f"there is nothing to show for task={task}: its result is in {Path('run').absolute()}/record.json"
        assert errors == f"error: {message}\n"


def test_a_model_without_steps_is_refused(experiments) -> None:
    code, _, errors = experiments("check", "data=copy_memory", "model=text_cnn")
    assert code == 2
    assert "makes" in errors and "steps" in errors


@pytest.mark.parametrize("cell", [*CELLS, "relu"])
def test_written_out_cells_are_torch_s(cell: str) -> None:
    torch.manual_seed(0)
    kernel = (
        nn.RNN(3, 5, nonlinearity="relu", batch_first=True) if cell == "relu" else CELLS[cell](3, 5, batch_first=True)
    )
    values, h, c = torch.randn(2, 9, 3), torch.randn(2, 5), torch.randn(2, 5)
    gates = unroll(kernel, values, h, c)
    out, end = kernel(values, (h[None], c[None]) if cell == "lstm" else h[None])
    torch.testing.assert_close(gates["hidden"], out)
    if cell == "lstm":
        torch.testing.assert_close(gates["cell"][:, -1], end[1][0])
    torch.testing.assert_close(unroll(kernel, values)["hidden"], kernel(values)[0])
    names = {"lstm": {"input", "forget", "candidate", "output", "cell"}, "gru": {"reset", "update", "candidate"}}
    assert set(gates) == names.get(cell, set()) | {"hidden"}


class Stub(nn.Module):
    """A task of a model whose loss is the sum of squares of the written-out hidden state after the last step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def step(self, batch: Any) -> tuple[torch.Tensor, None, None]:
        return self.model(batch).square().sum(1).mean(), None, None


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_the_state_are_those_of_the_written_out_cell(cell: str) -> None:
    torch.manual_seed(0)
    model = Recurrent(features=3, num_classes=2, cell=cell, **RECURRENT).train()
    batch = pad([torch.randn(7, 3) for _ in range(4)])
    gradients = state_gradients(Stub(model), batch)
    assert model.training and model.layers[0].recorded is None
    assert all(parameter.grad is None for parameter in model.parameters())
    kernel = model.layers[0].directions[0]
    for step in range(7):
        state = [torch.zeros(4, 6), torch.zeros(4, 6)]
        if step:
            gates = unroll(kernel, batch.values[:, :step])
            state = [gates["hidden"][:, -1].detach(), gates.get("cell", torch.zeros(4, 1, 6))[:, -1].detach()]
        state = [tensor.requires_grad_() for tensor in state]
        if step == 0:
            continue  # before the first step there is no state after a step
        end = unroll(kernel, batch.values[:, step:], *state)["hidden"][:, -1]
        loss = model.head(end).square().sum(1).mean()
        parts = torch.autograd.grad(loss, state[: 2 if cell == "lstm" else 1])
        expected = torch.cat(parts, dim=1).norm(dim=1).mean() * 4
        torch.testing.assert_close(gradients[step - 1], expected)


def test_reach_counts_steps_before_the_last() -> None:
    assert reach([0.0, 1e-5, 0.5, 1.0, 0.9]) == 2
    assert reach([1.0, 1.0, 1.0]) == 2
    assert reach([0.0, 0.0]) == 0


@pytest.mark.slow
def test_a_run_draws_how_far_its_gradient_reaches(experiments) -> None:
    words = [
        "data=delayed_recall",
        "data.length=8",
        *QUICK[:4],
        "callbacks=memory",
        "callbacks.figures=null",
        "logger=csv",
    ]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    norms = json.loads(Path("run/gradient_reach.json").read_text())["state_norms_by_epochs_trained"]
    assert set(norms) == {"0", "1"}
    assert all(len(line) == 10 for line in norms.values())
    assert Path("run/figures/gradient_reach.png").stat().st_size > 5000
    assert 0 <= json.loads(Path("run/record.json").read_text())["metrics"]["train/gradient_reach"] <= 9
    for command in ("check", "train"):
        code, _, errors = experiments(command, "data=digits", "model=mlp", "trainer=quick", "callbacks=memory")
        assert code == 2
        assert "callbacks.gradient_reach" in errors and "model=rnn" in errors

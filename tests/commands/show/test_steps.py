"""`experiments show NAME`: the numbers are torch's, they are printed and drawn, and mistakes are one sentence."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from experiments.commands.show.steps import STEPS, import_module
from experiments.viz.board import Board, Grid, as_text


def board(name: str, *words: str) -> Board:
    module = import_module(f"experiments.commands.show.steps.{STEPS[name]}")
    parser = argparse.ArgumentParser(f"experiments show {name}")
    module.arguments(parser)
    parser.set_defaults(name=name)
    return module.board(parser.parse_args(list(words)))


def grid(board: Board, step: int, item: int = -1) -> np.ndarray:
    chosen = [item for item in board.steps[step].items if isinstance(item, Grid)][item]
    return np.array(chosen.values, dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*STEPS, "sigmoid", "gradient-descent"])
def test_each_prints_its_numbers_and_draws_them(experiments, tmp_path: Path, name: str) -> None:
    code, output, errors = experiments("show", name, "--to", "out")
    assert code == 0, errors
    assert output.splitlines()[2].startswith("1. ")
    assert len(list((tmp_path / "out").glob("*.png"))) == 1 and (tmp_path / "out" / "index.html").exists()


def test_pooling() -> None:
    image = torch.tensor([[1.0, 3, 2, 4], [5, 6, 1, 2], [7, 2, 9, 1], [3, 4, 5, 6]])[None, None]
    for size, stride in ((2, 2), (3, 1)):
        shown = board("pooling", "--size", str(size), "--stride", str(stride))
        assert np.allclose(grid(shown, 0), F.max_pool2d(image, size, stride)[0, 0])
        assert np.allclose(grid(shown, 1), F.avg_pool2d(image, size, stride)[0, 0])


def test_activations_and_their_slopes() -> None:
    x = torch.tensor([-3.0, -1, -0.5, 0.5, 1, 3], dtype=torch.double, requires_grad=True)
    shown = board("activations", "--values", "-3 -1 -0.5 0.5 1 3")
    for step, function in enumerate((F.relu, F.leaky_relu, torch.sigmoid, torch.tanh, F.gelu)):
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert np.allclose(grid(shown, step)[1:], torch.stack([y.detach(), slope]))


def test_softmax_with_temperature() -> None:
    shown = board("softmax", "--scores", "800 799 1", "--temperature", "0.5 1")
    expected = torch.stack([F.softmax(torch.tensor([800.0, 799, 1]) / heat, 0) for heat in (0.5, 1)], 1)
    assert np.allclose(grid(shown, 2), expected)


def test_batchnorm() -> None:
    norm = nn.BatchNorm1d(2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 1])), norm.bias.copy_(torch.tensor([0.0, 3]))
    expected = norm(torch.tensor([[1.0, 50], [2, 60], [3, 70], [6, 100]])).detach()
    assert np.allclose(grid(board("batchnorm", "--gamma", "2 1", "--beta", "0 3"), 2), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_one_unit_is_that_of_torch(name: str) -> None:
    from experiments.commands.show.steps.recurrent import GATES

    order = {
        "rnn": ["state"],
        "lstm": ["input", "forget", "candidate", "output"],
        "gru": ["reset", "update", "candidate"],
    }
    rows = torch.tensor([[float(word) for word in GATES[name][gate].split()] for gate in order[name]])
    cell = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name](1, 1)
    with torch.no_grad():
        cell.weight_ih_l0.copy_(rows[:, :1]), cell.weight_hh_l0.copy_(rows[:, 1:2])
        cell.bias_ih_l0.copy_(rows[:, 2]), cell.bias_hh_l0.zero_()
        state = torch.tensor([[0.25]])
        out, _ = cell(torch.tensor([[1.0], [0], [0.5]]), (state, torch.tensor([[-0.5]])) if name == "lstm" else state)
    shown = board(name, "--h", "0.25", *(["--c=-0.5"] if name == "lstm" else []))
    assert np.allclose(grid(shown, len(shown.steps) - 1)[:, -1], out[:, 0])


@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool) -> None:
    vectors = torch.tensor([[0.1, 0.1], [1, 0.2], [0.4, 1], [0.9, 0.8]])
    expected = F.scaled_dot_product_attention(vectors, vectors, vectors, is_causal=causal)
    assert np.allclose(grid(board("attention", *(["--causal"] if causal else [])), 3), expected, atol=1e-6)


def test_gradient_descent() -> None:
    w = torch.zeros((), requires_grad=True)
    x, y = torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 4, 6])
    step = torch.optim.SGD([w], 0.1)
    for _ in range(3):
        step.zero_grad()
        ((w * x - y) ** 2).mean().backward()
        step.step()
    assert np.isclose(grid(board("gradient_descent", "--steps", "3"), 3)[-1, 0], w.item())


@pytest.mark.slow
def test_convolution_in_the_terminal_of_one_dimension_and_of_channels(experiments) -> None:
    code, output, _ = experiments("show", "convolution")
    assert code == 0 and "4  3  4" in output and "row 1, column 1: 1·1 + 1·0" in output
    code, output, _ = experiments("show", "convolution", "--image", "1 2 3 4", "--filter", "1 0 -1", "--padding", "1")
    expected = F.conv1d(torch.tensor([[[1.0, 2, 3, 4]]]), torch.tensor([[[1.0, 0, -1]]]), padding=1)
    assert code == 0 and "  ".join(f"{int(value)}".replace("-", "−") for value in expected.flatten()) in output
    code, output, _ = experiments(
        "show", "convolution", "--image", "1 2; 3 4 | 0 1; 1 0", "--filter", "1 0; 0 1 | 1 1; 1 1"
    )
    assert code == 0 and "upper left: 5 + 2 = 7" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "show needs the folder of a run, or a computation: convolution, pooling"),
        (["polling"], "or did you mean pooling?"),
        (["zzz"], "or a computation: convolution, pooling"),
        (["maxpool", "--size", "9"], "--size 9 is larger"),
        (["Conv2d", "--image", "1 2; 3"], "equally many numbers"),
        (["pooling", "--size", "9"], "--size 9 is larger"),
        (["activations", "--kind", "swosh"], "--kind swosh is unknown"),
        (["flatten", "--weights", "1 2"], "give 8 numbers in each row"),
        (["softmax", "--temperature", "0"], "--temperature 0 must be above 0"),
        (["batchnorm", "--batch", "1 2"], "two rows or more"),
        (["lstm", "--forget", "1 2"], "has 2 numbers and must have 3"),
        (["attention", "--words", "one"], "has 1 words"),
        (["gradient_descent", "--x", "1", "--y", "1 2"], "give one target an input"),
        (["gradient_descent", "--lr", "nan"], "--lr nan must be"),
        (["convolution", "--image", "1 2; 3 4 | 1 2", "--filter", "1"], "channels of unlike sizes"),
        (["convolution", "--image", "1 2; 3 4 | 1 2; 3 4", "--filter", "1"], "2 channels and --filter 1"),
    ],
)
def test_mistakes_are_one_sentence(experiments, tmp_path: Path, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("show", *words)
    assert code == 2 and sentence in errors and len(errors.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_hindi_words_are_drawn_and_aligned(experiments) -> None:
    code, output, errors = experiments("show", "attention", "--words", "बिल्ली दूध पीती है")
    assert code == 0, errors
    assert "बिल्ली" in output
    assert as_text(Board("", "", ())) == ""


def test_a_word_that_is_nearly_a_computation_is_answered_with_it(experiments) -> None:
    code, _, errors = experiments("show", "convolutoin")
    assert code == 2 and "or did you mean convolution?" in errors
    code, output, _ = experiments("show", "relu", "--x", "-3 2")
    assert code == 0 and "at x = −3: relu gives 0" in output

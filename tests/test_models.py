"""Every model config: parameters, shapes, stages, gradients, and the record's figures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.build import build_model, make
from experiments.compose import compose, content, describe, option_files
from experiments.models.cnn import CIFAR10CNN, SimpleCNN
from experiments.models.dense import MLP, LogisticRegression
from experiments.models.lenet import LeNet5
from experiments.spec import ImageSpec

# Those that make scores of classes; what makes something else is tested beside its task.
MODELS = sorted(name for name, file in option_files("model").items() if not content(file).get("makes"))
LARGE = {"resnet34", "resnet50", "resnet101", "resnet152", "resnet110", "plain110"}  # as the smaller of their family


def spec(channels: int = 3, size: int = 32, classes: int = 10) -> ImageSpec:
    return ImageSpec(channels, size, size, tuple(map(str, range(classes))), (0.5,) * channels, (0.5,) * channels)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        (LeNet5(), 61_706),
        (LeNet5(activation="relu", pooling="max"), 61_706),
        (SimpleCNN(), 268_650),
        (CIFAR10CNN(), 545_098),
        (MLP(), 203_530),
        (LogisticRegression(), 7_850),
    ],
    ids=["lenet5", "lenet5_modern", "simple_cnn", "cifar10_cnn", "mlp", "logistic_regression"],
)
def test_parameter_counts(model: nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", MODELS)
def test_listed_parameters_are_true(name: str) -> None:
    about = describe(option_files("model")[name])
    if not about.get("parameters"):
        pytest.skip("the config states none")
    config = compose([f"model={name}"])
    counts = set()
    for one in (spec(3, 224, 1000), spec(3, 32), spec(1, 28), spec(1, 32)):
        if config.model.reads.size in (None, one.height) and about["parameters"] not in counts:
            counts.add(sum(parameter.numel() for parameter in build_model(config, one).parameters()))
    assert about["parameters"] in counts


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in MODELS]
)
def test_forward_backward_and_stages(name: str) -> None:
    config = compose([f"model={name}"])
    size = config.model.reads.size or max(32, config.model.reads.min_size)
    for channels in (1, 3):
        model = build_model(config, spec(channels, size))
        stages = [stage for stage, _ in model.named_children()]
        assert isinstance(model, nn.Sequential)
        assert stages[-1] == "head"
        assert not any(stage.isdigit() for stage in stages)
        logits = model(torch.randn(2, channels, size, size))
        assert logits.shape == (2, 10)
        logits.sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_lenet_is_the_paper_layer_by_layer() -> None:
    kinds = [type(layer).__name__ for layer in LeNet5().modules() if not isinstance(layer, nn.Sequential)]
    assert kinds == [
        "Conv2d", "Tanh", "AvgPool2d", "Conv2d", "Tanh", "AvgPool2d",
        "Flatten", "Linear", "Tanh", "Linear", "Tanh", "Linear",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: LeNet5(image_size=(28, 28)), ["28×28", "32×32", "data.size=32"]),
        (lambda: LeNet5(activation="gelu"), ["model.activation=gelu", "tanh"]),
        (lambda: SimpleCNN(image_size=(3, 3)), ["3×3", "4×4", "data.size"]),
        (lambda: MLP(hidden=[0]), ["model.hidden=[0]"]),
        (lambda: MLP(dropout=1.5), ["model.dropout=1.5"]),
    ],
)
def test_models_refuse_what_they_cannot_read(build: object, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build()  # type: ignore[operator]
    assert all(word in str(caught.value) for word in words)


def test_no_dimension_of_the_data_stands_in_yaml() -> None:
    conf = Path(__file__).parents[1] / "conf"
    for path in conf.rglob("*.yaml"):
        for line in path.read_text().splitlines():
            key = line.split(":")[0].strip()
            assert key not in ("num_classes", "in_channels", "input_shape", "vocab_size", "num_features"), (
                f"{path}: {line}"
            )


def test_package_line_comes_first() -> None:
    for path in (Path(__file__).parents[1] / "conf").rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert not any(line.startswith("# @package") for line in lines[1:]), f"{path}: Hydra ignores it there"


def test_make_names_the_key_that_a_class_does_not_take() -> None:
    from experiments.errors import UserError

    with pytest.raises(UserError, match="colour"):
        make({"_target_": "experiments.models.lenet.LeNet5", "colour": 3})
    with pytest.raises(UserError, match=r"nowhere\.Net"):
        make({"_target_": "nowhere.Net"})

"""Every model config: parameters, shapes, stages, gradients, and the record's figures."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from experiments.config.compose import compose
from experiments.config.options import content, describe, option_files
from experiments.models.cifar_resnet import CifarResNet
from experiments.models.cnn import CIFAR10CNN, SimpleCNN
from experiments.models.conv_stack import ConvStack
from experiments.models.dense import MLP, LogisticRegression
from experiments.models.googlenet import GoogLeNet
from experiments.models.inception_v3 import InceptionV3
from experiments.models.inception_v4 import InceptionV4
from experiments.models.lenet import LeNet5
from experiments.models.library.image_networks import Timm, Torchvision
from experiments.models.resnet import ResNet
from experiments.models.squeezenet import SqueezeNet
from experiments.models.stages import Supervised
from experiments.run.build import build_model
from experiments.run.instantiate import make
from experiments.run.layer_table import layer_table
from experiments.spec import ImageSpec
from experiments.tasks.classification import Classification


def reads(name: str) -> dict[str, object]:
    option = content(option_files("model", bases=True)[name])
    bases = [base for base in option.get("defaults") or [] if isinstance(base, str) and base != "_self_"]
    return (reads(bases[0]) if bases else {}) | (option.get("reads") or {})


# Those that read images and make scores of classes; what makes something else is tested beside its task.
MODELS = sorted(
    name
    for name, file in option_files("model").items()
    if not content(file).get("makes") and "image" in reads(name).get("kind", "image")
)
# With another size, other keys, or in the slow tests because of their size: the smaller of each family, as published, are quick.
SIZES = {"inception_v3": 299, "alexnet": 63, "alexnet_2012": 63}
SLOW = {
    *("resnet34", "resnet50", "resnet101", "resnet152", "resnet44", "resnet56", "resnet110"),
    *("plain32", "plain44", "plain56", "plain110", "resnet32"),
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "alexnet", "alexnet_2012"),
    *("inception_v3", "inception_v4"),
}
VARIANTS = [
    ("resnet18", ["model.stem=small"], 16), ("resnet50", ["model.stem=small"], 8), ("resnet20", ["model.shortcut=projection"], 16),
    ("vgg11_bn", ["model.classifier=small"], 32), ("alexnet_2012", ["model.classifier=small"], 63), ("mobilenet_v2", ["model.stem=small"], 16),
    ("mobilenet_v3_large", ["model.stem=small"], 16), ("googlenet", ["model.stem=small"], 16), ("googlenet", ["model.auxiliary=0"], 32),
    ("inception_v2", ["model.stem=small"], 16), ("inception_v3", ["model.auxiliary=0"], 75), ("squeezenet1_0", ["model.stem=small"], 16),
    ("squeezenet1_1", ["model.stem=small"], 16),
]  # fmt: skip


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
        (ConvStack(), 4_970),
        (ConvStack(image_size=(64, 64)), 4_970),
        (ConvStack(kernel=5, width=8, blocks=1, pooling="none", end="flatten"), 80 + 1_608 + 10 * (8 * 28 * 28 + 1)),
    ],
    ids=[
        "lenet5",
        "lenet5_modern",
        "simple_cnn",
        "cifar10_cnn",
        "mlp",
        "logistic_regression",
        "conv_stack",
        "conv_stack_64",
        "conv_stack_5x5",
    ],
)
def test_parameter_counts(model: nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", MODELS)
def test_listed_parameters_are_true(name: str) -> None:
    about = describe(option_files("model")[name])
    if not about.get("parameters"):
        pytest.skip("the config states none")
    config = composed(name)
    counts = set()
    for images in (spec(3, 299, 1000), spec(3, 32), spec(1, 28), spec(1, 32)):
        if config.model.reads.size in (None, images.height) and about["parameters"] not in counts:
            with torch.device("meta"):
                counts.add(sum(parameter.numel() for parameter in build_model(config, images).parameters()))
    assert about["parameters"] in counts


@pytest.mark.parametrize("name", [name for name in MODELS if "_Weights." in option_files("model")[name].read_text()])
def test_parameters_and_arithmetic_are_the_published(name: str) -> None:
    """torchvision states both beside its weights: parameters, and billions of multiply-adds an example."""
    from torchvision.models import get_weight

    config = composed(name, *(["model.auxiliary=0"] if name == "googlenet" else []))
    stated = get_weight(config.model.pretrained.weights).meta
    images = spec(3, config.model.pretrained.size, 1000)
    with torch.device("meta"):
        model = build_model(config, images)
    table = layer_table(model, images, depth=0)
    assert table.parameters == stated["num_params"]
    assert table.flops / 2e9 == pytest.approx(stated["_ops"], rel=0.02)


@functools.cache
def composed(name: str, *words: str) -> DictConfig:
    """The config of a model, composed once for all tests of it; none changes it."""
    config = compose([f"model={name}", *words])
    OmegaConf.set_readonly(config, True)
    return config


def build(name: str, words: list[str], channels: int, size: int) -> nn.Module:
    return build_model(composed(name, *words), spec(channels, size))


def usual_size(name: str) -> int:
    reads = composed(name).model.reads
    return SIZES.get(name) or reads.size or max(32, reads.min_size or 1)


@pytest.mark.parametrize(
    ("name", "words", "size"),
    [
        *(pytest.param(name, [], None, marks=pytest.mark.slow if name in SLOW else ()) for name in MODELS),
        *(pytest.param(*variant, marks=pytest.mark.slow) for variant in VARIANTS),
        ("torchvision", ["model.name=resnet18"], 32),
        ("timm", ["model.name=resnet10t"], 32),
    ],
)
def test_two_batches_reach_every_parameter(name: str, words: list[str], size: int | None) -> None:
    """Stages end in head, logits have the right shape, grey images are read, and every parameter gets a gradient."""
    if name == "timm":
        pytest.importorskip("timm")
    size = size or usual_size(name)
    model = build(name, words, 3, size)
    stages = [stage for stage, _ in model.named_children()]
    assert isinstance(model, nn.Sequential)
    assert stages[-1] == "head"
    assert not any(stage.isdigit() for stage in stages)
    task = Classification(model, spec(3, size), torch.optim.SGD, None)
    optimizer = torch.optim.SGD(task.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        # three images: batch norm over two values is a step function, whose gradients explode in a deep network
        task.step((torch.randn(3, 3, size, size), torch.tensor([1, 7, 4])))[0].backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
        optimizer.step()
    del optimizer
    with torch.inference_mode():
        assert model.eval()(torch.randn(2, 3, size, size)).shape == (2, 10)
    with torch.inference_mode(), torch.device("meta"):  # which has shapes alone, and needs no values for them
        assert build(name, words, 1, size).eval()(torch.randn(1, 1, size, size)).shape == (1, 10)


def test_losses_of_auxiliary_heads_have_the_paper_s_weight() -> None:
    model = GoogLeNet(image_size=(32, 32), num_classes=10).train()
    batch = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    out = model(batch[0])
    assert isinstance(out, Supervised)
    losses = [nn.functional.cross_entropy(scores, batch[1]) for scores in (out.values, *out.auxiliary)]
    task = Classification(model, spec(), torch.optim.SGD, None)
    loss, logits, _ = task.step(batch)
    assert loss.item() == pytest.approx((losses[0] + 0.3 * losses[1] + 0.3 * losses[2]).item(), rel=1e-4)
    assert logits.shape == (4, 10)
    model.inception4.eval()  # as where it is frozen
    assert isinstance(model(batch[0]), torch.Tensor)


@pytest.mark.slow
def test_inception_v4_is_timm_s() -> None:
    timm = pytest.importorskip("timm")
    theirs, ours = timm.create_model("inception_v4", num_classes=7).eval(), InceptionV4(num_classes=7).eval()
    names = ours.published_names
    ours.load_state_dict({names[key]: value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs(images), atol=1e-6)


@pytest.mark.parametrize("name", ["efficientnet_b0", "densenet121", "shufflenet_v2_x0_5", "regnet_y_400mf", "swin_t"])
def test_stages_of_torchvision_compute_what_the_network_does(name: str) -> None:
    from torchvision.models import get_model

    theirs, ours = (
        get_model(name, num_classes=7).eval(),
        Torchvision(num_classes=7, name=name, image_size=(64, 64)).eval(),
    )
    assert len(list(ours.children())) > 5
    ours.load_state_dict({ours.published_names[key]: value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize(("name", "stages"), [("vit_tiny_patch16_224", 16), ("convnext_atto", 8), ("ghostnet_050", 2)])
def test_stages_of_timm_compute_what_the_network_does(name: str, stages: int) -> None:
    timm = pytest.importorskip("timm")
    size = 224 if "vit" in name else 64
    theirs = timm.create_model(name, num_classes=7).eval()
    ours = Timm(num_classes=7, name=name, image_size=(size, size)).eval()
    assert len(list(ours.children())) >= stages
    ours.load_state_dict({ours.published_names[key]: value for key, value in theirs.state_dict().items()})
    images = torch.randn(1, 3, size, size)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


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
        (lambda: ResNet(depth=19), ["model.depth=19", "18, 34"]),
        (lambda: ResNet(stem="tiny"), ["model.stem=tiny", "full, small"]),
        (lambda: CifarResNet(depth=21), ["model.depth=21", "model.depth=20"]),
        (lambda: SqueezeNet(image_size=(16, 16)), ["21×21", "16×16", "data.size=21"]),
        (lambda: InceptionV3(image_size=(150, 150)), ["299×299", "150×150", "model.auxiliary=0"]),
        (lambda: Torchvision(name="resnet19"), ["model.name=resnet19", "resnet18"]),
        (lambda: Torchvision(name="inception_v3"), ["model=inception_v3"]),
        (lambda: Torchvision(name="vit_b_16", image_size=(32, 32)), ["224×224", "32×32", "data.size=224"]),
        (lambda: Torchvision(name="squeezenet1_0", image_size=(8, 8)), ["8×8", "squeezenet1_0", "data.size=32"]),
        (lambda: Timm(name="edgenext_xx_small", image_size=(8, 8)), ["8×8", "data.size=32"]),
        (lambda: Timm(name="resnet10x"), ["model.name=resnet10x", "resnet10t"]),
        (lambda: MLP(dropout=1.5), ["model.dropout=1.5"]),
    ],
)
def test_models_refuse_what_they_cannot_read(build: object, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build()  # type: ignore[operator]
    assert all(word in str(caught.value) for word in words)


def test_no_dimension_of_the_data_stands_in_yaml() -> None:
    conf = Path(__file__).parents[2] / "conf"
    for path in conf.rglob("*.yaml"):
        for line in path.read_text().splitlines():
            key = line.split(":")[0].strip()
            assert key not in ("num_classes", "in_channels", "input_shape", "vocab_size", "num_features"), (
                f"{path}: {line}"
            )


def test_package_line_comes_first() -> None:
    for path in (Path(__file__).parents[2] / "conf").rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert not any(line.startswith("# @package") for line in lines[1:]), f"{path}: Hydra ignores it there"


def test_make_names_the_key_that_a_class_does_not_take() -> None:
    from experiments.errors import UserError

    with pytest.raises(UserError, match="colour"):
        make({"_target_": "experiments.models.lenet.LeNet5", "colour": 3})
    with pytest.raises(UserError, match=r"nowhere\.Net"):
        make({"_target_": "nowhere.Net"})


@pytest.mark.parametrize("pooling", ["max", "none"])
def test_stacked_small_filters_see_as_far_as_a_large_one(pooling: str) -> None:
    """What one output place depends on: two of 3×3 as one of 5×5, three as one of 7×7, behind the stem's 3×3."""

    def seen(**keys: int) -> int:
        model = ConvStack(image_size=(33, 33), blocks=1, pooling=pooling, end="flatten", **keys)
        image = torch.rand(1, 1, 33, 33, requires_grad=True)
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.ones_(module.weight)
        maps = model.block1(model.stem(image))
        maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
        assert image.grad is not None
        return int((image.grad.abs().sum((0, 1, 2)) > 0).sum())

    assert seen(kernel=3, convolutions=2) == seen(kernel=5)
    assert seen(kernel=3, convolutions=3) == seen(kernel=7)
    if pooling == "none":
        assert (seen(kernel=5), seen(kernel=7)) == (7, 9)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"kernel": 4}, "model.kernel=4 must be odd"),
        ({"blocks": 0}, "model.blocks=0 must be 1 or more"),
        ({"pooling": "mean"}, "model.pooling=mean is unknown"),
        ({"blocks": 5}, "5 poolings leave nothing of 28×28 pixels"),
    ],
)
def test_a_stack_that_cannot_be_is_refused(keys: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ConvStack(**keys)  # type: ignore[arg-type]

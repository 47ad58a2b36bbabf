"""Networks that give a class for every pixel: torchvision's outputs, sizes, stages, weights of a backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from experiments.config.compose import compose
from experiments.config.options import content, option_files
from experiments.errors import UserError
from experiments.models.library.torchvision_segmenters import TorchvisionSegmenter
from experiments.models.mobilenet import MobileNetV3
from experiments.models.resnet import ResNet
from experiments.models.stages import Supervised
from experiments.models.unet import UNet, extended
from experiments.run.build import build_model
from experiments.spec import MaskSpec
from experiments.tasks.segmentation import Segmentation
from experiments.transfer.weights import load_weights

NAMES = sorted(name for name, file in option_files("model").items() if content(file).get("makes") == "masks")
LARGE = ("deeplabv3_resnet101", "deeplabv3_resnet50", "fcn_resnet50", "unet_resnet34")
SETTINGS: dict[str, Any] = {"loss": "cross_entropy", "gamma": 2.0, "tolerance": 0.0075, "overlap": 0.25, "peers": False}


def spec(channels: int = 3, side: int = 64, classes: int = 21) -> MaskSpec:
    names = tuple(map(str, range(classes)))
    return MaskSpec(channels, side, side, names, (0.5,) * channels, (0.5,) * channels)


def build(name: str, *words: str, of: MaskSpec | None = None) -> Any:
    if "resnet" in name and name.startswith("unet"):
        pytest.importorskip("segmentation_models_pytorch")
    return build_model(compose([f"model={name}", "data=generated_masks", *words]), of or spec())


@pytest.mark.parametrize("name", NAMES)
def test_listed_parameters_are_true(name: str) -> None:
    about = content(option_files("model")[name])["about"]
    with torch.device("meta"):
        model = build(name, of=spec(1, 64, 2) if name == "unet" else None)
    assert sum(parameter.numel() for parameter in model.parameters()) == about["parameters"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NAMES]
)
def test_a_step_reaches_every_parameter(name: str) -> None:
    words = ["model.width=4"] if name == "unet" else []
    model = build(name, *words, of=spec(3, 32, 4))
    assert [stage for stage, _ in model.named_children()][-1] == "head"
    task = Segmentation(model, spec(3, 32, 4), torch.optim.SGD, None, **SETTINGS)
    batch = torch.randn(2, 3, 33, 40), torch.randint(0, 4, (2, 33, 40))
    loss, logits, target = task.step(batch)
    loss.backward()
    assert logits.shape == (2, 4, 33, 40) and target.shape == (2, 33, 40)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    with torch.inference_mode():
        grey = build(name, *words, of=spec(1, 32, 4)).eval()
        assert grey(torch.randn(1, 1, 17, 9)).shape == (1, 4, 17, 9)


def test_one_pixel_is_read() -> None:
    for model in (
        TorchvisionSegmenter(num_classes=3, method="lraspp", backbone="mobilenet_v3_large", auxiliary=False).eval(),
        UNet(3, num_classes=3, width=2).eval(),
    ):
        assert model(torch.randn(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (
            "lraspp_mobilenet_v3_large",
            lambda: TorchvisionSegmenter(
                num_classes=5, method="lraspp", backbone="mobilenet_v3_large", auxiliary=False
            ),
        ),
        (
            "deeplabv3_mobilenet_v3_large",
            lambda: TorchvisionSegmenter(
                num_classes=5, method="deeplabv3", backbone="mobilenet_v3_large", auxiliary=True
            ),
        ),
        pytest.param(
            "deeplabv3_resnet50",
            lambda: TorchvisionSegmenter(num_classes=5, method="deeplabv3", backbone="resnet50", auxiliary=True),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "fcn_resnet50",
            lambda: TorchvisionSegmenter(num_classes=5, method="fcn", backbone="resnet50", auxiliary=True),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_outputs_are_torchvision_s_bit_for_bit(name: str, ours: Any) -> None:
    from torchvision.models import segmentation

    more = {} if name.startswith("lraspp") else {"aux_loss": True}
    theirs = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=5, **more)
    model = ours()
    assert set(model.published_names.values()) == set(model.state_dict())
    model.load_state_dict({model.published_names[key]: value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 49, 64)
    torch.manual_seed(0)
    expected = theirs.train()(images)
    torch.manual_seed(0)
    output = model.train()(images)
    if more:
        assert isinstance(output, Supervised)
        assert torch.equal(output.values, expected["out"]) and torch.equal(output.auxiliary[0], expected["aux"])
    else:
        assert torch.equal(output, expected["out"])
    assert torch.equal(model.eval()(images), theirs.eval()(images)["out"])


def test_unet_of_the_library_is_the_library_s() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    theirs = smp.Unet("resnet18", encoder_weights=None, classes=5).eval()
    ours = build("unet_resnet18", of=spec(3, 64, 5)).eval()
    ours.load_state_dict({ours.published_names[key]: value for key, value in theirs.state_dict().items()})
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_unet_is_the_published() -> None:
    """572 pixels become 388, each convolution but the last has 3 × 3 weights, and what is beyond an image is its mirror."""
    with torch.device("meta"):
        model = UNet(1, num_classes=2, padding="valid", border="mirror")
    assert model.input_side(388) == 572
    kernels = [module.kernel_size[0] for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert kernels == [3] * 18 + [1]
    assert [module.out_channels for module in model.modules() if isinstance(module, nn.ConvTranspose2d)] == [
        512,
        256,
        128,
        64,
    ]
    small = UNet(1, num_classes=2, width=2, depth=2, padding="valid", border="mirror").eval()
    image = torch.randn(1, 1, 20, 24)
    tall, wide = small.input_side(20), small.input_side(24)
    top, left = (tall - 20) // 2, (wide - 24) // 2
    mirrored = np.pad(image[0, 0].numpy(), ((top, tall - 20 - top), (left, wide - 24 - left)), mode="reflect")
    assert np.array_equal(extended(image, tall, wide, mirror=True)[0, 0].numpy(), mirrored)
    assert small(image).shape == (1, 2, 20, 24)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: UNet(padding="full"), ["model.padding=full", "same, valid"]),
        (lambda: UNet(border="edge"), ["model.border=edge"]),
        (lambda: UNet(norm="layer"), ["model.norm=layer"]),
        (lambda: UNet(width=0), ["model.width=0"]),
        (lambda: UNet(dropout=1.0), ["model.dropout=1.0"]),
        (
            lambda: TorchvisionSegmenter(method="fcn", backbone="vgg16", auxiliary=True),
            ["model.backbone=vgg16", "resnet50"],
        ),
    ],
)
def test_unknown_values_are_refused(make: Any, words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert all(word in str(caught.value) for word in words)


@pytest.mark.slow
def test_backbones_take_a_classifier_s_weights(tmp_path: Path) -> None:
    """Of a run of ours, of torchvision's file and of a segmenter for other classes; the head keeps its first values."""
    cases = [
        ("lraspp_mobilenet", MobileNetV3(num_classes=7), "stem.0.weight"),
        ("unet_resnet18", ResNet(num_classes=7, depth=18), "layer2.0.conv1.weight"),
    ]
    for name, classifier, probe in cases:
        model = build(name, of=spec(3, 32, 4))
        head = {key: value.clone() for key, value in model.state_dict().items() if key.startswith("head.")}
        ours, theirs = tmp_path / f"{name}.pt", tmp_path / f"{name}_published.pt"
        state = classifier.state_dict()
        torch.save({f"model.{key}": value for key, value in state.items()}, ours)
        torch.save({key: state[value] for key, value in classifier.published_names.items()}, theirs)
        for file in (ours, theirs):
            nn.init.zeros_(model.get_parameter(probe))
            load_weights(model, str(file), name)
            assert torch.equal(model.state_dict()[probe], state[probe])
            assert all(torch.equal(model.state_dict()[key], value) for key, value in head.items())
        with pytest.raises(UserError, match="brings no head for the classes"):
            load_weights(model, str(ours), name, with_head=True)
        grey = build(name, of=spec(1, 32, 4))
        load_weights(grey, str(theirs), name)
    with pytest.raises(UserError, match="is of another model"):
        load_weights(build("lraspp_mobilenet"), str(tmp_path / "unet_resnet18.pt"), "lraspp_mobilenet")


@pytest.mark.slow
def test_segmenters_for_other_classes_keep_all_but_the_last_layer(tmp_path: Path) -> None:
    other, model = (build("deeplabv3_mobilenet", of=spec(3, 32, classes)) for classes in (9, 4))
    own = model.head.classifier[-1].weight.clone()
    torch.save(other.state_dict(), tmp_path / "other.pt")
    load_weights(model, str(tmp_path / "other.pt"), "deeplabv3_mobilenet")
    assert torch.equal(model.head.classifier[0].project[0].weight, other.head.classifier[0].project[0].weight)
    assert torch.equal(model.head.classifier[-1].weight, own)
    without = build("deeplabv3_mobilenet", "model.auxiliary=false", of=spec(3, 32, 9))
    load_weights(without, str(tmp_path / "other.pt"), "deeplabv3_mobilenet", with_head=True)
    assert torch.equal(without.head.classifier[-1].weight, other.head.classifier[-1].weight)

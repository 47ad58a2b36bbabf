"""MobileNet v2 (Sandler et al., 2018) and v3 (Howard et al., 2019), as torchvision builds them."""

from __future__ import annotations

from typing import Any

from torch import nn

from experiments.models.stages import Staged, one_of, reads_channels, tensors

SIZES = ("small", "large")
STEMS = ("full", "small")


def _strided(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and layer.stride[0] > 1]


def _stages(features: Any, in_channels: int, stem: str) -> dict[str, nn.Module]:
    """`stem`, then a stage wherever the resolution halves, and the last 1×1 convolution with pooling as `pool`.

    The small stem halves nothing, and leaves out the first halving after it.
    """
    one_of("stem", stem, STEMS)
    features[0][0] = reads_channels(features[0][0], in_channels)
    blocks = list(features.children())
    groups = [nn.Sequential(blocks[1])]
    for block in blocks[2:-1]:
        if _strided(block):
            groups.append(nn.Sequential())
        groups[-1].append(block)
    if stem == "small":
        halving = next(layer for block in blocks[1:] for layer in _strided(block))
        for layer in (blocks[0][0], halving):
            layer.stride = (1, 1)
    named: dict[str, nn.Module] = {"stem": blocks[0]}
    named |= {f"stage{number}": group for number, group in enumerate(groups, 1)}
    return named | {"last": blocks[-1], "pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())}


class MobileNetV2(Staged):
    """Inverted residuals with linear bottlenecks; 3,504,872 parameters at 1000 classes.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
        stem: "full", for photographs: 32 times less resolution in all; "small", for images of some 32 pixels: 8 times.

    Raises:
        ValueError: when the stem is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        stem: str = "full",
    ) -> None:
        from torchvision.models import mobilenet_v2  # type: ignore[import-untyped]

        net = mobilenet_v2(num_classes=num_classes)
        stages = _stages(net.features, in_channels, stem)  # (B, 32, H/2, W/2) … (B, 1280, H/32, W/32), (B, 1280)
        super().__init__(stages | {"head": net.classifier}, tensors(net))  # (B, num_classes)


class MobileNetV3(Staged):
    """Searched inverted residuals with squeeze and excitation; 2,542,856 (small) and 5,483,032 (large) parameters.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
        size: "small" or "large".
        stem: "full", for photographs: 32 times less resolution in all; "small", for images of some 32 pixels: 8 times.

    Raises:
        ValueError: when size or stem is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        size: str = "large",
        stem: str = "full",
    ) -> None:
        one_of("size", size, SIZES)
        from torchvision.models import mobilenetv3  # type: ignore[import-untyped]

        net = getattr(mobilenetv3, f"mobilenet_v3_{size}")(num_classes=num_classes)
        stages = _stages(net.features, in_channels, stem)  # (B, 16, H/2, W/2) … (B, 960 or 576, H/32, W/32), (B, 960)
        stages["hidden"] = nn.Sequential(*net.classifier[:2])  # (B, 1280), or 1024 in the small one
        super().__init__(stages | {"head": nn.Sequential(*net.classifier[2:])}, tensors(net))  # (B, num_classes)

"""Inception v2: GoogLeNet with batch norm (Ioffe and Szegedy, 2015, "Batch normalization"), section 4.2 and figure 5.

The figure does not add up in modules 4c to 4e: its columns give 608 and 1056 channels where it states 576 and 1024. As in
the widespread implementations, the columns count here.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from experiments.models.stages import at_least, one_of

STEMS = ("full", "small")


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Map (B, in_channels, H, W) -> (B, out_channels, H/stride, W/stride), with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class Module(nn.Module):
    """Four branches beside each other: 1×1, 3×3, two 3×3, and pooling; (B, in_channels, H, W) -> (B, sum, H, W).

    Args:
        in_channels: of what comes in.
        single: channels of the 1×1 branch; 0 leaves it out, and the module halves the resolution.
        three: channels of the 1×1 and the 3×3 convolution of the second branch.
        double: channels of the 1×1 and both 3×3 convolutions of the third branch.
        pool: "average" or "max".
        projection: channels of the 1×1 convolution after pooling; 0: none.
    """

    def __init__(
        self, in_channels: int, single: int, three: tuple[int, int], double: tuple[int, int], pool: str, projection: int
    ) -> None:
        super().__init__()
        stride = 1 if single else 2
        pooling = nn.AvgPool2d(3, 1, padding=1) if pool == "average" else nn.MaxPool2d(3, stride, padding=1)
        after = [_conv(in_channels, projection, 1)] if projection else []
        branches = [
            nn.Sequential(_conv(in_channels, three[0], 1), _conv(three[0], three[1], 3, stride)),
            nn.Sequential(
                _conv(in_channels, double[0], 1), _conv(double[0], double[1], 3), _conv(double[1], double[1], 3, stride)
            ),
            nn.Sequential(pooling, *after),
        ]
        self.branches = nn.ModuleList(([_conv(in_channels, single, 1)] if single else []) + branches)
        self.out_channels = single + three[1] + double[1] + (projection or in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


# One line a module of the figure: 1×1, 3×3 with its reduction, double 3×3 with its reduction, pooling, projection.
THIRD = (
    (64, (64, 64), (64, 96), "average", 32),  # (B, 256, H/8, W/8)
    (64, (64, 96), (64, 96), "average", 64),  # (B, 320, H/8, W/8)
    (0, (128, 160), (64, 96), "max", 0),  # (B, 576, H/16, W/16)
)
FOURTH = (
    (224, (64, 96), (96, 128), "average", 128),  # (B, 576, H/16, W/16)
    (192, (96, 128), (96, 128), "average", 128),  # (B, 576, H/16, W/16)
    (160, (128, 160), (128, 160), "average", 128),  # (B, 608, H/16, W/16)
    (96, (128, 192), (160, 192), "average", 128),  # (B, 608, H/16, W/16)
    (0, (128, 192), (192, 256), "max", 0),  # (B, 1056, H/32, W/32)
)
FIFTH = (
    (352, (192, 320), (160, 224), "average", 128),  # (B, 1024, H/32, W/32)
    (352, (192, 320), (192, 224), "max", 128),  # (B, 1024, H/32, W/32)
)


def _modules(
    in_channels: int, lines: tuple[tuple[int, tuple[int, int], tuple[int, int], str, int], ...]
) -> list[Module]:
    modules: list[Module] = []
    for line in lines:
        modules.append(Module(modules[-1].out_channels if modules else in_channels, *line))
    return modules


class InceptionV2(nn.Sequential):
    """Ten inception modules with batch norm, without auxiliary heads; stages `conv1`, `conv2`, `inception3` … `head`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
        stem: "full", for photographs; "small", 3×3 with stride 1 and no pooling, for images of some 32 pixels.

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
        one_of("stem", stem, STEMS)
        at_least("Inception v2", image_size, 1)
        small = stem == "small"
        pool = [] if small else [nn.MaxPool2d(3, 2, padding=1)]
        first = _conv(in_channels, 64, 3) if small else _conv(in_channels, 64, 7, 2)
        super().__init__(
            OrderedDict(
                conv1=nn.Sequential(first, *pool),  # (B, 64, H/4, W/4)
                conv2=nn.Sequential(_conv(64, 64, 1), _conv(64, 192, 3), *pool),  # (B, 192, H/8, W/8)
                inception3=nn.Sequential(*_modules(192, THIRD)),  # (B, 576, H/16, W/16)
                inception4=nn.Sequential(*_modules(576, FOURTH)),  # (B, 1056, H/32, W/32)
                inception5=nn.Sequential(*_modules(1056, FIFTH)),  # (B, 1024, H/32, W/32)
                pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (B, 1024)
                head=nn.Linear(1024, num_classes),  # (B, num_classes)
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

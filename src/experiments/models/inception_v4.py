"""Inception v4 (Szegedy, Ioffe, Vanhoucke and Alemi, 2016, "Inception-v4, Inception-ResNet and the impact of residual connections")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from experiments.models.stages import at_least


class Conv(nn.Sequential):
    """(B, in_channels, H, W) -> (B, out_channels, …): convolution without bias, batch norm, ReLU.

    Odd kernels pad to keep the size at stride 1, unless `padded` is false.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int] | int, stride: int = 1, padded: bool = True
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if padded else (0, 0)
        convolution = nn.Conv2d(in_channels, out_channels, sides, stride, padding, bias=False)
        # The decay of TensorFlow's batch norm, in which the published weights were trained, is 0.001 and so is epsilon.
        super().__init__(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(out_channels, eps=0.001), act=nn.ReLU()))


def _chain(channels: int, *steps: tuple[int, tuple[int, int] | int]) -> nn.Sequential:
    """Convolutions one after the other, each a number of filters and their size."""
    layers = nn.Sequential()
    for filters, kernel in steps:
        layers.append(Conv(channels, filters, kernel))
        channels = filters
    return layers


def _halving(channels: int, *steps: tuple[int, tuple[int, int] | int]) -> nn.Sequential:
    """Return the same, and a last 3×3 convolution of stride 2 without padding; it has the filters of the last step."""
    *before, (filters, kernel) = steps
    layers = _chain(channels, *before)
    return layers.append(Conv(before[-1][0] if before else channels, filters, kernel, 2, padded=False))


def _pooled(channels: int, filters: int) -> nn.Sequential:
    """3×3 average pooling, of pixels inside alone, and a 1×1 convolution."""
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), Conv(channels, filters, 1))


class Branches(nn.Module):
    """Branches beside each other, their channels one after the other: (B, C, H, W) -> (B, sum, H', W')."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class SplitBranch(nn.Module):
    """Convolutions, and then a 1×3 and a 3×1 one beside each other: (B, channels, H, W) -> (B, 2 · filters, H, W)."""

    def __init__(self, before: nn.Module, channels: int, filters: int) -> None:
        super().__init__()
        self.before = before
        self.wide, self.tall = Conv(channels, filters, (1, 3)), Conv(channels, filters, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return torch.cat([self.wide(x), self.tall(x)], 1)


WIDE, TALL = (1, 7), (7, 1)


def _stem(in_channels: int) -> list[nn.Module]:
    """Figure 3: (B, in_channels, 299, 299) -> (B, 384, 35, 35)."""
    return [
        Conv(in_channels, 32, 3, 2, padded=False),  # (B, 32, 149, 149)
        Conv(32, 32, 3, padded=False),  # (B, 32, 147, 147)
        Conv(32, 64, 3),  # (B, 64, 147, 147)
        Branches(nn.MaxPool2d(3, 2), Conv(64, 96, 3, 2, padded=False)),  # (B, 160, 73, 73)
        Branches(
            nn.Sequential(Conv(160, 64, 1), Conv(64, 96, 3, padded=False)),
            nn.Sequential(*_chain(160, (64, 1), (64, WIDE), (64, TALL)), Conv(64, 96, 3, padded=False)),
        ),  # (B, 192, 71, 71)
        Branches(Conv(192, 192, 3, 2, padded=False), nn.MaxPool2d(3, 2)),  # (B, 384, 35, 35)
    ]


def _block_a() -> Branches:
    """Figure 4: (B, 384, H, W) -> (B, 384, H, W)."""
    return Branches(
        Conv(384, 96, 1), _chain(384, (64, 1), (96, 3)), _chain(384, (64, 1), (96, 3), (96, 3)), _pooled(384, 96)
    )


def _block_b() -> Branches:
    """Figure 5: (B, 1024, H, W) -> (B, 1024, H, W)."""
    return Branches(
        Conv(1024, 384, 1),
        _chain(1024, (192, 1), (224, WIDE), (256, TALL)),
        _chain(1024, (192, 1), (192, TALL), (224, WIDE), (224, TALL), (256, WIDE)),
        _pooled(1024, 128),
    )


def _block_c() -> Branches:
    """Figure 6: (B, 1536, H, W) -> (B, 1536, H, W)."""
    return Branches(
        Conv(1536, 256, 1),
        SplitBranch(Conv(1536, 384, 1), 384, 256),
        SplitBranch(_chain(1536, (384, 1), (448, (3, 1)), (512, (1, 3))), 512, 256),
        _pooled(1536, 256),
    )


class InceptionV4(nn.Sequential):
    """Four, seven and three inception blocks with reductions between them; 42,679,816 parameters at 1000 classes.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 75 or more each, meant for 299.
        num_classes: length of the output.

    Attributes:
        published_names: the name here of each tensor of timm's network of the same name.

    Raises:
        ValueError: when images are too small.
    """

    def __init__(self, in_channels: int = 3, image_size: tuple[int, int] = (299, 299), num_classes: int = 1000) -> None:
        at_least("Inception v4", image_size, 75)
        reduction_a = Branches(
            _halving(384, (384, 3)), _halving(384, (192, 1), (224, 3), (256, 3)), nn.MaxPool2d(3, 2)
        )  # figure 7
        reduction_b = Branches(
            _halving(1024, (192, 1), (192, 3)),
            _halving(1024, (256, 1), (256, WIDE), (320, TALL), (320, 3)),
            nn.MaxPool2d(3, 2),
        )  # figure 8
        super().__init__(
            OrderedDict(
                stem=nn.Sequential(*_stem(in_channels)),  # (B, 384, 35, 35)
                inception_a=nn.Sequential(*(_block_a() for _ in range(4))),  # (B, 384, 35, 35)
                inception_b=nn.Sequential(reduction_a, *(_block_b() for _ in range(7))),  # (B, 1024, 17, 17)
                inception_c=nn.Sequential(reduction_b, *(_block_c() for _ in range(3))),  # (B, 1536, 8, 8)
                pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (B, 1536)
                head=nn.Sequential(OrderedDict(dropout=nn.Dropout(0.2), fc=nn.Linear(1536, num_classes))),
            )
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        ours = iter(self.state_dict())
        self.published_names = {f"{name}.{tensor}": next(ours) for name, tensor in _published()}


def _published() -> Iterator[tuple[str, str]]:
    """(layer, tensor) in timm's names, in the order of the tensors here."""

    def conv(name: str) -> Iterator[tuple[str, str]]:
        yield f"{name}.conv", "weight"
        for tensor in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            yield f"{name}.bn", tensor

    def block(number: int, *names: str) -> Iterator[tuple[str, str]]:
        for name in names:
            yield from conv(f"features.{number}.{name}" if name else f"features.{number}")

    for number in range(3):
        yield from block(number, "")
    yield from block(3, "conv")
    yield from block(4, "branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch1.2", "branch1.3")
    yield from block(5, "conv")
    for number in range(6, 10):
        yield from block(
            number, "branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch2.2", "branch3.1"
        )
    yield from block(10, "branch0", "branch1.0", "branch1.1", "branch1.2")
    for number in range(11, 18):
        second = [f"branch2.{step}" for step in range(5)]
        yield from block(number, "branch0", "branch1.0", "branch1.1", "branch1.2", *second, "branch3.1")
    yield from block(18, "branch0.0", "branch0.1", "branch1.0", "branch1.1", "branch1.2", "branch1.3")
    for number in range(19, 22):
        first = ("branch1_0", "branch1_1a", "branch1_1b")
        yield from block(number, "branch0", *first, "branch2_0", "branch2_1", "branch2_2", "branch2_3a", "branch2_3b", "branch3.1")  # fmt: skip
    for tensor in ("weight", "bias"):
        yield "last_linear", tensor

"""The small residual networks of He, Zhang, Ren and Sun (2015), section 4.2, for images of 32×32, and their plain twins."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from experiments.models.stages import one_of

SHORTCUTS = ("pad", "projection", "none")
WIDTHS = (16, 32, 64)


class Block(nn.Module):
    """Two 3×3 convolutions with batch norm, and what comes in added to what comes out.

    (B, in_channels, H, W) -> (B, out_channels, H/stride, W/stride)

    Where the shape changes, the shortcut takes every second pixel and pads with zero channels, half of them on
    either side ("pad", the paper's option A, without parameters), or is a 1×1 convolution ("projection", option B).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.residual, self.stride, self.new_channels = shortcut != "none", stride, out_channels - in_channels
        self.shortcut: nn.Module = nn.Identity()
        if shortcut == "projection" and (stride > 1 or self.new_channels):
            convolution = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(out_channels))
            self.stride, self.new_channels = 1, 0

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.residual:
            x = self.shortcut(x)
            if self.stride > 1:
                x = x[:, :, :: self.stride, :: self.stride]
            if self.new_channels:
                half = self.new_channels // 2
                x = F.pad(x, (0, 0, 0, 0, half, self.new_channels - half))
            out = out + x
        return F.relu(out)


class CifarResNet(nn.Sequential):
    """6n + 2 layers in three stages of 16, 32 and 64 channels; 269,722 parameters at 20 layers and ten classes.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any, meant for 32×32.
        num_classes: length of the output.
        depth: layers: 20, 32, 44, 56, 110, or another 6n + 2.
        shortcut: "pad" (the paper's option A), "projection" (option B), or "none" for the plain network.

    Attributes:
        published_names: the name here of each tensor in the files of widespread CIFAR weights.

    Raises:
        ValueError: when the depth is not 6n + 2, or the shortcut is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (32, 32),
        num_classes: int = 10,
        *,
        depth: int = 20,
        shortcut: str = "pad",
    ) -> None:
        if depth < 8 or depth % 6 != 2:
            near = max(8, depth - (depth - 2) % 6)
            raise ValueError(f"model.depth={depth} is not 6n + 2: try model.depth={near}")
        one_of("shortcut", shortcut, SHORTCUTS)
        blocks = (depth - 2) // 6

        def layer(number: int) -> nn.Sequential:
            width, before = WIDTHS[number], WIDTHS[max(0, number - 1)]
            first = Block(before, width, 2 if number else 1, shortcut)
            return nn.Sequential(first, *(Block(width, width, 1, shortcut) for _ in range(blocks - 1)))

        first = OrderedDict(
            conv1=nn.Conv2d(in_channels, 16, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(16), relu=nn.ReLU()
        )
        super().__init__(
            OrderedDict(
                stem=nn.Sequential(first),  # (B, 16, H, W)
                layer1=layer(0),  # (B, 16, H, W)
                layer2=layer(1),  # (B, 32, H/2, W/2)
                layer3=layer(2),  # (B, 64, H/4, W/4)
                pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (B, 64)
                head=nn.Linear(64, num_classes),  # (B, num_classes)
            )
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
        self.published_names = dict(_published(self.state_dict()))


def _published(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """(name in the file, name here) of each tensor."""
    for name in names:
        yield name.removeprefix("stem.").replace("head.", "linear."), name

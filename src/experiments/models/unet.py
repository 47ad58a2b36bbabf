"""U-Net (Ronneberger, Fischer and Brox, 2015, "U-Net: convolutional networks for biomedical image segmentation").

With `padding=valid border=mirror norm=none` the network is the published one: its convolutions have no padding, so that its output
is smaller than its input, and images are extended by mirroring to get a class for every pixel. By default its convolutions keep
the size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.models.stages import one_of

PADDINGS = ("same", "valid")
BORDERS = ("zeros", "mirror")
NORMS = ("none", "batch")


class UNet(nn.Module):
    """Stages `down1` … `bottom` … `up1`, `head`; 31,030,658 parameters on grey images with two classes.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: classes of a pixel.
        width: channels of the first stage; each stage down has twice as many.
        depth: halvings of the resolution.
        padding: "same", or "valid" as published.
        border: what lies beyond the image: "zeros", or the image in a mirror as published.
        norm: "none" as published, or "batch".
        dropout: share of values dropped at the end of the way down.

    Raises:
        ValueError: a value is unknown or out of range.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (512, 512),
        num_classes: int = 2,
        *,
        width: int = 64,
        depth: int = 4,
        padding: str = "same",
        border: str = "zeros",
        norm: str = "none",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        one_of("padding", padding, PADDINGS)
        one_of("border", border, BORDERS)
        one_of("norm", norm, NORMS)
        if width < 1 or depth < 1:
            raise ValueError(
                f"model.width={width} and model.depth={depth} must be 1 or more: try model.width=64 model.depth=4"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"model.dropout={dropout} must lie in [0, 1): try 0.5")
        self.depth, self.valid, self.mirror = depth, padding == "valid", border == "mirror"
        kind = (0 if self.valid else 1, self.mirror and not self.valid, norm == "batch")
        channels = [width * 2**level for level in range(depth + 1)]
        for level in range(depth):  # (B, width · 2^level, H/2^level, W/2^level)
            self.add_module(
                f"down{level + 1}",
                two_convolutions(channels[level - 1] if level else in_channels, channels[level], *kind),
            )
        self.bottom = two_convolutions(channels[-2], channels[-1], *kind)  # (B, width · 2^depth, H/2^depth, W/2^depth)
        self.bottom.append(nn.Dropout(dropout))
        for level in reversed(range(depth)):  # (B, width · 2^level, H/2^level, W/2^level)
            self.add_module(f"up{level + 1}", Up(channels[level + 1], channels[level], *kind))
        self.head = nn.Conv2d(width, num_classes, 1)  # (B, num_classes, H, W)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):  # He's values, as in the paper
                nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * layer.weight[0, 0].numel())))
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) -> logits (B, num_classes, H, W)."""
        height, width = images.shape[-2:]
        tall, wide = self.input_side(height), self.input_side(width)
        x = extended(images, tall, wide, self.mirror)
        skips: list[Tensor] = []
        for level in range(1, self.depth + 1):
            x = self.get_submodule(f"down{level}")(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for level in range(self.depth, 0, -1):
            x = self.get_submodule(f"up{level}")(x, skips.pop())
        return middle(self.head(x), height, width)

    def input_side(self, side: int) -> int:
        """Return what an image's side is extended to, so that every halving is even and enough of it is left."""
        halved = 2**self.depth
        if not self.valid:
            return halved * math.ceil(side / halved)
        bottom = math.ceil((side + 4 * (halved - 1)) / halved)  # the side of what the lowest convolutions give
        return halved * (bottom + 4) + 4 * (halved - 1)


class Up(nn.Module):
    """Twice the resolution, the stage of the same resolution on the way down beside it, and two convolutions."""

    def __init__(self, before: int, after: int, padding: int, mirror: bool, norm: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, 2, stride=2)
        self.convolutions = two_convolutions(2 * after, after, padding, mirror, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Map (B, before, h, w) and (B, after, ≥ 2h, ≥ 2w) -> (B, after, 2h, 2w), or four less with valid convolutions."""
        x = self.up(x)
        return self.convolutions(torch.cat([middle(skip, *x.shape[-2:]), x], dim=1))


def two_convolutions(before: int, after: int, padding: int, mirror: bool, norm: bool) -> nn.Sequential:
    """Return two convolutions 3×3 with ReLU: (B, before, h, w) -> (B, after, h, w), or four less without padding."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers.append(nn.Conv2d(channels, after, 3, padding=padding, padding_mode="reflect" if mirror else "zeros"))
        layers += [nn.BatchNorm2d(after)] if norm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def extended(images: Tensor, height: int, width: int, mirror: bool) -> Tensor:
    """Images in the middle of a larger picture: (B, C, h, w) -> (B, C, height, width)."""
    tall, wide = images.shape[-2:]
    if (tall, wide) == (height, width):
        return images
    top, left = (height - tall) // 2, (width - wide) // 2
    if not mirror:
        return F.pad(images, (left, width - wide - left, top, height - tall - top))
    rows, columns = (
        reflected(torch.arange(size, device=images.device) - first, side)
        for size, first, side in ((height, top, tall), (width, left, wide))
    )
    return images[:, :, rows][:, :, :, columns]


def reflected(places: Tensor, side: int) -> Tensor:
    """Places on a line beyond its ends -> those in the mirror, from 0 to side - 1."""
    if side == 1:
        return torch.zeros_like(places)
    there_and_back = places.remainder(2 * side - 2)
    return torch.minimum(there_and_back, 2 * side - 2 - there_and_back)


def middle(x: Tensor, height: int, width: int) -> Tensor:
    """Map (B, C, h, w) -> its middle, (B, C, height, width)."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[:, :, top : top + height, left : left + width]

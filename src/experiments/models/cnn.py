"""The small convolutional networks of the course: SimpleCNN and CIFAR10CNN."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    """3×3 convolution, ReLU, 2×2 max pooling: (B, C, H, W) -> (B, out_channels, H // 2, W // 2)."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


class _TwoBlockCNN(nn.Sequential):
    def __init__(
        self, in_channels: int, image_size: tuple[int, int], num_classes: int, widths: tuple[int, int], hidden: int
    ) -> None:
        height, width = image_size
        if min(height, width) < 4:
            raise ValueError(
                f"{type(self).__name__} halves the image twice and reads 4×4 pixels or more, not {height}×{width}: "
                "set data.size=32"
            )
        features = widths[1] * (height // 4) * (width // 4)
        super().__init__(
            OrderedDict(
                conv1=_block(in_channels, widths[0]),  # (B, widths[0], H/2, W/2)
                conv2=_block(widths[0], widths[1]),  # (B, widths[1], H/4, W/4)
                fc=nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU()),  # (B, hidden)
                head=nn.Linear(hidden, num_classes),  # (B, num_classes)
            )
        )


class SimpleCNN(_TwoBlockCNN):
    """Convolutions of 16 and 32 filters and one hidden layer; 268,650 parameters on 32×32 colour images.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 4 or more each.
        num_classes: length of the output.
        hidden: units of the dense layer.

    Raises:
        ValueError: when the images are smaller than 4×4.
    """

    def __init__(
        self, in_channels: int = 3, image_size: tuple[int, int] = (32, 32), num_classes: int = 10, *, hidden: int = 128
    ) -> None:
        super().__init__(in_channels, image_size, num_classes, (16, 32), hidden)


class CIFAR10CNN(_TwoBlockCNN):
    """Convolutions of 32 and 64 filters and one hidden layer; 545,098 parameters on 32×32 colour images.

    Arguments and errors are those of `SimpleCNN`.
    """

    def __init__(
        self, in_channels: int = 3, image_size: tuple[int, int] = (32, 32), num_classes: int = 10, *, hidden: int = 128
    ) -> None:
        super().__init__(in_channels, image_size, num_classes, (32, 64), hidden)

"""LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition")."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}
POOLINGS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}


class LeNet5(nn.Sequential):
    """Two convolutions with pooling, three dense layers: 61,706 parameters on 32×32 grey images and ten classes.

    Two things differ from the paper, as in most libraries: every map of the second convolution sees all
    maps of the first (the paper connects them by a table), and the output is a dense layer, not distances to
    fixed bitmaps. The modern variant is `activation="relu", pooling="max"`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; both must be 32.
        num_classes: length of the output.
        activation: "tanh" (as in the paper), "sigmoid" or "relu".
        pooling: "average" (as in the paper) or "max".

    Raises:
        ValueError: when the images are not 32×32, or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (32, 32),
        num_classes: int = 10,
        *,
        activation: str = "tanh",
        pooling: str = "average",
    ) -> None:
        if tuple(image_size) != (32, 32):
            raise ValueError(f"LeNet-5 reads 32×32 images, not {image_size[0]}×{image_size[1]}: set data.size=32")
        for value, allowed, key in ((activation, ACTIVATIONS, "activation"), (pooling, POOLINGS, "pooling")):
            if value not in allowed:
                raise ValueError(f"model.{key}={value} is unknown: choose one of {', '.join(allowed)}")
        act, pool = ACTIVATIONS[activation], POOLINGS[pooling]
        super().__init__(
            OrderedDict(
                conv1=nn.Sequential(nn.Conv2d(in_channels, 6, 5), act(), pool(2)),  # (B, 6, 14, 14)
                conv2=nn.Sequential(nn.Conv2d(6, 16, 5), act(), pool(2)),  # (B, 16, 5, 5)
                fc1=nn.Sequential(nn.Flatten(), nn.Linear(400, 120), act()),  # (B, 120)
                fc2=nn.Sequential(nn.Linear(120, 84), act()),  # (B, 84)
                head=nn.Linear(84, num_classes),  # (B, num_classes)
            )
        )

"""Networks of other libraries as named stages: what every adapter here shares."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import nn

Stages = Mapping[str, nn.Module]


class Staged(nn.Sequential):
    """A library's network, its layers kept and put into stages that end in `head`.

    Args:
        stages: in forward order.
        library: the network that the layers come from; it gives published weights their names.

    Attributes:
        published_names: the name here of each tensor of the library's state dict.
    """

    def __init__(self, stages: Stages, library: nn.Module) -> None:
        super().__init__(OrderedDict(stages))
        ours = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        theirs = library.state_dict(keep_vars=True)
        self.published_names = {name: ours[id(tensor)] for name, tensor in theirs.items() if id(tensor) in ours}


def reads_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """The first convolution of a network, for images of so many channels; the same one where it reads them already."""
    if layer.in_channels == channels:
        return layer
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    return first_convolution(channels, layer.out_channels, kernel, stride, int(padding), layer.bias is not None)


def first_convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, bias: bool = False
) -> nn.Conv2d:
    """(B, in_channels, H, W) -> (B, out_channels, H/stride, W/stride), with He's first values."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def one_of(key: str, value: str, known: tuple[str, ...]) -> str:
    """The value, where it is known.

    Raises:
        ValueError: it is not.
    """
    if value not in known:
        raise ValueError(f"model.{key}={value} is unknown: choose one of {', '.join(known)}")
    return value


def at_least(network: str, image_size: tuple[int, int], pixels: int) -> None:
    """Refuses images that a network's strides would leave nothing of.

    Raises:
        ValueError: they are smaller than `pixels` on a side.
    """
    if min(image_size) < pixels:
        raise ValueError(
            f"{network} reads images of {pixels}×{pixels} or more, not {image_size[0]}×{image_size[1]}: "
            f"set data.size={pixels} or more"
        )

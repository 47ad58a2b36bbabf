"""Networks of other libraries as named stages: what every adapter here shares."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

Stages = Mapping[str, nn.Module]


class Staged(nn.Sequential):
    """A library's network, its layers kept and put into stages that end in `head`.

    Args:
        stages: in forward order.
        library: tensors of the network that the layers come from, by the names that its published weights have.

    Attributes:
        published_names: the name here of each tensor of the library's state dict.
    """

    def __init__(self, stages: Stages, library: Mapping[str, Tensor]) -> None:
        super().__init__(OrderedDict(stages))
        ours = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        self.published_names = {name: ours[id(tensor)] for name, tensor in library.items() if id(tensor) in ours}


def tensors(library: nn.Module) -> dict[str, Tensor]:
    """Return the tensors themselves of a network's state dict, by name."""
    return library.state_dict(keep_vars=True)


def reads_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return the first convolution of a network, for images of so many channels; the same one where it reads them
    already.
    """
    if layer.in_channels == channels:
        return layer
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    return first_convolution(channels, layer.out_channels, kernel, stride, int(padding), layer.bias is not None)


def first_convolution(
    in_channels: int, out_channels: int, kernel: int, stride: int, padding: int, bias: bool = False
) -> nn.Conv2d:
    """Map (B, in_channels, H, W) -> (B, out_channels, H/stride, W/stride), with He's first values."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def one_of(key: str, value: str, choices: tuple[str, ...]) -> str:
    """Return the value, where it is known.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"model.{key}={value} is unknown: choose one of {', '.join(choices)}")
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


class Supervised(NamedTuple):
    """What passes between stages while auxiliary heads learn, and comes out at the end: in training mode alone.

    Attributes:
        values: of the stage, or the logits (B, num_classes).
        auxiliary: logits (B, num_classes) of each auxiliary head.
        weight: of an auxiliary head's loss beside the loss of `values`.
    """

    values: Tensor
    auxiliary: tuple[Tensor, ...]
    weight: float


class After(nn.Sequential):
    """Layers behind a stage with auxiliary heads, whose logits they pass on."""

    def forward(self, x: Tensor | Supervised) -> Tensor | Supervised:  # type: ignore[override]
        if isinstance(x, Supervised):
            return x._replace(values=super().forward(x.values))
        return super().forward(x)


class WithAuxiliaryHeads(nn.Module):
    """A stage that auxiliary heads look into while it trains: (B, C, H, W) -> the same as without, or `Supervised`.

    Args:
        blocks: of the stage, by name.
        heads: by the name of the block whose output they classify.
        weight: of each head's loss.
    """

    def __init__(self, blocks: Stages, heads: Stages, weight: float) -> None:
        super().__init__()
        self.blocks, self.heads, self.weight = nn.ModuleDict(blocks), nn.ModuleDict(heads), weight

    def forward(self, x: Tensor) -> Tensor | Supervised:
        auxiliary: tuple[Tensor, ...] = ()
        for name, block in self.blocks.items():
            x = block(x)
            if self.training and name in self.heads:
                auxiliary += (self.heads[name](x),)
        return Supervised(x, auxiliary, self.weight) if auxiliary else x

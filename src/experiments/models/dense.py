"""Networks without convolution: the multilayer perceptron and logistic regression."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

from torch import nn


class MLP(nn.Sequential):
    """Dense layers with ReLU (Rumelhart, Hinton and Williams, 1986); one stage a hidden layer.

    Args:
        in_channels: channels of the images.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
        hidden: units of each hidden layer; an empty list gives logistic regression.
        dropout: share of hidden units dropped while training.

    Raises:
        ValueError: when a layer has no unit or dropout lies outside [0, 1).
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        num_classes: int = 10,
        *,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        if any(units < 1 for units in hidden):
            raise ValueError(f"model.hidden={list(hidden)} needs at least one unit a layer: try model.hidden=[256]")
        if not 0 <= dropout < 1:
            raise ValueError(f"model.dropout={dropout} must lie in [0, 1): try model.dropout=0.5")
        stages: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())  # (B, C*H*W)
        features = in_channels * prod(image_size)
        for number, units in enumerate(hidden, 1):
            layers: list[nn.Module] = [nn.Linear(features, units), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            stages[f"hidden{number}"] = nn.Sequential(*layers)  # (B, units)
            features = units
        stages["head"] = nn.Linear(features, num_classes)  # (B, num_classes)
        super().__init__(stages)


class LogisticRegression(MLP):
    """One dense layer: multinomial logistic regression on pixels (Cox, 1958).

    Args:
        in_channels: channels of the images.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
    """

    def __init__(self, in_channels: int = 1, image_size: tuple[int, int] = (28, 28), num_classes: int = 10) -> None:
        super().__init__(in_channels, image_size, num_classes, hidden=())

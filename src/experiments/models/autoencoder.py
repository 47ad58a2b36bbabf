"""The dense autoencoder (Hinton and Salakhutdinov, 2006, "Reducing the dimensionality of data with neural networks")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.batches import Sequences

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}


class Pixels(nn.Module):
    """Real numbers to pixels between 0 and 1, at least in float32: half precision would round 0.998 to 1."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.sigmoid(values.to(torch.promote_types(values.dtype, torch.float32)))


class SeriesSteps(nn.Module):
    """Windows of a series as one tensor: `Sequences`, all of one length, or what is a tensor already -> (B, history, C)."""

    def forward(self, x: Sequences | Tensor) -> Tensor:
        return x.values if isinstance(x, Sequences) else x


class Transposed(nn.Module):
    """A linear layer that uses another one's weights, transposed, and a bias of its own.

    Args:
        linear: whose weights (out, in) map (B, out) back to (B, in) here.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias = nn.Parameter(torch.zeros(linear.in_features))

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.weight.t(), self.bias)


def check_sizes(hidden: Sequence[int], latent_size: int, key: str = "hidden") -> None:
    """Refuses layers without units.

    Raises:
        ValueError: naming the key.
    """
    if latent_size < 1:
        raise ValueError(f"model.latent_size={latent_size} must be 1 or more: try model.latent_size=32")
    if any(units < 1 for units in hidden):
        raise ValueError(f"model.{key}={list(hidden)} needs at least one unit a layer: try model.{key}=[128]")


def activation_of(key: str, name: str) -> type[nn.Module]:
    """Return the class of an activation.

    Raises:
        ValueError: when there is none of that name.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"model.{key}={name} is unknown: choose one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def example_shape(in_channels: int, image_size: tuple[int, int], features: int | None, history: int) -> tuple[int, ...]:
    """Of one image, (C, H, W), or of one window of a series, (history, features), where it has features."""
    return (in_channels, *image_size) if features is None else (history, features)


def dense_encoder(shape: tuple[int, ...], hidden: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Map (B, *shape) -> (B, hidden[-1]), or (B, prod(shape)) where nothing is hidden."""
    layers: list[nn.Module] = [nn.Flatten()] if len(shape) == 3 else [SeriesSteps(), nn.Flatten()]
    for before, after in pairwise([prod(shape), *hidden]):
        layers += [nn.Linear(before, after), activation()]  # (B, after)
    return nn.Sequential(*layers)


def dense_decoder(
    latent_size: int, hidden: Sequence[int], shape: tuple[int, ...], activation: type[nn.Module], output: nn.Module
) -> nn.Sequential:
    """Map (B, latent_size) -> (B, *shape), through the encoder's layers in reverse."""
    layers: list[nn.Module] = []
    for before, after in pairwise([latent_size, *reversed(hidden)]):
        layers += [nn.Linear(before, after), activation()]  # (B, after)
    layers.append(nn.Linear(hidden[0] if hidden else latent_size, prod(shape)))  # (B, prod(shape))
    return nn.Sequential(*layers, nn.Unflatten(1, shape), output)


class Autoencoder(nn.Sequential):
    """Dense layers down to a code and the same back: 784-128-32-128-784 with 209,968 parameters on 28×28 grey images.

    Args:
        in_channels: channels of the images.
        image_size: height and width in pixels; any.
        features: columns of a series, whose windows stand in place of images.
        history: steps of a window.
        hidden: units of the encoder's hidden layers; the decoder has them in reverse. An empty list with activations
            "linear" gives the linear autoencoder, which learns the subspace of PCA (Baldi and Hornik, 1989).
        latent_size: numbers in the code.
        activation: of hidden layers: "relu", "tanh", "sigmoid" or "linear".
        code: of the code: likewise; "relu" or "sigmoid" for sparse codes.
        output: "sigmoid" keeps pixels between 0 and 1; "linear" does not; None: "sigmoid" for images, "linear" for windows.
        tied: whether the decoder uses the encoder's weights, transposed.

    Raises:
        ValueError: when a layer has no unit or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        features: int | None = None,
        history: int = 1,
        hidden: Sequence[int] = (128,),
        latent_size: int = 32,
        activation: str = "relu",
        code: str = "linear",
        output: str | None = None,
        tied: bool = False,
    ) -> None:
        check_sizes(hidden, latent_size)
        act, code_act = activation_of("activation", activation), activation_of("code", code)
        if output not in (None, "sigmoid", "linear"):
            raise ValueError(f"model.output={output} is unknown: choose sigmoid, linear or null")
        shape = example_shape(in_channels, image_size, features, history)
        last = hidden[-1] if hidden else prod(shape)
        encoder = dense_encoder(shape, hidden, act)
        latent = nn.Sequential(nn.Linear(last, latent_size), code_act())
        bounded = output == "sigmoid" if output else features is None
        decoder = dense_decoder(latent_size, hidden, shape, act, Pixels() if bounded else nn.Identity())
        if tied:
            theirs = [layer for layer in (*latent[:1], *reversed(encoder)) if isinstance(layer, nn.Linear)]
            ours = [place for place, layer in enumerate(decoder) if isinstance(layer, nn.Linear)]
            for place, linear in zip(ours, theirs, strict=True):
                decoder[place] = Transposed(linear)
        super().__init__(
            OrderedDict(
                encoder=encoder,  # (B, hidden[-1])
                latent=latent,  # (B, latent_size)
                decoder=decoder,  # (B, C, H, W) or (B, history, features)
            )
        )
        self.latent_size = latent_size

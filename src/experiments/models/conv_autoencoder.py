"""The convolutional autoencoder (Masci, Meier, Cireşan and Schmidhuber, 2011)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from torch import Tensor, nn

from experiments.models.autoencoder import Pixels, SeriesSteps, activation_of, check_sizes


class Swapped(nn.Module):
    """Steps and columns change places, since convolutions have channels first: (B, T, C) -> (B, C, T), or back."""

    def forward(self, values: Tensor) -> Tensor:
        return values.transpose(1, 2)


def halvings(image_size: tuple[int, ...], times: int) -> list[tuple[int, ...]]:
    """Height and width, or steps, before and after each halving, rounded up."""
    sizes = [tuple(image_size)]
    for _ in range(times):
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    return sizes


def conv_encoder(in_channels: int, image_size: tuple[int, ...], channels: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Convolutions 3×3 of stride 2 with ReLU, then flat: (B, C, H, W) -> (B, features); and the number of features.

    With one side, steps: convolutions of 3, (B, T, C) -> (B, features).
    """
    images = len(image_size) == 2
    layers: list[nn.Module] = [] if images else [SeriesSteps(), Swapped()]  # (B, C, T)
    convolution = nn.Conv2d if images else nn.Conv1d
    for before, after in pairwise([in_channels, *channels]):
        layers += [convolution(before, after, 3, stride=2, padding=1), nn.ReLU()]  # (B, after, H/2, W/2)
    small = halvings(image_size, len(channels))[-1]
    return nn.Sequential(*layers, nn.Flatten()), (channels[-1] if channels else in_channels) * prod(small)


def upsampling(in_channels: int, image_size: tuple[int, ...], channels: Sequence[int]) -> list[nn.Module]:
    """Transposed convolutions that undo `conv_encoder`: (B, channels[-1], h, w) -> (B, C, H, W), pixels; or, of steps,
    (B, channels[-1], t) -> (B, T, C), any numbers."""
    images = len(image_size) == 2
    sizes = halvings(image_size, len(channels))
    layers: list[nn.Module] = []
    widths = [*reversed(channels), in_channels]
    for step, (before, after) in enumerate(pairwise(widths)):
        small, large = sizes[len(channels) - step], sizes[len(channels) - step - 1]
        extra = tuple(whole - 2 * half + 1 for whole, half in zip(large, small, strict=True))
        up: Any = nn.ConvTranspose2d if images else nn.ConvTranspose1d
        layers.append(up(before, after, 3, stride=2, padding=1, output_padding=extra))  # twice as large
        if step < len(channels) - 1:
            layers.append(nn.ReLU())
    layers.append(Pixels() if images else Swapped())
    return layers


def conv_decoder(
    latent_size: int, features: int, in_channels: int, image_size: tuple[int, ...], channels: Sequence[int]
) -> nn.Sequential:
    """Map (B, latent_size) -> (B, C, H, W), or (B, T, C)."""
    small = halvings(image_size, len(channels))[-1]
    return nn.Sequential(
        nn.Linear(latent_size, features),  # (B, features)
        nn.ReLU(),
        nn.Unflatten(1, (channels[-1], *small)),  # (B, channels[-1], h, w)
        *upsampling(in_channels, image_size, channels),
    )


def check_channels(channels: Sequence[int], latent_size: int, image_size: tuple[int, ...]) -> None:
    """Refuses what cannot be halved.

    Raises:
        ValueError: for no convolution, one without filters, or an image or window that is smaller than it is halved often.
    """
    check_sizes(channels, latent_size, "channels")
    if not channels:
        raise ValueError("model.channels=[] leaves no convolution: try model.channels=[16,32]")
    if min(image_size) < 2 ** len(channels):
        if len(image_size) == 1:
            raise ValueError(
                f"model.channels={list(channels)} halves a window {len(channels)} times and reads {2 ** len(channels)} steps or "
                f"more, not {image_size[0]}: set data.history=96"
            )
        raise ValueError(
            f"model.channels={list(channels)} halves the image {len(channels)} times and reads {2 ** len(channels)} pixels or "
            f"more, not {image_size[0]}×{image_size[1]}: set data.size=32"
        )


class ConvAutoencoder(nn.Sequential):
    """Strided convolutions down to a code and transposed ones back; 111,521 parameters on 28×28 grey images.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        features: columns of a series, whose windows stand in place of images; convolutions are over their steps.
        history: steps of a window.
        channels: filters of each convolution; each halves the image.
        latent_size: numbers in the code.
        code: activation of the code: "linear", "relu", "tanh" or "sigmoid".

    Raises:
        ValueError: when the images are too small or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        features: int | None = None,
        history: int = 1,
        channels: Sequence[int] = (16, 32),
        latent_size: int = 32,
        code: str = "linear",
    ) -> None:
        sides: tuple[int, ...] = image_size if features is None else (history,)
        columns = in_channels if features is None else features
        check_channels(channels, latent_size, sides)
        code_act = activation_of("code", code)
        encoder, size = conv_encoder(columns, sides, channels)
        super().__init__(
            OrderedDict(
                encoder=encoder,  # (B, size)
                latent=nn.Sequential(nn.Linear(size, latent_size), code_act()),  # (B, latent_size)
                decoder=conv_decoder(
                    latent_size, size, columns, sides, channels
                ),  # (B, C, H, W) or (B, history, features)
            )
        )
        self.latent_size = latent_size

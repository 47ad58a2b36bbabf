"""The convolutional autoencoder (Masci, Meier, Cireşan and Schmidhuber, 2011)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from experiments.models.autoencoder import Pixels, activation_of, check_sizes


def halvings(image_size: tuple[int, int], times: int) -> list[tuple[int, int]]:
    """Height and width before and after each halving, rounded up."""
    sizes = [tuple(image_size)]
    for _ in range(times):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes  # type: ignore[return-value]


def conv_encoder(in_channels: int, image_size: tuple[int, int], channels: Sequence[int]) -> tuple[nn.Sequential, int]:
    """Convolutions 3×3 of stride 2 with ReLU, then flat: (B, C, H, W) -> (B, features); and the number of features."""
    layers: list[nn.Module] = []
    for before, after in pairwise([in_channels, *channels]):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]  # (B, after, H/2, W/2)
    height, width = halvings(image_size, len(channels))[-1]
    return nn.Sequential(*layers, nn.Flatten()), (channels[-1] if channels else in_channels) * height * width


def upsampling(in_channels: int, image_size: tuple[int, int], channels: Sequence[int]) -> list[nn.Module]:
    """Transposed convolutions that undo `conv_encoder`: (B, channels[-1], h, w) -> (B, C, H, W), pixels."""
    sizes = halvings(image_size, len(channels))
    layers: list[nn.Module] = []
    widths = [*reversed(channels), in_channels]
    for step, (before, after) in enumerate(pairwise(widths)):
        small, large = sizes[len(channels) - step], sizes[len(channels) - step - 1]
        extra = (large[0] - 2 * small[0] + 1, large[1] - 2 * small[1] + 1)
        layers.append(nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=extra))  # twice as large
        layers.append(nn.ReLU() if step < len(channels) - 1 else Pixels())
    return layers


def conv_decoder(
    latent_size: int, features: int, in_channels: int, image_size: tuple[int, int], channels: Sequence[int]
) -> nn.Sequential:
    """(B, latent_size) -> (B, C, H, W)."""
    small = halvings(image_size, len(channels))[-1]
    return nn.Sequential(
        nn.Linear(latent_size, features),  # (B, features)
        nn.ReLU(),
        nn.Unflatten(1, (channels[-1], *small)),  # (B, channels[-1], h, w)
        *upsampling(in_channels, image_size, channels),
    )


def check_channels(channels: Sequence[int], latent_size: int, image_size: tuple[int, int]) -> None:
    """Refuses what cannot be halved.

    Raises:
        ValueError: for no convolution, one without filters, or an image that is smaller than it is halved often.
    """
    check_sizes(channels, latent_size, "channels")
    if not channels:
        raise ValueError("model.channels=[] leaves no convolution: try model.channels=[16,32]")
    if min(image_size) < 2 ** len(channels):
        raise ValueError(
            f"model.channels={list(channels)} halves the image {len(channels)} times and reads {2 ** len(channels)} pixels or "
            f"more, not {image_size[0]}×{image_size[1]}: set data.size=32"
        )


class ConvAutoencoder(nn.Sequential):
    """Strided convolutions down to a code and transposed ones back; 111,521 parameters on 28×28 grey images.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
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
        channels: Sequence[int] = (16, 32),
        latent_size: int = 32,
        code: str = "linear",
    ) -> None:
        check_channels(channels, latent_size, image_size)
        code_act = activation_of("code", code)
        encoder, features = conv_encoder(in_channels, image_size, channels)
        super().__init__(
            OrderedDict(
                encoder=encoder,  # (B, features)
                latent=nn.Sequential(nn.Linear(features, latent_size), code_act()),  # (B, latent_size)
                decoder=conv_decoder(latent_size, features, in_channels, image_size, channels),  # (B, C, H, W)
            )
        )
        self.latent_size = latent_size

"""An autoencoder's encoder and latent stage with a classifier on top, for `weights=RUN` of such an autoencoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from experiments.models.autoencoder import Autoencoder
from experiments.models.conv_autoencoder import ConvAutoencoder


def _with_head(autoencoder: nn.Sequential, latent_size: int, num_classes: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        encoder=autoencoder[0],  # (B, features)
        latent=autoencoder[1],  # (B, latent_size)
        head=nn.Linear(latent_size, num_classes),  # (B, num_classes)
    )


class EncoderClassifier(nn.Sequential):
    """Encoder and latent stage of `Autoencoder`, and a linear head; arguments as there.

    Raises:
        ValueError: as there.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        num_classes: int = 10,
        *,
        hidden: Sequence[int] = (128,),
        latent_size: int = 32,
        activation: str = "relu",
        code: str = "linear",
    ) -> None:
        whole = Autoencoder(
            in_channels, image_size, hidden=hidden, latent_size=latent_size, activation=activation, code=code
        )
        super().__init__(_with_head(whole, latent_size, num_classes))


class ConvEncoderClassifier(nn.Sequential):
    """Encoder and latent stage of `ConvAutoencoder`, and a linear head; arguments as there.

    Raises:
        ValueError: as there.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        num_classes: int = 10,
        *,
        channels: Sequence[int] = (16, 32),
        latent_size: int = 32,
        code: str = "linear",
    ) -> None:
        whole = ConvAutoencoder(in_channels, image_size, channels=channels, latent_size=latent_size, code=code)
        super().__init__(_with_head(whole, latent_size, num_classes))

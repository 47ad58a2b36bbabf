"""Variational autoencoders, dense and convolutional (Kingma and Welling, 2013, "Auto-encoding variational Bayes")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from experiments.models.autoencoder import Pixels, activation_of, check_sizes, dense_decoder, dense_encoder
from experiments.models.conv_autoencoder import check_channels, conv_decoder, conv_encoder


class SampledCode(nn.Module):
    """A code from a normal distribution: a sample while training, else the mean."""

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Map mean and logarithm of the variance, (B, latent_size) each -> (B, latent_size)."""
        if not self.training:
            return mean
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


class GaussianLatent(nn.Module):
    """A normal distribution over codes, its axes independent: features -> a sample while training, else the mean.

    Args:
        features: numbers that it reads.
        latent_size: numbers in a code.
    """

    def __init__(self, features: int, latent_size: int) -> None:
        super().__init__()
        self.both = nn.Linear(features, 2 * latent_size)
        self.code = SampledCode()

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance: (B, features) -> twice (B, latent_size)."""
        mean, log_variance = self.both(features).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, features) -> (B, latent_size)."""
        return self.code(*self.posterior(features))


class VAE(nn.Sequential):
    """The dense one: 784-400-20-400-784 with 652,824 parameters on 28×28 grey images.

    Args:
        in_channels: channels of the images.
        image_size: height and width in pixels; any.
        hidden: units of the encoder's hidden layers; the decoder has them in reverse.
        latent_size: numbers in the code.
        activation: of hidden layers: "relu", "tanh" or "sigmoid".

    Raises:
        ValueError: when a layer has no unit or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        hidden: Sequence[int] = (400,),
        latent_size: int = 20,
        activation: str = "relu",
    ) -> None:
        check_sizes(hidden, latent_size)
        act = activation_of("activation", activation)
        shape = (in_channels, *image_size)
        super().__init__(
            OrderedDict(
                encoder=dense_encoder(shape, hidden, act),  # (B, hidden[-1])
                latent=GaussianLatent(hidden[-1] if hidden else prod(shape), latent_size),  # (B, latent_size)
                decoder=dense_decoder(latent_size, hidden, shape, act, Pixels()),  # (B, C, H, W)
            )
        )
        self.latent_size = latent_size


class ConvVAE(nn.Sequential):
    """The convolutional one; 105,257 parameters on 28×28 grey images.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        channels: filters of each convolution; each halves the image.
        latent_size: numbers in the code.

    Raises:
        ValueError: when the images are too small.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        channels: Sequence[int] = (16, 32),
        latent_size: int = 20,
    ) -> None:
        check_channels(channels, latent_size, image_size)
        encoder, features = conv_encoder(in_channels, image_size, channels)
        super().__init__(
            OrderedDict(
                encoder=encoder,  # (B, features)
                latent=GaussianLatent(features, latent_size),  # (B, latent_size)
                decoder=conv_decoder(latent_size, features, in_channels, image_size, channels),  # (B, C, H, W)
            )
        )
        self.latent_size = latent_size

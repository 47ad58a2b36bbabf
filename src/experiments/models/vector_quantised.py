"""The vector-quantised autoencoder (van den Oord, Vinyals and Kavukcuoglu, 2017, "Neural discrete representation learning")."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.models.autoencoder import check_sizes
from experiments.models.conv_autoencoder import check_channels, conv_encoder, halvings, upsampling


class Codebook(nn.Module):
    """Replaces each place of a map by the nearest of `entries` learned vectors; gradients pass straight through.

    Args:
        features: channels of the map that it reads.
        entries: vectors in the book.
        size: numbers in a vector.
        commitment: weight of what draws the map to the book, beside what draws the book to the map.
    """

    def __init__(self, features: int, entries: int, size: int, commitment: float) -> None:
        super().__init__()
        # Normalised, so that the map lies where the book does from the first step: else one vector soon stands everywhere.
        self.project = nn.Sequential(nn.Conv2d(features, size, 1), nn.BatchNorm2d(size, affine=False))
        self.book = nn.Parameter(torch.randn(entries, size))
        self.commitment = commitment

    def indices(self, features: Tensor) -> Tensor:
        """Tell which vector stands where: (B, C, h, w) -> (B, h, w) int64."""
        return self._nearest(self.project(features))

    def _nearest(self, values: Tensor) -> Tensor:
        places = values.permute(0, 2, 3, 1).float()  # (B, h, w, size)
        book = self.book.float()
        distances = book.square().sum(1) - 2 * places @ book.t()  # less the places' own length
        return distances.argmin(-1)

    def with_penalty(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantised map (B, size, h, w), and what is to be added to the loss."""
        values = self.project(features)
        chosen = F.embedding(self._nearest(values), self.book).permute(0, 3, 1, 2).to(values.dtype)
        penalty = F.mse_loss(chosen, values.detach()) + self.commitment * F.mse_loss(values, chosen.detach())
        return values + (chosen - values).detach(), penalty

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) -> (B, size, h, w)."""
        return self.with_penalty(features)[0]


class VQAutoencoder(nn.Sequential):
    """Strided convolutions, a map of indices into a codebook, transposed convolutions.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        channels: filters of each convolution; each halves the image.
        entries: vectors in the codebook.
        latent_size: numbers in a vector.
        commitment: the paper's beta.

    Raises:
        ValueError: when the images are too small, or the codebook has fewer than two entries.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        channels: Sequence[int] = (16, 32),
        entries: int = 64,
        latent_size: int = 8,
        commitment: float = 0.25,
    ) -> None:
        check_channels(channels, latent_size, image_size)
        check_sizes((), latent_size)
        if entries < 2:
            raise ValueError(f"model.entries={entries} must be 2 or more: try model.entries=64")
        encoder, _ = conv_encoder(in_channels, image_size, channels)
        height, width = halvings(image_size, len(channels))[-1]
        super().__init__(
            OrderedDict(
                encoder=encoder[:-1],  # (B, channels[-1], h, w)
                latent=Codebook(channels[-1], entries, latent_size, commitment),  # (B, latent_size, h, w)
                decoder=nn.Sequential(
                    nn.Conv2d(latent_size, channels[-1], 3, padding=1),  # (B, channels[-1], h, w)
                    nn.ReLU(),
                    *upsampling(in_channels, image_size, channels),  # (B, C, H, W)
                ),
            )
        )
        self.latent_size = latent_size * height * width

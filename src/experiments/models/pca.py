"""Principal components (Pearson, 1901) in the form of an autoencoder, to stand in one table with the others."""

from __future__ import annotations

from collections import OrderedDict
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.models.autoencoder import dense_encoder, example_shape


class Affine(nn.Module):
    """A matrix and a shift that are kept with the model and never learn: (B, inputs) -> (B, outputs)."""

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def forward(self, values: Tensor) -> Tensor:
        return F.linear(values, self.weight, self.bias)


class PCA(nn.Sequential):
    """The best linear code of a size; computed at once from training images, nothing in it learns by gradients.

    Args:
        in_channels: channels of the images.
        image_size: height and width in pixels; any.
        features: columns of a series, whose windows stand in place of images.
        history: steps of a window.
        latent_size: components.

    Raises:
        ValueError: when there are fewer numbers in an example than components, or none.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        *,
        features: int | None = None,
        history: int = 1,
        latent_size: int = 32,
    ) -> None:
        windows = features is not None
        shape = example_shape(in_channels, image_size, features, history)
        size = prod(shape)
        if not 1 <= latent_size <= size:
            what = "values in a window" if windows else "pixels"
            raise ValueError(
                f"model.latent_size={latent_size} must be from 1 to {size}, the number of {what}: try {min(32, size)}"
            )
        super().__init__(
            OrderedDict(
                encoder=dense_encoder(shape, (), nn.Identity),  # (B, size), flattened
                latent=Affine(size, latent_size),  # (B, latent_size)
                decoder=nn.Sequential(
                    Affine(latent_size, size), nn.Identity() if windows else nn.Hardtanh(0, 1), nn.Unflatten(1, shape)
                ),  # (B, C, H, W) or (B, history, features)
            )
        )
        self.latent_size = latent_size

    @torch.no_grad()
    def fit(self, pixels: Tensor, mean: Tensor, std: Tensor) -> None:
        """Finds the components.

        Args:
            pixels: (N, C, H, W) from 0 to 1, or windows (N, history, features).
            mean: (1, C, 1, 1) or (1, 1, 1), what the encoder reads was normalised with.
            std: likewise.
        """
        rows = pixels.flatten(1)
        middle = rows.mean(0)
        if rows.shape[1] <= 4096:
            rows = rows - middle
            axes = torch.linalg.eigh(rows.t() @ rows)[1].flip(1)[:, : self.latent_size].t()  # (k, C*H*W)
        else:  # more than a matrix of all pairs of pixels is worth
            axes = torch.svd_lowrank(rows - middle, self.latent_size)[2].t()
        scale, shift = (values.expand(1, *pixels.shape[1:]).flatten() for values in (std, mean))
        state = self.state_dict()
        state["latent.weight"].zero_()[: len(axes)] = axes * scale
        state["latent.bias"].zero_()[: len(axes)] = axes @ (shift - middle)
        state["decoder.0.weight"].zero_()[:, : len(axes)] = axes.t()
        state["decoder.0.bias"].copy_(middle)

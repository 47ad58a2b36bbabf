"""Principal components (Pearson, 1901), by scikit-learn: the best linear code of any size, in mean squared error."""

from __future__ import annotations

import torch
from torch import Tensor


class Components:
    """PCA of images, learned once; used with any number of components up to `most`.

    Args:
        pixels: (N, C, H, W) training images, or windows of a series (N, history, C).
        most: components; fewer where there are fewer examples or pixels.
        bounds: that what is given back is kept within; None for none.

    Attributes:
        most: how many there are.
    """

    def __init__(self, pixels: Tensor, most: int, bounds: tuple[float, float] | None = (0.0, 1.0)) -> None:
        from sklearn.decomposition import PCA

        rows = pixels.flatten(1)
        self.bounds = bounds
        self.shape = tuple(pixels.shape[1:])
        self.most = max(1, min(most, *rows.shape))
        pca = PCA(self.most, random_state=0).fit(rows.numpy())
        self.mean = torch.from_numpy(pca.mean_).float()
        self.axes = torch.from_numpy(pca.components_).float()  # (most, C*H*W)

    def codes(self, pixels: Tensor) -> Tensor:
        """Map (N, C, H, W) -> (N, most)."""
        return (pixels.flatten(1) - self.mean) @ self.axes.t()

    def decode(self, codes: Tensor) -> Tensor:
        """Map (N, k) with k up to `most` -> (N, C, H, W), within the bounds."""
        made = codes @ self.axes[: codes.shape[1]] + self.mean
        return (made if self.bounds is None else made.clamp(*self.bounds)).view(-1, *self.shape)

    def restored(self, pixels: Tensor, size: int | None = None) -> Tensor:
        """Images from their first `size` components, (N, C, H, W)."""
        return self.decode(self.codes(pixels)[:, :size])

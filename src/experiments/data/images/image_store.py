"""Images in memory: splits of a dataset, served by the batch, resized and measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from experiments.data.common.sampling import Picks
from experiments.data.common.transforms import augmented
from experiments.data.images import augment as changes
from experiments.data.images.augment import Augment
from experiments.errors import UserError
from experiments.system.memory import require_memory


class ImageSplit(NamedTuple):
    """Examples of one split, or of one file of the dataset.

    Attributes:
        source: (N, C, H, W) uint8 images, an array as read and a tensor once loaded; or names of image files.
        labels: (N,) int64 class indices.
    """

    source: Any
    labels: np.ndarray


class Batch(NamedTuple):
    """A batch on its way to the device, not yet normalised: `ImageData.on_after_batch_transfer` finishes it.

    Attributes:
        images: (B, C, H, W) uint8.
        targets: (B,) int64.
        places: (B, 3) int64, crop and flip that are still to be done, or None.
        extra: (B, 12), draws of the other augmentations, or None; float32 written as int32, as Lightning would convert
            them to the run's precision.
    """

    images: torch.Tensor
    targets: torch.Tensor
    places: torch.Tensor | None = None
    extra: torch.Tensor | None = None


class StoredImages(Dataset):
    """Images in memory, fetched by the batch.

    Args:
        images: (N, C, H, W) uint8; with a border of `augment.crop` pixels where crops are made here.
        labels: (N,) int64.
        augment: what happens to them; nothing for evaluation.
        on_device: leave crop and flip to the device.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, augment: Augment, on_device: bool = False) -> None:
        self.images, self.labels, self.augment = images, labels, augment
        self.place_here = augment.places and not augment.on_device(on_device)
        self._crops: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_crops": None}  # a view of overlapping windows would be written out in full

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, picks: Picks | range) -> Batch | UserError:
        try:
            return self._batch(picks)
        except UserError as error:
            return error

    def _batch(self, picks: Picks | range) -> Batch:
        if isinstance(picks, range):
            picked = slice(picks.start, picks.stop)
            return Batch(self.images[picked], self.labels[picked])
        targets = torch.from_numpy(self.labels.numpy().take(picks.indices))
        extra = (
            torch.from_numpy(changes.draw_extra(self.augment, picks)).view(torch.int32) if self.augment.extra else None
        )
        places = changes.draw_places(self.augment, picks) if self.augment.places else None
        if places is not None and self.place_here:
            if self._crops is None:
                self._crops = changes.windows(self.images, self.augment.crop)
            placed = changes.gather_places(self._crops, picks.indices, places)
            return Batch(augmented(self.augment.transforms, placed, picks), targets, None, extra)
        store = self.images.numpy()
        # `take` is twice as fast for small images, but would first copy all of a store that is a view.
        rows = store.take(picks.indices, axis=0) if store.flags.c_contiguous else store[picks.indices]
        images = augmented(self.augment.transforms, torch.from_numpy(rows), picks)
        return Batch(images, targets, None if places is None else torch.from_numpy(places), extra)


def resize(images: torch.Tensor, size: int | None) -> torch.Tensor:
    """Map (N, C, H, W) uint8 -> (N, C, size, size): the shorter side to `size`, then the middle. Antialiased."""
    height, width = images.shape[2:]
    if size is None or (height, width) == (size, size):
        return images
    short = min(height, width)
    target = [max(size, round(height * size / short)), max(size, round(width * size / short))]
    require_memory(
        len(images) * images.shape[1] * size**2 + 8 * min(len(images), 1024) * images.shape[1] * target[0] * target[1],
        f"data.size={size} with {len(images)} images",
        "take a smaller size, or data.limit",
    )
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    resized = images.new_empty(len(images), images.shape[1], size, size)
    for start in range(0, len(images), 1024):
        # In float: the byte kernels differ from processor to processor.
        chunk = images[start : start + 1024].float()
        whole = F.interpolate(chunk, size=target, mode="bilinear", antialias=True, align_corners=False)
        piece = whole[:, :, top : top + size, left : left + size].round_().clamp_(0, 255)
        resized[start : start + 1024] = piece.to(torch.uint8)
    return resized


def channel_statistics(images: torch.Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation a channel of (N, C, H, W) uint8, scaled to [0, 1].

    Computed from counts of byte values, so exact and the same for any number of threads.
    """
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in range(images.shape[1]):
        counts = np.zeros(256, np.int64)
        for start in range(0, len(images), 1024):
            counts += np.bincount(images[start : start + 1024, channel].reshape(-1).numpy(), minlength=256)
        mean = float((counts * values).sum() / counts.sum())
        deviation = float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))
        means.append(mean)
        deviations.append(deviation or 1.0)  # all pixels alike: nothing to scale
    return means, deviations

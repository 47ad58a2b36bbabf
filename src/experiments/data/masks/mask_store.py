"""Images with masks by the batch: from memory, or decoded from their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.data.common.sampling import TRANSFORM, Picks, stream
from experiments.data.common.transforms import Transform, together
from experiments.data.masks.augment import MaskAugment, draw
from experiments.data.masks.mask_values import IGNORED
from experiments.errors import UserError


class MaskBatch(NamedTuple):
    """A batch on its way to the device: `MaskData.on_after_batch_transfer` finishes it.

    Attributes:
        images: (B, C, H, W) uint8.
        masks: (B, H, W) uint8, 255 where ignored.
        weights: (B, H, W) float16, what is added to a pixel's weight of 1, written as int16; None: nothing.
        draws: (B, 27) float32 of the augmentation, written as int32, as Lightning would convert it; None: nothing is changed.
    """

    images: Tensor
    masks: Tensor
    weights: Tensor | None = None
    draws: Tensor | None = None


Example = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # image (C, H, W), mask (H, W), weights (H, W)


class StoredMasks(Dataset):
    """Images and masks in memory.

    Args:
        images: (N, C, H, W) uint8.
        masks: (N, H, W) uint8.
        weights: (N, H, W) float16, or None.
        augment: what happens to them, or None.
    """

    def __init__(self, images: Tensor, masks: Tensor, weights: Tensor | None, augment: MaskAugment | None) -> None:
        self.images, self.masks, self.weights, self.augment = images, masks, weights, augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, picks: Picks | range) -> MaskBatch | UserError:
        rows: Any = slice(picks.start, picks.stop) if isinstance(picks, range) else torch.from_numpy(picks.indices)
        weights = None if self.weights is None else self.weights[rows].view(torch.int16)
        return turned(
            MaskBatch(self.images[rows], self.masks[rows], weights, drawn(self.augment, picks)), self.augment, picks
        )


class StreamedMasks(Dataset):
    """Images and masks read from their files in every epoch.

    Args:
        count: examples.
        load: reads one.
        augment: as in `StoredMasks`.
    """

    def __init__(self, count: int, load: Callable[[int], Example], augment: MaskAugment | None) -> None:
        self.count, self.load, self.augment = count, load, augment

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, picks: Picks | range) -> MaskBatch | UserError:
        indices = picks if isinstance(picks, range) else picks.indices.tolist()
        try:
            images, masks, weights = zip(*(self.load(index) for index in indices), strict=True)
        except UserError as error:
            return error
        added = None if weights[0] is None else stacked(weights).to(torch.float16).view(torch.int16)
        return turned(
            MaskBatch(stacked(images), stacked(masks), added, drawn(self.augment, picks)), self.augment, picks
        )


def stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    """Arrays of one shape as one tensor."""
    return torch.from_numpy(np.stack(arrays))


def drawn(augment: MaskAugment | None, picks: Picks | range) -> Tensor | None:
    """Return the draws of a training batch as whole numbers, or None."""
    if augment is None or isinstance(picks, range) or not augment.changes:
        return None
    return torch.from_numpy(draw(picks)).view(torch.int32)


def turned(batch: MaskBatch, augment: MaskAugment | None, picks: Picks | range) -> MaskBatch | UserError:
    """Return a training batch through the transforms of torchvision, each example with draws of its own; others as they are; what
    the user can mend is returned, as a worker raises nothing.
    """
    if augment is None or isinstance(picks, range) or not augment.transforms:
        return batch
    stop = picks.position + len(batch.images)
    seeds = stream(picks.seed, picks.epoch, picks.batch, TRANSFORM).integers(0, 2**32, stop)[picks.position :].tolist()
    try:
        return MaskBatch(*_each(augment.transforms, batch, seeds), batch.draws)
    except UserError as error:
        return error


def _each(
    transforms: Sequence[Transform], batch: MaskBatch, seeds: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return images, masks and weights of a batch through some transforms; pixels from outside an image are ignored, as with
    our own.

    Raises:
        UserError: see `together`; or when a result has another size.
    """
    from torchvision import tv_tensors  # type: ignore[import-untyped]

    images, masks = torch.empty_like(batch.images), torch.empty_like(batch.masks)
    weights = None if batch.weights is None else torch.empty_like(batch.weights)
    for place, seed in enumerate(seeds):
        given = {
            "image": tv_tensors.Image(batch.images[place]),
            "masks": tv_tensors.Mask(batch.masks[place]),
            "inside": tv_tensors.Mask(torch.ones_like(batch.masks[place])),
        }
        if batch.weights is not None:
            given["weights"] = tv_tensors.Mask(batch.weights[place].view(torch.float16).float())
        changed = together(transforms, given, seed)
        if changed["image"].shape != images[place].shape or changed["masks"].shape != masks[place].shape:
            raise UserError(
                f"data.augment turns an image of {tuple(images[place].shape)} into {tuple(changed['image'].shape)}, and only training "
                "images are augmented: keep their size, or cut windows with data.augment.crop"
            )
        images[place] = changed["image"].as_subclass(Tensor)
        outside = changed["inside"].as_subclass(Tensor) != 1
        masks[place] = changed["masks"].as_subclass(Tensor).masked_fill(outside, IGNORED)
        if weights is not None:
            weights[place] = changed["weights"].as_subclass(Tensor).half().view(torch.int16)
    return images, masks, weights

"""Images with boxes as a dataset: a batch of photographs and what is in them, read when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.data.boxes.annotations import AnnotatedImage, arrays
from experiments.data.boxes.augment import BoxAugment
from experiments.data.common.sampling import EXTRA, Picks, stream
from experiments.data.images.image_files import decode
from experiments.errors import UserError
from experiments.spec import DetectionSpec

Target = dict[str, Tensor]


class Photographs(Dataset):
    """Images decoded from their files, and what is in them, a batch at a time.

    Args:
        pictures: of one split.
        spec: of the data.
        augment: what happens to training images.
    """

    def __init__(self, pictures: list[AnnotatedImage], spec: DetectionSpec, augment: BoxAugment) -> None:
        self.pictures, self.spec, self.augment = pictures, spec, augment
        self.arrays = [arrays(picture, spec.classes) for picture in pictures]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitems__(self, picks: Picks | range) -> tuple[list[Tensor], list[Target]] | UserError:
        """Images (3, H, W) uint8 and targets: of `range` every object, of picks those to learn from, augmented."""
        try:
            if isinstance(picks, range):
                pairs = [self.read(index) for index in picks]
            else:
                last = picks.position + len(picks.indices)
                draws = stream(picks.seed, picks.epoch, picks.batch, EXTRA).integers(2**62, size=last)
                pairs = [
                    self.augment(*self.read(index, crowds=False), seed=int(draws[picks.position + place]))
                    for place, index in enumerate(picks.indices.tolist())
                ]
        except UserError as error:
            return error
        return [image for image, _ in pairs], [target for _, target in pairs]

    def read(self, index: int, crowds: bool = True) -> tuple[Tensor, Target]:
        """Return one image and its objects, crowds among them or not."""
        return self.pixels(index), self.target(index, crowds)

    def pixels(self, index: int) -> Tensor:
        """Return one image (3, H, W) uint8."""
        source = self.pictures[index].source
        if isinstance(source, np.ndarray):
            return torch.from_numpy(np.ascontiguousarray(source.transpose(2, 0, 1)))
        return torch.from_numpy(decode(source, None, grey=False, bits=self.spec.bits))

    def target(self, index: int, crowds: bool = True) -> Target:
        """Return the objects of one image, crowds among them or not."""
        picture, targets = self.pictures[index], self.arrays[index]
        chosen = np.flatnonzero(~targets["crowds"]) if not crowds else np.arange(len(targets["labels"]))
        target = {
            "boxes": torch.from_numpy(targets["boxes"][chosen]),
            "labels": torch.from_numpy(targets["labels"][chosen]),
            "area": torch.from_numpy(targets["areas"][chosen]),
            "iscrowd": torch.from_numpy(targets["crowds"][chosen].astype(np.int64)),
        }
        if self.spec.masks:
            masks = np.zeros((len(chosen), *picture.size), np.uint8)
            for place, number in enumerate(chosen.tolist()):
                mask = picture.objects[number].mask
                assert mask is not None
                masks[place] = mask.decode(picture.size)
            target["masks"] = torch.from_numpy(masks)
        return target


class PixelsAlone(Photographs):
    """The same images without their objects, each with its number."""

    def __getitems__(self, picks: Picks | range) -> tuple[list[Tensor], Any] | UserError:
        try:
            return [self.pixels(index) for index in picks], torch.tensor(picks)  # type: ignore[arg-type]
        except UserError as error:
            return error


def scaled(image: Tensor) -> Tensor:
    """(3, H, W) uint8 -> from 0 to 1."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image

"""Changes of training images that move boxes and masks with them, by torchvision's transforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from experiments.data.common.transforms import Transform, is_transform, listed, together
from experiments.errors import UserError


@dataclass(frozen=True)
class BoxAugment:
    """What happens to a training image; each is the chance of it, and 0 is off.

    Attributes:
        flip: left to right.
        vertical_flip: upside down.
        crop: a part of the image in which some object keeps a share of its box (Liu et al., 2016, SSD).
        zoom_out: a ground of up to four times the side, the image somewhere on it.
        colour: brightness, contrast, saturation and hue.
        transforms: of torchvision's v2, after these; any other key of the config that holds an object.
    """

    flip: float = 0.0
    vertical_flip: float = 0.0
    crop: float = 0.0
    zoom_out: float = 0.0
    colour: float = 0.0
    transforms: tuple[Transform, ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> BoxAugment:
        """From the keys of a config; `flip: true` is a chance of a half.

        Raises:
            UserError: a key is unknown, or a chance is none.
        """
        names = [field.name for field in fields(cls) if field.name != "transforms"]
        chances: dict[str, float] = {}
        theirs: list[Transform] = []
        for key, value in given.items():
            if callable(value) or (key not in names and is_transform(value)):  # an object may have one of our names
                theirs += listed(value, f"data.augment.{key}")
                continue
            if key not in names:
                raise UserError(f"data.augment.{key} is unknown: choose from {', '.join(names)}")
            chance = 0.5 if value is True else float(value or 0)
            if not 0 <= chance <= 1:
                raise UserError(f"data.augment.{key}={value} must be a chance from 0 to 1: try data.augment.{key}=0.5")
            chances[key] = chance
        return cls(**chances, transforms=tuple(theirs))

    def __call__(self, image: Tensor, target: dict[str, Tensor], seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Return an image (3, H, W) uint8 and its objects -> both changed; objects that fell out of it are gone."""
        if not any(getattr(self, field.name) for field in fields(self)):
            return image, target
        from torchvision import tv_tensors  # type: ignore[import-untyped]
        from torchvision.transforms import v2  # type: ignore[import-untyped]

        steps: list[Any] = []
        if self.colour:
            steps.append(v2.RandomPhotometricDistort(p=self.colour))
        if self.zoom_out:
            steps.append(v2.RandomZoomOut(fill={tv_tensors.Image: 127, tv_tensors.Mask: 0}, p=self.zoom_out))
        if self.crop and len(target["boxes"]):  # it looks for an object
            steps.append(v2.RandomApply([v2.RandomIoUCrop()], p=self.crop))
        if self.flip:
            steps.append(v2.RandomHorizontalFlip(self.flip))
        if self.vertical_flip:
            steps.append(v2.RandomVerticalFlip(self.vertical_flip))
        size = tuple(image.shape[1:])
        given = {
            "image": tv_tensors.Image(image),
            "boxes": tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=size),
            "labels": target["labels"],
        }
        if target["iscrowd"].any():  # else SanitizeBoundingBoxes would remove boxes and labels, and leave these
            given["iscrowd"] = target["iscrowd"]
        if "masks" in target:
            given["masks"] = tv_tensors.Mask(target["masks"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for step in steps:
                given = step(given)
        given = together(self.transforms, given, seed + 1)  # draws that ours do not repeat
        if len({len(given[key]) for key in given.keys() & {"boxes", "labels", "iscrowd", "masks"}}) > 1:
            raise UserError(
                "data.augment removes boxes and keeps what belongs to them: give SanitizeBoundingBoxes its labels, or leave it out, "
                "as boxes that fell out of the image are removed anyway"
            )
        boxes = given["boxes"].as_subclass(Tensor)
        augmented = given["image"].as_subclass(Tensor)
        height, width = augmented.shape[1:]
        boxes = torch.stack([boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)], dim=2).flatten(1)
        there = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
        crowds = given.get("iscrowd", torch.zeros(len(boxes), dtype=target["iscrowd"].dtype))
        out = {"boxes": boxes, "labels": given["labels"], "iscrowd": crowds}
        if "masks" in given:
            # Whatever a transform fills in from outside, such as 127, is no object.
            out["masks"] = given["masks"].as_subclass(Tensor).eq(1).to(torch.uint8)
            there &= (out["masks"] > 0).flatten(1).any(1)
        out = {key: value[there] for key, value in out.items()}
        return augmented, out | {"area": torch.zeros(len(out["boxes"]))}

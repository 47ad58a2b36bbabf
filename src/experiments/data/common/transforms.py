"""Transforms of torchvision (`torchvision.transforms.v2`) or user-defined ones, applied to bytes, image by image, and to the
masks and boxes that lie on an image.

What an image gets is a pure function of (seed, epoch, batch, position in the batch), as with our own augmentation: the global
generators of torch, NumPy and Python are seeded for each image and put back after each batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from experiments.data.common.sampling import TRANSFORM, Picks, stream
from experiments.errors import UserError, first_line

Transform = Callable[[Any], Any]


def listed(value: Any, key: str) -> tuple[Transform, ...]:
    """Return the transforms that a config gives: none, one, a list, or a mapping of names.

    Raises:
        UserError: for what cannot be called with an image.
    """
    if value is None:
        return ()
    every = value.values() if isinstance(value, Mapping) else value if isinstance(value, Sequence) else [value]
    for transform in every:
        if isinstance(transform, str) or not callable(transform):
            raise UserError(
                f"{key} takes transforms such as {{_target_: torchvision.transforms.v2.ColorJitter}}, not {transform!r}"
            )
    return tuple(every)


def is_transform(value: Any) -> bool:
    """Tell whether a key below `data.augment` holds transforms, or null in place of some, and no number, word or switch."""
    return value is None or callable(value) or isinstance(value, (list, Mapping))


def together(transforms: Sequence[Transform], given: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return an image and what lies on it through all transforms, with the same draws for both.

    Args:
        transforms: take a mapping, as those of v2 do.
        given: `image`, a tv_tensor of bytes (C, H, W), and others, such as `masks` and `boxes`.
        seed: of the draws.

    Raises:
        UserError: when one fails, leaves something out, or its image is no longer bytes.
    """
    if not transforms:
        return given
    with _seeds_put_back():
        _seed(seed % 2**32)
        for transform in transforms:
            name, size = type(transform).__name__, tuple(given["image"].shape)
            try:
                changed = dict(transform(given))
                lost = sorted(set(given) - set(changed))
                given, image = changed, changed.get("image")
            except UserError:
                raise
            except Exception as error:
                raise UserError(
                    f"data.augment: {name} cannot change an image of {size} bytes together with what lies on it "
                    f"({first_line(error)}): take one of torchvision.transforms.v2 that changes images, masks and boxes alike"
                ) from error
            if lost:
                raise UserError(
                    f"data.augment: {name} gives back no {' and no '.join(lost)}: let it return a mapping with all that it is given"
                )
            if not isinstance(image, torch.Tensor) or image.dtype != torch.uint8 or image.ndim != 3:
                raise UserError(
                    f"data.augment: {name} gives {getattr(image, 'dtype', type(image).__name__)}, and it must give bytes (C, H, W), "
                    "because the data scale and normalise by themselves: leave out ToImage, ToDtype and Normalize"
                )
    return given


def always(transforms: Sequence[Transform], images: torch.Tensor, key: str) -> torch.Tensor:
    """Applies transforms to images of any split, the same way whenever it is asked: (N, C, H, W) uint8 -> (N, C', H', W') uint8.

    Raises:
        UserError: see `_one`; or when the results differ in size.
    """
    if not transforms or not len(images):
        return images
    with _seeds_put_back():
        results = []
        for image in images:
            _seed(0)
            results.append(_one(transforms, image, key))
    if len({result.shape for result in results}) > 1:
        raise UserError(f"{key} gives images of several sizes: end it with a Resize or a CenterCrop")
    return torch.stack(results)


def augmented(transforms: Sequence[Transform], images: torch.Tensor, picks: Picks) -> torch.Tensor:
    """Applies transforms to a batch of training images, each with draws of its own: (B, C, H, W) uint8 -> the same.

    Raises:
        UserError: see `_one`; or when a result has another size.
    """
    if not transforms:
        return images
    stop = picks.position + len(images)
    seeds = stream(picks.seed, picks.epoch, picks.batch, TRANSFORM).integers(0, 2**32, stop)[picks.position :]
    with _seeds_put_back():
        results = torch.empty_like(images)
        for place, (image, seed) in enumerate(zip(images, seeds.tolist(), strict=True)):
            _seed(seed)
            changed = _one(transforms, image, "data.augment")
            if changed.shape != image.shape:
                raise UserError(
                    f"data.augment turns an image of {tuple(image.shape)} into {tuple(changed.shape)}, and only training images "
                    "are augmented: keep their size, or change that of all with data.size or data.transform"
                )
            results[place] = changed
    return results


def _one(transforms: Sequence[Transform], image: torch.Tensor, key: str) -> torch.Tensor:
    """Return one image through all transforms: (C, H, W) uint8 -> (C', H', W') uint8.

    Raises:
        UserError: when one fails, or gives something else than bytes.
    """
    for transform in transforms:
        name = type(transform).__name__
        try:
            changed = transform(image)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{key}: {name} cannot change an image of {tuple(image.shape)} bytes ({first_line(error)})"
            ) from error
        if not isinstance(changed, torch.Tensor) or changed.dtype != torch.uint8 or changed.ndim != 3:
            what = (
                f"{changed.dtype} {tuple(changed.shape)}"
                if isinstance(changed, torch.Tensor)
                else type(changed).__name__
            )
            raise UserError(
                f"{key}: {name} gives {what}, and it must give bytes (C, H, W), because the data scale and normalise by themselves: "
                "leave out ToTensor, ToDtype and Normalize, and set data.mean and data.std where you want others"
            )
        image = changed
    return image.as_subclass(torch.Tensor)


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@contextmanager
def _seeds_put_back() -> Iterator[None]:
    before, of_numpy, of_python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(before)
        np.random.set_state(of_numpy)
        random.setstate(of_python)

"""Reads and checks the examples of a split: into memory if they fit, else from disk in every epoch."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from experiments.data.images.image_files import ImageHeader, SizesDifferError
from experiments.data.masks.border_weights import border_weights
from experiments.data.masks.mask_files import Pair, load_pair
from experiments.data.masks.mask_store import Example
from experiments.errors import UserError

log = logging.getLogger(__name__)


class Border(NamedTuple):
    """Weights between objects: see `border_weights`.

    Attributes:
        weight: the largest; 0: none.
        sigma: how soon it falls, in pixels.
        background: index of the class between objects.
    """

    weight: float
    sigma: float
    background: int


class MaskSplit(NamedTuple):
    """A split of a dataset.

    Attributes:
        pairs: its examples.
        stored: images (N, C, H, W) and masks (N, H, W) uint8 and weights (N, H, W) float16 or None, where they fit in memory.
    """

    pairs: list[Pair]
    stored: tuple[Tensor, Tensor, Tensor | None] | None


class SplitReader:
    """Reads examples of one size.

    Args:
        shape: height and width.
        resizes: whether images are brought to it; else theirs must be that.
        fit: see `fitted`.
        grey: one channel, else three.
        bits: of images of 16 bits, see `decode`.
        border: weights of training pixels.
        memory: bytes that are left for all splits together.
        skip_broken: leave out what cannot be read, with a warning.
        exif: see `load_pair`.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        resizes: bool,
        fit: str,
        grey: bool,
        bits: int,
        border: Border,
        memory: float,
        skip_broken: bool,
        exif: str = "auto",
    ) -> None:
        self.shape, self.resizes, self.fit, self.grey = shape, resizes, fit, grey
        self.bits, self.border, self.memory, self.skip_broken = bits, border, memory, skip_broken
        self.exif = exif

    def example(self, pair: Pair, weighted: bool) -> Example:
        """Image (C, H, W), mask (H, W) and, where asked for, weights (H, W).

        Raises:
            UserError: it cannot be read.
        """
        stored = self.check(pair)
        image, mask = load_pair(
            pair, stored, self.shape if self.resizes else None, self.fit, self.grey, self.bits, self.exif
        )
        return image, mask, border_weights(mask, *self.border) if weighted and self.border.weight else None

    def check(self, pair: Pair) -> ImageHeader:
        """Look at an image's header and return it.

        Raises:
            UserError: it has none, another size than the others, or is to be turned and nothing says whether its mask is.
        """
        stored = pair.header
        if stored.turn > 1 and self.exif == "auto" and stored[:2] == stored.upright:
            raise UserError(
                f"{pair.image} is to be turned (EXIF orientation {stored.turn}), and nothing says whether its mask is: "
                "set data.exif=upright where it fits the photograph as it is shown, or data.exif=stored"
            )
        size = stored.upright
        if not self.resizes and size != self.shape:
            raise SizesDifferError(
                f"{pair.name} has {size[0]} × {size[1]} pixels and others {self.shape[0]} × {self.shape[1]}: set data.size, "
                f"such as data.size={min(*size, *self.shape)} or data.size=[{self.shape[0]},{self.shape[1]}]"
            )
        return stored

    def split(self, pairs: list[Pair], weighted: bool) -> MaskSplit:
        """Return all examples that can be read.

        Args:
            pairs: of the split.
            weighted: whether weights of pixels are wanted, as in training.

        Raises:
            UserError: one cannot be read, and is not to be left out.
        """
        pixel = (1 if self.grey else 3) + 1 + (2 if weighted and self.border.weight else 0)
        needed = len(pairs) * self.shape[0] * self.shape[1] * pixel
        streams = needed > self.memory

        def attempt(pair: Pair) -> Example | UserError | None:
            try:
                if not streams:
                    return self.example(pair, weighted)
                self.check(pair)  # its header alone
                return None
            except UserError as error:
                return error

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            results = list(pool.map(attempt, pairs))
        self._refuse([result for result in results if isinstance(result, UserError)])
        kept = [place for place, result in enumerate(results) if not isinstance(result, UserError)]
        whole = [pairs[place] for place in kept]
        if streams or not kept:
            return MaskSplit(whole, None)
        self.memory -= needed
        images, masks, weights = zip(*(results[place] for place in kept), strict=True)  # type: ignore[misc]
        added = None if weights[0] is None else torch.from_numpy(np.stack(weights).astype(np.float16))
        return MaskSplit(whole, (torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks)), added))

    def _refuse(self, broken: Sequence[UserError]) -> None:
        if not broken:
            return
        more = f" ({len(broken) - 1} more are broken too)" if len(broken) > 1 else ""
        if isinstance(broken[0], SizesDifferError) or not self.skip_broken:
            raise UserError(f"{broken[0]}{more}")
        log.warning("%s%s: left out, as data.skip_broken says", broken[0], more)

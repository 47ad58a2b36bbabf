"""MedMNIST (Yang et al. 2023): medical images of 28 × 28, each set one npz file with its own three splits.

The keys are train_images, train_labels, val_images and so on; labels are (N, 1).
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.common.packed import refuse_too_large
from experiments.data.common.published_files import data_root, require
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError

SPLITS = {"train": "train", "validation": "val", "test": "test"}


class MedMNIST(ImageData):
    """One set with a label an image, as (1, 28, 28) or (3, 28, 28).

    Args:
        file: the npz file, below `root`.
        labels: what the labels 0, 1, … mean.
        rest: the keys of `ImageData`.
    """

    name = "medmnist"

    def __init__(self, *, file: str, labels: Sequence[str], **rest: Any) -> None:
        super().__init__(validation=0.1, **rest)  # never held out: the file has that split
        self.file, self.labels = file, tuple(map(str, labels))

    @property
    def path(self) -> Path:
        return data_root(self.name, self.root) / self.file

    def fetch(self) -> None:
        require(
            f"{self.name} ({self.path.stem})",
            self.path.parent,
            lambda: [] if self.path.is_file() else [self.path.name],
            None,
        )

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        self.fetch()
        try:
            refuse_too_large(self.path)
            with np.load(self.path, allow_pickle=False) as arrays:
                parts = {split: (arrays[f"{key}_images"], arrays[f"{key}_labels"]) for split, key in SPLITS.items()}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{self.path} cannot be read ({error}); fetch it again.") from error
        by_split = {}
        for split, (images, labels) in parts.items():
            if (
                images.dtype != np.uint8
                or images.ndim not in (3, 4)
                or labels.shape not in ((len(images), 1), (len(images),))
            ):
                raise UserError(f"{self.path} holds {images.dtype} {images.shape} with labels {labels.shape} as {split}, not"
                                " bytes with one label each; take a set of MedMNIST with one label an image.")  # fmt: skip
            images = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
            by_split[split] = ImageSplit(images, labels.reshape(-1).astype(np.int64))
        return self.labels, by_split

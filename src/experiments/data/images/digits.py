"""Handwritten digits, 8 × 8, read from the file that scikit-learn carries: real images without a download.

1,797 digits of 13 writers, the test split of Alpaydin and Kaynak's "Optical Recognition of Handwritten Digits" (1998),
each pixel a count of dark dots from 0 to 16.
"""

from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from experiments.data.common.splits import hold_out
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError

TEST = 360  # a fifth; the file has no test split of its own


class Digits(ImageData):
    """Digits 0 to 9 as (1, 8, 8), with a fixed test split of 360 drawn from every class in proportion."""

    name = "digits"

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        with gzip.open(_file(), "rt") as text:
            table = np.loadtxt(text, delimiter=",")
        images = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = table[:, 64].astype(np.int64)
        train, test = hold_out(labels, TEST, 0, "digits.test")
        by_split = {"train": ImageSplit(images[train], labels[train]), "test": ImageSplit(images[test], labels[test])}
        return tuple("0123456789"), by_split


def _file() -> Path:
    """Return the packaged file, found without importing scikit-learn, which takes a second."""
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin).parent / "datasets/data/digits.csv.gz" if package and package.origin else None
    if path is None or not path.is_file():
        raise UserError("data=digits reads a file that scikit-learn carries, and that is not installed:"
                        " pip install scikit-learn, or take data=shapes.")  # fmt: skip
    return path

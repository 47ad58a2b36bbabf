"""MNIST and two sets in its format: 60,000 + 10,000 grey images of 28 × 28 in ten classes, as idx files.

The files lie where torchvision puts them, ROOT/MNIST/raw/train-images-idx3-ubyte and so on, packed or not.
MNIST: LeCun et al. 1998. Fashion-MNIST: Xiao et al. 2017. KMNIST: Clanuwat et al. 2018.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from experiments.data.common.packed import unpacked
from experiments.data.common.published_files import data_root, require
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class MNIST(ImageData):
    """Handwritten digits as (1, 28, 28)."""

    name = "mnist"
    classes: tuple[str, ...] = tuple("0123456789")

    @property
    def folder(self) -> Path:
        return data_root(self.name, self.root) / type(self).__name__ / "raw"

    def missing(self) -> list[str]:
        return [file for pair in FILES.values() for file in pair if _path(self.folder, file) is None]

    def fetch(self) -> None:
        require(self.name, self.folder, self.missing, self._download if self.download else None)

    def _download(self) -> None:
        from torchvision import datasets  # type: ignore[import-untyped]

        getattr(datasets, type(self).__name__)(data_root(self.name, self.root), download=True)

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        require(self.name, self.folder, self.missing, None)
        by_split = {}
        for split, (images_file, labels_file) in FILES.items():
            images, labels = (read_idx(_path(self.folder, file)) for file in (images_file, labels_file))
            if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
                raise UserError(f"{self.folder / images_file} with {images.shape} and its labels with {labels.shape} do"
                                " not belong together; delete both and fetch them again.")  # fmt: skip
            by_split[split] = ImageSplit(images[:, None], labels.astype(np.int64))
        return self.classes, by_split


class FashionMNIST(MNIST):
    """Pictures of clothes, in MNIST's format."""

    name = "fashion_mnist"
    classes = (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )


class KMNIST(MNIST):
    """Handwritten Japanese syllables in cursive script, in MNIST's format."""

    name = "kmnist"
    classes = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


_LARGEST = 1 << 30  # bytes of an idx file; the largest of MNIST's kind have half of that


def read_idx(path: Path | None) -> np.ndarray:
    """Return an idx file of bytes, packed by gzip or not, as a uint8 array.

    Two zero bytes, 8 for "unsigned byte", the number of dimensions, each of them as four bytes, high byte first; then
    the values.

    Raises:
        UserError: the file is empty, cut short, or something else.
    """
    assert path is not None
    try:
        data = unpacked(path, _LARGEST)
        if data[:3] != b"\x00\x00\x08" or len(data) < 4:
            raise ValueError("it does not begin as an idx file of bytes does")
        begin = 4 + 4 * data[3]
        shape = np.frombuffer(data, ">u4", data[3], 4).astype(int)
        if len(data) - begin != shape.prod():
            raise ValueError(f"it holds {len(data) - begin:,} values where its header says {shape.prod():,}")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and fetch it again.") from error
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def _path(folder: Path, file: str) -> Path | None:
    """Return the file, else its packed twin, else None."""
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)

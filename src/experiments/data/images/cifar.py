"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 colour photographs of 32 × 32, as Python batches.

The files lie where torchvision unpacks them, ROOT/cifar-10-batches-py/data_batch_1 and so on.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from experiments.data.common.published_files import data_root, require
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.errors import UserError


class CIFAR10(ImageData):
    """Ten kinds of things and animals as (3, 32, 32)."""

    name = "cifar10"
    base = "cifar-10-batches-py"
    files: ClassVar = {
        "train": tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test": ("test_batch",),
    }
    label_key = "labels"
    meta, names_key = "batches.meta", "label_names"

    @property
    def folder(self) -> Path:
        return data_root(self.name, self.root) / self.base

    def missing(self) -> list[str]:
        wanted = (*self.files["train"], *self.files["test"], self.meta)
        return [file for file in wanted if not (self.folder / file).is_file()]

    def fetch(self) -> None:
        require(self.name, self.folder, self.missing, self._download if self.download else None)

    def _download(self) -> None:
        from torchvision import datasets  # type: ignore[import-untyped]

        getattr(datasets, type(self).__name__)(data_root(self.name, self.root), download=True)

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        require(self.name, self.folder, self.missing, None)
        by_split = {}
        for split, files in self.files.items():
            batches = [self._batch(self.folder / file) for file in files]
            by_split[split] = ImageSplit(
                np.concatenate([b.source for b in batches]), np.concatenate([b.labels for b in batches])
            )
        return tuple(self._entry(self.folder / self.meta, self.names_key)), by_split

    def _batch(self, path: Path) -> ImageSplit:
        images = np.asarray(self._entry(path, "data"))
        labels = np.asarray(self._entry(path, self.label_key), np.int64)
        if images.dtype != np.uint8 or images.shape != (len(labels), 3 * 32 * 32):
            raise UserError(f"{path} holds {images.dtype} {images.shape} with {len(labels)} labels, not rows of 3,072"
                            " bytes with one label each; delete the folder and fetch it again.")  # fmt: skip
        return ImageSplit(images.reshape(-1, 3, 32, 32), labels)

    def _entry(self, path: Path, key: str) -> Any:
        content = read_pickle(path)
        if not isinstance(content, dict) or key not in content:
            raise UserError(f"{path} has no entry {key!r}; delete the folder and fetch it again.")
        return content[key]


class CIFAR100(CIFAR10):
    """A hundred classes, five hundred training images each, as (3, 32, 32)."""

    name = "cifar100"
    base = "cifar-100-python"
    files: ClassVar = {"train": ("train",), "test": ("test",)}
    label_key = "fine_labels"
    meta, names_key = "meta", "fine_label_names"


class _Plain(pickle.Unpickler):
    """Reads numbers, text, containers and numpy arrays; a pickle can otherwise run any code it likes."""

    allowed: ClassVar = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        # How Python 3 writes bytes for Python 2 to read.
        ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
    }

    arrays: ClassVar = {("numpy.core.multiarray", "_reconstruct"), ("numpy.core.numeric", "_frombuffer")}

    def find_class(self, module: str, name: str) -> Any:
        # numpy has moved its modules, and answers to both names.
        if (module.replace("._core.", ".core."), name) in self.arrays:
            return super().find_class(module, name)
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return self.allowed[module, name]


def read_pickle(path: Path) -> Any:
    """Return the content of a pickle of plain values and arrays.

    Raises:
        UserError: the file is damaged, or holds anything that would run code.
    """
    try:
        return _Plain(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise UserError(f"{path} cannot be read ({error}); delete the folder and fetch it again.") from error

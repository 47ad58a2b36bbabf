"""Fakes in the formats of the real files, and the real files where they are."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

PLAIN = {
    "batch_size": 16,
    "size": None,
    "validation": 0.2,
    "limit": None,
    "workers": 0,
    "seed": 7,
    "augment": {},
}
FOLDER = {**PLAIN, "grey": False, "test": 0.2, "memory": 100, "skip_broken": False}


@pytest.fixture
def real() -> Callable[[str], Path]:
    """Path of a real dataset; skips where it is not."""

    def path(name: str) -> Path:
        root = os.environ.get("EXPERIMENTS_DATA")
        if not root or not (Path(root) / name).exists():
            pytest.skip(f"{name} is not in EXPERIMENTS_DATA={root}")
        return Path(root) / name

    return path


def write_idx(path: Path, array: np.ndarray) -> None:
    header = b"\x00\x00\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    data = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def fake_mnist(root: Path, name: str = "MNIST", packed: bool = False, train: int = 60, test: int = 20) -> None:
    rng = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        end = ".gz" if packed else ""
        images = rng.integers(0, 256, (count, 28, 28))
        write_idx(root / name / "raw" / f"{prefix}-images-idx3-ubyte{end}", images)
        write_idx(root / name / "raw" / f"{prefix}-labels-idx1-ubyte{end}", np.arange(count) % 10)


class Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes text as Python 2 did, of which the published batches are."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_text(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_text


def python2_pickle(value: Any) -> bytes:
    target = io.BytesIO()
    Python2(target, protocol=2).dump(value)
    return target.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def fake_cifar(root: Path, hundred: bool = False, count: int = 40) -> None:
    rng = np.random.default_rng(0)
    folder = root / ("cifar-100-python" if hundred else "cifar-10-batches-py")
    folder.mkdir(parents=True)
    classes = 100 if hundred else 10
    key = "fine_labels" if hundred else "labels"
    files = ["train", "test"] if hundred else [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    for file in files:
        labels = [int(label) for label in np.arange(count) % classes]
        entry = {
            "data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
            key: labels,
            "filenames": ["a.png"],
        }
        (folder / file).write_bytes(python2_pickle(entry))
    names = {("fine_label_names" if hundred else "label_names"): [f"class {n}" for n in range(classes)]}
    (folder / ("meta" if hundred else "batches.meta")).write_bytes(python2_pickle(names))


def save_image(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 12), value: int = 100, **how: Any) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        Image.fromarray(np.full(size[::-1], value * 256, np.uint16)).save(path, **how)
    else:
        Image.new(mode, size, value if mode in ("L", "P", "1") else (value,) * len(mode)).save(path, **how)


def fake_folder(root: Path, parts: tuple[str, ...] = ("train",), each: int = 10, size: int = 12) -> None:
    for part in parts:
        for place, name in enumerate(("ants", "bees")):
            for number in range(each):
                save_image(root / part / name / f"{number}.png", size=(size, size), value=20 + 100 * place + number)

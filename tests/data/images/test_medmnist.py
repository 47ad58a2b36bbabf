"""MedMNIST's npz files, and choosing some of a dataset's classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.data.images.medmnist import MedMNIST
from experiments.data.images.mnist import MNIST
from experiments.errors import UserError
from tests.data.conftest import PLAIN, fake_mnist

SETTINGS = {key: value for key, value in PLAIN.items() if key != "validation"} | {
    "mean": None,
    "std": None,
    "split_seed": 0,
}


def write(path: Path, colours: bool = False, **changes: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 40), ("val", 10), ("test", 20)):
        shape = (count, 28, 28, 3) if colours else (count, 28, 28)
        arrays[f"{part}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2)[:, None].astype(np.uint8)
    np.savez_compressed(path, **{**arrays, **changes})


def read(folder: Path) -> MedMNIST:
    data = MedMNIST(root=str(folder), file="set.npz", labels=["normal", "ill"], **SETTINGS)
    data.prepare_data()
    data.setup()
    return data


@pytest.mark.parametrize("colours", [False, True])
def test_its_own_three_parts_are_used(tmp_path: Path, colours: bool) -> None:
    write(tmp_path / "set.npz", colours)
    data = read(tmp_path)
    assert {part: data.splits[part] for part in ("train", "validation", "test")} == {
        "train": 40,
        "validation": 10,
        "test": 20,
    }
    assert data.spec.classes == ("normal", "ill")
    assert (data.spec.channels, data.spec.height) == (3 if colours else 1, 28)
    assert data.class_counts == [20, 20]


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set.npz is missing and belongs in"):
        read(tmp_path)
    (tmp_path / "set.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read"):
        read(tmp_path)
    write(tmp_path / "set.npz", train_labels=np.zeros((40, 14), np.uint8))
    with pytest.raises(UserError, match="with one label an image"):
        read(tmp_path)
    write(tmp_path / "set.npz", test_labels=np.full((20, 1), 2, np.uint8))
    with pytest.raises(UserError, match="label 2 in the test split is outside"):
        read(tmp_path)


def test_the_real_file(real) -> None:
    folder = real("pneumoniamnist")
    data = MedMNIST(root=str(folder), file="pneumoniamnist.npz", labels=["normal", "pneumonia"], **SETTINGS)
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [4708, 524, 624]
    assert data.class_counts == [1214, 3494]


def test_some_classes_in_their_new_order(tmp_path: Path) -> None:
    fake_mnist(tmp_path)
    whole = MNIST(root=str(tmp_path), **PLAIN)
    some = MNIST(root=str(tmp_path), **PLAIN, classes=[7, "3"])
    whole.setup()
    some.setup()
    assert some.spec.classes == ("7", "3")
    assert [some.splits[part] for part in ("train", "validation", "test")] == [10, 2, 4]
    sevens = {image.numpy().tobytes() for part in whole.sets.values() for image in part.source[part.labels == 7]}
    assert {image.numpy().tobytes() for part in some.sets.values() for image in part.source[part.labels == 0]} == sevens


@pytest.mark.parametrize(("classes", "sentence"), [(["3", "ten"], "has ten, which is none of 0, 1"), ([3, 3], "twice")])
def test_classes_that_cannot_be_chosen(tmp_path: Path, classes: list, sentence: str) -> None:
    fake_mnist(tmp_path)
    with pytest.raises(UserError, match=sentence):
        MNIST(root=str(tmp_path), **PLAIN, classes=classes).setup()

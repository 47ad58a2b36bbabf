"""Which folder is which part, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.data.common.split_names import split_folders, split_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("train_images", "train"), ("TrainSet", "train"),
        ("trainset", "train"), ("train2017", "train"), ("images-train", "train"), ("Valid", "validation"), ("val_data", "validation"),
        ("dev", "validation"), ("Testing", "test"), ("test set", "test"), ("cats", None), ("trained", None), ("images", None),
        ("train_test", None), ("test_dogs", None),
    ],
)  # fmt: skip
def test_parts_by_their_names(name: str, part: str | None) -> None:
    assert split_of(name) == part


@pytest.mark.parametrize(
    "names", [("Train", "Test"), ("training", "testing"), ("TRAIN", "Valid"), ("train_images", "test_images")]
)
def test_parts_by_other_usual_names(names: tuple[str, str], tmp_path: Path) -> None:
    for part in names:
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
    folders = split_folders(tmp_path)
    assert {folder.name for folder in folders.values()} == set(names)


def test_classes_that_are_called_like_parts(tmp_path: Path) -> None:
    for name in ("train", "bus", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").touch()
    assert split_folders(tmp_path) == {"train": tmp_path}

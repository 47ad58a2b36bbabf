"""Datasets of torchvision by name, from files in their real formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from tests.data.conftest import fake_mnist

Experiments = Callable[..., tuple[int, str, str]]
SMALL = ("model=mlp", "data=torchvision", "trainer.max_epochs=1", "callbacks=none", "logger=none", "data.batch_size=8")


def test_fashion_mnist(experiments: Experiments, tmp_path: Path) -> None:
    fake_mnist(tmp_path / "data", "FashionMNIST")
    words = (*SMALL, "data.name=FashionMNIST", f"data.root={tmp_path / 'data'}", "data.size=null", "hydra.run.dir=run")
    code, _, errors = experiments("train", *words)
    assert code == 0, errors
    text = (tmp_path / "run" / "record.json").read_text()
    assert "Ankle boot" in text, "the names that torchvision has"


def test_svhn(experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io = pytest.importorskip("scipy.io")
    for part, count in (("train", 30), ("test", 10)):
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        io.savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels, "y": (np.arange(count) % 10 + 1)[:, None]})
    files = {
        part: [*file[:2], None] for part, file in datasets.SVHN.split_list.items()
    }  # without sums of the real files
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    code, _, errors = experiments("train", *SMALL, "data.name=SVHN", f"data.root={tmp_path}", "hydra.run.dir=run")
    assert code == 0, errors


def test_made_up_images_with_keywords(experiments: Experiments) -> None:
    words = (
        "data.name=FakeData",
        "data.options.size=60",
        "data.options.image_size=[3,16,16]",
        "data.options.num_classes=3",
    )
    code, _, errors = experiments("check", *SMALL, *words)
    assert code == 0, errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("data.name=SVNH",), "did you mean SVHN"),
        (("data.name=CocoDetection",), "its examples are no images with one label each"),
        (("data.name=FakeData", "data.options.sise=3"), "did you mean size"),
        (("data.name=EuroSAT", "data.root=nowhere"), "data.download=true fetches it"),
    ],
)
def test_refused(experiments: Experiments, words: tuple[str, ...], sentence: str) -> None:
    code, _, errors = experiments("check", *SMALL, *words)
    assert code == 2 and sentence in errors

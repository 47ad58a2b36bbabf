"""The datasets library offline: class folders, Parquet files and folders that it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

datasets = pytest.importorskip("datasets")
Experiments = Callable[..., tuple[int, str, str]]
SMALL = ("trainer.max_epochs=1", "callbacks=none", "logger=none", "data.batch_size=8")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def pictures(folder: Path) -> Path:
    for part, count in (("train", 12), ("test", 4)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(np.full((10, 10, 3), number, np.uint8)).save(folder / part / name / f"{number}.png")
    return folder


def test_class_folders_and_what_the_library_wrote(experiments: Experiments, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    words = ("data=huggingface", "model=mlp", *SMALL, f"data.path={folder}")
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    assert '"dog"' in (tmp_path / "run" / "record.json").read_text()
    datasets.load_dataset(str(folder)).save_to_disk(str(tmp_path / "written"))
    code, _, errors = experiments("check", "data=huggingface", "model=mlp", *SMALL, f"data.path={tmp_path / 'written'}")
    assert code == 0, errors


def test_texts_in_parquet(experiments: Experiments, tmp_path: Path) -> None:
    texts = [f"{word} film number {number}" for number in range(20) for word in ("good", "bad")]
    table = datasets.Dataset.from_dict({"text": texts, "label": [0, 1] * 20})
    table.cast_column("label", datasets.ClassLabel(names=["good", "bad"])).to_parquet(str(tmp_path / "texts.parquet"))
    words = ("data=huggingface_text", "model=lstm", *SMALL, f"data.path={tmp_path / 'texts.parquet'}")
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    code, _, errors = experiments(
        "check", "data=huggingface", "model=mlp", *SMALL, f"data.path={tmp_path / 'texts.parquet'}"
    )
    assert code == 2 and "take data=huggingface_text" in errors
    code, _, errors = experiments("check", *words, "data.text=tekst")
    assert code == 2 and "did you mean text" in errors


def test_a_folder_that_is_not_there(experiments: Experiments) -> None:
    code, _, errors = experiments("check", "data=huggingface", "model=mlp", *SMALL, "data.path=./nowhere")
    assert code == 2 and "data.path=./nowhere does not exist" in errors

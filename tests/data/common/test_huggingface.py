"""The datasets library offline: class folders, Parquet files and folders that it wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from experiments.data.common.huggingface import LABELS, column

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


@pytest.mark.slow
def test_class_folders_and_what_the_library_wrote(experiments: Experiments, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures")
    words = ("data=huggingface", "model=mlp", *SMALL, f"data.path={folder}")
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    assert '"dog"' in (tmp_path / "run" / "record.json").read_text()
    datasets.load_dataset(str(folder)).save_to_disk(str(tmp_path / "written"))
    code, _, errors = experiments("check", "data=huggingface", "model=mlp", *SMALL, f"data.path={tmp_path / 'written'}")
    assert code == 0, errors


@pytest.mark.slow
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


@pytest.mark.parametrize("name", ["texts.csv", "texts.tsv", "texts.jsonl", "texts.parquet"])
def test_tables_of_one_file_with_usual_names_of_columns(experiments: Experiments, tmp_path: Path, name: str) -> None:
    rows = [{"label": word, "text": f"{word} film number {number}"} for number in range(20) for word in ("good", "bad")]
    table = pandas.DataFrame(rows)
    writers: dict[str, Callable[[Path], object]] = {
        "csv": lambda path: table.to_csv(path, index=False),
        "tsv": lambda path: table.to_csv(path, index=False, sep="\t"),
        "jsonl": lambda path: table.to_json(path, orient="records", lines=True),
        "parquet": table.to_parquet,
    }
    writers[name.partition(".")[2]](tmp_path / name)
    code, _, errors = experiments(
        "train", "data=huggingface_text", "model=lstm", *SMALL, f"data.path={tmp_path / name}", "hydra.run.dir=run"
    )
    assert code == 0, errors
    assert '"good"' in (tmp_path / "run" / "record.json").read_text()


def test_a_name_of_a_hub_that_does_not_answer_is_asked_of_the_cache_alone(
    experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.data.common.huggingface.offline", lambda: False)  # whatever HF_HUB_OFFLINE says
    monkeypatch.setattr("experiments.data.common.huggingface.hub_answers", lambda: False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    code, _, errors = experiments("check", "data=huggingface", "model=mlp", *SMALL, "data.path=nobody/nothing")
    assert code == 2 and "data.path=nobody/nothing cannot be read" in errors
    assert "OfflineModeIsEnabled" in errors
    assert datasets.config.HF_HUB_OFFLINE is False, "the next is asked again"


def test_a_file_of_another_kind(experiments: Experiments, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("good film\n")
    code, _, errors = experiments(
        "check", "data=huggingface_text", "model=lstm", *SMALL, f"data.path={tmp_path / 'texts.txt'}"
    )
    assert code == 2 and "ends with none of .parquet, .csv, .tsv, .json, .jsonl" in errors


def test_a_usual_name_is_no_reason_to_take_a_list_for_a_label() -> None:
    features = {"label": datasets.Sequence(datasets.Value("int64")), "kind": datasets.ClassLabel(names=["a", "b"])}
    data = datasets.Dataset.from_dict({"label": [[0, 1]], "kind": [0]}, features=datasets.Features(features))
    assert column(data, "data.label", None, ("ClassLabel", "int64"), "labels", LABELS) == "kind"

"""Runs that are opened again to resume them: what is refused, or stopped before it trains, leaves the folder as it was."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments.errors import Interrupted
from experiments.run import execute

Experiments = Callable[..., tuple[int, str, str]]


@pytest.fixture
def finished(experiments: Experiments, tmp_path: Path) -> Path:
    for name, grey in (("ant", 30), ("bee", 220)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (8, 8), grey + number).save(tmp_path / "photos" / name / f"{number}.png")
    short = ["trainer=cpu", "trainer.max_epochs=1", "callbacks.figures=null", "hydra.run.dir=run"]
    images = ["data=image_folder", "data.root=photos", "data.size=8", "model=logistic_regression"]
    code, _, errors = experiments("train", *short, *images)
    assert code == 0, errors
    return tmp_path / "run"


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_a_refused_resume_changes_nothing(finished: Path, experiments: Experiments, status: str) -> None:
    record = json.loads((finished / "record.json").read_text())
    (finished / "record.json").write_text(json.dumps(record | {"status": status}))
    before = _files(finished)
    (finished.parent / "photos" / "bee").rename(finished.parent / "photos" / "wasp")
    code, _, errors = experiments("train", "resume=run", "trainer.max_epochs=3")
    assert code == 2 and "classes (ant, wasp) that are not those run has learned from (ant, bee)" in errors
    assert _files(finished) == before
    (finished.parent / "photos").rename(finished.parent / "elsewhere")
    sentence = "error: data.root=photos is not a folder"
    for command in ("train", "check"):
        code, _, errors = experiments(command, "resume=run", "trainer.max_epochs=3")
        assert code == 2 and errors.startswith(sentence)
        assert _files(finished) == before


@pytest.mark.slow
def test_a_stop_before_training_leaves_config_and_record_alike(
    finished: Path, experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise Interrupted(signal.SIGINT)

    before = _files(finished)
    with monkeypatch.context() as patch:
        patch.setattr(execute, "build_data", stopped)
        assert experiments("train", "resume=run", "trainer.max_epochs=3")[0] != 0
    assert _files(finished) == before
    code, output, _ = experiments("check", "resume=run", "trainer.max_epochs=3")
    assert code == 0 and "can run" in output and _files(finished) == before
    assert experiments("train", "resume=run", "trainer.max_epochs=3")[0] == 0
    assert json.loads((finished / "record.json").read_text())["settings"]["trainer.max_epochs"] == 3
    assert "max_epochs: 3" in (finished / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("command", "words", "sentence"),
    [
        ("train", ["resume=nowhere"], "nowhere does not exist: name the folder of a run"),
        ("check", ["resume=nowhere"], "nowhere does not exist: name the folder of a run"),
        ("check", ["resume=."], ". holds no config.yaml: name the folder of a run"),
        ("check", ["resume="], "resume= names no run: write resume=FOLDER, or leave it out to begin a new run"),
    ],
)
def test_check_refuses_what_train_refuses(
    experiments: Experiments, command: str, words: list[str], sentence: str
) -> None:
    assert experiments(command, *words) == (2, "", f"error: {sentence}\n")

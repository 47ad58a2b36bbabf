"""A project of the shape of lightning-hydra-template, moved in as docs/migrating.md says, through all commands."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

Experiments = Callable[..., tuple[int, str, str]]
PROJECT = Path(__file__).parents[1] / "fixtures" / "template_project"
WORDS = ("--config-dir", "conf", "experiment=example")


@pytest.fixture
def project(experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Experiments]:
    """The command, in a copy of the project."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield experiments
    for name in [name for name in sys.modules if name.split(".")[0] == "digits_project"]:
        del sys.modules[name]


def record_of(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


@pytest.mark.slow
def test_train_resume_and_evaluate(project: Experiments, tmp_path: Path) -> None:
    exact = (*WORDS, "callbacks=none")  # with our checkpoints, which keep the state of the random generators
    code, _, errors = project("train", *exact, "hydra.run.dir=parts", "trainer.max_epochs=1")
    assert code == 0, errors
    code, _, errors = project("train", "resume=parts", "trainer.max_epochs=2")
    assert code == 0, errors
    assert project("train", *exact, "hydra.run.dir=once")[0] == 0
    parts, once = record_of(tmp_path / "parts"), record_of(tmp_path / "once")
    assert parts["metrics"] == once["metrics"], "a resumed run ends where an uninterrupted one ends"
    code, _, errors = project("train", *WORDS, "hydra.run.dir=whole", "logger=csv_mine")
    assert code == 0, errors
    whole = record_of(tmp_path / "whole")
    code, _, errors = project("train", *WORDS, "hydra.run.dir=half", "logger=csv_mine", "trainer.max_epochs=1")
    assert code == 0, errors
    assert project("train", "resume=half", "trainer.max_epochs=2")[0] == 0
    assert record_of(tmp_path / "half")["metrics"] == whole["metrics"], "with Lightning's own ModelCheckpoint too"
    assert whole["judged"] == {"metric": "val/acc", "mode": "max"} and whole["best_epoch"] in (1, 2)
    assert list((tmp_path / "whole" / "csv").rglob("metrics.csv"))
    code, output, errors = project("evaluate", "whole")
    assert code == 0 and f"{whole['metrics']['test/acc']:.4f}" in output, errors
    last = torch.load(tmp_path / "whole" / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["hyper_parameters"]["compile"] is False


@pytest.mark.slow
def test_sweep_with_seeds_compare_and_search(project: Experiments) -> None:
    short = (*WORDS, "trainer.max_epochs=1", "callbacks=none", "logger=none")
    code, output, errors = project("train", "-m", *short, "seed=0,1", "task.net.hidden=4,8", "hydra.sweep.dir=sweep")
    assert code == 0, errors
    assert "experiments predict" not in output
    code, output, _ = project("compare", "sweep")
    assert code == 0 and "task.net.hidden" in output
    code, output, errors = project(
        "train", "-m", *short, "sweep=digits_optuna", "hydra/sweeper=optuna", "hydra.sweep.dir=found"
    )
    assert code == 0 and "2 finished" in output, errors


def test_a_search_without_m_is_refused(project: Experiments) -> None:
    code, _, errors = project("check", *WORDS, "sweep=digits_optuna")
    assert code == 2 and "add -m" in errors


def test_what_the_template_writes_is_answered(project: Experiments, tmp_path: Path) -> None:
    """The line that everybody keeps at first."""
    file = tmp_path / "conf" / "experiment" / "example.yaml"
    text = file.read_text().replace("  - /task: digits_net\n", "")
    file.write_text(
        text.replace(
            "  - override /trainer: default\n", "  - override /trainer: default\n  - override /task: digits_net\n"
        )
    )
    code, _, errors = project("check", *WORDS)
    assert code == 2 and "- /task: NAME  without override" in errors

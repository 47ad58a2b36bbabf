"""One switch turns all stand-ins off; results stay, and the record says which were on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments import speedups
from tests.conftest import Command

WORDS = (
    "train",
    "data=digits",
    "model=logistic_regression",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "hydra.run.dir=run",
)


@pytest.mark.slow
def test_the_switch_turns_all_off_and_changes_no_result(
    command: Command, experiments: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EXPERIMENTS_PLAIN", raising=False)
    monkeypatch.setattr(speedups, "_used", set())  # not what earlier tests of this process turned on
    code, _, errors = experiments(*WORDS[:-1], "hydra.run.dir=run0")
    assert code == 0, errors
    done = command(*WORDS[:-1], "hydra.run.dir=run1", env={"EXPERIMENTS_PLAIN": "1"})
    assert done.returncode == 0, done.stderr
    records = {plain: json.loads((tmp_path / f"run{plain}" / "record.json").read_text()) for plain in ("0", "1")}
    assert records["1"]["environment"]["speedups"] == []
    assert "training_loop" in records["0"]["environment"]["speedups"]
    assert records["0"]["metrics"] == records["1"]["metrics"]


@pytest.mark.slow
def test_the_record_lists_what_was_on_to_the_end(command: Command, tmp_path: Path) -> None:
    """Also what draws the pictures, after training, and what ends the process."""
    done = command(*WORDS, env={"EXPERIMENTS_PLAIN": "0"})
    assert done.returncode == 0, done.stderr
    in_use = json.loads((tmp_path / "run" / "record.json").read_text())["environment"]["speedups"]
    assert {"lean_imports", "training_loop", "png", "process_exit"} <= set(in_use)


def test_an_unknown_lightning_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from lightning.pytorch import Trainer

    from experiments.speedups import training_loop

    monkeypatch.setattr(training_loop, "_KNOWN", {})
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    assert not training_loop.install(trainer)
    assert "Lightning's own loop runs" in caplog.text

"""The options of `debug=`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
WORDS = ("model=logistic_regression", "data.limit=150", "trainer=cpu", "hydra.run.dir=run", "logger=csv")


def test_overfit_draws_the_same_batch_in_every_epoch(experiments: Run, tmp_path: Path) -> None:
    code, _, errors = experiments(
        "train", "debug=overfit", *WORDS, "trainer.max_epochs=3", "optimizer=sgd", "optimizer.lr=1e-12"
    )
    assert code == 0, errors
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [row["train/loss"] for row in csv.DictReader(file) if row["train/loss"]]
    assert len(losses) == 3
    assert len(set(losses)) == 1


def test_profile_prints_lightning_s_table(experiments: Run, caplog: pytest.LogCaptureFixture) -> None:
    code, output, errors = experiments("train", "debug=profile", *WORDS, "trainer.limit_train_batches=2")
    assert code == 0, errors
    assert "run_training_epoch" in output + errors + caplog.text


def test_a_machine_s_own_defaults(experiments: Run, tmp_path: Path) -> None:
    own = tmp_path / "conf" / "local" / "default.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ntrainer:\n  max_epochs: 7\n")
    code, output, errors = experiments("train", "--config-dir", "conf", "--cfg", "job")
    assert code == 0, errors
    assert "max_epochs: 7" in output

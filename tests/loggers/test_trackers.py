"""Trackers as one word: what they are told, and what is said where their package is missing."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.loggers import trackers

Run = Callable[..., tuple[int, str, str]]
QUICK = ("model=logistic_regression", "data.limit=100", "trainer=quick", "trainer.accelerator=cpu", "hydra.run.dir=run")


@pytest.mark.parametrize("name", trackers.PACKAGES)
def test_a_missing_package_is_refused_before_anything_is_written(
    name: str, experiments: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None)
    for command in ("check", "train"):
        code, _, errors = experiments(command, f"logger={name}", *QUICK)
        assert code == 2
        assert f"logger={name} needs the package" in errors
        assert f"pip install 'lightning-experiments[{name}]'" in errors
    assert not (tmp_path / "run").exists()


def test_mlflow_is_told_of_choices_config_metrics_and_pictures(experiments: Run, tmp_path: Path) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package)
    code, _, errors = experiments("train", "logger=mlflow", *QUICK)
    assert code == 0, errors
    run = json.loads((tmp_path / "run" / "trackers.json").read_text())["mlflow"]
    with sqlite3.connect(tmp_path / "mlflow.db") as base:
        ask = lambda words: dict(base.execute(words, (run,)).fetchall())  # noqa: E731
        tags = ask("select key, value from tags where run_uuid=?")
        parameters = ask("select key, value from params where run_uuid=?")
        metrics = ask("select key, value from latest_metrics where run_uuid=?")
    assert tags["model"] == "logistic_regression" and tags["mlflow.runName"] == "run"
    assert parameters["config/data/limit"] == "100"
    record = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert metrics["test/accuracy"] == pytest.approx(record["test/accuracy"], abs=1e-6)
    assert list(tmp_path.glob(f"mlruns/*/{run}/artifacts/figures/confusion.png"))


@pytest.mark.slow
def test_wandb_writes_offline_with_name_group_tags_and_pictures(
    experiments: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    words = ("logger=wandb", "logger.wandb.offline=true", "trainer=quick", "trainer.accelerator=cpu")
    code, _, errors = experiments(
        "train", "-m", "model=logistic_regression", "data.limit=100", *words, "hydra.sweep.dir=sweep", "seed=0,1"
    )
    assert code == 0, errors
    for run in (tmp_path / "sweep").glob("*_seed=*"):
        (kept,) = run.glob("wandb/offline-run-*/*.wandb")
        content = kept.read_bytes()
        for word in (run.name.encode(), b"sweep", b"model=logistic_regression", b"test/accuracy"):
            assert word in content
        assert json.loads((run / "trackers.json").read_text())["wandb"] in kept.name
        assert list(run.glob("wandb/offline-run-*/files/media/images/figures/confusion*.png"))


def test_comet_writes_the_archive_of_an_offline_run() -> None:
    """Only where its experiment is ended: a command leaves no time for it when Python exits."""
    from experiments.loggers.trackers import finish

    ended: list[bool] = []

    class CometLogger:
        class experiment:
            @staticmethod
            def end() -> None:
                ended.append(True)

    finish(CometLogger(), well=True)
    assert ended == [True]


@pytest.mark.parametrize("before", [None, "1"])
def test_comet_leaves_its_variable_as_it_was(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later run of the same process, `logger.comet.offline=false`, would be offline too."""
    import lightning.pytorch.loggers as loggers

    seen: list[str | None] = []
    monkeypatch.setattr(trackers, "find_spec", lambda package: True)
    monkeypatch.setattr(loggers, "CometLogger", lambda **given: seen.append(os.environ.get("COMET_START_ONLINE")))
    if before is None:
        monkeypatch.delenv("COMET_START_ONLINE", raising=False)
    else:
        monkeypatch.setenv("COMET_START_ONLINE", before)
    for offline in (True, False):
        trackers.comet(str(tmp_path), "mine", offline, {})
    assert seen == ["0", before] and os.environ.get("COMET_START_ONLINE") == before

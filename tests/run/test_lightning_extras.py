"""Callbacks and loggers of Lightning, each as its own documentation has it, on a tiny run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Experiments = Callable[..., tuple[int, str, str]]
SMALL = (
    "data=digits", "model=logistic_regression", "data.limit=64", "data.batch_size=32", "trainer.max_epochs=2",
    "callbacks=none", "hydra.run.dir=run",
)  # fmt: skip
CALLBACKS = {
    "BackboneFinetuning": (),
    "BatchSizeFinder": ("max_trials=1", "init_val=4"),
    "DeviceStatsMonitor": (),
    "EMAWeightAveraging": ("decay=0.9",),
    "EarlyStopping": ("monitor=val/loss", "patience=0"),
    "GradientAccumulationScheduler": ("scheduling={0: 2}",),
    "LearningRateFinder": ("num_training_steps=5",),
    "LearningRateMonitor": ("logging_interval=step",),
    "ModelCheckpoint": ("monitor=val/loss", "filename='{epoch}-{val/loss:.2f}'", "auto_insert_metric_name=false"),
    "ModelSummary": ("max_depth=2",),
    "RichProgressBar": (),
    "StochasticWeightAveraging": ("swa_lrs=0.01", "swa_epoch_start=1"),
    "TQDMProgressBar": ("refresh_rate=1",),
    "Timer": ("duration=00:00:10:00",),
}
REFUSED = {  # which ask for attributes that our tasks have not
    "LearningRateFinder": "should have one of these fields: ('lr', 'learning_rate')",
    "BackboneFinetuning": "has no attribute 'backbone'): leave it out, and choose freezing=gradual",
}
LOGGERS = {
    "CSVLogger": "metrics.csv",
    "TensorBoardLogger": "events.out.tfevents.*",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_of_lightning(experiments: Experiments, tmp_path: Path, caplog: Any, name: str) -> None:
    keys = [f"callbacks.mine.{word.partition('=')[0]}='{word.partition('=')[2]}'" if ":" in word and "{" not in word
            else f"callbacks.mine.{word}" for word in CALLBACKS[name]]  # fmt: skip
    target = f"callbacks.mine._target_=lightning.pytorch.callbacks.{name}"
    code, output, errors = experiments("train", *SMALL, "logger=csv", "trainer.log_every_n_steps=1", target, *keys)
    if name in REFUSED:
        assert code == 2 and REFUSED[name] in errors and f"callbacks.mine ({name}) does not fit this run" in errors, (
            errors
        )
        return
    assert code == 0, errors
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["status"] == "finished"
    if name in ("EMAWeightAveraging", "StochasticWeightAveraging"):
        assert record["tested"]["weights"] == "averaged"
    if name == "ModelCheckpoint":
        (kept,) = [path.name for path in (tmp_path / "run").rglob("?-*.ckpt")]
        assert kept == f"{record['best_epoch'] - 1}-{record['metrics']['val/loss']:.2f}.ckpt"
    if name == "ModelSummary":
        assert "Trainable params" in output + errors + caplog.text
    if name == "DeviceStatsMonitor":
        assert "DeviceStatsMonitor" in (tmp_path / "run" / "metrics.csv").read_text()


@pytest.mark.slow
def test_a_file_name_with_braces_says_what_to_type(experiments: Experiments, tmp_path: Path) -> None:
    target = "callbacks.mine._target_=lightning.pytorch.callbacks.ModelCheckpoint"
    code, _, errors = experiments("train", *SMALL, target, "callbacks.mine.filename={epoch}-{val_loss:.2f}")
    assert code == 2
    typed = "callbacks.mine.filename='{epoch}-{val_loss:.2f}'"
    assert f'"{typed}"' in errors
    for command in ("check", "train"):  # Lightning would write val_loss=0.00
        code, _, errors = experiments(command, *SMALL, target, typed)
        assert (
            code == 2
            and "names val_loss, which is no metric of this run: choose one of" in errors
            and "val/loss" in errors
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["EMAWeightAveraging", "StochasticWeightAveraging"])
def test_averaged_weights_beside_a_checkpoint_of_lightning(experiments: Experiments, tmp_path: Path, name: str) -> None:
    words = [f"callbacks.average._target_=lightning.pytorch.callbacks.{name}"]
    words += [f"callbacks.average.{word}" for word in CALLBACKS[name]]
    words += [
        "callbacks.checkpoint=null",
        "callbacks.keep._target_=lightning.pytorch.callbacks.ModelCheckpoint",
        "callbacks.keep.monitor=val/loss",
    ]
    code, _, errors = experiments("train", *SMALL, "logger=none", *words)
    assert code == 0, errors
    assert json.loads((tmp_path / "run" / "record.json").read_text())["tested"]["weights"] == "averaged"
    code, _, errors = experiments("evaluate", "run")
    assert code == 0, errors


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_of_lightning(experiments: Experiments, tmp_path: Path, name: str) -> None:
    words = (f"logger.mine._target_=lightning.pytorch.loggers.{name}", "logger.mine.save_dir=logs")
    code, _, errors = experiments("train", *SMALL, "logger=none", *words)
    assert code == 0, errors
    assert list((tmp_path / "logs").rglob(LOGGERS[name]))

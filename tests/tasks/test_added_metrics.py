"""Metrics that the command line adds to a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]
KAPPA = ("task.metrics.kappa._target_=torchmetrics.CohenKappa", "task.metrics.kappa.task=multiclass")


@pytest.mark.slow
def test_a_metric_by_its_class_is_of_the_whole_test_part(experiments: Run, tmp_path: Path) -> None:
    words = (
        "model=logistic_regression",
        "data.limit=200",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "callbacks.figures=null",
    )
    watched = ("callbacks.checkpoint.monitor=val/kappa", "callbacks.checkpoint.mode=max")
    code, output, errors = experiments("train", *words, *KAPPA, *watched, "logger=csv", "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    counts = np.array(record["confusion"], dtype=float)
    seen, chance = np.trace(counts) / counts.sum(), (counts.sum(0) @ counts.sum(1)) / counts.sum() ** 2
    assert record["metrics"]["test/kappa"] == pytest.approx((seen - chance) / (1 - chance), abs=1e-5)
    assert "val/kappa" in (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    code, output, errors = experiments("evaluate", "run", "data.batch_size=7")
    assert code == 0, errors
    assert f"{record['metrics']['test/kappa']:.4f}" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["task.metrics.auroc.task=multiclass"], "task.metrics.auroc names no class"),
        (["data=generated_boxes", *KAPPA], "counts its metrics in its own way: leave task.metrics out"),
    ],
)
def test_what_cannot_be_counted_is_refused(words: list[str], sentence: str, experiments: Run) -> None:
    code, _, errors = experiments("check", *words)
    assert code == 2
    assert sentence in errors


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("BinaryAUROC", "cannot be computed of this task's predictions"),
        ("MulticlassROC", "gives several values and a metric is one number"),
        ("MulticlassConfusionMatrix", "gives values of shape (10, 10) and a metric is one number"),
    ],
)
def test_what_is_no_number_of_this_task_is_refused(name: str, sentence: str, experiments: Run) -> None:
    words = ("model=logistic_regression", "data.limit=64", "trainer=quick", "callbacks=none", "logger=none")
    chosen = f"task.metrics.theirs._target_=torchmetrics.classification.{name}"
    code, _, errors = experiments("train", *words, chosen, "hydra.run.dir=run")
    assert code == 2
    assert sentence in errors

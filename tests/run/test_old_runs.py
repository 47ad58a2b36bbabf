"""Run folders written by an earlier version, whose classes had other names, are still read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.run.old_names import renamed

FIXTURES = Path(__file__).parents[1] / "fixtures"
Experiments = Callable[..., tuple[int, str, str]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for name in ("digits", "reviews"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["digits", "reviews"])
def test_an_old_run_gives_its_recorded_metrics_again(name: str, old: Path, experiments: Experiments) -> None:
    code, output, errors = experiments("evaluate", name)
    assert code == 0, errors
    metrics = json.loads((old / name / "record.json").read_text())["metrics"]
    assert f"{metrics['test/accuracy']:.4f}" in output


def test_an_old_run_predicts_and_goes_on(old: Path, experiments: Experiments) -> None:
    code, output, errors = experiments("predict", "reviews", "a wonderful film")
    assert code == 0 and "pos" in output, errors
    code, _, errors = experiments("train", "resume=digits", "trainer.max_epochs=3")
    assert code == 0, errors
    assert len((old / "digits" / "metrics.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_old_and_new_runs_share_a_cell(old: Path, experiments: Experiments) -> None:
    words = ["data=digits", "model=logistic_regression", "trainer.max_epochs=2", "scheduler=cosine", "seed=1"]
    assert experiments("train", *words, "callbacks=none", "logger=csv", "hydra.run.dir=new")[0] == 0
    code, output, errors = experiments("compare", "digits", "new", "--csv", "-")
    assert code == 0, errors
    assert len(output.strip().splitlines()) == 2


def test_names_of_today_stay() -> None:
    assert renamed("experiments.data.mnist.MNIST") == "experiments.data.images.mnist.MNIST"
    assert renamed("experiments.data.control.control_data.Control") == "experiments.data.control.control_data.Control"
    assert renamed("experiments.run.python_objects.network") == "experiments.run.python_objects.network"
    for name in (
        "experiments.data.images.mnist.MNIST",
        "experiments.data.text.text_table.TextTable",
        "mine.data.mnist.X",
    ):
        assert renamed(name) == name

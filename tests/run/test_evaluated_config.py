"""A finished run tested again under another measure; the network stays what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from experiments.run.instantiate import locate

Experiments = Callable[..., tuple[int, str, str]]
OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "task").glob("[a-z]*.yaml"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("finished") / "run"
    words = ["data=digits", "data.limit=64", "model=logistic_regression", "trainer.max_epochs=1"]
    assert main(["train", *words, "logger=none", "callbacks.figures=null", f"hydra.run.dir={folder}"]) == 0
    return folder


def shown(output: str) -> dict[str, float]:
    return {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}


@pytest.mark.slow
def test_keys_that_change_the_measure_alone_are_taken(finished: Path, experiments: Experiments) -> None:
    auroc = "task.metrics.auroc._target_=torchmetrics.classification.MulticlassAUROC"
    code, output, errors = experiments("evaluate", str(finished))
    assert code == 0, errors
    before = shown(output)
    code, output, errors = experiments("evaluate", str(finished), "task.label_smoothing=0.5", auroc)
    assert code == 0, errors
    after = shown(output)
    assert after["test/accuracy"] == before["test/accuracy"] and after["test/loss"] != before["test/loss"]
    assert 0 < after["test/auroc"] <= 1 and "test/auroc" not in before
    code, _, errors = experiments("evaluate", str(finished), "task.label_smoothing=2")
    assert code == 2 and "task.label_smoothing=2" in errors


@pytest.mark.parametrize("word", ["model.bias=false", "task.class_weights=balanced", "task=similarity", "seed=3"])
def test_what_would_change_the_network_names_the_keys_that_do_not(
    word: str, finished: Path, experiments: Experiments
) -> None:
    code, _, errors = experiments("evaluate", str(finished), word)
    assert code == 2
    assert errors.rstrip().endswith(
        f"{word} would evaluate another network than the run trained: override data or trainer, or of the task metrics, "
        "label_smoothing"
    )


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: path.stem)
def test_every_such_key_is_one_of_the_task(path: Path) -> None:
    node = yaml.safe_load(path.read_text())
    assert set(locate(node["_target_"]).test_keys) <= set(node)


@pytest.mark.slow
def test_a_run_of_a_named_sweep_is_tested_with_overrides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, experiments: Experiments
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=digits", "data.limit=64", "model=logistic_regression", "trainer.max_epochs=1", "logger=none"]
    code, output, errors = experiments(
        "train", "-m", "sweep=seeds", "seed=0", *words, "callbacks.figures=null", "hydra.sweep.dir=swept"
    )
    assert code == 0, output + errors
    run = next(Path("swept").glob("0_*"))
    code, output, errors = experiments("evaluate", str(run), "data.batch_size=16")
    assert code == 0 and "test/accuracy" in output, errors
    code, _, errors = experiments("evaluate", "swept", "data.batch_size=16")
    assert code == 2 and f"swept holds runs and is none: name one of them, as in {run}" in errors
    Path("swept/sweep.json").unlink()
    code, _, errors = experiments("train", "resume=swept")
    assert code == 2 and "experiments train -m resume=swept resumes all" in errors

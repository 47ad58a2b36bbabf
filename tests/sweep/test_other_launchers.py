"""Launchers and sweepers of Hydra's own really run the jobs; its keys that a run would not follow are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Experiments = Callable[..., tuple[int, str, str]]
SMALL = (
    "data=digits", "model=logistic_regression", "data.limit=64", "trainer.max_epochs=1", "callbacks=none", "logger=none",
)  # fmt: skip


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("record.json"))]


@pytest.mark.parametrize("words", [("hydra/launcher=basic",), ("hydra/launcher=basic", "hydra/sweeper=basic")])
def test_the_basic_launcher_runs_the_jobs(experiments: Experiments, tmp_path: Path, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("train", "-m", *SMALL, "seed=0,1", "hydra.sweep.dir=sweep", *words)
    assert code == 0, errors
    assert [(one["status"], one["choices"]["seed"]) for one in records(tmp_path / "sweep")] == [
        ("finished", 0),
        ("finished", 1),
    ]


def test_a_failure_has_its_exit_code_and_the_others_run(experiments: Experiments, tmp_path: Path) -> None:
    words = ("optimizer.lr=-1,0.1", "hydra/launcher=basic", "hydra.sweep.dir=sweep")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 2 and "1 of 2 runs failed" in errors and "optimizer.lr=-1" in errors
    assert [one["status"] for one in records(tmp_path / "sweep")] == ["finished"]


def test_checking_runs_nothing(experiments: Experiments, tmp_path: Path) -> None:
    words = ("seed=0,1", "hydra/launcher=basic", "hydra.sweep.dir=sweep")
    code, output, errors = experiments("check", "-m", *SMALL, *words)
    assert code == 0, errors
    assert "This sweep can run." in output and not records(tmp_path)


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("hydra.job.chdir=true", "${run.dir}"),
        ("+hydra.job.env_set.A=b", "set A in the shell"),
        ("hydra.output_subdir=.hydra", "leave it out"),
        ("+hydra.callbacks.mine._target_=hydra.experimental.callback.Callback", "callbacks.NAME._target_"),
        ("hydra.verbose=true", "EXPERIMENTS_DEBUG=1"),
    ],
)
def test_keys_that_a_run_would_not_follow_are_refused(experiments: Experiments, word: str, cure: str) -> None:
    for more in ((), ("-m", "seed=0,1")):
        code, _, errors = experiments("check", *more, *SMALL, word)
        assert code == 2 and "has no effect" in errors and cure in errors

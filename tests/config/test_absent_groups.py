"""Groups that are taken away, keys that nothing reads, and words of Hydra's own: each works, or is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.config.compose import compose

Experiments = Callable[..., tuple[int, str, str]]
SMALL = ("data=digits", "model=mlp")


@pytest.mark.slow
def test_groups_that_a_run_can_do_without(experiments: Experiments, tmp_path: Path) -> None:
    words = ("~logger", "callbacks=null", "~scheduler", "~freezing", "~precision", "~experiment", "data.limit=64")
    code, _, errors = experiments("train", *SMALL, *words, "trainer.max_epochs=1", "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["status"] == "finished" and not (tmp_path / "run" / "metrics.csv").exists()
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} >= {"best.ckpt", "last.ckpt"}
    code, output, errors = experiments("check", "-m", *SMALL, *words, "seed=0,1")
    assert code == 0 and "2 to run" in output, errors


def test_a_file_takes_a_group_away(experiments: Experiments, tmp_path: Path) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "bare.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /logger: null\n  - override /callbacks: null\n"
    )
    config = compose([*SMALL, "experiment=bare"], [str(tmp_path / "conf")])
    named = compose([*SMALL, "logger=none", "callbacks=none", f"hydra.run.dir={config.run.dir}"])
    assert (config.logger, config.callbacks) == (named.logger, named.callbacks)
    assert config.run.choices == {**named.run.choices, "experiment": "bare"}
    code, _, errors = experiments("check", "--config-dir", "conf", *SMALL, "experiment=bare")
    assert code == 0, errors


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("~trainer", "choose one, as in trainer=auto"),
        ("~data", "choose one, as in data=digits"),
        ("optimizer=null", "needs an optimizer and none is chosen: add optimizer=adam"),
        ("~model", "needs a model and none is chosen: add model=mlp"),
        ("~task", "names no task"),
        ("~seed", "set it instead, as in seed=…"),
        ("~features", "set its keys instead, as in features.cache=…"),
        ("~freezing.norm", "set it instead, as in freezing.norm=…"),
        ("+optimizer@second=sgd", "nothing reads second: choose the option itself, as in optimizer=sgd"),
        ("optimizer@second=sgd", "names a place that no option stands in: write optimizer=sgd"),
        ("hydra.job.name=mine", "nothing asks for it"),
        ("+hydra.mine=1", "Hydra reads no hydra.mine"),
        ("hydra.runtime.cwd=/", "Hydra fills hydra.runtime in"),
        ("hydra.searchpath=[nowhere]", "nowhere, which is no"),
        ("hydra.searchpath=[pkg://nowhere]", "hydra.searchpath names nowhere, which is not there"),
    ],
)
def test_what_would_have_no_effect_is_refused(experiments: Experiments, word: str, sentence: str) -> None:
    for more in ((), ("-m", "seed=0,1")):
        code, _, errors = experiments("check", *SMALL, *more, word)
        assert code == 2 and (sentence in errors or "which is not there" in errors), errors
        assert errors.count("error: ") == 1 and "Warning" not in errors


def test_a_key_that_another_refers_to_is_taken_and_a_remark() -> None:
    assert compose([*SMALL, "+note=1"]).note == 1
    config = compose(
        [*SMALL, "+rate=0.5", "optimizer.lr=${rate}", "+optimizer@second=sgd", "optimizer.eps=${second.lr}"]
    )
    assert config.optimizer.lr == 0.5 and config.optimizer.eps == config.second.lr
    words = [*SMALL, "hydra.job.name=mine", "hydra.run.dir=out/${hydra:job.name}"]
    assert compose(words).run.dir.endswith("out/mine")


@pytest.mark.slow
def test_searchpath_and_config_dir_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "experiment").mkdir(parents=True)
        (tmp_path / name / "experiment" / f"{name}.yaml").write_text("# @package _global_\nseed: 7\n")
        words = [*SMALL, f"hydra.searchpath=[file://{tmp_path}/one]"]
    for name in ("one", "two"):
        assert compose([*words, f"experiment={name}"], [str(tmp_path / "two")]).seed == 7


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config-name=mine"], "write experiment=mine"),
        (["--config-path", "mine"], "write --config-dir mine"),
        (["--experimental-rerun", "run"], "write resume=FOLDER"),
        (["--cfg"], "write --cfg job"),
        (["--info", "nothing"], "--info shows one of all"),
        (["--package", "model"], "add --cfg job"),
        (["--multi"], "did you mean --multirun"),
        (["-m", "hydra.run.dir=run", "seed=0,1"], "write hydra.sweep.dir=run"),
        (["hydra.sweep.dir=sweep"], "write hydra.run.dir=FOLDER, or add -m"),
    ],
)
def test_switches_are_followed_or_refused(experiments: Experiments, words: list[str], sentence: str) -> None:
    code, output, errors = experiments("train", *SMALL, *words)
    assert code == 2 and sentence in errors and not output
    assert errors.count("\n") == 1


def test_a_config_is_shown_in_part(experiments: Experiments) -> None:
    code, output, _ = experiments("train", "--cfg", "job", "--package", "optimizer", *SMALL)
    assert code == 0 and "lr: 0.001" in output and "callbacks" not in output


@pytest.mark.slow
def test_options_of_hydra_that_a_file_chooses(experiments: Experiments, tmp_path: Path) -> None:
    """Hydra would take those of our train.yaml in their place, without a word."""
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    for name, text in (
        ("base", "defaults:\n  - override /hydra/launcher: basic\n"),
        ("listed", "defaults:\n  - base\n  - _self_\n"),
        (
            "searched",
            "defaults:\n  - override /hydra/sweeper: optuna\nhydra: {sweeper: {params: {optimizer.lr: '0.1,0.2'}}}\n",
        ),
    ):
        (tmp_path / "conf" / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    words = (*SMALL, "--config-dir", "conf", "launcher.jobs=2", "seed=0,1")
    code, _, errors = experiments("check", "-m", *words, "experiment=listed")
    assert code == 2 and "hydra/launcher=basic" in errors
    code, _, errors = experiments("check", "-m", *words, "experiment=listed", "hydra/launcher=processes")
    assert code == 0, errors
    pytest.importorskip("optuna")
    code, output, errors = experiments("check", "-m", "--config-dir", "conf", *SMALL, "experiment=searched")
    assert code == 0 and "optimizer.lr in 0.1, 0.2" in output, errors
    code, _, errors = experiments("check", "--config-dir", "conf", *SMALL, "experiment=searched")
    assert code == 2 and "hydra/sweeper=optuna has no effect on one run: add -m" in errors

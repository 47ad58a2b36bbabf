"""Launchers and sweepers of Hydra's own really run the jobs; its keys that a run would not follow are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Experiments = Callable[..., tuple[int, str, str]]
SMALL = (
    "data=digits", "model=logistic_regression", "data.limit=64", "trainer.max_epochs=1", "callbacks=none", "logger=none",
)  # fmt: skip


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("record.json"))]


def plugin(monkeypatch: pytest.MonkeyPatch, kind: type) -> str:
    """Makes a class known to Hydra as a plugin of another package; gives its name."""
    from hydra.core.plugins import Plugins

    module = ModuleType("hydra_plugins.of_tests")
    kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
    setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    name = f"{module.__name__}.{kind.__name__}"
    monkeypatch.setitem(Plugins.instance().class_name_to_class, name, kind)
    return name


@pytest.mark.slow
@pytest.mark.parametrize("words", [("hydra/launcher=basic",), ("hydra/launcher=basic", "hydra/sweeper=basic")])
def test_the_basic_launcher_runs_the_jobs(experiments: Experiments, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\noptimizer: {lr: 0.01}\n")
    words = ("--config-dir", "own", "experiment=mine", "seed=0,1", "hydra.sweep.dir=sweep", *words)
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 0, errors
    assert [(name["status"], name["choices"]["seed"]) for name in records(tmp_path / "sweep")] == [
        ("finished", 0),
        ("finished", 1),
    ]
    code, output, errors = experiments("train", "-m", "resume=sweep")  # which knows the folder of configs
    assert code == 0 and "2 done already" in output, errors


@pytest.mark.slow
def test_a_cell_that_cannot_run_stops_the_sweep_or_is_left_out(experiments: Experiments, tmp_path: Path) -> None:
    words = ("optimizer.lr=-1,0.1", "hydra/launcher=basic", "hydra.sweep.dir=sweep")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 2 and "optimizer.lr=-1" in errors and not (tmp_path / "sweep").exists()
    code, output, errors = experiments("train", "-m", *SMALL, *words, "launcher.on_invalid=skip")
    assert code == 0, errors
    assert "1 that cannot run" in output
    assert [path.parent.name for path in tmp_path.rglob("record.json")] == ["0_lr=0.1"]
    code, output, errors = experiments("train", "-m", "resume=sweep")
    assert code == 0 and "1 done already" in output, errors


@pytest.mark.slow
def test_a_failure_has_its_exit_code_and_the_others_run(experiments: Experiments, tmp_path: Path) -> None:
    lost = tmp_path / "lost.ckpt"
    words = (f"weights=null,{lost}", "hydra/launcher=basic", "hydra.sweep.dir=sweep")
    experiments("train", *SMALL, "hydra.run.dir=run")
    lost.write_bytes(b"no checkpoint")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 1 and "1 of 2 runs failed" in errors and "lost.ckpt" in errors
    assert sorted(name["status"] for name in records(tmp_path / "sweep")) == ["failed", "finished"]


def test_a_launcher_that_fails_leaves_records(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra.plugins.launcher import Launcher

    class Broken(Launcher):
        def setup(self, **keywords: object) -> None: ...
        def launch(self, job_overrides: object, initial_job_idx: int) -> None:
            raise RuntimeError("no queue here")

    name = plugin(monkeypatch, Broken)
    words = ("seed=0,1", "hydra/launcher=basic", f"hydra.launcher._target_='{name}'", "hydra.sweep.dir=sweep")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 1 and "no queue here" in errors
    assert [name["status"] for name in records(tmp_path / "sweep")] == ["failed", "failed"]


@pytest.mark.parametrize("sweeper", ["cells", "basic"])
def test_settings_of_our_own_launchers_are_refused(experiments: Experiments, tmp_path: Path, sweeper: str) -> None:
    words = ("seed=0,1", "hydra/launcher=basic", f"hydra/sweeper={sweeper}", "launcher.jobs=2", "hydra.sweep.dir=sweep")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 2 and "launcher.jobs=2 has no effect with hydra/launcher=basic" in errors
    assert not records(tmp_path)


@pytest.mark.slow
def test_a_sweeper_of_another_package_learns_what_a_run_is_judged_by(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    seen: list[float] = []

    class Greedy(BasicSweeper):
        def sweep(self, arguments: list[str]) -> list:
            returns = super().sweep(arguments)
            seen.extend(job.return_value for batch in returns for job in batch)
            return returns

    name = plugin(monkeypatch, Greedy)
    sweeper = ("hydra/sweeper=basic", f"hydra.sweeper._target_='{name}'", "hydra/launcher=basic")
    code, _, errors = experiments("train", "-m", *SMALL, "seed=0,1", *sweeper, "hydra.sweep.dir=sweep")
    assert code == 0, errors
    assert seen == [name["metrics"]["val/accuracy"] for name in records(tmp_path / "sweep")]


def test_a_search_of_ours_wants_our_launcher(experiments: Experiments) -> None:
    words = ("optimizer.lr='interval(0.01,0.1)'", "hydra/sweeper=optuna", "hydra/launcher=basic")
    code, _, errors = experiments("train", "-m", *SMALL, *words)
    assert code == 2 and "leave hydra/launcher at processes" in errors


def test_both_can_be_chosen_where_a_plugin_has_an_option_of_the_same_name() -> None:
    from hydra.core.config_store import ConfigStore

    from hydra_plugins.experiments_names import NamesOfOurs

    store = ConfigStore.instance()
    store.store(group="hydra/launcher", name="ray", node={"_target_": "theirs"}, provider="ray_launcher")
    try:
        NamesOfOurs().manipulate_search_path(None)  # type: ignore[arg-type]
        there = store.list("hydra/launcher")
        assert "ray.yaml" not in there and "ray_of_ray_launcher.yaml" in there
    finally:
        store.repo["hydra"]["launcher"].pop("ray_of_ray_launcher.yaml", None)


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
        ("hydra.job.env_set.A=b", "set A in the shell"),
        ("hydra.callbacks.mine._target_=mine.Callback", "callbacks.NAME._target_"),
        ("hydra.output_subdir=.hydra", "leave it out"),
        ("+hydra.callbacks.mine._target_=hydra.experimental.callback.Callback", "callbacks.NAME._target_"),
        ("hydra.verbose=true", "EXPERIMENTS_DEBUG=1"),
        ("hydra/job_logging=default", "-q or -v"),
        ("hydra/job_logging=colorlog", "-q or -v"),
        ("hydra.help.app_name=mine", "-q or -v"),
    ],
)
def test_keys_that_a_run_would_not_follow_are_refused(experiments: Experiments, word: str, cure: str) -> None:
    for more in ((), ("-m", "seed=0,1")):
        code, _, errors = experiments("check", *more, *SMALL, word)
        assert code == 2 and "has no effect" in errors and cure in errors


@pytest.mark.parametrize(
    ("word", "package"),
    [("hydra/launcher=rq", "hydra-rq-launcher"), ("hydra/sweeper=ax", "hydra-ax-sweeper")],
)
def test_a_plugin_that_is_not_installed_is_named(experiments: Experiments, word: str, package: str) -> None:
    code, _, errors = experiments("check", "-m", *SMALL, "seed=0,1", word)
    assert code == 2 and f"pip install {package} brings it" in errors


@pytest.mark.parametrize("word", ["hydra.mode=MULTIRUN", "hydra/launcher=basic", "hydra/sweeper=optuna"])
def test_what_makes_a_sweep_is_refused_for_one_run(experiments: Experiments, word: str) -> None:
    code, _, errors = experiments("check", *SMALL, word)
    assert code == 2 and "add -m" in errors

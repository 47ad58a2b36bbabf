"""What a sweep is going to do, found without running it: runs, conditions, shares, and what lies in the folder already."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from experiments.config.compose import settle
from experiments.config.fitting_task import with_fitting_task
from experiments.config.options import conf_dir, options
from experiments.errors import UserError
from experiments.sweep import conditions
from experiments.sweep.compose_runs import Composer
from experiments.sweep.expand import expand
from experiments.sweep.folder import LOCK, Entry, Sweep, at_work, differing, locked, read_sweep
from experiments.sweep.launch import make_plan
from experiments.sweep.prepare import claimed
from experiments.sweep.resources import Need, Pool


@pytest.fixture
def hydra_loader() -> Iterator[Any]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="experiments"):
        yield GlobalHydra.instance().hydra.config_loader  # type: ignore[union-attr]


def cells_by_group() -> list[list[str]]:
    """Runs in which every option of every group occurs."""
    groups = ("model", "data", "freezing", "precision", "trainer", "optimizer", "scheduler", "callbacks", "logger")
    columns = [[f"{group}={option}" for option in options(group)] for group in groups]
    rows = [[word for word in row if word] for row in itertools.zip_longest(*columns, fillvalue="")]
    rows = [[*row, "data.root=somewhere"] if "data=image_folder" in row else row for row in rows]
    # From 1.4 on Hydra refuses a job that would change its sweeper, as an option of `sweep` does.
    alone = ("experiment", "sweep") if hydra.__version__.startswith("1.3.") else ("experiment",)
    return rows + [[f"{group}={option}"] for group in alone for option in options(group)[:3]]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=3", "optimizer.lr=0.3", "data=mnist", "model=mlp"],
        ["model=mlp", "model.hidden=[16,8]", "data.size=12"],
        ["data=cifar10", "task=classification", "experiment=null"],
        ["+model.extra=3", "++trainer.profiler=simple", "data.limit=null"],
        ["~scheduler", "seed=1"],
        ["+new.deep.key='${seed}'", "seed=5"],
        ["+text='run ${seed} in ${run.dir}'"],
        ["weights='a b'", "callbacks.checkpoint.monitor=val/loss"],
        ["data.mean=[0.5]", "data.augment.flip=true"],
        ["+model={width: 3}"],
        ["data.augment={crop: 2}"],
        ["optimizer.lr=1e-3", "trainer.max_steps=-1", "data.root=/a/b"],
        ["callbacks=early_stopping", "callbacks.early_stopping.patience=2"],
        ["+here='${hydra:job.num}'"],
        ["logger=[csv,tensorboard]"],
    ],
    ids=" ".join,
)
def test_a_cell_is_what_hydra_composes(hydra_loader: Any, words: list[str]) -> None:
    agree(hydra_loader, [words])


@pytest.mark.slow
def test_every_option_is_what_hydra_composes(hydra_loader: Any) -> None:
    composer = agree(hydra_loader, cells_by_group())
    assert composer.by_hydra == 0, "the fast way serves all of our own configs"


def agree(loader: Any, runs: list[list[str]]) -> Composer:
    master = loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
    composer = Composer(loader, master, [])
    for words in runs:
        try:
            whole = with_fitting_task(words)
            theirs = loader.load_sweep_config(master, whole)
            theirs.hydra.job.num = 0
            theirs = settle(theirs, whole, [], "/somewhere/run")
        except Exception as error:
            with pytest.raises(type(error)):
                composer.compose(words, "/somewhere/run")
            continue
        ours = composer.compose(words, "/somewhere/run")
        assert ours == OmegaConf.to_container(theirs), words
        assert composer.compose(words, "/somewhere/run") == ours, "a second time gives the same"
    return composer


@pytest.mark.slow
def test_two_hundred_cells_are_composed_by_choices_of_groups(experiments: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[tuple[str, ...]] = []
    merge = Composer._merge

    def counted(self: Composer, groups: tuple[str, ...]) -> Any:
        if groups not in self._merged:
            merged.append(groups)
        return merge(self, groups)

    monkeypatch.setattr(Composer, "_merge", counted)
    words = [
        "data=shapes,digits",
        "model=mlp,lenet5,simple_cnn,logistic_regression,cifar10_cnn",
        "precision=32-true,bf16-mixed",
    ]
    code, output, errors = experiments("check", "-m", *words, "optimizer=adam,sgd", "seed=range(5)", "trainer=cpu")
    assert code == 0, errors
    assert "200 runs: 200 to run" in output
    assert 0 < len(merged) <= 2 * 5 * 2 * 2 + 1, "once for each choice of groups, whatever the seeds"


@pytest.mark.slow
def test_checking_a_sweep_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from experiments.cli import main; code = main(['check', '-m', 'model=mlp,lenet5', 'seed=0,1']);"
        "print(code, 'torch' in sys.modules, 'lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "0 False False", done.stderr
    assert list(tmp_path.iterdir()) == [], "a check writes nothing"


def test_products_pairs_and_lists() -> None:
    assert expand(["a=1,2", "b=x,y"]) == [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]
    assert expand(["a=range(3)", "b=x,y,z", "c=7"], ["a", "b"]) == [
        ["a=0", "b=x", "c=7"],
        ["a=1", "b=y", "c=7"],
        ["a=2", "b=z", "c=7"],
    ]
    assert len(expand(["a=1,2", "b=1,2", "c=1,2,3", "d=1,2,3"], [["a", "b"], ["c", "d"]])) == 6
    listed = expand(["seed=0,1", "a=1"], lists=[["a=2"], "a=3 b=4,5"])
    assert listed[:2] == [["seed=0", "a=2"], ["seed=1", "a=2"]]
    assert len(listed) == 2 + 4
    assert expand(["a=1,2", "a=3"]) == [["a=3"]], "the later word counts"
    assert expand(["~a", "+b=1", "c='x,y'", "d=[1,2]"]) == [["~a", "+b=1", "c='x,y'", "d=[1,2]"]]


@pytest.mark.parametrize(
    ("zipped", "sentence"),
    [(["a", "b"], "a 2, b 3"), (["a", "z"], "z, which this sweep does not set"), (["a", "a"], "twice")],
)
def test_pairs_that_cannot_be(zipped: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        expand(["a=1,2", "b=1,2,3"], zipped)


def test_conditions() -> None:
    config = {
        "run": {"choices": {"model": "mlp", "data": "digits"}},
        "seed": 3,
        "model": {"width": 8},
        "optimizer": {"lr": 0.1},
    }

    def holds(text: str) -> bool:
        return conditions.holds(conditions.parse(text), config)

    assert holds("model == 'mlp' and data in ['digits', 'mnist']")
    assert holds("not (seed < 3) and 0 < optimizer.lr <= 0.1")
    assert holds("model != 'lenet5' or nothing == 1")
    assert holds("model.width == 8 and model.depth == null and -1 < seed")
    assert not holds("seed not in (1, 2, 3)")
    assert not holds("model.depth > 1 or 1 >= model.depth or 'a' in model.depth"), "what is not there is not compared"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "model ==",
        "(lambda: 1)()",
        "[x for x in model]",
        "seed + 1 == 2",
        "model[0] == 'm'",
        "f'{seed}'",
        "5",
        "true and 1 < 2",
    ],
)
def test_conditions_are_never_executed(text: str) -> None:
    with pytest.raises(UserError, match=r"launcher\.exclude"):
        conditions.parse(text)


def test_conditions_name_what_they_do_not_know() -> None:
    config = {"run": {"choices": {"model": "mlp"}}, "seed": 3}
    with pytest.raises(UserError, match="did you mean model"):
        conditions.holds(conditions.parse("modle == 'mlp'"), config)
    with pytest.raises(UserError, match="cannot be compared"):
        conditions.holds(conditions.parse("model > 3"), config)
    with pytest.raises(UserError, match="compares nothing"):
        conditions.holds(conditions.parse("model"), config)


def test_no_core_is_promised_twice() -> None:
    pool = Pool(4, [])
    first = pool.take(Need(threads=2))
    second = pool.take(Need(processes=2, threads=1))
    assert first is not None
    assert second is not None
    assert pool.take(Need()) is None
    pool.give_back(first)
    assert pool.take(Need(threads=2)) is not None
    pool = Pool(2, [])
    large = pool.take(Need(processes=8))
    assert large is not None, "what needs more than there is runs alone"
    assert pool.take(Need()) is None


def test_gpus_are_a_pool() -> None:
    pool = Pool(16, ["4", "5", "7"])
    first, second = pool.take(Need(gpus=1)), pool.take(Need(processes=2, gpus=2))
    assert first is not None
    assert second is not None
    assert first.environment()["CUDA_VISIBLE_DEVICES"] == "4"
    assert second.environment()["CUDA_VISIBLE_DEVICES"] == "5,7"
    assert pool.take(Need(gpus=1)) is None
    pool.give_back(second)
    next_one = pool.take(Need(gpus=1))
    assert next_one is not None
    assert next_one.gpus == ["5"]
    assert pool.take(Need(gpus=2)) is None, "one is left"
    assert "CUDA_VISIBLE_DEVICES" not in Pool(1, []).take(Need()).environment()  # type: ignore[union-attr]


def test_gpus_are_shared_where_asked() -> None:
    pool = Pool(16, ["0", "1"], jobs_per_gpu=2)
    shares = [pool.take(Need(gpus=1)) for _ in range(4)]
    assert sorted(share.gpus[0] for share in shares if share) == ["0", "0", "1", "1"]
    assert pool.take(Need(gpus=1)) is None
    named = Pool(16, ["0", "1"]).take(Need(gpus=1, exactly=(1,)))
    assert named is not None
    assert named.gpus == ["1"]
    assert "CUDA_VISIBLE_DEVICES" not in named.environment(), "the config says which itself"


def test_a_list_of_cells_survives_its_loss(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, [Entry(0, "0_seed=1", "abc", {"seed": "1"}, ["seed=1"])], jobs=2)
    sweep.write()
    assert read_sweep(tmp_path).entries == sweep.entries
    (tmp_path / "0_seed=1").mkdir()
    (tmp_path / "0_seed=1" / "record.json").write_text(
        json.dumps({"status": "finished", "identity": "abc", "overrides": ["seed=1"]})
    )
    (tmp_path / "sweep.json").write_text('{"runs": [{"num')
    assert read_sweep(tmp_path).entries == sweep.entries
    (tmp_path / "0_seed=1" / "record.json").unlink()
    with pytest.raises(UserError, match="name the folder of a sweep"):
        read_sweep(tmp_path)


@pytest.mark.slow
def test_what_was_passed_over_is_kept_or_decided_anew(hydra_loader: Any, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)

    def plan(*runs: str, exclude: str | None = None) -> list[tuple[int, str, str]]:
        master = hydra_loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
        master.launcher.exclude = exclude
        sweep.entries = make_plan(master, [run.split() for run in runs], hydra_loader, sweep).entries
        return [(entry.number, entry.words[0], entry.plan) for entry in sweep.entries]

    first = plan("model=mlp seed=0", "model=lstm seed=0", "model=lenet5 seed=0", exclude="model=='lenet5'")
    assert first == [(0, "model=mlp", "run"), (1, "model=lenet5", "excluded"), (2, "model=lstm", "skipped")]
    assert plan("model=mlp seed=0", "model=mlp seed=1") == [*first, (3, "model=mlp", "run")]
    sweep.entries = sweep.entries[:-1]
    assert plan("model=lstm seed=0") == first, "it still cannot run"
    assert plan("model=lenet5 seed=0", "model=mlp seed=0", exclude="model=='mlp'") == [
        (0, "model=mlp", "excluded"),
        (2, "model=lstm", "skipped"),
        (3, "model=lenet5", "run"),
    ]


def test_a_folder_is_locked_by_one_process_at_a_time(tmp_path: Path) -> None:
    hold = f"from experiments.sweep.folder import locked\nfrom pathlib import Path\nimport time\nwith locked(Path({str(tmp_path)!r})):\n    print('mine', flush=True)\n    time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    assert at_work(tmp_path)
    with pytest.raises(UserError, match=f"process {process.pid}"), locked(tmp_path):
        pass
    process.kill()
    process.wait()
    assert not at_work(tmp_path), "the lock of a dead process is stale"
    with locked(tmp_path):
        pass


def test_a_sweep_that_comes_second_leaves_the_folder_of_the_first_alone(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    with locked(folder):  # its list is not written yet
        with pytest.raises(UserError, match="is at work"), claimed(folder):
            pass
        assert at_work(folder)
    with pytest.raises(UserError, match="refused"), claimed(folder):
        raise UserError("refused")
    assert not folder.exists()


def test_differences_are_named_by_key() -> None:
    assert differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [("a.c", 2, 3), ("d", None, 4)]


# Through the command


@pytest.mark.slow
def test_check_tells_duplicates_exclusions_and_the_impossible(experiments: Any) -> None:
    code, output, _ = experiments(
        "check", "-m", "model=mlp,mlp,lenet5", "seed=0,1", "trainer=cpu", "launcher.exclude=model=='lenet5' and seed>0"
    )
    assert code == 0
    assert "6 runs: 3 to run, 2 the same as another, 1 excluded" in output
    assert "the same: model=mlp seed=1 trainer=cpu is given again; it runs once" in output
    condition = "launcher.exclude=model.dropout>0.5"  # a key of the first alone
    _, output, errors = experiments("check", "-m", "model=mlp,logistic_regression", condition)
    assert "2 runs: 2 to run" in output, errors
    _, output, _ = experiments("check", "-m", "seed=0,1", "optimizer.lr=0.1,1e-1")
    assert "the same: seed=0 optimizer.lr=0.1 is given again" in output
    code, output, errors = experiments(
        "check", "-m", "model=mlp", "precision=16-mixed,32-true", "data.batch_size=0,8", "seed=range(30)", "trainer=cpu"
    )
    assert code == 2
    assert "skipped" not in output, "nothing runs"
    problems = errors.splitlines()
    assert len(problems) == 3
    assert any("data.batch_size=0 seed=0 (and 59 more): data.batch_size=0 must" in line for line in problems)
    assert any("needs a GPU" in line for line in problems)
    assert problems[2] == "error: launcher.on_invalid=skip leaves such runs out"
    code, output, _ = experiments(
        "check", "-m", "precision=16-mixed,32-true", "seed=0,1", "trainer=cpu", "launcher.on_invalid=skip"
    )
    assert code == 0
    assert "4 runs: 2 to run, 2 that cannot run" in output
    assert "\nskipped: precision=16-mixed seed=0 (and 1 more): " in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=mlp,mlq"], "did you mean mlp"),
        (["seed=0,1", "optimiser.lr=1"], "did you mean optimizer"),
        (["seed=0,1", "launcher.jobs=0"], "launcher.jobs=0"),
        (["seed=0,1", "launcher.timeout=-1"], "launcher.timeout=-1"),
        (["seed=0,1", "launcher.on_invalid=maybe"], "stop or skip"),
        (["seed=0,1", "optimizer.lr=interval(0,1)"], "list some"),
        (["seed=0,1", "model=mlp,lenet5,simple_cnn", "hydra.sweeper.zip=[seed,model]"], "seed 2, model 3"),
        (["seed=0,1", "launcher.exclude=sead>0"], "did you mean seed"),
        (["seed=0,1", "launcher.exclude=5"], "launcher.exclude=5 names no key"),
        (["seed=0,1", "launcher.exclude=optimizer.lrr>0.1"], "a key of no run: did you mean optimizer.lr"),
        (["seed=0,1", "optimizer.lr=range(3,3)"], "optimizer.lr=range(3,3) holds no value"),
        (["seed=0,1", "model=glob(zzz*)"], "model=glob(zzz*) holds no value"),
        (["resume=nowhere"], "nowhere"),
        (["seed=0,1", "launcher.jobs=1,2"], "launcher.jobs=1,2 has several values"),
        (["seed=0,1", "run.dir=a"], "write hydra.sweep.dir=a"),
        (["seed=0,1", "hydra.sweeper.zip=5"], "hydra.sweeper.zip=5 must be a list of keys"),
        (["seed=0,1", "hydra.sweeper.zip=seed"], "hydra.sweeper.zip=seed must be a list of keys"),
        (["seed=0,1", "hydra.sweeper.lists=[5]"], "hydra.sweeper.lists=[5] must be a list of lists"),
        (["seed=0,1", "hydra.sweeper.lists=abc"], "hydra.sweeper.lists=abc must be a list of lists"),
        (["seed=0,1", "hydra.sweeper.lists=[[abc]]"], "abc is no key=value"),
        (["seed=0,1", "hydra.sweeper.lists=['model=\"mlp']"], "a quote is never closed"),
        (["seed=0,1", "hydra.sweeper.params=5"], "hydra.sweeper.params=5 must be keys"),
    ],
)
def test_mistakes_are_one_sentence(experiments: Any, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("check", "-m", *words)
    assert code == 2, errors
    assert sentence in errors
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == 1


def test_a_sweep_that_is_not_there_is_named_by_train_too(experiments: Any) -> None:
    code, _, errors = experiments("train", "-m", "resume=nowhere")
    assert code == 2 and "nowhere holds no sweep.json: name the folder of a sweep" in errors


SWEEPS = {  # with what they need, how many runs they have, and how many with one seed
    "seeds": ([], 5, 1),
    "precision": ([], 12, 4),
    "learning_rate": ([], 18, 6),
    "small_images": ([], 18, 6),
    "memory": ([], 36, 12),
    "cells": ([], 45, 15),
    "attention": (["data=generated_pairs"], 6, 2),
    "latent_size": ([], 72, 24),
    "freezing_strategies": ([], 45, 15),
    "changed_physics": ([], 24, 8),
    "language_freezing": ([], 12, 4),
    "language_learning_curve": ([], 18, 6),
    "detection_transfer": ([], 9, 3),
}
PUBLISHED = {  # weights that a sweep starts from
    "language_freezing": "bert_tiny_splade",
    "language_learning_curve": "bert_tiny_splade",
    "detection_transfer": "mobilenet_v2-b0353104.pth",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", options("sweep"))
def test_named_sweeps_compose(experiments: Any, name: str) -> None:
    needs, count, of_one_seed = SWEEPS[name]
    weights = Path(os.environ.get("EXPERIMENTS_DATA", "data")) / "weights" / PUBLISHED.get(name, "")
    if name in PUBLISHED and not weights.exists():
        pytest.skip(f"{weights} is not there: set EXPERIMENTS_DATA")
    code, output, errors = experiments("check", "-m", f"sweep={name}", "trainer=cpu", *needs)
    assert code == 0, errors
    assert f"{count} runs:" in output
    code, output, _ = experiments("check", "-m", f"sweep={name}", "trainer=cpu", *needs, "seed=0")
    assert f"{of_one_seed} run" in output, "the command line counts"


def test_status_needs_a_sweep(experiments: Any, tmp_path: Path) -> None:
    for words in ([], ["nowhere"], [str(tmp_path)], ["--live"]):
        code, _, errors = experiments("status", *words)
        assert code == 2
        assert len(errors.splitlines()) == 1


def test_status_names_a_best_by_validation_for_each_dataset(experiments: Any, tmp_path: Path) -> None:
    values = [("digits", "accuracy", 0.5), ("digits", "accuracy", 0.75), ("ett", "mse", 0.3), ("ett", "mse", 0.2)]
    for number, (data, metric, value) in enumerate(values):
        record = {"status": "finished", "identity": str(number), "overrides": [f"seed={number}"]}
        record |= {
            "choices": {"task": "some", "data": data},
            "metrics": {f"val/{metric}": value, f"test/{metric}": 1 - value},
        }
        record |= {"judged": {"metric": "val/mse", "mode": "min"}} if data == "ett" else {}  # older records name none
        (tmp_path / f"{number}_cell").mkdir()
        (tmp_path / f"{number}_cell" / "record.json").write_text(json.dumps(record))
    code, output, _ = experiments("status", str(tmp_path))
    assert code == 0
    assert output.splitlines()[2:] == [
        "best so far (digits)  val/accuracy 0.7500  1_cell",
        "best so far (ett)  val/mse 0.2000  3_cell",
    ]


def test_status_says_how_to_go_on_as_a_shell_reads_it(experiments: Any, tmp_path: Path) -> None:
    (tmp_path / "w 1").mkdir()
    Sweep(tmp_path / "w 1", [Entry(0, "0_seed=1", "abc", {"seed": "1"}, ["seed=1"])]).write()
    _, output, _ = experiments("status", "w 1")
    assert "resume with: experiments train -m resume='w 1'\n" in output


@pytest.mark.slow
def test_the_path_of_a_dataset_is_no_identity_and_a_chosen_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.config.compose import compose
    from experiments.run.identity import identity

    def of(*words: str) -> str:
        return identity(OmegaConf.to_container(compose(list(words))))  # type: ignore[arg-type]

    monkeypatch.setenv("EXPERIMENTS_DATA", "/here")
    here = of("data=mnist")
    assert of("data=mnist", "trainer.threads=1", "launcher.jobs=2", "callbacks=none", "logger=none") == here
    assert of("data=mnist", "seed=1") != here
    assert of("data=image_folder", "data.root=/cats") != of("data=image_folder", "data.root=/dogs")
    monkeypatch.setenv("EXPERIMENTS_DATA", "/there")
    assert of("data=mnist") == here
    assert os.environ["EXPERIMENTS_DATA"] == "/there"


@pytest.mark.parametrize("folder", ["/a b, c=d", "/it's", '/a "quoted" one', "/a\\b", "/काम/दौड़"])
def test_the_folder_of_a_run_is_no_identity_whatever_its_letters(folder: str) -> None:
    from experiments.config.compose import compose
    from experiments.run.folder import moved
    from experiments.run.identity import identity, settings

    plain: Any = OmegaConf.to_container(compose(["data=digits"]))
    there = moved(plain, plain["run"]["dir"], folder)
    assert there["callbacks"]["checkpoint"]["dir"].startswith(folder)
    assert identity(there) == identity(plain) and settings(there) == settings(plain)


def test_other_code_is_told_by_hash_and_commit() -> None:
    from experiments.run.record import code_state
    from experiments.sweep.run_state import other_code

    here = code_state()
    assert other_code({"environment": here}) is None
    assert "package hash a there" in (other_code({"environment": here | {"package_hash": "a"}}) or "")
    assert "package hash None" in (other_code({}) or "")
    if here["git_commit"]:
        assert "git commit 000000000000 there" in (other_code({"environment": here | {"git_commit": "0" * 40}}) or "")
    assert other_code({"environment": here | {"git_commit": None}}) is None, "made where there was no git"


@pytest.mark.parametrize("command", ["train", "check"])
def test_what_a_sweep_would_ignore_is_refused(experiments: Any, command: str, tmp_path: Path) -> None:
    folder = f"hydra.sweep.dir={tmp_path / 's'}"
    code, _, errors = experiments(command, "-m", "seed=0,1", folder, "hydra.sweep.subdir=mine")
    assert code == 2 and len(errors.splitlines()) == 1
    assert "hydra.sweep.subdir=mine has no effect" in errors
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    dirs = ["--config-dir", str(tmp_path / "one"), "--config-dir", str(tmp_path / "two")]
    code, _, errors = experiments(command, "-m", "seed=0,1", folder, *dirs)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "--config-dir is given 2 times, and a sweep takes one: put the others into its hydra.searchpath" in errors
    assert not (tmp_path / "s").exists()


def test_a_callback_of_the_users_own_is_identity_under_any_name() -> None:
    from experiments.config.compose import compose
    from experiments.run.identity import identity

    def of(*words: str) -> str:
        return identity(OmegaConf.to_container(compose(list(words))))  # type: ignore[arg-type]

    own = "+callbacks.pruning={_target_: lightning.pytorch.callbacks.ModelPruning, amount: %s}"
    assert len({of(), of(own % 0.1), of(own % 0.9)}) == 3
    assert of() == of("callbacks.progress=null") == of("callbacks=none")


def test_weights_are_the_same_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hydra_loader: Any
) -> None:
    from experiments.config.compose import compose

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    here = compose(["weights=runs/one"]).weights
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert here == compose(["weights=../runs/one"]).weights == str(tmp_path / "runs" / "one")
    assert compose(["weights=pretrained", "model=resnet18"]).weights == "pretrained"


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()  # a lock that cannot be opened, to root neither
    with pytest.raises(UserError, match="cannot be written to"), locked(tmp_path):
        pass

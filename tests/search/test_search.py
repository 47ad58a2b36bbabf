"""Search: the space in Hydra's syntax, what is refused, and real searches that prune, fail, are killed and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.errors import UserError
from experiments.search.space import read_space

optuna = pytest.importorskip("optuna")

Experiments = Callable[..., tuple[int, str, str]]
SEARCH = ("-m", "hydra/sweeper=optuna")
SMALL = (
    *SEARCH, "data=digits", "data.limit=300", "model=mlp", "trainer=cpu", "trainer.max_epochs=4",
    "callbacks=none", "logger=none", "hydra.sweep.dir=found", "launcher.threads=1",
)  # fmt: skip
RATE = "optimizer.lr=tag(log, interval(1e-5, 1e-1))"


def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/record.json")}


def words_of(folder: Path) -> list[list[str]]:
    return [run["words"] for run in json.loads((folder / "sweep.json").read_text())["runs"]]


def settings(**changed: Any) -> Any:
    from experiments.search.settings import SearchSettings
    from experiments.sweep.objective import Objective

    usual = {"sampler": "tpe", "pruner": "none", "trials": 20, "startup": 5, "warmup": 1, "seed": 0}
    return SearchSettings(**(usual | {"objectives": (Objective("val/loss", True),)} | changed))


# The space


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("a=tag(log,interval(1e-4,1e-1))", "a from 0.0001 to 0.1 (log)"),
        ("a=interval(1,8)", "a from 1 to 8"),
        ("a=int(interval(1,8))", "a from 1 to 8 (whole)"),
        ("a=tag(log,int(interval(1,8)))", "a from 1 to 8 (whole,log)"),
        ("a=range(1,4)", "a from 1 to 3 (whole)"),
        ("a=range(8,0,-3)", "a from 2 to 8 (whole,steps of 3)"),
        ("a=range(0.,1,0.25)", "a from 0 to 0.75 (steps of 0.25)"),
        ("a=choice([64],[256])", "a in [64], [256]"),
        ("a=32,64", "a in 32, 64"),
        ("+a=sort(3,1)", "+a in 1, 3"),
    ],
)
def test_hydra_syntax(word: str, sentence: str) -> None:
    space = read_space(["b=1", word])
    assert [str(key) for key in space.keys] == [sentence]
    assert space.fixed == ("b=1",)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("a=tag(log,interval(0,1))", "begin above 0"),
        ("a=interval(2,1)", "write the lower bound first"),
        ("a=range(3,3)", "holds no value"),
        ("a=tag(log,range(1,9,2))", "steps of 1"),
        ("a=tag(log,choice(1,2))", "log is for intervals and ranges"),
        ("a=tag(ordinal,choice(1,2))", "and not ordinal"),
        ("a=glob(c*)", "matches no option of a group"),
        ("a=1", "a search needs a key to choose"),
    ],
)
def test_what_cannot_be_searched(word: str, sentence: str) -> None:
    loader = SimpleNamespace(get_group_options=lambda *args, **kwargs: ["b"])
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_space([word], loader)


def test_later_words_replace_earlier_ones_and_numbers_stay_within_bounds() -> None:
    space = read_space(["a=1,2", "a=tag(log,interval(0.000123454321,1))", "launcher.jobs=2", "search.trials=3"])
    assert [key.name for key in space.keys] == ["a"] and not space.fixed
    assert space.words({"a": 0.000123454321}) == ["a=0.000123454321"]
    assert space.words({"a": 0.0123456789}) == ["a=0.0123457"]
    assert len(read_space(["a=1,2", "b=range(0,3)"]).grid()) == 6


def test_corners_hold_every_choice_and_both_bounds() -> None:
    corners = list(read_space(["a=1,2,3", "b=interval(0,1)"]).corners())
    assert corners == [{"a": "1", "b": 0.0}, {"a": "2", "b": 0.0}, {"a": "3", "b": 0.0}, {"a": "1", "b": 1.0}]


# The sampler


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_a_search_taken_up_proposes_what_it_would_have(sampler: str, tmp_path: Path) -> None:
    from experiments.search.study import make_sampler, open_study

    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    space, chosen = read_space(["a=interval(0,1)", "b=tag(log,interval(1e-3,1))"]), settings(sampler=sampler)

    def proposals(folder: Path, goes: list[int]) -> list[dict[str, float]]:
        folder.mkdir()
        proposed = []
        for count in goes:
            study = open_study(optuna, folder, chosen, space)
            for _ in range(count):
                study.sampler = make_sampler(optuna, chosen, len(study.trials), 1)
                trial = study.ask()
                values = space.suggest(trial)
                study.tell(trial, (values["a"] - 0.3) ** 2 + values["b"])
                proposed.append(values)
        return proposed

    whole = proposals(tmp_path / "whole", [8])
    assert proposals(tmp_path / "parts", [3, 5]) == whole
    assert len({str(values) for values in whole}) == 8


@pytest.mark.slow
def test_another_search_in_the_folder_is_refused(tmp_path: Path) -> None:
    from experiments.search.study import open_study
    from experiments.sweep.objective import Objective

    space = read_space(["a=1,2"])
    study = open_study(optuna, tmp_path, settings(), space)
    accuracy = settings(objectives=(Objective("val/accuracy", False),))
    study = open_study(optuna, tmp_path, accuracy, space)  # nothing was told yet
    study.tell(study.ask(), 0.5)
    with pytest.raises(UserError, match=r"search\.metric is val/accuracy and not val/loss"):
        open_study(optuna, tmp_path, settings(), space)
    with pytest.raises(UserError, match="the space is a in 1, 2 and not a in 1, 3"):
        open_study(optuna, tmp_path, accuracy, read_space(["a=1,3"]))
    (tmp_path / "search.db").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="cannot be read"):
        open_study(optuna, tmp_path, accuracy, space)


# What is refused before anything runs


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search.metric=test/accuracy"], "take val/accuracy, or insist with search.allow_test=true"),
        (["search.metric=accuracy"], "is no metric"),
        (
            ["search.metric=val/nothing"],
            "does not say which way it improves: add search.direction=min or search.direction=max",
        ),
        (["search.sampler=tpee"], "choose from random, tpe, cmaes, grid"),
        (["search.sampler=grid"], "has no end of them"),
        (["search.sampler=cmaes"], "needs two keys with numbers"),
        (["search.metric=[val/accuracy,cost.seconds]", "search.pruner=median"], "can judge by one metric and not by 2"),
        (["search.metric=cost.seconds", "search.pruner=median"], "is known at its end"),
        (["search.direction=up"], "write min or max"),
        (["search.trials=0"], "a whole number, 1 or more"),
        (["model.hiden=[8],[16]"], "did you mean model.hidden"),
        (["launcher.jobs=1,2"], "a search has one launcher: give launcher.jobs one value"),
        (["launcher.exclude=optimizer.lrr>0.1"], "a key of no run: did you mean optimizer.lr"),
        (["launcher.exclude=optimizer.lrr>0.1", "launcher.on_invalid=skip"], "a key of no run"),
    ],
)
def test_refused(experiments: Experiments, words: list[str], sentence: str, tmp_path: Path) -> None:
    code, _, errors = experiments("train", *SMALL, RATE, *words)
    assert code == 2 and sentence in errors
    assert len(errors.strip().splitlines()) <= 2
    assert not (tmp_path / "found").exists()


@pytest.mark.slow
def test_check_says_what_a_search_would_do(experiments: Experiments, tmp_path: Path) -> None:
    code, output, _ = experiments("check", *SMALL, RATE, "model.hidden=choice([8],[16])")
    assert code == 0
    assert "search for greatest val/accuracy by tpe over optimizer.lr, model.hidden: 20 trials" in output
    assert "optimizer.lr from 1e-05 to 0.1 (log)" in output and "This search can run." in output
    assert not (tmp_path / "found").exists()
    skip = ("check", *SMALL, "launcher.on_invalid=skip")
    code, output, _ = experiments(*skip, "model=glob([mlp*,lst*,mobile*],exclude=mobile*)")
    assert code == 0 and "model in lstm, mlp\nskipped: model=lstm reads" in output
    assert output.endswith("This search can run.\n")
    code, output, _ = experiments(*skip, "model=gru,lstm")
    assert code == 0 and output.endswith("No end of this space can run.\n")
    code, _, errors = experiments("check", *SMALL, RATE, "data.limit=100,-5")
    assert code in (0, 2) and "Traceback" not in errors


def test_without_optuna_one_sentence_says_how_to_get_it(
    experiments: Experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, errors = experiments("train", *SMALL, RATE)
    assert code == 2 and "pip install 'optuna>=4'" in errors


def test_the_monitor_is_read_without_importing_the_task() -> None:
    from experiments.search.settings import written_monitor

    assert written_monitor("experiments.tasks.classification.Classification") == ("val/accuracy", "max")
    assert written_monitor("experiments.tasks.classification.Nothing") is None


# Real searches


@pytest.mark.slow
def test_a_search_prunes_finishes_and_goes_on(experiments: Experiments, tmp_path: Path) -> None:
    words = (*SMALL, RATE, "search.trials=7", "search.pruner=median", "search.startup=2", "launcher.jobs=1")
    code, output, errors = experiments("train", *words)
    assert code == 0, errors
    trials = records(tmp_path / "found")
    assert {record["status"] for record in trials.values()} == {"finished", "pruned"} and len(trials) == 7
    pruned = next(record for record in trials.values() if record["status"] == "pruned")
    assert pruned["error"].startswith("pruned after epoch") and pruned["metrics"]["val/accuracy"] is not None
    best = max(record["metrics"]["val/accuracy"] for record in trials.values() if record["status"] == "finished")
    assert f"{best:.6g}" in output and "repeat the best: experiments train data=digits" in output
    assert "test/accuracy" not in output  # whoever chooses must not see it
    output = experiments("status", "found")[1]
    assert f"best so far  val/accuracy {best:.6g}  " in output and "test/accuracy" not in output

    before = {name: record["started"] for name, record in trials.items()}
    code, output, errors = experiments("train", "-m", "resume=found", "search.trials=8")
    assert code == 0, errors
    after = records(tmp_path / "found")
    assert "7 done already" in output and len(after) == 8
    assert {name: after[name]["started"] for name in before} == before
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/found/search.db")
    assert all(trial.state.is_finished() for trial in study.trials) and study.metric_names == ["val/accuracy"]


@pytest.mark.slow
def test_a_failing_trial_does_not_stop_a_grid(experiments: Experiments, tmp_path: Path) -> None:
    words = (*SMALL, "search.sampler=grid", "data.augment.crop=-1,0", "model.hidden=[8],[16]", "launcher.jobs=2")
    exclude = "launcher.exclude=data.augment.crop < 0 and model.hidden == [16]"
    code, output, errors = experiments("train", *words, exclude)
    assert code == 1
    assert sorted(record["status"] for record in records(tmp_path / "found").values()) == [
        "failed",
        "finished",
        "finished",
    ]
    assert "1 trials failed" not in errors and "1 trial failed" in errors and "data.augment.crop=-1" in errors
    assert "excluded" in output and "best of 2 runs" in output


@pytest.mark.slow
def test_several_metrics_end_in_a_pareto_front(experiments: Experiments, tmp_path: Path) -> None:
    words = (*SMALL, "trainer.max_epochs=1", "search.sampler=random", "model.hidden=[4],[64],[256]", "search.trials=9")
    code, output, errors = experiments("train", *words, "search.metric=[val/loss,cost.parameters]", "launcher.jobs=2")
    assert code == 0, errors
    assert "least val/loss and least cost.parameters" in output and "Pareto front" in output
    assert len(set(re.findall(r"repeat run (\d+):", output))) >= 1
    assert "the space holds nothing new" in errors  # three points, and nine trials wanted
    loss, name = min((record["metrics"]["val/loss"], name) for name, record in records(tmp_path / "found").items())
    best = [line for line in experiments("status", "found")[1].splitlines() if line.startswith("best so far")]
    assert best[0] == f"best so far  val/loss {loss:.6g}  {name}" and len(best) == 2
    assert best[1].startswith("best so far  cost.parameters ")
    (tmp_path / "found" / "search.db").write_bytes(b"damaged")
    assert "best so far" not in experiments("status", "found")[1]


@pytest.mark.slow
def test_a_killed_search_goes_on_with_the_same_command(tmp_path: Path, experiments: Experiments) -> None:
    words = (*SMALL, RATE, "search.trials=4", "trainer.max_epochs=40", "launcher.jobs=2", "search.pruner=hyperband")
    command = [sys.executable, "-m", "experiments", "train", *words]
    launched = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 180
    while sum(record["status"] == "running" for record in records(tmp_path / "found").values()) < 2:
        assert time.monotonic() < until and launched.poll() is None
        time.sleep(0.05)
    launched.send_signal(signal.SIGKILL)
    launched.wait()
    killed = {name for name, record in records(tmp_path / "found").items() if record["status"] == "running"}
    pids = [record["pid"] for record in records(tmp_path / "found").values()]
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)
    code, output, errors = experiments("train", *words)
    assert code == 0, errors
    assert "that had not ended go" in output
    trials = records(tmp_path / "found")
    assert len(trials) == 4 and killed <= set(trials)
    assert {record["status"] for record in trials.values()} <= {"finished", "pruned"}
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/found/search.db")
    assert len(study.trials) == 4 and all(trial.state.is_finished() for trial in study.trials)
    assert sorted(trial.user_attrs["run"] for trial in study.trials) == sorted(trials)


@pytest.mark.slow
def test_the_same_seed_finds_the_same_and_torch_stays_out(tmp_path: Path) -> None:
    words = [word for word in SMALL if not word.startswith("hydra.sweep.dir")]
    code = "import sys; from experiments.cli import main; c = main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(c)"
    seen = []
    for name in ("one", "two"):
        more = [RATE, "search.trials=12", "search.pruner=median", "search.startup=3", f"hydra.sweep.dir={name}"]
        subprocess.run(
            [sys.executable, "-c", code, "train", *words, *more], cwd=tmp_path, check=True, capture_output=True
        )
        folder = tmp_path / name
        metrics = {key: (record["status"], record["metrics"]) for key, record in records(folder).items()}
        seen.append((words_of(folder), metrics))
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_the_best_repeats(experiments: Experiments, tmp_path: Path) -> None:
    import shlex

    code, output, errors = experiments("train", *SMALL, RATE, "search.trials=3")
    assert code == 0, errors
    command = re.search(r"repeat the best: experiments (.*)", output)
    assert command
    code, _, errors = experiments(*shlex.split(command[1]), "hydra.run.dir=again")
    assert code == 0, errors
    again = json.loads((tmp_path / "again" / "record.json").read_text())
    trials = records(tmp_path / "found").values()
    assert again["identity"] in {record["identity"] for record in trials}
    assert again["metrics"]["val/accuracy"] == max(record["metrics"]["val/accuracy"] for record in trials)


@pytest.mark.slow
def test_interrupted_runs_save_and_a_metric_that_is_not_there_can_be_mended(
    tmp_path: Path, experiments: Experiments
) -> None:
    long = [word for word in SMALL if word != "callbacks=none"]
    words = (*long, RATE, "search.trials=2", "trainer.max_epochs=60", "launcher.jobs=2", "callbacks.figures=null")
    command = [sys.executable, "-m", "experiments", "train", *words]
    launched = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 180
    while len(list((tmp_path / "found").glob("*/checkpoints/last.ckpt"))) < 2:
        assert time.monotonic() < until and launched.poll() is None
        time.sleep(0.05)
    os.kill(launched.pid, signal.SIGINT)
    _, errors = launched.communicate(timeout=180)
    assert launched.returncode == 130 and "resume with: experiments train -m resume=found" in errors
    assert {record["status"] for record in records(tmp_path / "found").values()} == {"interrupted"}
    code, _, errors = experiments("train", "-m", "resume=found", "search.metric=val/no_loss")
    assert code == 2 and "choose from" in errors and "val/accuracy" in errors
    code, output, errors = experiments("train", "-m", "resume=found", "search.metric=val/accuracy")
    assert code == 0 and "best of 2 runs" in output, errors
    assert all(record["resumed"] == 1 for record in records(tmp_path / "found").values())


def test_listed_numbers_are_kept_as_numbers_and_typed_as_they_were_given() -> None:
    (key, other) = read_space(["a=1e-2,1,0.5", "b=1,relu"]).keys
    assert key.listed() == (0.01, 1, 0.5) and [key.word(value) for value in key.listed()] == ["a=0.01", "a=1", "a=0.5"]
    assert key.listed(as_text=True) == ("0.01", "1", "0.5") and key.word("0.01") == "a=0.01"
    assert other.listed() == ("1", "relu")
    assert read_space(["a=1,1.0"]).keys[0].listed() == ("1", "1.0"), "the same number twice"


def test_a_search_with_listed_numbers_and_one_of_an_earlier_version(tmp_path: Path) -> None:
    from experiments.search.study import keeps_text, open_study

    space = read_space(["data.batch_size=32,64"])
    study = open_study(optuna, tmp_path, settings(), space)
    trial = study.ask()
    assert space.suggest(trial, keeps_text(study))["data.batch_size"] in (32, 64)
    (tmp_path / "old").mkdir()
    old = open_study(optuna, tmp_path / "old", settings(), space)
    old.set_user_attr("the listed values", None)  # as studies of earlier versions, which do not say it
    kept = space.suggest(old.ask(), keeps_text(old))["data.batch_size"]
    again = open_study(optuna, tmp_path / "old", settings(), space)
    assert kept in ("32", "64") and space.suggest(again.ask(), keeps_text(again))["data.batch_size"] in ("32", "64")

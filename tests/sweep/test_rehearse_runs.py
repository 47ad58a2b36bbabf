"""`check -m` refuses what `train` refuses, with the same sentence, and builds no more runs than it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from experiments.run import rehearse
from experiments.sweep import rehearse_runs
from experiments.sweep.folder import Entry, Sweep
from experiments.sweep.plan import Plan
from experiments.sweep.planned_run import PlannedRun

DIGITS = ("data=digits", "trainer=cpu", "callbacks=none", "logger=none")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("model=mlp", "data.augment.crop=-3,1"),
        ("model=mlp", "data.limit=1,100"),
        ("model=mlp,lenet5", "freezing=stages", "freezing.learn=[layer4]"),
    ],
)
def test_a_sweep_is_refused_with_the_sentence_of_its_run(experiments, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("train", *DIGITS, *(word.partition(",")[0] for word in words))
    assert code == 2
    sentence = errors.strip().removeprefix("error: ")
    code, _, errors = experiments("check", "-m", *DIGITS, *words)
    assert code == 2 and sentence in errors, errors


@pytest.mark.slow
def test_runs_of_one_kind_are_built_once_and_not_all_where_there_are_many(
    experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(rehearse, "rehearse", built.append)
    monkeypatch.setattr(rehearse_runs, "MOST", 2)
    code, output, errors = experiments("check", "-m", *DIGITS, "model=mlp", "data.limit=50,60,70", "seed=0,1,2")
    assert code == 0, errors
    assert len(built) == 2
    assert "1 of 3 kinds of runs were checked by rules alone" in output
    code, output, _ = experiments("check", "-m", *DIGITS, "model=mlp", "optimizer.lr=0.1,0.2", "seed=0,1,2")
    assert code == 0 and len(built) == 2 and "by rules alone" not in output


@pytest.mark.slow
def test_a_sweep_over_files_that_do_not_fit_is_refused_before_its_first_run(experiments, tmp_path: Path) -> None:
    """Once for each choice of data, whatever else differs, and nothing is left behind."""
    for name in ("a/1", "a/2", "b/1", "b/2"):
        path = tmp_path / f"photos/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 9 if name == "b/2" else 8)).save(path)
    words = ("data=image_folder", "data.root=photos", "data.size=null,8", "model=mlp", "seed=0,1", "hydra.sweep.dir=it")
    code, _, errors = experiments("train", "-m", *words, "trainer=cpu", "callbacks=none", "logger=none")
    assert code == 2 and errors.startswith(
        "error: data.size=null seed=0 (and 1 more): photos/b/2.png has 9 × 8 pixels"
    ), errors
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.slow
def test_a_size_that_suits_all_models_is_asked_for_once(experiments, tmp_path: Path) -> None:
    for label, sides in (("a", (40, 50)), ("b", (60, 40))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(6):
            Image.new("L", sides, 40 * number).save(tmp_path / "photos" / label / f"{number}.png")
    words = ("data=image_folder", "data.root=photos", "model=lenet5,simple_cnn,mlp")
    code, _, errors = experiments("check", "-m", *words)
    assert code == 2 and "model=simple_cnn (and 1 more): photos/" in errors
    assert "; set data.size=32, as model=lenet5 reads no other\n" in errors
    assert experiments("check", "-m", *words, "data.size=32")[0] == 0
    code, _, errors = experiments("check", "-m", *words, "data.size=64")
    assert errors.startswith(
        "error: model=lenet5 reads 32×32 images and data=image_folder gives 64×64: set data.size=32\n"
    )
    code, _, errors = experiments("check", "-m", *words[:2], "model=simple_cnn,mlp")
    assert "; set data.size, such as data.size=128." in errors


def test_a_run_that_building_refuses_is_listed_as_skipped_unless_it_came_to_something(tmp_path: Path) -> None:
    data = {"_target_": "experiments.data.images.digits.Digits"}
    runs = []
    for number in range(3):
        words = [f"data.limit={min(number, 1)}", f"seed={number}"]
        config = {"data": data, "weights": None, "run": {"choices": {}, "overrides": words}}
        runs.append(PlannedRun(Entry(number, f"{number}_it", "", {}, words), config))
    runs[2].state, runs[2].record = "interrupted", {"status": "running"}
    plan = Plan(Sweep(tmp_path), list(runs), [], [], [], [], [run.entry for run in runs])
    asked = []

    def build(config: dict[str, Any]) -> str | None:
        asked.append(config["run"]["overrides"][0])
        return "no" if asked[-1] == "data.limit=1" else None

    assert rehearse_runs.rehearse_runs(plan, build) is None
    assert asked == ["data.limit=0", "data.limit=1"]
    assert plan.runs == runs[:1] and plan.invalid == runs[1:]
    listed = [(entry.name, entry.plan, entry.reason) for entry in plan.entries]
    assert listed == [("0_it", "run", None), ("", "skipped", "no"), ("2_it", "run", None)]


def test_a_sweep_for_a_cluster_is_checked_by_rules_alone(experiments) -> None:
    words = ("data=digits", "data.limit=50,60", "model=mlp", "hydra/launcher=ray", "hydra.launcher.num_gpus=1")
    code, output, errors = experiments("check", "-m", *words, "trainer=gpu")
    assert code == 0, errors
    assert "This sweep can run." in output

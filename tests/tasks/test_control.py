"""Control from the command line: training, tests on a changed system, transfer, resume, pictures and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium")

TINY = [
    "data=control", "data.environments=2", "data.steps=16", "data.rollouts=2", "data.batch_size=16",
    "data.validation_episodes=1", "data.test_episodes=3", "task.passes=2", "model.hidden=[8]", "trainer=cpu",
    "trainer.max_epochs=2", "logger=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run on CartPole."""
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("control") / "run"
    assert main(["train", *TINY, f"hydra.run.dir={folder}"]) == 0
    return folder


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "record.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.slow
def test_the_record_tells_returns_and_speed(finished: Path) -> None:
    content = record(finished)
    names = ("test/return", "test/return_interval", "test/length", "test/success", "val/return", "train/loss")
    assert set(names) <= content["metrics"].keys()
    returns = content["episodes"]["returns"]
    assert len(returns) == 3 and content["metrics"]["test/return"] == pytest.approx(sum(returns) / 3)
    assert content["steps"]["environment"] == 2 * 2 * 2 * 16 and content["steps"]["a_second"] > 0
    assert {path.stem for path in (finished / "figures").glob("*.png")} >= {"return", "episode", "policy"}
    assert int(weights(finished)["model.normalise.observed.count"]) == 2 * 2 * 2 * 16


@pytest.mark.slow
def test_a_changed_system_is_tested_and_learned(finished: Path, experiments) -> None:
    code, output, errors = experiments("evaluate", str(finished), "data.physics.mass=2", "data.test_episodes=2")
    assert code == 0, errors
    assert "test/return" in output
    words = [*TINY, f"weights={finished}", "freezing=last_stage", "data.physics.length=2", "hydra.run.dir=tuned"]
    code, _, errors = experiments("train", *words, "trainer.max_epochs=1", "callbacks=none")
    assert code == 0, errors
    code, _, errors = experiments("train", *[word.replace("last_stage", "feature_extraction") for word in words],
                                  "hydra.run.dir=head", "trainer.max_epochs=1", "callbacks=none")  # fmt: skip
    assert code == 0, errors
    before, after = weights(finished), weights(Path("head"))
    frozen = [name for name in before if name.startswith(("model.layer", "model.normalise"))]
    best = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    # what is frozen stays bit for bit, observations' moments too; those of returns scale rewards of the head that learns
    assert all(torch.equal(best[name], after[name]) for name in frozen if "returns" not in name)


@pytest.mark.slow
def test_an_interrupted_run_ends_as_an_uninterrupted_one(finished: Path, experiments) -> None:
    code, _, errors = experiments("train", *TINY, "trainer.max_epochs=1", "hydra.run.dir=half")
    assert code == 0, errors
    code, _, errors = experiments("train", "resume=half", "trainer.max_epochs=2")
    assert code == 0, errors
    once, twice = record(finished), record(Path("half"))
    assert once["metrics"] == twice["metrics"]
    assert once["episodes"] == twice["episodes"]
    assert all(torch.equal(value, weights(Path("half"))[name]) for name, value in weights(finished).items())


@pytest.mark.slow
def test_a_policy_with_memory_and_continuous_actions(experiments) -> None:
    words = [word for word in TINY if "hidden" not in word]
    more = ["model=policy_gru", "model.hidden=6", "model.memory=5", "data.env=Pendulum-v1", "data.randomise=true"]
    for name, epochs in (("half", ["1"]), ("half", ["2"]), ("whole", ["2"])):
        run = ["resume=half"] if epochs == ["2"] and name == "half" else [*words, *more, f"hydra.run.dir={name}"]
        code, _, errors = experiments("train", *run, f"trainer.max_epochs={epochs[0]}")
        assert code == 0, errors
    assert all(torch.equal(value, weights(Path("half"))[name]) for name, value in weights(Path("whole")).items())
    assert "test/success" not in record(Path("whole"))["metrics"]  # nobody says when a pendulum is one


@pytest.mark.slow
def test_predict_says_the_action(finished: Path, experiments) -> None:
    code, output, errors = experiments("predict", str(finished), "-0.1,0,0.02,0", "--format", "json")
    assert code == 0, errors
    (answer,) = json.loads(output)
    assert {action["action"] for action in answer["actions"]} == {"left", "right"}
    assert sum(action["probability"] for action in answer["actions"]) == pytest.approx(1, abs=1e-5)
    Path("seen.csv").write_text("position,velocity,angle,turn\n0,0,0.1,0\n0,0,-0.1,0\n")
    code, output, errors = experiments("predict", str(finished), "seen.csv", "--top", "1", "--format", "csv")
    assert (code, len(output.splitlines())) == (0, 3), errors
    code, _, errors = experiments("predict", str(finished), "1,2")
    assert code == 2 and "1,2 has 2 numbers and an observation 4: position, velocity" in errors
    code, _, errors = experiments("predict", str(finished), "up")
    assert code == 2 and "up is no observation" in errors
    code, _, errors = experiments("predict", str(finished), "nan,0,0,0")
    assert code == 2 and "not finite" in errors
    np.save("seen.npy", np.zeros((3, 4)))
    code, output, errors = experiments("predict", str(finished), "seen.npy", "--top", "1", "--format", "csv")
    assert (code, len(output.splitlines())) == (0, 4), errors
    code, _, errors = experiments("predict", str(finished), "gone.csv")
    assert code == 2 and "gone.csv is no file" in errors


@pytest.mark.slow
@pytest.mark.parametrize("form", ["safetensors", "torch-export"])
def test_a_policy_is_exported_with_parity(finished: Path, experiments, tmp_path: Path, form: str) -> None:
    code, output, errors = experiments(
        "export", str(finished), "--format", form, "--to", str(tmp_path / f"policy.{form}")
    )
    assert code == 0 and "random observations" in output, errors


@pytest.mark.slow
def test_show_animates_an_episode(finished: Path, experiments) -> None:
    pytest.importorskip("pygame")
    code, _, errors = experiments("show", str(finished), "--to", "shown")
    assert code == 0, errors
    assert Path("shown/animation.gif").read_bytes().startswith(b"GIF89a")
    assert {path.name for path in Path("shown").glob("*.png")} == {"episode.png", "policy.png", "return.png"}
    assert "data:image/gif;base64," in Path("shown/index.html").read_text()
    for number in ("3", "-1", "abc"):  # the test has three episodes
        code, _, errors = experiments("show", str(finished), number, "--only", "animation", "--to", "other")
        assert code == 2 and f"{number} is no episode of the test: give a number from 0 to 2" in errors
    assert not Path("other").exists()


@pytest.mark.slow
def test_an_expert_is_cloned(experiments) -> None:
    words = ["data=demonstrations", "data.demonstrations=3", "trainer=cpu", "trainer.max_epochs=1", "logger=none",
             "data.validation_episodes=2", "data.test_episodes=2", "data.batch_size=256"]  # fmt: skip
    code, _, errors = experiments("train", *words, "hydra.run.dir=cloned", "callbacks=none")
    assert code == 0, errors
    metrics = record(Path("cloned"))["metrics"]
    assert {"test/loss", "test/accuracy", "test/return", "val/return", "val/loss"} <= metrics.keys()
    code, _, errors = experiments("train", *TINY, "weights=cloned", "model.hidden=[64,64]", "hydra.run.dir=on")
    assert code == 0, errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=control", "data.env=CartPol-v1"], "data.env=CartPol-v1 is no environment"),
        (["data=control", "data.physics.friction=2"], "data.physics.friction=2 changes what data.env=CartPole-v1"),
        (["data=control", "task.distribution=gaussian"], "does not fit the discrete actions of data.env=CartPole-v1"),
        (
            ["data=control", "data.env=Pendulum-v1", "task.distribution=categorical"],
            "does not fit the continuous actions of data.env=Pendulum-v1: set task.distribution=gaussian",
        ),
        (["data=control", "data.randomise.mass=2"], "data.randomise.mass=2 must be a range"),
        (["data=control", "data.randomise=[0.5,2]"], "is a list, and data.randomise is a group of keys"),
        (["data=control", "data.options={nonsense:1}"], "data.env=CartPole-v1 cannot be made"),
        (["data=control", "data.env=null"], "data.env=null must be the name of an environment"),
        (["data=control", "data.environments=3", "trainer=cpu_2"], "shared by 2 processes and must be a multiple of 2"),
        (["data=control", "task.entropy=-1"], "task.entropy=-1 must be a number, 0 or more"),
        (["data=control", "task.value_weight=nan"], "task.value_weight=nan must be a number, 0 or more"),
        (["data=control", "task.clip=true"], "task.clip=true must be a number above 0"),
        (["data=control", "model.shared=null"], "model.shared=null must be true or false"),
        (["data=control", "task.discount=2"], "task.discount=2 must be a number from 0 to 1"),
        (["data=demonstrations", "task=policy_gradient"], "task=policy_gradient reads control"),
        (["data=control", "model=mlp"], "task=policy_gradient learns from a model that makes decisions"),
    ],
)
def test_check_and_train_refuse_alike(experiments, words: list[str], sentence: str) -> None:
    for command in ("check", "train"):
        code, _, errors = experiments(command, *words)
        assert code == 2 and sentence in errors and len(errors.splitlines()) == 1, errors
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_other_weights_are_refused(finished: Path, experiments) -> None:
    code, _, errors = experiments("evaluate", str(finished), "data.env=Pendulum-v1")
    assert code == 2 and "features 3" in errors and "features 4" in errors
    code, _, errors = experiments("train", *TINY, f"weights={finished}", "model.hidden=[9]")
    assert code == 2 and "of another model" in errors
    assert not list(Path().rglob("config.yaml"))


@pytest.mark.slow
def test_the_defaults_balance_the_pole(experiments) -> None:
    code, _, errors = experiments("train", "data=control", "trainer=cpu", "hydra.run.dir=run", "trainer.max_epochs=5")
    assert code == 0, errors
    assert record(Path("run"))["metrics"]["test/return"] >= 475


@pytest.mark.slow
def test_two_processes_share_environments_and_episodes(command, tmp_path: Path) -> None:
    done = command("train", *TINY, "trainer=cpu_2", "hydra.run.dir=two", "callbacks=none")
    assert done.returncode == 0, done.stderr
    content = record(tmp_path / "two")
    assert len(content["episodes"]["returns"]) == 3
    assert content["steps"]["environment"] == 2 * 2 * 2 * 16

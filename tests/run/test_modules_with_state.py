"""LightningModules and DataModules that make layers in `setup`, compile them, or put values of their own into checkpoints."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

from experiments.run.loaded import load
from tests.run.test_foreign import LIT, MODULE, Experiments, lit, record_of

__all__ = ["lit"]

STATE = (
    MODULE
    + '''

import numpy as np


class Thing:
    pass


class Cursor:
    """A loader that knows its place: a resumed one goes on behind the batches that are done."""

    def __init__(self):
        self.place, self.asked = 0, []

    def __len__(self):
        return 8

    def __iter__(self):  # at once, not at the first batch
        batches, self.place = range(self.place, 8), 0
        return self.batches(batches)

    def batches(self, numbers):
        for number in numbers:
            self.done = number + 1
            print("batch", number, file=open("batches.txt", "a"))
            yield torch.full((4, 8, 8), float(number)), torch.zeros(4, dtype=torch.long)

    def state_dict(self):
        return {"place": self.done % 8}

    def load_state_dict(self, state):
        self.place = state["place"]


class OwnLoader(LitData):
    def train_dataloader(self):
        return Cursor()


class Late(LitModel):
    """Makes its layers anew in each setup, compiled in training alone, and keeps a number and a path in its checkpoints."""

    seen = 0

    def setup(self, stage):
        from pathlib import Path

        self.where = Path("here")
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(self.trainer.datamodule.inputs, 10))
        if stage == "fit":
            self.net = torch.compile(self.net, backend="eager")

    def on_train_epoch_end(self):
        self.seen += 1

    def on_save_checkpoint(self, checkpoint):
        arrays = {"words": np.array(["a", "b"]), "back": np.arange(3)[::-1], self.where: np.float64(0.5)}
        checkpoint["late"] = {"seen": self.seen, "where": self.where, "arrays": arrays}

    def on_load_checkpoint(self, checkpoint):
        self.seen = checkpoint["late"]["seen"]
        assert str(checkpoint["late"]["where"]) == "here"
        arrays = checkpoint["late"]["arrays"]
        assert list(arrays["words"]) == ["a", "b"] and arrays["back"].tolist() == [2, 1, 0] and arrays["here"] == 0.5

    def test_step(self, batch, batch_idx):
        super().test_step(batch, batch_idx)
        self.log("test_seen", float(self.seen))
        self.log("test_vocabulary", float(len(self.trainer.datamodule.vocabulary)))

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return {"seen": [self.seen] * len(batch[0]), "answer": self(batch[0]).argmax(1)}


class Words(LitData):
    inputs = 64
    vocabulary = ()

    def setup(self, stage=None):
        super().setup(stage)
        if stage == "fit":  # learned from the training split
            self.vocabulary = ["a", "b", "c"]

    def state_dict(self):
        return {"vocabulary": self.vocabulary}

    def load_state_dict(self, state):
        self.vocabulary = state["vocabulary"]


class Pickled(LitModel):
    def on_save_checkpoint(self, checkpoint):
        checkpoint["thing"] = {"inside": [Thing()]}


class Keeper(L.Callback):
    def state_dict(self):
        return {"thing": Thing(), "count": 1}
'''
)


@pytest.fixture
def stateful(lit: Experiments, tmp_path: Path) -> Experiments:
    (tmp_path / "state_of_mine.py").write_text(STATE)
    for group, name, target in (
        ("task", "late", "Late"),
        ("task", "pickled", "Pickled"),
        ("data", "words", "Words"),
        ("data", "cursor", "OwnLoader"),
    ):
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(f"_target_: state_of_mine.{target}")
    sys.modules.pop("state_of_mine", None)
    return lit


@pytest.mark.slow
def test_a_test_reads_what_training_has_kept(stateful: Experiments, tmp_path: Path) -> None:
    words = ("--config-dir", "conf", "task=late", "data=words", "trainer.max_epochs=2", "hydra.run.dir=run")
    code, _, errors = stateful("train", *words)
    assert code == 0, errors
    metrics = record_of(tmp_path / "run")["metrics"]
    assert metrics["test_seen"] == record_of(tmp_path / "run")["best_epoch"] and metrics["test_vocabulary"] == 3
    assert metrics["test_acc"] > 0.2, "of the trained layers, not of those that setup made for the test"
    loaded = load(tmp_path / "run").task
    kept = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert sum(value.numel() for value in loaded.state_dict().values()) == sum(value.numel() for value in kept.values())
    assert any(torch.equal(loaded.net[1].weight, value) for value in kept.values()), "the trained layers of setup"
    code, output, errors = stateful("evaluate", "run")
    assert code == 0, errors
    evaluated = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    assert evaluated == pytest.approx({name: metrics[name] for name in evaluated}, abs=1e-4) and len(evaluated) == 3
    code, output, errors = stateful("predict", "run")
    assert code == 0, errors
    head, row, *_ = (tmp_path / "run" / "predictions" / "predictions.csv").read_text().splitlines()
    assert row.split(",")[head.split(",").index("seen")] == str(int(metrics["test_seen"]))
    code, _, errors = stateful("train", "resume=run", "trainer.max_epochs=3")
    assert code == 0 and record_of(tmp_path / "run")["metrics"]["test_seen"] >= metrics["test_seen"], errors


def test_an_object_in_a_checkpoint_is_refused_at_the_first_one(stateful: Experiments) -> None:
    code, _, errors = stateful("train", "--config-dir", "conf", "task=pickled", *LIT[3:], "trainer.max_epochs=2")
    assert code == 2 and "puts a state_of_mine.Thing under 'thing' into the checkpoint" in errors, errors
    assert "epoch 2" not in errors


@pytest.mark.slow
def test_what_is_lost_of_a_callback_s_state_is_told_once(
    stateful: Experiments, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = (*LIT, "callbacks={keeper: {_target_: state_of_mine.Keeper}}", "trainer.max_epochs=2")
    code, _, errors = stateful("train", *words, "hydra.run.dir=kept")
    assert code == 0, errors
    assert caplog.text.count("The state of Keeper has a state_of_mine.Thing under 'thing'") == 1
    code, _, errors = stateful("train", "resume=kept", "trainer.max_epochs=3")
    assert code == 0 and record_of(tmp_path / "kept")["status"] == "finished", errors


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "lit"])
def test_a_checkpoint_of_lightning_within_an_epoch(
    lit: Experiments, tmp_path: Path, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    """Data of ours resume after the batches that are done, and other data say that they draw the rest anew."""
    ours = ("data=digits", "model=logistic_regression", "data.limit=256")
    each = "{_target_: lightning.pytorch.callbacks.ModelCheckpoint, every_n_train_steps: 3, save_top_k: -1}"
    words = (
        *(ours if data == "digits" else LIT),
        "callbacks=none",
        "callbacks.checkpoint=null",
        f"callbacks.each={each}",
    )
    for folder, epochs in (("once", 3), ("parts", 2)):
        code, _, errors = lit("train", *words, f"trainer.max_epochs={epochs}", f"hydra.run.dir={folder}")
        assert code == 0, errors
    for path in (tmp_path / "parts" / "checkpoints").glob("*.ckpt"):
        if "step=6" not in path.name:
            path.unlink()  # as if it had been stopped after the second batch of its second epoch
    code, _, errors = lit("train", "resume=parts", "trainer.max_epochs=3")
    assert code == 0, errors
    assert ("after batch 2 of an epoch" in caplog.text) == (data == "lit")
    if data == "digits":
        assert record_of(tmp_path / "parts")["metrics"] == record_of(tmp_path / "once")["metrics"]


@pytest.mark.slow
def test_a_loader_that_keeps_its_place_goes_on_there(
    stateful: Experiments, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    each = "{_target_: lightning.pytorch.callbacks.ModelCheckpoint, every_n_train_steps: 3, save_top_k: -1}"
    words = (*LIT[:3], "data=cursor", "callbacks=none", "callbacks.checkpoint=null", f"callbacks.each={each}")
    code, _, errors = stateful("train", *words, "trainer.max_epochs=1", "hydra.run.dir=parts")
    assert code == 0, errors
    for path in (tmp_path / "parts" / "checkpoints").glob("*.ckpt"):
        if "step=3" not in path.name:
            path.unlink()  # as if it had been stopped after the third batch
    (tmp_path / "batches.txt").unlink()
    code, _, errors = stateful("train", "resume=parts", "trainer.max_epochs=2")
    assert code == 0, errors
    read = [int(line.split()[1]) for line in (tmp_path / "batches.txt").read_text().splitlines()]
    assert read == [*range(3, 8), *range(8)] and "draw other batches" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_checkpoint_that_does_not_fit_or_is_none_is_said(stateful: Experiments, tmp_path: Path, command: str) -> None:
    words = ("--config-dir", "conf", "task=late", "data=words", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert stateful("train", *words)[0] == 0
    path = tmp_path / "state_of_mine.py"
    path.write_text(
        STATE.replace("datamodule.inputs, 10)", "datamodule.inputs, 200)")
    )  # of another length, or its .pyc would stay
    sys.modules.pop("state_of_mine", None)
    code, _, errors = stateful(command, "run")
    assert code == 2 and "best.ckpt belongs to another model: size mismatch" in errors, errors
    path.write_text(STATE)
    sys.modules.pop("state_of_mine", None)
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        checkpoint.unlink()
        os.mkfifo(checkpoint)
    code, _, errors = stateful(command, "run")
    assert code == 2 and "it is no plain file" in errors, errors

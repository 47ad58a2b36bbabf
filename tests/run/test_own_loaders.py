"""LightningModules that have loaders of their own, as in Lightning's `trainer.fit(module)`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.config.compose import compose

Experiments = Callable[..., tuple[int, str, str]]

MODULE = """
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Without(L.LightningModule):
    def __init__(self, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def test_step(self, batch, batch_idx):
        self.log("test_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


class Whole(Without):
    def examples(self, seed):
        x = torch.randn(64, 8, generator=torch.Generator().manual_seed(seed))
        return TensorDataset(x, (x.sum(1) > 0).long())

    def train_dataloader(self):
        return DataLoader(self.examples(0), 16, shuffle=True)

    def test_dataloader(self):
        return DataLoader(self.examples(1), 16)
"""


@pytest.fixture
def own(experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Experiments]:
    """The command, in a folder with such a module."""
    (tmp_path / "loaders_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("loaders_of_mine", None)
    yield experiments
    sys.modules.pop("loaders_of_mine", None)


WHOLE, WITHOUT = "task._target_=loaders_of_mine.Whole", "task._target_=loaders_of_mine.Without"


def test_such_a_module_needs_no_data_and_no_key_of_data(own: Experiments, tmp_path: Path) -> None:
    assert compose([WHOLE]).run.choices.data == "none" and compose([WHOLE, "data=mnist"]).run.choices.data == "mnist"
    assert compose(["task={_target_: loaders_of_mine.Whole}"]).run.dir.endswith("_Whole_none_seed0")
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "conf" / "task" / "whole.yaml").write_text("_target_: loaders_of_mine.Whole")
    assert compose(["task=whole"], [str(tmp_path / "conf")]).run.choices.data == "none"
    for words, sentence in (
        ((WHOLE, "data.batch_size=3"), "has loaders of its own, which data.batch_size does not reach"),
        ((WITHOUT, "data=none"), "loaders_of_mine.Without has no train_dataloader"),
        (("data=none",), "data=none is for a LightningModule with a train_dataloader of its own"),
        (("data=none", "task=regression"), "data=none is for a LightningModule with a train_dataloader of its own"),
    ):
        code, _, errors = own("check", *words)
        assert code == 2 and sentence in errors, errors


@pytest.mark.slow
def test_train_evaluate_resume_and_sweep(own: Experiments, tmp_path: Path) -> None:
    words = (WHOLE, "callbacks.progress=null", "callbacks.figures=null")
    code, output, errors = own("check", *words)
    assert code == 0 and "data=none  task=Whole" in output and "model=" not in output, errors
    code, output, errors = own("train", *words, "trainer.max_epochs=2", "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["metrics"]["test_acc"] > 0.5 and record["choices"]["data"] == "none"
    assert "2 epochs\n" in errors and "adam" not in errors  # the module's optimizer and batches, not ours
    code, output, errors = own("evaluate", "run")
    assert code == 0 and float(output.split()[1]) == pytest.approx(record["metrics"]["test_acc"], abs=1e-4), errors
    assert own("train", "resume=run", "trainer.max_epochs=3")[0] == 0
    code, output, errors = own("train", "-m", *words, "trainer.max_epochs=1", "task.lr=0.1,0.01", "hydra.sweep.dir=two")
    assert code == 0, errors
    assert len(list((tmp_path / "two").glob("*/record.json"))) == 2


@pytest.mark.slow
def test_python_takes_the_loaders_too(own: Experiments, capsys: pytest.CaptureFixture[str]) -> None:
    from loaders_of_mine import Whole

    import experiments

    for model in (Whole, Whole(0.5)):
        record = experiments.train(
            "trainer.max_epochs=1", "callbacks.progress=null", "callbacks.figures=null", model=model
        )
        assert record["choices"]["data"] == "none" and record["metrics"]["test_acc"] > 0.4
        # No other process has the object.
        assert ("resume=" in capsys.readouterr().err) == (model is Whole)

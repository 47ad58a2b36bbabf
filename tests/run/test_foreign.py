"""LightningModules and LightningDataModules as Lightning's tutorials have them, through the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import yaml

from experiments.config.compose import compose

Experiments = Callable[..., tuple[int, str, str]]

MODULE = """
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LitModel(L.LightningModule):
    def __init__(self, lr=0.01, width=8, make_optimizer=None):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Dropout(0.5), nn.Linear(width, 10))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def test_step(self, batch, batch_idx):
        self.log("test_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class Bare(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(64, 10)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0].flatten(1)), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class LitData(L.LightningDataModule):
    def __init__(self, batch_size=16):
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage=None):
        x = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        self.set = TensorDataset(x, x.flatten(1)[:, :10].argmax(1))

    def train_dataloader(self):
        return DataLoader(self.set, self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.set, 16)

    def test_dataloader(self):
        return DataLoader(self.set, 16)

    def predict_dataloader(self):
        return [DataLoader(self.set, batch_size=16), DataLoader(self.set, batch_size=32)]
"""


@pytest.fixture
def lit(experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Experiments]:
    """The command, in a folder with a user's package and its configs."""
    (tmp_path / "tutorial_of_mine.py").write_text(MODULE)
    for group, name, text in (
        ("task", "lit", "_target_: tutorial_of_mine.LitModel"),
        ("task", "bare", "_target_: tutorial_of_mine.Bare"),
        ("data", "lit", "_target_: tutorial_of_mine.LitData"),
    ):
        (tmp_path / "conf" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("tutorial_of_mine", None)

    def run(command: str, *words: str) -> tuple[int, str, str]:
        extra = (
            ["callbacks.progress=null", "callbacks.figures=null"]
            if command == "train" and "resume" not in words[0]
            else []
        )
        return experiments(command, *words, *extra)

    yield run
    sys.modules.pop("tutorial_of_mine", None)


LIT = ("--config-dir", "conf", "task=lit", "data=lit")


def record_of(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


@pytest.mark.slow
def test_train_evaluate_and_load(lit: Experiments, tmp_path: Path) -> None:
    words = ("trainer.max_epochs=2", "hydra.run.dir=run", "task.lr=0.1", "trainer.log_every_n_steps=1")
    code, output, errors = lit("train", *LIT, *words)
    assert code == 0, errors
    record = record_of(tmp_path / "run")
    assert record["status"] == "finished" and "test_acc" in output
    assert record["best_epoch"] in (1, 2, 3) and record["tested"] == {"checkpoint": "best.ckpt", "weights": "best"}
    assert record["cost"]["parameters"] == 610 and record["cost"]["examples_per_second"] > 0
    assert [record["choices"][key] for key in ("task", "data", "model", "optimizer")] == [
        "lit",
        "lit",
        "LitModel",
        None,
    ]
    code, output, errors = lit("evaluate", "run")
    assert code == 0, errors
    assert float(output.split()[1]) == pytest.approx(record["metrics"]["test_acc"], abs=1e-4)
    from tutorial_of_mine import LitModel

    loaded = LitModel.load_from_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert loaded.hparams.lr == 0.1 and loaded.hparams.width == 8
    import experiments

    task = experiments.load(str(tmp_path / "run")).task
    assert torch.equal(task.net[1].weight, loaded.net[1].weight)
    code, _, errors = lit("predict", "run", "x.png")
    assert code == 2 and "LightningModule of its own" in errors and "experiments.load" in errors


def test_classes_are_named_on_the_command_line(lit: Experiments, tmp_path: Path) -> None:
    """Keys of the options whose place they take go, and those that the command line gives stay or are refused."""
    words = ("task._target_=tutorial_of_mine.LitModel", "data._target_=tutorial_of_mine.LitData", "task.lr=0.1",
             "data.batch_size=8", "trainer.max_epochs=1", "hydra.run.dir=run")  # fmt: skip
    code, _, errors = lit("train", *words)
    assert code == 0, errors
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["task"] == {"_target_": "tutorial_of_mine.LitModel", "lr": 0.1}
    assert config["data"] == {"_target_": "tutorial_of_mine.LitData", "batch_size": 8}
    assert dict(compose([*words[:2]]).data) == {"_target_": "tutorial_of_mine.LitData"}  # whose own batch_size holds
    assert compose([*words[:2], "data=mnist"]).data.batch_size == 256
    chosen = record_of(tmp_path / "run")["choices"]
    assert [chosen[group] for group in ("data", "task", "model")] == ["LitData", "LitModel", "LitModel"]
    code, output, errors = lit("evaluate", "run", "data.batch_size=4")
    assert code == 0 and "test_acc" in output, errors
    for wrong in ("tutorial_of_mine.LitModell", "tutorial_of_yours.LitModel"):  # not that the data give no spec
        for command in ("check", "train"):
            code, _, errors = lit(command, f"task._target_={wrong}", *words[1:2], "hydra.run.dir=other")
            assert code == 2 and errors.startswith(f"error: _target_={wrong} cannot be imported (No module named")
    code, _, errors = lit("check", "-m", *words[:-1], "seed=0,1", "task.width=4")  # a key that no option lists
    assert code == 0, errors
    code, _, errors = lit("train", *words, "task.label_smoothing=0.1", "hydra.run.dir=other")
    assert code == 2 and "label_smoothing" in errors and not (tmp_path / "other").exists()


def test_classes_name_the_folder_and_take_the_place_of_whole_options(lit: Experiments) -> None:
    config = compose(
        ["task={_target_: tutorial_of_mine.LitModel, lr: 0.1}", "data={_target_: tutorial_of_mine.LitData}"]
    )
    assert config.task == {"_target_": "tutorial_of_mine.LitModel", "lr": 0.1}
    assert config.run.dir.endswith("_LitModel_LitData_seed0")
    assert compose(["data=digits", "model._target_=mine.Net"]).run.dir.endswith("_Net_digits_seed0")


NETWORKS = """
from torch import nn

class Sized(nn.Sequential):
    def __init__(self, width=8, classes=10):
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, classes))

class Needs(Sized):
    def __init__(self, width):
        super().__init__(width)

class Pair(Sized):
    def forward(self, images):
        return super().forward(images), images

class Each(nn.Conv2d):
    def __init__(self, in_channels, num_classes):
        super().__init__(in_channels, num_classes, 1)

class Silent(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
"""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("model._target_=networks_of_mine.Sized", ""),  # which takes none of the data's shapes
        (
            "model._target_=networks_of_mine.Sized model.classes=5",
            "gives 5 scores an example and the data has 10 classes",
        ),
        (
            "model._target_=networks_of_mine.Needs",
            "networks_of_mine.Needs needs width, which nothing gives: set model.width=…, or name what "
            "data=digits give: in_channels, image_size, num_classes",
        ),
        ("model._target_=networks_of_mine.Silent", "has no forward"),
        ("model._target_=torchvision.models.resnet18", "choose model=torchvision model.name=resnet18"),
    ],
)
def test_networks_without_our_arguments(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, sentence: str
) -> None:
    (tmp_path / "networks_of_mine.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "networks_of_mine", raising=False)
    more = ("data=digits", "data.size=8", *words.split(), "trainer=quick", "callbacks=none", "hydra.run.dir=run")
    for command in ("check", "train"):
        code, _, errors = experiments(command, *more)
        assert code == (2 if sentence else 0) and sentence in errors, errors
    assert (tmp_path / "run").exists() is not bool(sentence)


def test_check_tries_the_first_batch_of_a_network_that_nothing_describes(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of a network that makes masks, too, where the option's description would not be its own."""
    (tmp_path / "networks_of_mine.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "networks_of_mine", raising=False)
    code, _, errors = experiments("check", "data=digits", "data.size=8", "model._target_=networks_of_mine.Pair")
    assert code == 2 and "the network gives a tuple, and classification learns from one tensor" in errors, errors
    words = ("data=generated_masks", "data.limit=4", "model._target_=networks_of_mine.Each")
    code, output, errors = experiments("check", *words)
    assert code == 0 and "model=Each" in output, errors
    code, _, errors = experiments(
        "train", *words, "trainer=quick", "callbacks=none", "logger=none", "hydra.run.dir=run"
    )
    assert code == 0 and "mean_iou" in json.dumps(record_of(tmp_path / "run")["metrics"]), errors


def test_a_part_of_its_config_is_shown(lit: Experiments) -> None:
    """Also where data names no task, so that `task=` stands for a choice of its own."""
    code, output, errors = lit("train", *LIT, "--cfg", "job", "-p", "task")
    assert code == 0 and "tutorial_of_mine.LitModel" in output and "data" not in output, errors


@pytest.mark.slow
def test_resume_is_exact(lit: Experiments, tmp_path: Path) -> None:
    """With an order and a dropout that come from torch's global generator."""
    assert lit("train", *LIT, "trainer.max_epochs=3", "hydra.run.dir=whole")[0] == 0
    assert lit("train", *LIT, "trainer.max_epochs=1", "hydra.run.dir=parts")[0] == 0
    code, _, errors = lit("train", "resume=parts", "trainer.max_epochs=3")
    assert code == 0, errors
    first, other = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "parts")
    )
    assert all(torch.equal(first[key], other[key]) for key in first)
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "parts" / "metrics.csv").read_text()


@pytest.mark.slow
def test_with_data_of_ours_and_without_a_test(lit: Experiments, tmp_path: Path) -> None:
    words = ("data=digits", "data.limit=64", "trainer.max_epochs=1", "logger=none", "hydra.run.dir=run")
    code, _, errors = lit("train", "--config-dir", "conf", "task=bare", *words)
    assert code == 0, errors
    record = record_of(tmp_path / "run")
    assert record["status"] == "finished" and record["tested"] == {"checkpoint": "last.ckpt", "weights": "last"}
    assert lit("evaluate", "run")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("data=lit", "model=mlp"), ("tutorial_of_mine.LitData", "names no task and gives no spec")),
        (("data=lit", "task=classification", "model=mlp"), ("gives no spec", "add `spec`", "LightningModule")),
        (("data=lit", "task=lit", "model=mlp"), ("does not take model", "leave it out")),
        (("data=lit", "task=lit", "optimizer=sgd"), ("does not take optimizer", "leave it out")),
        (("data=lit", "task=lit", "freezing=last_stage"), ("does not take freezing", "named stages")),
    ],
)
def test_what_is_missing_is_named_by_check_and_train(
    lit: Experiments, tmp_path: Path, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    for command in ("check", "train"):
        code, _, errors = lit(command, "--config-dir", "conf", *words)
        assert code == 2 and all(part in errors for part in parts), errors
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_sweep_with_seeds_and_compare(lit: Experiments) -> None:
    code, _, errors = lit(
        "train", "-m", *LIT, "trainer.max_epochs=1", "seed=0,1", "task.width=4,8", "hydra.sweep.dir=sweep"
    )
    assert code == 0, errors
    code, output, _ = lit("compare", "sweep")
    assert code == 0 and "test_acc" in output and "2" in output
    code, output, _ = lit("train", "resume=sweep")
    assert "0 to run, 4 done already" in output


TOLD = """

class Told(LitModel):
    late = None

    def configure_model(self):
        self.late = self.late or nn.Linear(10, 10)

    def on_fit_start(self):
        self.logger.log_hyperparams({"found": {"depth": 3}}, {"hp/score": 0.5})

    def on_train_epoch_end(self):
        self.logger.log_hyperparams({"later": "yes"})

    def predict_step(self, batch, batch_idx, dataloader_idx=0):
        return {"class": self(batch[0]).argmax(1), "logits": self(batch[0])}


class Writer(L.pytorch.callbacks.BasePredictionWriter):
    def __init__(self, folder, write_interval):
        super().__init__(write_interval)
        self.folder = folder

    def write_on_batch_end(self, trainer, module, prediction, indices, batch, batch_idx, dataloader_idx):
        torch.save(indices, f"{self.folder}/{dataloader_idx}_{batch_idx}.pt")

    def write_on_epoch_end(self, trainer, module, predictions, indices):
        torch.save(predictions, f"{self.folder}/all.pt")
"""


@pytest.mark.slow
def test_own_hyperparameters_late_layers_and_predictions(lit: Experiments, tmp_path: Path) -> None:
    (tmp_path / "told_of_mine.py").write_text(MODULE + TOLD)
    (tmp_path / "conf" / "task" / "told.yaml").write_text("_target_: told_of_mine.Told")
    (tmp_path / "written").mkdir()
    writer = [f"callbacks.writer.{key}={value}" for key, value in (
        ("_target_", "told_of_mine.Writer"), ("folder", "written"), ("write_interval", "batch_and_epoch"),
    )]  # fmt: skip
    words = ("--config-dir", "conf", "task=told", "data=lit", "trainer.max_epochs=1", "hydra.run.dir=run")
    late = "trainer.plugins=[{_target_:lightning.pytorch.plugins.io.AsyncCheckpointIO}]"  # for which our callback waits
    code, _, errors = lit("train", *words, *writer, late)
    assert code == 0 and "Told: 610 parameters" in errors, errors
    record = record_of(tmp_path / "run")
    assert record["choices"]["model"] == "Told" and record["module"] == "told_of_mine.Told"
    assert record["hyperparameters"] == {
        "lr": 0.01,
        "width": 8,
        "make_optimizer": None,
        "found/depth": 3,
        "later": "yes",
    }
    assert record["cost"]["parameters"] == 720  # with the layer that configure_model makes
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    told = metadata.parse_session_start_info_plugin_data(content).hparams
    assert told["found/depth"].number_value == 3 and told["model"].string_value == "Told"
    assert "| later | yes |" in str(events.Tensors("hyperparameters/text_summary")[0].tensor_proto.string_val[0])
    assert events.Scalars("hp/score")[0].value == 0.5
    assert lit("evaluate", "run")[0] == 0
    assert "--top has no effect on a LightningModule" in lit("predict", "run", "--top", "3")[2]
    code, output, errors = lit("predict", "run")
    assert code == 0 and output == "Writer wrote what is predicted\n", errors
    assert len(list((tmp_path / "written").glob("?_?.pt"))) == 6 and (tmp_path / "written" / "all.pt").exists()
    code, output, errors = lit("predict", "run", "--out", "out")
    assert code == 0 and "128 answers in out" in output, errors
    head, *rows = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert head.startswith("example,class,logits_0,") and len(rows) == 128
    code, _, errors = lit("predict", "run", "x.png")
    assert code == 2 and "leave x.png out" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "sentence"),
    [("gan", "Gan has no predict_step, and its forward does not take the batches"), ("bare", "no forward")],
)
def test_a_module_that_cannot_predict_says_what_to_add(
    lit: Experiments, tmp_path: Path, task: str, sentence: str
) -> None:
    gan = "from tutorial_of_mine import Bare\n\n\nclass Gan(Bare):\n    def forward(self, noise):\n        return self.net(noise)\n"
    (tmp_path / "gan_of_mine.py").write_text(gan)
    (tmp_path / "conf" / "task" / "gan.yaml").write_text("_target_: gan_of_mine.Gan")
    sys.modules.pop("gan_of_mine", None)
    words = ("--config-dir", "conf", f"task={task}", "data=lit", "trainer.max_epochs=1", "hydra.run.dir=run")
    code, _, errors = lit("train", *words, "callbacks.checkpoint.monitor=null")
    assert code == 0, errors
    code, _, errors = lit("predict", "run")
    assert code == 2 and sentence in errors and "add a predict_step" in errors


def test_a_loader_that_lightning_cannot_make_anew_says_what_to_write(lit: Experiments, tmp_path: Path) -> None:
    by_place = MODULE.replace("self.set, batch_size=16)", "self.set, 16)")
    (tmp_path / "by_place_of_mine.py").write_text(by_place)
    (tmp_path / "conf" / "data" / "by_place.yaml").write_text("_target_: by_place_of_mine.LitData")
    words = ("--config-dir", "conf", "task=lit", "data=by_place", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert lit("train", *words)[0] == 0
    code, _, errors = lit("predict", "run")
    assert code == 2 and "write DataLoader(…, batch_size=…)" in errors and len(errors.splitlines()) == 1


def test_a_prediction_writer_beside_a_task_of_ours_is_refused(experiments: Experiments) -> None:
    writer = "callbacks.w._target_=lightning.pytorch.callbacks.BasePredictionWriter"
    code, _, errors = experiments("check", "data=digits", "model=logistic_regression", writer)
    assert code == 2 and "experiments predict RUN INPUT" in errors


GAN = """
import lightning as L
import torch
from torch import nn
from torch.nn import functional as F


class Gan(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.draws, self.judges = nn.Linear(4, 64), nn.Linear(64, 1)

    def training_step(self, batch, batch_idx):
        drawing, judging = self.optimizers()
        loss = F.softplus(-self.judges(self.draws(torch.randn(8, 4)))).mean()
        drawing.zero_grad()
        self.manual_backward(loss)
        drawing.step()
        loss = F.softplus(-self.judges(batch[0].flatten(1))).mean()
        judging.zero_grad()
        self.manual_backward(loss)
        judging.step()
        self.log("loss", loss, on_step=True)

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", F.softplus(-self.judges(batch[0].flatten(1))).mean())

    def on_validation_epoch_end(self):
        self.logger.experiment.add_image("drawn", torch.rand(1, 8, 8), self.global_step)

    def configure_optimizers(self):
        return [torch.optim.Adam(one.parameters(), 1e-3) for one in (self.draws, self.judges)], []
"""


@pytest.mark.slow
def test_manual_optimization_and_pictures_of_its_own(lit: Experiments, tmp_path: Path) -> None:
    (tmp_path / "gan_of_mine.py").write_text(MODULE + GAN)
    (tmp_path / "conf" / "task" / "gan.yaml").write_text("_target_: gan_of_mine.Gan")
    words = ("--config-dir", "conf", "task=gan", "data=digits", "data.limit=64", "hydra.run.dir=run")
    code, _, errors = lit("train", *words, "trainer.max_epochs=1")
    assert code == 0, errors
    code, _, errors = lit("train", "resume=run", "trainer.max_epochs=2")
    assert code == 0, errors
    assert "experiments predict" not in errors
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [image.step for image in events.Images("drawn")] == [2, 4]  # the steps of both optimizers


@pytest.mark.slow
@pytest.mark.parametrize("keeps", ["dirpath=${run.dir}/kept", "save_top_k=1"])
def test_a_checkpoint_callback_of_lightning_in_place_of_ours(lit: Experiments, tmp_path: Path, keeps: str) -> None:
    """Its checkpoints are found wherever in the run's folder they lie."""
    target = "callbacks.mine._target_=lightning.pytorch.callbacks.ModelCheckpoint"
    words = (*LIT, "callbacks.checkpoint=null", target, f"callbacks.mine.{keeps}", "callbacks.mine.monitor=val_loss")
    logger = (
        "logger=none",
        "logger.theirs._target_=lightning.pytorch.loggers.CSVLogger",
        "logger.theirs.save_dir=logs",
    )
    code, _, errors = lit("train", *words, *logger, "trainer.max_epochs=2", "hydra.run.dir=run")
    assert code == 0, errors
    code, _, errors = lit("train", "resume=run", "trainer.max_epochs=3")
    assert code == 0, errors
    record = record_of(tmp_path / "run")
    assert record["tested"]["weights"] == "best" and record["best_epoch"] in (1, 2, 3)
    (kept,) = (tmp_path / "run").rglob(Path(record["tested"]["checkpoint"]).name)
    content = torch.load(kept, weights_only=True)
    assert (content["epoch"] + 1, content["global_step"]) == (record["best_epoch"], 4 * record["best_epoch"])
    from tutorial_of_mine import LitModel

    assert LitModel.load_from_checkpoint(kept).hparams.width == 8
    assert lit("evaluate", "run")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("task.lrr=1",), "task.lrr is not taken by tutorial_of_mine.LitModel: did you mean lr?"),
        (("+task.lrr=1",), "task.lrr is not taken by tutorial_of_mine.LitModel: did you mean lr?"),
        (("+data.batch=1",), "data.batch is not taken by tutorial_of_mine.LitData: did you mean batch_size?"),
        (("task=null", "task.lr=1"), "task=null leaves no place for task._target_: leave task=null out"),
        (
            ("+callbacks.timer._target_=lightning.pytorch.callbacks.Timer", "+callbacks.timer.durations=1"),
            "callbacks.timer.durations is not taken by lightning.pytorch.callbacks.Timer: did you mean duration?",
        ),
    ],
)
def test_keys_that_a_class_does_not_take(lit: Experiments, words: tuple[str, ...], sentence: str) -> None:
    classes = ("task._target_=tutorial_of_mine.LitModel", "data._target_=tutorial_of_mine.LitData")
    assert lit("check", *classes, *words) == (2, "", f"error: {sentence}\n")


@pytest.mark.slow
def test_no_epoch_is_the_best_without_a_loss_of_validation(
    lit: Experiments, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (tmp_path / "tutorial_of_mine.py").read_text()
    (tmp_path / "tutorial_of_mine.py").write_text(text.replace('"val_loss"', '"val_acc"'))
    code, _, errors = lit("train", *LIT, "trainer.max_epochs=2", "trainer.accelerator=cpu", "hydra.run.dir=run")
    assert code == 0, errors
    words = [message for message in caplog.messages if "No metric is named val_loss" in message]
    assert len(words) == 1 and words[0].endswith("name another with callbacks.checkpoint.monitor=val_acc")
    code, _, errors = lit("train", *LIT, "trainer.max_epochs=2", "trainer.accelerator=cpu", "hydra.run.dir=named",
                          "callbacks.checkpoint.monitor=val_acc")  # fmt: skip
    assert code == 0, errors
    assert record_of(tmp_path / "named")["best_epoch"] is not None
    assert record_of(tmp_path / "run").get("best_epoch") is None


def test_steps_alone_end_a_run(lit: Experiments, tmp_path: Path) -> None:
    words = ("data=digits", "model=logistic_regression", "data.limit=200", "scheduler=cosine", "trainer.max_epochs=-1")
    code, _, errors = lit("train", *words, "trainer.max_steps=5", "hydra.run.dir=run")
    assert code == 0 and "5 steps" in errors, errors
    code, _, errors = lit("check", *words)
    assert code == 2 and "trainer.max_epochs=-1 must be" in errors


TRAINER_OF_CLI = """# as `python main.py fit --print_config` has it, but for max_epochs
accelerator: auto
strategy: auto
devices: auto
num_nodes: 1
precision: null
logger: null
callbacks: null
fast_dev_run: false
max_epochs: 2
min_epochs: null
max_steps: -1
min_steps: null
max_time: null
limit_train_batches: null
limit_val_batches: null
limit_test_batches: null
limit_predict_batches: null
overfit_batches: 0.0
val_check_interval: null
check_val_every_n_epoch: 1
num_sanity_val_steps: null
log_every_n_steps: null
enable_checkpointing: null
enable_progress_bar: null
enable_model_summary: null
accumulate_grad_batches: 1
gradient_clip_val: null
gradient_clip_algorithm: null
deterministic: null
benchmark: null
inference_mode: true
use_distributed_sampler: true
profiler: null
detect_anomaly: false
barebones: false
plugins: null
sync_batchnorm: false
reload_dataloaders_every_n_epochs: 0
default_root_dir: null
enable_autolog_hparams: true
model_registry: null
"""


@pytest.mark.slow
def test_what_migrating_says_of_lightning_cli_and_of_a_script(lit: Experiments, tmp_path: Path) -> None:
    """The commands of docs/migrating.md, the script's with its precision and its callback."""
    average = (
        "callbacks.average._target_=lightning.pytorch.callbacks.EMAWeightAveraging",
        "callbacks.average.decay=0.99",
    )
    (tmp_path / "conf" / "trainer").mkdir()
    (tmp_path / "conf" / "trainer" / "cli.yaml").write_text(TRAINER_OF_CLI)
    words = ("task.lr=0.01", "trainer=cli", "trainer.profiler=simple", "precision=bf16-mixed", *average)
    code, _, errors = lit("train", *LIT, *words, "hydra.run.dir=run")
    assert code == 0, errors
    record = record_of(tmp_path / "run")
    assert record["tested"]["weights"] == "averaged" and record["environment"]["precision"] == "bf16-mixed"
    assert lit("evaluate", "run")[0] == 0
    from tutorial_of_mine import LitModel

    kept = tmp_path / "run" / "checkpoints" / record["tested"]["checkpoint"]
    assert LitModel.load_from_checkpoint(kept).hparams.lr == 0.01

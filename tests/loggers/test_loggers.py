"""metrics.csv and the event file, read back; also after a resume."""

import csv
import io
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata
from torch import Tensor, nn
from torch.utils.data import DataLoader

from experiments.loggers import event_file
from experiments.loggers.base import announce, close, log_epoch
from experiments.loggers.csv import CSV
from experiments.loggers.tensorboard import TensorBoard

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes([0, 0, 0, 1, 0, 0, 0, 1])  # as much as a logger reads of one


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(e.step, round(float(e.tensor_proto.float_val[0]), 4)) for e in events(folder).Tensors(tag)]


class Toy(LightningModule):
    def __init__(self, name: str = "train/loss") -> None:
        super().__init__()
        self.name = name
        self.model = nn.Linear(2, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.model(batch).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/loss", self.model(batch).mean())

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("test/accuracy", torch.tensor(0.75))

    def on_train_epoch_end(self) -> None:
        self.log(self.name, float(self.current_epoch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(folder: Path, epochs: int, **settings: Any) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=[TensorBoard(str(folder)), CSV(str(folder))],
        callbacks=[ModelCheckpoint(folder, save_last=True)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1000,
        **settings,
    )


def loader() -> DataLoader:
    return DataLoader(torch.randn(8, 2), batch_size=2)


def test_csv_merges_an_epoch_into_a_row(tmp_path: Path) -> None:
    log = CSV(str(tmp_path))
    for epoch in range(3):
        log.log_metrics({"val/loss": epoch + 0.5, "epoch": epoch}, step=4 * epoch + 3)
        log.log_metrics({"train/loss": 1 / 3, "epoch": epoch}, step=4 * epoch + 3)
    log.log_metrics({"val/f1, macro": 1.0, "epoch": 3}, step=15)
    log.log_metrics({"test/accuracy": 1.0, "epoch": 3}, step=15)
    assert (tmp_path / "metrics.csv").read_text().splitlines()[:2] == [
        'epoch,step,train/loss,val/loss,"val/f1, macro"',
        "0,3,0.3333333,0.5,",
    ]
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2", "3"]
    assert rows(tmp_path)[3]["val/f1, macro"] == "1"


def test_csv_after_a_kill(tmp_path: Path) -> None:
    first = CSV(str(tmp_path))
    for epoch in range(4):
        first.log_metrics({"train/loss": epoch, "epoch": epoch}, step=epoch)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,")  # the kill came in the middle of a row
    second = CSV(str(tmp_path))
    second.log_metrics({"train/loss": 20.0, "val/loss": 1.0, "epoch": 2}, step=2)
    second.log_metrics({"train/loss": 30.0, "epoch": 3}, step=3)
    assert [row["train/loss"] for row in rows(tmp_path)] == ["0", "1", "20", "30"]
    assert [row["val/loss"] for row in rows(tmp_path)] == ["", "", "1", ""]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv"]


def test_event_file_reads_back(tmp_path: Path) -> None:
    log = TensorBoard(str(tmp_path))
    choices = {"model": "lenet5", "lr": 0.01, "seed": 0, "pretrained": False, "weights": None}
    announce([log, CSV(str(tmp_path))], choices, ["test/accuracy"], {"config": "```yaml\nseed: 0\n```"}, tmp_path)
    log.log_metrics({"train/loss": 0.5, "val/loss": 0.25, "epoch": 0}, step=9)
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00\x00\x05" + b"x" * 100
    log.log_picture("figures/curves", png, 9)
    log.log_metrics({"test/accuracy": 0.875, "epoch": 1}, step=10)
    log.finalize("success")
    close([log], "finished")
    read = events(tmp_path)
    assert scalars(tmp_path, "train/loss") == [(9, 0.5)]
    assert scalars(tmp_path, "test/accuracy") == [(10, 0.875)]
    assert not any("epoch" in tag or "hp_metric" in tag for tag in read.Tags()["tensors"])
    assert read.Tensors("figures/curves")[0].tensor_proto.string_val[:3] == [b"7", b"5", png]
    assert read.Tensors("config/text_summary")[0].tensor_proto.string_val[0].startswith(b"```yaml")
    assert read.SummaryMetadata("config/text_summary").plugin_data.plugin_name == "text"
    content = read.PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(content["_hparams_/session_start_info"])
    assert start.hparams["model"].string_value == "lenet5"
    assert start.hparams["weights"].string_value == "none"
    assert start.hparams["lr"].number_value == 0.01
    assert start.hparams["seed"].number_value == 0
    assert start.hparams["pretrained"].HasField("bool_value")
    experiment = metadata.parse_experiment_plugin_data(content["_hparams_/experiment"])
    assert [info.name.tag for info in experiment.metric_infos] == ["test/accuracy"]
    end = metadata.parse_session_end_info_plugin_data(content["_hparams_/session_end_info"])
    assert end.status == api_pb2.STATUS_SUCCESS


def test_checksum_of_event_files() -> None:
    """Castagnoli's check value, and any length the same in lanes as byte by byte."""
    assert event_file.crc32c(b"123456789") == 0xE3069283
    data = random.randbytes(100_000)
    for length in (4, 64, 1024, 1025, 4096, 65_537, 100_000):
        assert event_file._in_lanes(data[:length]) == event_file._byte_by_byte(data[:length])


def test_event_file_after_a_kill(tmp_path: Path) -> None:
    first = TensorBoard(str(tmp_path))
    announce([first], {"seed": 0}, ["test/accuracy"], {"config": "first"}, tmp_path)
    for step in range(6):
        first.log_metrics({"train/loss": float(step), "epoch": step}, step)
    first.finalize("failed")
    (old,) = tmp_path.glob("events*")
    old.write_bytes(old.read_bytes() + b"\x00" * 7)  # the kill came in the middle of a record
    time.sleep(0.01)
    second = TensorBoard(str(tmp_path))
    announce([second], {"seed": 0}, ["test/accuracy"], {"config": "second"}, tmp_path)
    for step in range(4, 6):
        second.log_metrics({"train/loss": 10.0 * step, "epoch": step}, step)
    second.log_metrics({"test/accuracy": 1.0}, 6)
    second.finalize("success")
    assert len(list(tmp_path.glob("events*"))) == 1
    assert sorted(scalars(tmp_path, "train/loss")) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 40), (5, 50)]
    assert [e.tensor_proto.string_val[0] for e in events(tmp_path).Tensors("config/text_summary")] == [b"second"]
    content = events(tmp_path).PluginTagToContent("hparams")
    end = metadata.parse_session_end_info_plugin_data(content["_hparams_/session_end_info"])
    assert end.status == api_pb2.STATUS_SUCCESS


def test_a_test_alone_drops_nothing(tmp_path: Path) -> None:
    first = TensorBoard(str(tmp_path))
    first.log_metrics({"train/loss": 1.0, "epoch": 0}, 3)
    close([first], "finished")
    TensorBoard(str(tmp_path)).log_metrics({"test/accuracy": 0.5}, 0)
    assert scalars(tmp_path, "train/loss") == [(3, 1.0)]


@pytest.mark.filterwarnings("ignore")
def test_a_fit_and_its_resume(tmp_path: Path) -> None:
    run = trainer(tmp_path, 2)
    run.fit(Toy(), loader(), loader())
    run = trainer(tmp_path, 4)
    run.fit(Toy(), loader(), loader(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    run.test(run.lightning_module, loader(), verbose=False)
    close(run.loggers, "finished")
    assert [row["epoch"] for row in rows(tmp_path)] == ["0", "1", "2", "3"]
    assert [row["train/loss"] for row in rows(tmp_path)] == ["0", "1", "2", "3"]
    assert all(row["val/loss"] for row in rows(tmp_path))
    assert [step for step, _ in scalars(tmp_path, "train/loss")] == [3, 7, 11, 15]
    assert [step for step, _ in scalars(tmp_path, "val/loss")] == [3, 7, 11, 15]
    assert scalars(tmp_path, "test/accuracy") == [(16, 0.75)]
    assert len(list(tmp_path.glob("events*"))) == 1
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".ckpt"} >= {"metrics.csv"}
    assert not (tmp_path / "hparams.yaml").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["train/loss", "train_loss", "loss"])
def test_a_run_stopped_between_checkpoint_and_log(tmp_path: Path, name: str) -> None:
    class Stop(Checkpoint):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch == 1:
                log_epoch(trainer)
                trainer.save_checkpoint(tmp_path / "stopped.ckpt")
                raise ZeroDivisionError

    run = trainer(tmp_path, 3)
    run.callbacks.append(Stop())
    with pytest.raises(ZeroDivisionError):
        run.fit(Toy(name), loader(), loader())
    run = trainer(tmp_path, 3)
    run.fit(Toy(name), loader(), loader(), ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)
    assert [row[name] for row in rows(tmp_path)] == ["0", "1", "2"]
    assert scalars(tmp_path, name) == [(3, 0), (7, 1), (11, 2)]


def test_training_and_validation_lie_over_each_other(tmp_path: Path) -> None:
    """TensorBoard's CUSTOM SCALARS tab shows losses and metrics in pairs."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

    from experiments.loggers.tensorboard import TensorBoard

    logger = TensorBoard(str(tmp_path))
    logger.log_hyperparams({"model": "mlp"}, ["test/loss", "test/accuracy"])
    logger.close("finished")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = layout.category[0].chart
    assert [chart.title for chart in charts] == ["loss", "accuracy"]
    (tag,) = charts[1].multiline.tag
    shown = [
        "train/accuracy",
        "val/accuracy",
        "train_accuracy_epoch",
        "val_accuracy",
        "test/accuracy",
        "val/accuracy_gap",
    ]
    assert [name for name in shown if re.search(tag, name)] == shown[:4]


def test_curves_of_precision_and_recall_are_those_of_the_counts(tmp_path: Path) -> None:
    """The PR CURVES tab of TensorBoard, of two classes: at threshold 0 all are taken, and recall falls as it rises."""
    from experiments.callbacks.pr_curves import THRESHOLDS, counts, curves

    chances = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    drawn = curves(counts(chances, torch.tensor([0, 0, 1, 1])))
    true, false, others, missed, precision, recall = drawn[1]
    assert (true[0], false[0], others[0], missed[0]) == (2, 2, 0, 0) and (precision[0], recall[0]) == (0.5, 1)
    at = int(0.35 * (THRESHOLDS - 1))
    assert (true[at], false[at], others[at], missed[at]) == (2, 0, 2, 0) and (precision[at], recall[at]) == (1, 1)
    assert recall[-1] == 0
    logger = TensorBoard(str(tmp_path))
    logger.log_pr_curve("test/one", drawn[1].tolist(), 7)
    logger.close("finished")
    kept = events(tmp_path)
    assert kept.PluginTagToContent("pr_curves").keys() == {"test/one/pr_curves"}
    values = torch.tensor(kept.Tensors("test/one/pr_curves")[0].tensor_proto.float_val)
    assert torch.equal(values.view(6, THRESHOLDS), drawn[1].float())


@pytest.mark.slow
def test_graph_and_curves_of_a_run(experiments: Any, tmp_path: Path) -> None:
    words = ["data=digits", "model=lenet5", "trainer=quick", "logger.tensorboard.graph=true", "callbacks=pr_curves"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    kept = events(tmp_path / "run")
    assert kept.Graph().node and len(kept.PluginTagToContent("pr_curves")) == 10


def test_pictures_of_a_sweep_are_few(tmp_path: Path) -> None:
    for folder in (tmp_path / "alone", tmp_path / "sweep" / "0"):
        logger = TensorBoard(str(folder))
        for name in ("figures/training_batch", "figures/confusion"):
            if folder.name == "0":
                (folder.parent).mkdir(exist_ok=True)
                (folder.parent / "sweep.json").touch()
            logger.log_picture(name, PNG, 0)
        logger.close("finished")
    assert set(events(tmp_path / "alone").PluginTagToContent("images")) == {
        "figures/training_batch",
        "figures/confusion",
    }
    assert set(events(tmp_path / "sweep" / "0").PluginTagToContent("images")) == {"figures/confusion"}


def test_the_writer_of_torch_is_made_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning asks for it before every fit."""
    made: list[str] = []
    monkeypatch.setattr(TensorBoard, "_torch_writer", lambda logger: made.append("one") or io.StringIO("text"))
    logger = TensorBoard(str(tmp_path))
    Trainer(logger=logger, max_epochs=1, accelerator="cpu", enable_progress_bar=False).fit(Toy(), loader())
    assert made == []
    assert isinstance(logger.experiment, io.StringIO)
    assert logger.experiment.read() == "text"
    assert made == ["one"]


def test_what_a_module_writes_itself(tmp_path: Path) -> None:
    """As `self.logger.experiment.add_image(…)` of Lightning's own logger, in the same file, and with steps of its own."""

    def attempt(epochs: range, ends: bool) -> None:
        logger = TensorBoard(str(tmp_path))
        for epoch in epochs:
            logger.experiment.add_scalar("own", epoch / 2, 10 * epoch)
            logger.experiment.add_histogram("weights", torch.zeros(4), 10 * epoch)
            logger.log_metrics({"val/loss": 1.0}, epoch)
        if ends:
            close([logger], "finished")

    attempt(range(3), ends=False)  # killed in the epoch after 1, to which it returns
    attempt(range(2, 4), ends=True)
    assert len(list(tmp_path.glob("events.out.*"))) == 1
    written = events(tmp_path)
    for tag in ("own", "weights"):
        assert [e.step for e in written.Tensors(tag)] == [0, 10, 20, 30]

"""The callback: what it draws, where it puts it, and what it leaves alone."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from experiments.callbacks.figures import Figures
from experiments.loggers.tensorboard import TensorBoard
from experiments.spec import ImageSpec

pytestmark = pytest.mark.filterwarnings("ignore")
SPEC = ImageSpec(1, 8, 8, ("zero", "one", "two"), (0.5,), (0.5,))
NAMES = {"training_batch", "curves", "filters", "confusion", "most_wrong"}


class Classifier(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.spec = SPEC
        self.model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3))
        self.confusion: Tensor | None = None

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = F.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", F.cross_entropy(self.model(batch[0]), batch[1]))

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        scores = self.model(batch[0])
        return {"loss": scores.mean(), "prediction": scores, "target": batch[1]}

    def on_test_epoch_end(self) -> None:
        self.confusion = torch.tensor([[5, 1, 0], [0, 6, 0], [2, 0, 4]])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Underscores(Classifier):
    """Logs as Lightning's tutorials do."""

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = F.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_acc", (self.model(batch[0]).argmax(dim=1) == batch[1]).float().mean())


def loader(count: int = 18) -> DataLoader:
    random = torch.Generator().manual_seed(0)
    images = torch.randn(count, 1, 8, 8, generator=random)
    return DataLoader(TensorDataset(images, torch.arange(count) % 3), batch_size=5)


def trainer(folder: Path, epochs: int = 2, figures: Figures | None = None, log: bool = True) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=[TensorBoard(str(folder))] if log else False,
        callbacks=[ModelCheckpoint(folder, save_last=True), *([figures] if figures else [])],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_all_pictures(tmp_path: Path) -> None:
    run = trainer(tmp_path, figures=Figures(str(tmp_path / "figures"), examples=4))
    module = Classifier()
    run.fit(module, loader(), loader())
    run.test(module, loader(), verbose=False)
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {f"{name}.png" for name in NAMES}
    read = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    read.Reload()
    for name in NAMES:
        (event,) = read.Tensors(f"figures/{name}")
        assert event.tensor_proto.string_val[2] == (tmp_path / "figures" / f"{name}.png").read_bytes()


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    weights = []
    for figures in (None, Figures(str(tmp_path / "figures"))):
        torch.manual_seed(0)
        module = Classifier()
        trainer(tmp_path, figures=figures, log=False).fit(module, loader(), loader())
        weights.append([*module.state_dict().values(), torch.get_rng_state()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_most_wrong_are_the_most_wrong(tmp_path: Path) -> None:
    module, kept = Classifier(), {}

    class Spy(Figures):
        def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            kept.update(self._wrong)

    batches = loader(50)
    trainer(tmp_path, figures=Spy(str(tmp_path), examples=7), log=False).test(module, batches, verbose=False)
    images, targets = batches.dataset.tensors  # type: ignore[attr-defined]
    with torch.no_grad():
        scores = module.model(images)
    losses = F.cross_entropy(scores, targets, reduction="none") * (scores.argmax(1) != targets)
    order = losses.argsort(descending=True)[:7]
    assert torch.allclose(kept["loss"], losses[order], atol=1e-6)
    assert torch.equal(kept["image"], images[order])
    assert torch.equal(kept["predicted"], scores.argmax(1)[order])
    assert torch.equal(kept["target"], targets[order])


def test_history_survives_a_resume(tmp_path: Path) -> None:
    trainer(tmp_path, 2, Figures(str(tmp_path / "f"))).fit(Classifier(), loader(), loader())
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]["Figures"]
    assert [set(row) for row in state["history"]] == [{"epoch", "train/loss", "val/loss"}] * 2
    figures = Figures(str(tmp_path / "f"))
    trainer(tmp_path, 3, figures).fit(
        Classifier(), loader(), loader(), ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    history = figures.state_dict()["history"]
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert history[:2] == state["history"]
    assert all(type(value) in (int, float) for row in history for value in row.values())


def test_a_picture_that_cannot_be_written_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "figures").write_text("a file where the folder should be")
    run = trainer(tmp_path, figures=Figures(str(tmp_path / "figures")), log=False)
    with caplog.at_level(logging.WARNING):
        run.fit(Classifier(), loader(), loader())
    assert run.state.finished
    lines = [record.getMessage() for record in caplog.records if record.name == "experiments.callbacks.figures"]
    assert len(lines) == 3
    assert all("\n" not in line for line in lines)


def test_a_task_of_another_kind_draws_what_applies(tmp_path: Path) -> None:
    class Regression(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.spec = object()  # type: ignore[assignment]

        def test_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
            pass

        def on_test_epoch_end(self) -> None:
            pass

    run = trainer(tmp_path, figures=Figures(str(tmp_path / "figures")), log=False)
    run.fit(Regression(), loader(), loader())
    run.test(run.lightning_module, loader(), verbose=False)
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"curves.png"}


def test_curves_of_names_with_underscores(tmp_path: Path) -> None:
    figures = Figures(str(tmp_path / "figures"))
    trainer(tmp_path, figures=figures, log=False).fit(Underscores(), loader(), loader())
    history = figures.state_dict()["history"]
    assert [set(row) for row in history] == [{"epoch", "train/loss", "val/acc"}] * 2

"""The short training loop does what the stock loop does: same calls, same numbers, same checkpoints."""

from __future__ import annotations

import inspect
import io
import os
import signal
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.profilers import SimpleProfiler
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, default_collate

from experiments.callbacks.progress import Progress
from experiments.speedups import training_loop as loop

pytestmark = pytest.mark.filterwarnings("ignore")
EXAMPLES, BATCH, BATCHES = 40, 4, 10
STATE = ("loops", "optimizer_states", "lr_schedulers", "global_step", "epoch")


class Memory(Logger):
    """Keeps what is logged: [(step, {name: value})]."""

    name, version = "memory", 0

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))


def _recorder(base: type) -> type:
    """A callback class with every hook, noting (hook, name `self.log` sees, step, values given)."""

    def note(name: str) -> Any:
        def hook(self: Any, trainer: Trainer, module: LightningModule, *args: Any, **kwargs: Any) -> None:
            values = [a for a in (*args, *kwargs.values()) if isinstance(a, (int, str))]
            for a in args:
                if isinstance(a, torch.Tensor):
                    values.append(float(a))
                elif isinstance(a, dict) and isinstance(a.get("loss"), torch.Tensor):
                    values.append(float(a["loss"]))
            self.seen.append((name, module._current_fx_name, trainer.global_step, values))

        return hook

    names = [n for n, _ in inspect.getmembers(base, inspect.isfunction) if n.startswith("on_")]
    names = [n for n in names if n not in ("on_save_checkpoint", "on_load_checkpoint", "on_exception")]
    return type("Recorder", (base,), {"seen": [], **{n: note(n) for n in names}})


class Small(LightningModule):
    """Eight features, three classes, with dropout so that a shifted random stream shows."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 3))
        self.options, self.seen = options, []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = F.cross_entropy(self.net(batch[0]), batch[1])
        if self.options.get("log"):
            self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        if self.options.get("log_sometimes") and batch_idx % 3 == 0:
            self.log("train/third", loss)
        if self.options.get("none") and batch_idx % 3 == 1:
            return None
        if self.options.get("stop") == (self.current_epoch, batch_idx):
            self.trainer.should_stop = True
        return {"loss": loss, "more": batch_idx} if self.options.get("dict") else loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", F.cross_entropy(self.net(batch[0]), batch[1]))

    def on_train_epoch_end(self) -> None:
        self.log("train/epoch", torch.tensor(float(self.current_epoch)))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)
        kind, schedulers = self.options.get("scheduler"), torch.optim.lr_scheduler
        if kind is None:
            return optimizer
        if kind.startswith("plateau"):
            scheduler: Any = schedulers.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
            monitor = "train/loss" if kind == "plateau_step" else "val/loss"
            interval = "step" if kind == "plateau_step" else "epoch"
            config = {"scheduler": scheduler, "monitor": monitor, "interval": interval}
            return {"optimizer": optimizer, "lr_scheduler": config}
        return [optimizer], [{"scheduler": schedulers.StepLR(optimizer, 2, 0.7), "interval": kind}]


class Hooked(Small):
    """A module that overrides what can be overridden in a step."""

    def _note(self, *what: Any) -> None:
        self.seen.append((*what, self._current_fx_name))

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self._note("before", dataloader_idx)
        return batch

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self._note("transfer", device.type)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self._note("after", dataloader_idx)
        return [batch[0] * 2, batch[1]]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        self._note("start", batch_idx)
        return -1 if (self.current_epoch, batch_idx) == (1, 6) else None

    def on_before_zero_grad(self, optimizer: Any) -> None:
        self._note("zero", type(optimizer).__name__)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        self._note("zero_grad", epoch, batch_idx)
        optimizer.zero_grad(set_to_none=False)

    def on_before_backward(self, loss: torch.Tensor) -> None:
        self._note("backward", float(loss))

    def backward(self, loss: torch.Tensor, *args: Any) -> None:
        (loss * 2).backward(*args)

    def on_after_backward(self) -> None:
        self._note("after_backward")

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self._note("step", type(optimizer).__name__)
        self.log("grad", self.net[0].weight.grad.norm())

    def configure_gradient_clipping(self, optimizer: Any, gradient_clip_val: Any, gradient_clip_algorithm: Any) -> None:
        self.clip_gradients(optimizer, gradient_clip_val=0.1, gradient_clip_algorithm="value")

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._note("end", float(outputs["loss"]), batch_idx)


class OneArgument(Small):
    def training_step(self, batch: Any) -> torch.Tensor:  # type: ignore[override]
        return super().training_step(batch, 0)


class OwnOptimizerStep(Small):
    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        optimizer.step(closure=optimizer_closure)


class Manual(Small):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(F.cross_entropy(self.net(batch[0]), batch[1]))
        optimizer.step()


class Doubling(LightningDataModule):
    """Augments after the transfer, as our data do, and gives none now and then."""

    def train_dataloader(self) -> DataLoader:
        return _loader(shuffle=True)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0] * 2, batch[1]


def _data() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(EXAMPLES, 8, generator=generator)
    return TensorDataset(x, torch.randint(0, 3, (EXAMPLES,), generator=generator))


def _loader(shuffle: bool = False) -> DataLoader:
    return DataLoader(_data(), BATCH, shuffle=shuffle)


def _or_none(rows: list) -> Any:
    return None if torch.rand(()) < 0.3 else default_collate(rows)


class Endless(torch.utils.data.IterableDataset):
    def __iter__(self) -> Any:
        return iter([_data()[i] for i in range(EXAMPLES)])


def _fit(short: bool, tmp_path: Any, model: type = Small, options: dict | None = None, loader: Any = None,
         data: type | None = None, resume: Any = None, callbacks: Any = None, **trainer_options: Any,
) -> dict:  # fmt: skip
    """One training; everything of it that another one is to match."""
    torch.manual_seed(3)
    logger, recorder = Memory(), _recorder(Callback)()
    recorder.seen = []
    settings: dict = {
        "max_epochs": 3,
        "log_every_n_steps": 3,
        "logger": logger,
        "enable_checkpointing": False,
    }
    trainer = Trainer(
        **{**settings, **trainer_options}, accelerator="cpu", devices=1, default_root_dir=tmp_path,
        enable_progress_bar=False, enable_model_summary=False,
        callbacks=[recorder, Progress(io.StringIO()), *(callbacks() if callbacks else [])],
    )  # fmt: skip
    if short:
        assert loop.install(trainer)
    steps = []
    run = loop.EpochLoop.on_run_start

    def spy(self: Any, fetcher: Any) -> None:
        run(self, fetcher)
        steps.append(self._step is not None)

    module = model(**(options or {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.EpochLoop, "on_run_start", spy)
        if data:
            trainer.fit(module, datamodule=data(), ckpt_path=resume)
        else:
            trainer.fit(module, loader() if loader else _loader(True), _loader(), ckpt_path=resume)
    checkpoint = trainer._checkpoint_connector.dump_checkpoint()
    return {
        "short": steps,
        "weights": checkpoint.pop("state_dict"),
        "checkpoint": {key: checkpoint[key] for key in STATE},
        "precision": trainer.precision_plugin.state_dict(),
        "logged": logger.rows,
        "metrics": {k: float(v) for k, v in trainer.callback_metrics.items()},
        "bar": dict(trainer.progress_bar_metrics),
        "calls": recorder.seen,
        "module_calls": module.seen,
    }


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def _compare(tmp_path: Any, **settings: Any) -> list[bool]:
    """Fits twice; returns for each epoch whether it ran in the short loop."""
    stock, ours = _fit(False, tmp_path, **settings), _fit(True, tmp_path, **settings)
    assert stock.pop("short") == []
    short = ours.pop("short")
    assert short
    for what in stock:
        assert _same(stock[what], ours[what]), what
    assert any(call[0] == "on_train_batch_end" for call in ours["calls"])
    return short


USUAL: dict[str, dict] = {
    "plain": {},
    "clip by norm": {"gradient_clip_val": 0.1},
    "clip by value": {"gradient_clip_val": 0.1, "gradient_clip_algorithm": "value"},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "bf16-true": {"precision": "bf16-true"},
    "64-true": {"precision": "64-true"},
    "scheduler by step": {"options": {"scheduler": "step"}},
    "scheduler by epoch": {"options": {"scheduler": "epoch"}},
    "plateau": {"options": {"scheduler": "plateau"}},
    "plateau by step": {"options": {"scheduler": "plateau_step", "log": True}},
    "log by step and epoch": {"options": {"log": True}},
    "log now and then": {"options": {"log_sometimes": True}, "log_every_n_steps": 1},
    "validate twice an epoch": {"val_check_interval": 0.5, "options": {"log": True}},
    "validate every second epoch": {"check_val_every_n_epoch": 2},
    "validate by total batches": {"check_val_every_n_epoch": None, "val_check_interval": 7},
    "validate by the clock": {"val_check_interval": {"seconds": 3600}},
    "part of the batches": {"limit_train_batches": 7},
    "no validation": {"limit_val_batches": 0},
    "by steps": {"max_epochs": -1, "max_steps": 17},
    "stops early": {"options": {"stop": (1, 4)}},
    "may not stop yet": {"options": {"stop": (0, 4)}, "min_epochs": 2},
    "some steps are None": {"options": {"none": True}},
    "dict": {"options": {"dict": True}},
    "every hook of the module": {"model": Hooked, "options": {"log": True}},
    "hooks of the data": {"data": Doubling},
    "no batch index": {"model": OneArgument},
    "stream": {"loader": lambda: DataLoader(Endless(), BATCH)},
    "part of a stream": {"loader": lambda: DataLoader(Endless(), BATCH), "limit_train_batches": 6},
    "batches of None": {"loader": lambda: DataLoader(_data(), BATCH, collate_fn=_or_none)},
}
UNUSUAL: dict[str, dict] = {
    "accumulated": {"accumulate_grad_batches": 2},
    "manual": {"model": Manual},
    "own optimizer_step": {"model": OwnOptimizerStep},
    "profiler": {"profiler": SimpleProfiler()},
}


@pytest.mark.parametrize("settings", USUAL.values(), ids=USUAL.keys())
def test_usual_epochs_run_short_and_equal_the_stock_loop(tmp_path: Any, settings: dict) -> None:
    assert all(_compare(tmp_path, **settings))


@pytest.mark.parametrize("settings", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_unusual_epochs_run_in_the_stock_loop(tmp_path: Any, settings: dict) -> None:
    assert not any(_compare(tmp_path, **settings))


def test_fp16_with_a_scaler(tmp_path: Any) -> None:
    """The scaler's own path, on a CPU, where Trainer(precision='16-mixed') would become bf16."""

    def settings() -> dict:
        scaler = torch.amp.GradScaler("cpu")
        return {"plugins": MixedPrecision("16-mixed", "cpu", scaler), "gradient_clip_val": 0.1}

    stock, ours = _fit(False, tmp_path, **settings()), _fit(True, tmp_path, **settings())
    assert all(ours.pop("short")) and not stock.pop("short") and ours["precision"]
    assert all(_same(stock[what], ours[what]) for what in stock)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"save_on_train_epoch_end": True}, {"every_n_train_steps": 7}])
def test_resume(tmp_path: Any, options: dict) -> None:
    """From the end of an epoch and from its middle: both loops write the same checkpoints and go on alike."""

    def checkpoints(short: bool) -> list[Any]:
        folder = tmp_path / str(short)
        keep = ModelCheckpoint(dirpath=folder, filename="{step}", save_top_k=-1, **options)
        _fit(short, tmp_path, callbacks=lambda: [keep], enable_checkpointing=True, max_epochs=2)
        return sorted(folder.iterdir())

    stock, ours = checkpoints(False), checkpoints(True)
    assert [path.name for path in stock] == [path.name for path in ours] and len(stock) == 2
    for first, second in zip(stock, ours, strict=True):
        a, b = (torch.load(path, weights_only=True) for path in (first, second))
        assert all(_same(a[key], b[key]) for key in (*STATE, "state_dict"))
        _compare(tmp_path, resume=second)


def test_a_termination_signal_ends_the_training_after_the_step(tmp_path: Any) -> None:
    def end(trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    steps = []
    after = LambdaCallback(on_train_batch_start=end, on_train_batch_end=lambda *args: steps.append(args[-1]))
    with pytest.raises(SIGTERMException):
        _fit(True, tmp_path, callbacks=lambda: [after])
    assert steps == [0, 1, 2, 3]


def test_every_hook_is_called_wherever_it_was_put(tmp_path: Any) -> None:
    """Hooks set on an instance (LambdaCallback) count as much as those of a class."""
    seen = []
    names = [n for n in loop._HOOKS if n != "on_before_zero_grad"]
    made = {n: (lambda *args, _n=n: seen.append(_n)) for n in (*names, "on_before_zero_grad")}
    _fit(True, tmp_path, callbacks=lambda: [LambdaCallback(**made)], max_epochs=1)
    assert set(seen) == set(loop._HOOKS) and len(seen) == len(loop._HOOKS) * BATCHES


def test_every_hook_of_a_step_is_known() -> None:
    """A hook that a step may call is one the short loop looks for."""
    recorder = _recorder(Callback)
    outside = ("fit", "train_start", "train_end", "epoch", "sanity", "validation", "test", "predict")
    hooks = {n for n in vars(recorder) if n.startswith("on_") and not any(word in n for word in outside)}
    assert hooks == set(loop._HOOKS)


def test_a_step_on_a_cpu_does_not_look_for_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """torch's optimizers do, before each update, and under Lightning that loads the driver's library each time."""
    asked: list[None] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(asked.append(None)))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: bool(asked.append(None)))
    counts = []
    for batches in (2, BATCHES):
        asked.clear()
        assert all(_fit(True, tmp_path, limit_train_batches=batches)["short"])
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_another_lightning_keeps_its_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(loop, "_KNOWN", {})
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", default_root_dir=tmp_path)
    assert not loop.install(trainer) and type(trainer.fit_loop.epoch_loop) is not loop.EpochLoop


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_speed_is_measured_from_the_middle_of_an_epoch(tmp_path: Any) -> None:
    keep = ModelCheckpoint(dirpath=tmp_path, filename="{step}", every_n_train_steps=7)
    _fit(True, tmp_path, callbacks=lambda: [keep], enable_checkpointing=True, max_epochs=1)
    progress = Progress(io.StringIO())
    _fit(True, tmp_path, resume=tmp_path / "step=7.ckpt", callbacks=lambda: [progress], max_epochs=1)
    assert progress.train_seconds > 0 and progress.examples_per_second > 0
    assert progress.stream.getvalue().startswith("epoch 1/1")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress(tmp_path: Any, stream: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress(stream())
    _fit(True, tmp_path, callbacks=lambda: [progress], max_epochs=2)
    shown = progress.stream.getvalue()
    assert "epoch 1/2" in shown and "examples/s" in shown and "val/loss" in shown
    assert progress.train_seconds > 0
    assert progress.examples_per_second == pytest.approx(2 * EXAMPLES / progress.train_seconds)
    if stream is io.StringIO:
        assert len(shown.splitlines()) == 2 and "\r" not in shown
    else:
        assert shown.count("\n") == 2 and shown.endswith("\n") and " left" in shown  # a line for each epoch stays

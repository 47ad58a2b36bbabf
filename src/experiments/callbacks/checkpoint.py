"""Checkpoints that are whole or absent, and resume that ends where an uninterrupted run would have ended."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from experiments.errors import Interrupted, UserError, first_line
from experiments.loggers.base import log_epoch
from experiments.system.files import atomic_path, link_or_copy
from experiments.system.signals import handle

log = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Writes to a temporary name and renames it; reads tensors and plain Python only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_path(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return torch.load(path, map_location="cpu", weights_only=True)

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """Keeps `best.ckpt` and `last.ckpt`, saves on SIGINT, SIGTERM and SIGHUP, and restores what Lightning does not.

    A checkpoint also holds the state of every random number generator. Shuffling and augmentation need none:
    they are functions of seed, epoch and batch. A run that continues therefore repeats exactly what the
    interrupted one would have done.

    Args:
        dir: where the checkpoints go.
        monitor: the metric that names the best epoch; None takes the task's. Where it ties, `val/loss` decides, and without
            one the later epoch.
        mode: "min" or "max"; None takes the task's.
        every_n_steps: also save `last.ckpt` after so many steps.
        every_minutes: also save `last.ckpt` when so much time has passed since the last save.
    """

    def __init__(
        self,
        dir: str,
        monitor: str | None = None,
        mode: str | None = None,
        every_n_steps: int | None = None,
        every_minutes: float | None = None,
    ) -> None:
        self.dir = Path(dir)
        self.monitor, self.mode = monitor, mode
        self.every_n_steps = every_n_steps
        self.every_seconds = None if every_minutes is None else 60 * every_minutes
        self.best: float | None = None
        self.best_loss = math.inf
        self.best_epoch: int | None = None
        self.best_metrics: dict[str, float] = {}
        self._batches_done = 0  # of an unfinished epoch
        self._random_state: dict[str, Any] | None = None
        self._saved_at = time.monotonic()
        self._signal: int | None = None
        self._in_step = self._several = self._resumed = False

    # Saving

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self._agreed_signal(trainer)
        due = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        if self.every_seconds is not None and trainer.world_size == 1:  # clocks of several processes differ
            due = due or time.monotonic() - self._saved_at > self.every_seconds
        if stop and not self._goes_on_within(trainer):
            raise Interrupted(stop)  # the last save stands
        if (stop or due) and self._resumable(trainer, batch_idx):
            self._save(trainer, batches_done=batch_idx + 1)
            if stop:
                raise Interrupted(stop)
        self._in_step = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._in_step = True
        if self._random_state is not None:
            restore_random_state(self._random_state)
            self._random_state = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        monitor, mode = self._watch(pl_module)
        value = trainer.callback_metrics.get(monitor)
        self._require(trainer, "checkpoint", self.monitor)
        loss = float(trainer.callback_metrics.get("val/loss", math.inf))
        improved = value is not None and self._improves(float(value), loss, mode)
        if improved:
            self.best, self.best_loss, self.best_epoch = float(value), loss, trainer.current_epoch  # type: ignore[arg-type]
            self.best_metrics = {name: float(metric) for name, metric in trainer.callback_metrics.items()}
        log_epoch(trainer)  # else a run killed right after the save would never log this epoch
        # The best first: killed between the two, a run goes on from the older `last.ckpt` and comes here again.
        self._save(trainer, "best.ckpt" if improved else "last.ckpt")
        if improved and trainer.is_global_zero:
            with atomic_path(self.dir / "last.ckpt") as temporary:
                link_or_copy(self.dir / "best.ckpt", temporary)
        if stop := self._agreed_signal(trainer):
            raise Interrupted(stop)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for early in trainer.early_stopping_callbacks:  # they come after this one, and say it in another way
            if early.strict and not trainer.sanity_checking:
                self._require(trainer, "early_stopping", early.monitor)

    @staticmethod
    def _require(trainer: Trainer, key: str, monitor: str | None) -> None:
        """Refuses a metric that is none; without validation, nobody knows which there would be."""
        known = sorted(trainer.callback_metrics)
        if monitor and monitor not in known and any(name.startswith("val/") for name in known):
            choice = ", ".join(known)
            raise UserError(f"callbacks.{key}.monitor={monitor} is no metric of this run: choose one of {choice}")

    @staticmethod
    def _goes_on_within(trainer: Trainer) -> bool:
        """Whether the data can be taken up in the middle of an epoch."""
        return hasattr(getattr(trainer.train_dataloader, "batch_sampler", None), "start_batch")

    def _resumable(self, trainer: Trainer, batch_idx: int) -> bool:
        """Whether training can be taken up after this batch.

        Not within an accumulation, whose gradients no checkpoint holds; and not where validation follows, which
        Lightning would leave out: the save at the epoch's end comes soon.
        """
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or done >= trainer.num_training_batches:
            return False
        if not self._goes_on_within(trainer):
            return False
        return not (isinstance(trainer.val_check_batch, int) and done % trainer.val_check_batch == 0)

    def _watch(self, task: LightningModule) -> tuple[str, str]:
        monitor, mode = getattr(task, "monitor", ("val/loss", "min"))
        return self.monitor or monitor, self.mode or mode

    def _improves(self, value: float, loss: float, mode: str) -> bool:
        if math.isnan(value):
            return False
        if self.best is None or value == self.best:  # small validation parts tie often: the lower loss decides
            return self.best is None or loss < self.best_loss or math.isinf(loss)  # none: the later, which learned more
        return value < self.best if mode == "min" else value > self.best

    def _save(self, trainer: Trainer, name: str = "last.ckpt", batches_done: int = 0) -> None:
        self._batches_done = batches_done
        trainer.save_checkpoint(self.dir / name)
        self._saved_at = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states: list[Any] = [random_state()]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, random_state())
        checkpoint["random_states"] = states

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_metrics": self.best_metrics,
            "batches_done": self._batches_done,
        }

    # Resuming

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_loss = state_dict["best"], state_dict["best_loss"]
        self.best_epoch = state_dict["best_epoch"]
        self.best_metrics, self._batches_done = state_dict["best_metrics"], state_dict["batches_done"]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get("random_states", [])
        self._random_state = states[trainer.global_rank] if len(states) == trainer.world_size else None
        self._resumed = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._random_state is not None:  # again at the first batch, for what hooks draw in between
            restore_random_state(self._random_state)
        if self._resumed:
            if self._goes_on_within(trainer):
                trainer.train_dataloader.batch_sampler.start_batch = self._batches_done  # type: ignore[union-attr]
            elif self._batches_done:
                raise UserError(
                    f"{self.dir}/last.ckpt was saved in the middle of an epoch and these data cannot be taken up there: "
                    "give their batch sampler a start_batch, or remove that file to go on from best.ckpt"
                )
        if self.every_n_steps is not None and not self._goes_on_within(trainer):
            log.warning(
                "Checkpoints are written at the end of epochs alone: the batch sampler of these data has no start_batch."
            )
        self._saved_at = time.monotonic()
        self._several = trainer.world_size > 1
        if threading.current_thread() is threading.main_thread():
            handle(self._on_signal)

    # Stopping

    def _on_signal(self, signum: int, frame: Any) -> None:
        # Outside a step the last save stands, and asked twice one must obey; several processes need to agree.
        if self._signal is not None or not (self._in_step or self._several):
            raise Interrupted(signum)
        self._signal = signum

    def _agreed_signal(self, trainer: Trainer) -> int:
        """The signal that any process got, or 0; all processes stop after the same step."""
        mine = self._signal or 0
        if trainer.world_size == 1:
            return mine
        flag = torch.tensor(mine, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return int(flag)


def random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators, as tensors and plain Python."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Sets every generator to what `random_state` saw."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def newest_whole(folder: Path) -> Path | None:
    """The most recent checkpoint in a folder that can be read to its end, or None."""
    for name in ("last.ckpt", "best.ckpt"):
        path = folder / name
        if path.is_file():
            try:
                torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # damaged in ways that differ with the place of the damage
                log.warning("%s cannot be read (%s): trying an older one", path, first_line(error))
            else:
                return path
    return None

"""Checkpoints that lose nothing, and resume that ends where an uninterrupted run would have ended."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.callbacks.weight_averaging import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from experiments.callbacks.checkpoint_files import wait_for_writes
from experiments.callbacks.lightning_state import (
    accumulates,
    batches_of_unfinished_epoch,
    begin_with_validation,
    whole_state,
)
from experiments.callbacks.random_states import RandomStates, goes_on_within
from experiments.config.metric_direction import direction, improves
from experiments.config.metric_names import loss_of, split_of
from experiments.errors import Interrupted, UserError
from experiments.loggers.base import log_epoch
from experiments.spec import to_plain
from experiments.system.files import atomic_path, link_or_copy
from experiments.system.signals import handle

log = logging.getLogger(__name__)

_AT_ONCE = 1.0  # seconds after which a second signal is no echo of the first: launchers and terminals send some twice


class Checkpoints(RandomStates, Checkpoint):
    """Keeps `best.ckpt` and `last.ckpt`, saves on SIGINT, SIGTERM and SIGHUP, and restores what Lightning does not.

    A checkpoint also holds the state of every random number generator of every process. Shuffling and augmentation need
    none: they are functions of seed, epoch and batch. A run that continues therefore repeats exactly what the
    interrupted one would have done.

    A signal is answered where nothing is lost: after the step that is under way; in a validation before its next batch,
    with the state from before the validation, which the resumed run repeats; in a test at once. A second signal a second
    or more after the first is answered at once.

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
        super().__init__()
        self.dir = Path(dir)
        self.monitor, self.mode = monitor, mode
        self.every_n_steps = every_n_steps
        self.every_seconds = None if every_minutes is None else 60 * every_minutes
        self.best: float | None = None
        self.best_loss = math.inf
        self.best_epoch: int | None = None
        self.best_metrics: dict[str, float] = {}
        self._batches_done = 0  # of an unfinished epoch
        self._saved_at = time.monotonic()
        self._signal: int | None = None
        self._asked_at = -math.inf
        self._fitting = self._resumed = self._told = False
        self._before_validation: dict[str, Any] | None = None  # a whole checkpoint, while a validation is at work
        self._validates_first = False  # a resumed run begins with the validation that was left out
        self._agree_below = 0  # batches of a validation that every process has

    # Saving

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stop = self._agreed_signal(trainer)
        due = self.every_n_steps is not None and trainer.global_step % self.every_n_steps == 0
        if self.every_seconds is not None and trainer.world_size == 1:  # clocks of several processes differ
            due = due or time.monotonic() - self._saved_at > self.every_seconds
        if stop and not goes_on_within(trainer):
            raise Interrupted(stop)  # the last save stands
        if (stop or due) and self._resumable(trainer, batch_idx):
            self._save(trainer, batches_done=batch_idx + 1)
            if stop:
                raise Interrupted(stop)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._fitting or trainer.sanity_checking:
            return
        self._restore_random_state()
        done = batches_of_unfinished_epoch(trainer)
        if _can_be_saved_in_validation(trainer) and (not done or goes_on_within(trainer)):
            self._validates_first, self._batches_done = True, done
            self._before_validation = whole_state(trainer)
            self._validates_first, self._batches_done = False, 0
            self._agree_below = _least(trainer, sum(trainer.fit_loop.epoch_loop.val_loop.max_batches))

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._stop_in_validation(trainer, batch_idx, dataloader_idx)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._stop_in_validation(trainer, batch_idx, dataloader_idx)

    def _stop_in_validation(self, trainer: Trainer, batch_idx: int, dataloader_idx: int) -> None:
        """Saves the state from before this validation, if a signal came. The batches where processes ask one another are
        those that all of them have."""
        if self._before_validation is None or (
            trainer.world_size > 1 and (dataloader_idx or batch_idx >= self._agree_below)
        ):
            return
        if stop := self._agreed_signal(trainer):
            trainer.strategy.save_checkpoint(self._before_validation, self.dir / "last.ckpt")
            wait_for_writes(trainer.strategy.checkpoint_io)
            trainer.strategy.barrier("saved in a validation")
            raise Interrupted(stop)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        monitor, mode = self.watched(pl_module, trainer.callback_metrics)
        value = trainer.callback_metrics.get(monitor)
        self._require(trainer, "checkpoint", self.monitor)
        loss = float(trainer.callback_metrics.get(loss_of("val", trainer.callback_metrics) or "", math.inf))
        improved = value is not None and self._improves(float(value), loss, mode)
        if improved:
            self.best, self.best_loss, self.best_epoch = float(value), loss, trainer.current_epoch  # type: ignore[arg-type]
            self.best_metrics = {name: float(metric) for name, metric in trainer.callback_metrics.items()}
        elif value is None and not self.monitor:
            self._tell_that_none_is_best(trainer)
        log_epoch(trainer)  # else a run killed right after the save would never log this epoch
        # The best first: killed between the two, a run is resumed from the older `last.ckpt` and comes here again.
        self._save(trainer, "best.ckpt" if improved else "last.ckpt")
        if improved and trainer.is_global_zero:
            with atomic_path(self.dir / "last.ckpt") as temporary:
                link_or_copy(self.dir / "best.ckpt", temporary)
        if stop := self._agreed_signal(trainer):
            raise Interrupted(stop)

    def _tell_that_none_is_best(self, trainer: Trainer) -> None:
        """Says, once, that no metric of validation chooses an epoch, and how to name one."""
        names = sorted(name for name in trainer.callback_metrics if split_of(name) == "val")
        if names and not self._told and trainer.is_global_zero:
            self._told = True
            log.warning(
                "No metric is named val_loss, so that no epoch is the best and the last is tested: name another with "
                "callbacks.checkpoint.monitor=%s",
                next((name for name in names if improves(name)), names[0]),
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._before_validation = None
        for early in trainer.early_stopping_callbacks:  # they come after this one, and say it in another way
            if early.strict and not trainer.sanity_checking:
                self._require(trainer, "early_stopping", early.monitor)

    @staticmethod
    def _require(trainer: Trainer, key: str, monitor: str | None) -> None:
        """Refuses a metric that is none; without validation, nobody knows which there would be."""
        names = sorted(trainer.callback_metrics)
        if monitor and monitor not in names and any(name.startswith("val") for name in names):
            choice = ", ".join(names)
            raise UserError(f"callbacks.{key}.monitor={monitor} is no metric of this run: choose one of {choice}")

    def _resumable(self, trainer: Trainer, batch_idx: int) -> bool:
        """Tell whether training can resume after this batch.

        Not within an accumulation, whose gradients no checkpoint holds; and not where validation follows, which
        Lightning would leave out: the save at the epoch's end comes soon.
        """
        done = batch_idx + 1
        if done % trainer.accumulate_grad_batches or done >= trainer.num_training_batches:
            return False
        if not goes_on_within(trainer):
            return False
        return not (isinstance(trainer.val_check_batch, int) and done % trainer.val_check_batch == 0)

    def watched(self, task: LightningModule, metrics: Collection[str]) -> tuple[str, str]:
        """Return what names the best epoch, and which way it improves.

        That is what was given; else what the task says; else the loss of validation. Where no mode was given for another metric
        than the task's, its name says which way it improves.

        Raises:
            UserError: when the name does not say.
        """
        of_task = getattr(task, "monitor", None)
        usual = (
            of_task
            if isinstance(of_task, tuple) and len(of_task) == 2
            else (loss_of("val", metrics) or "val/loss", "min")
        )
        if self.monitor and self.monitor != usual[0]:
            return self.monitor, self.mode or direction(self.monitor, "callbacks.checkpoint")
        return self.monitor or usual[0], self.mode or usual[1]

    def _improves(self, value: float, loss: float, mode: str) -> bool:
        if math.isnan(value):
            return False
        if self.best is None or value == self.best:  # small validation splits tie often: the lower loss decides
            return self.best is None or loss < self.best_loss or math.isinf(loss)  # none: the later, which learned more
        return value < self.best if mode == "min" else value > self.best

    def _save(self, trainer: Trainer, name: str = "last.ckpt", batches_done: int = 0) -> None:
        self._batches_done = batches_done
        trainer.save_checkpoint(self.dir / name)
        wait_for_writes(trainer.strategy.checkpoint_io)
        self._saved_at = time.monotonic()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if (spec := getattr(pl_module, "spec", None)) is not None and hasattr(spec, "inputs"):
            checkpoint["spec"] = to_plain(spec)  # of ours; for a run whose record is lost

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_metrics": self.best_metrics,
            "batches_done": self._batches_done,
            "validates_first": self._validates_first,
        }

    # Resuming

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.best_loss = state_dict["best"], state_dict["best_loss"]
        self.best_epoch = state_dict["best_epoch"]
        self.best_metrics, self._batches_done = state_dict["best_metrics"], state_dict["batches_done"]
        self._validates_first = state_dict.get("validates_first", False)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._resumed = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self._resumed:
            if goes_on_within(trainer):
                trainer.train_dataloader.batch_sampler.start_batch = self._batches_done  # type: ignore[union-attr]
            elif self._batches_done:
                raise UserError(
                    f"{self.dir}/last.ckpt was saved in the middle of an epoch and these data cannot be taken up there: "
                    "give their batch sampler a start_batch, or remove that file to resume from best.ckpt"
                )
            if self._validates_first:
                begin_with_validation(trainer)
                self._validates_first = False
            self._batches_done = 0
        if self.every_n_steps is not None and not goes_on_within(trainer):
            log.warning(
                "Checkpoints are written at the end of epochs alone: the batch sampler of these data has no start_batch."
            )
        self._saved_at = time.monotonic()
        self._fitting = True
        handle(self._on_signal)

    # Stopping

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fitting = False

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._fitting = False

    def _on_signal(self, signum: int, frame: Any) -> None:
        now = time.monotonic()
        if not self._fitting or (self._signal is not None and now - self._asked_at >= _AT_ONCE):
            raise Interrupted(signum)
        if self._signal is None:
            self._signal, self._asked_at = signum, now

    def _agreed_signal(self, trainer: Trainer) -> int:
        """Return the signal that any process got, or 0; all processes stop after the same step."""
        mine = self._signal or 0
        if trainer.world_size == 1:
            return mine
        flag = torch.tensor(mine, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return int(flag)


def judged_by(trainer: Trainer, task: LightningModule) -> tuple[str, str] | None:
    """Return the metric that names the best epoch, and min or max; None where nothing chooses one."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, Checkpoints):
            with contextlib.suppress(UserError):  # which way is not known, and nothing was chosen
                return callback.watched(task, trainer.callback_metrics)
        elif monitor := getattr(callback, "monitor", None):
            return str(monitor), str(getattr(callback, "mode", "min"))
    return None


def _can_be_saved_in_validation(trainer: Trainer) -> bool:
    """Tell whether the state before a validation stays what it is while that is at work, and costs nothing to hold on
    to.
    """
    swapped = any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    return not (swapped or accumulates(trainer)) and type(trainer.strategy) in (SingleDeviceStrategy, DDPStrategy)


def _least(trainer: Trainer, number: float) -> int:
    """Return the least of a number over all processes."""
    if trainer.world_size == 1 or number == math.inf:
        return 0
    least = torch.tensor(int(number), device=trainer.strategy.root_device)
    torch.distributed.all_reduce(least, torch.distributed.ReduceOp.MIN)
    return int(least)

"""Progress: a bar, a line for each epoch, and the measured speed for the record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.callbacks.checkpoint import Checkpoints, judged_by
from experiments.callbacks.progress_screens import clock, screen_for, speed_in_words
from experiments.config.metric_names import loss_of
from experiments.system.terminal import quiet

_BAR = 24  # characters
_REDRAW = 0.1  # seconds


class Progress(Callback):
    """Shows a bar with the time left, and keeps a line for each epoch; costs a step two microseconds.

    Attributes:
        train_seconds: seconds spent in training batches (their loading included), validation left out.
        examples_per_second: training examples of all processes over `train_seconds`, at first 0.0.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """`stream`: where to write, standard error if None, or the page of a notebook. A bar is drawn where that can be redrawn."""
        self.stream = stream
        self._screen = screen_for(stream)
        self.train_seconds = 0.0
        self._examples = 0  # of this process
        self._processes = 1
        self._batches = 0
        self._since: float | None = None  # the training clock: None while it rests
        self._started = 0.0
        self._shown = 0.0  # when the line was last drawn
        self._epoch: tuple[int, int, float] | None = None  # number, examples and seconds at its start

    @property
    def examples_per_second(self) -> float:
        return self._examples * self._processes / self.train_seconds if self.train_seconds else 0.0

    # ------------------------------------------------------------------------------------------ counting
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._processes, self._started = trainer.world_size, time.perf_counter()
        self._open_epoch(trainer)  # taken up in the middle of an epoch, a run is not told of its start

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close_epoch(trainer)
        self._open_epoch(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._examples += examples_in(batch)
        self._batches += 1
        now = time.perf_counter()
        if now - self._shown >= _REDRAW:
            self._shown = now
            self._draw_training(trainer, batch_idx + 1, now)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rest(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            # after the last batch what follows are checkpoints and figures, not training
            self._since = None if trainer.is_last_batch else time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._rest(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close_epoch(trainer)
        self._screen.clear()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._rest(trainer, wait=False)
        self._screen.clear()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._screen.clear()

    def _open_epoch(self, trainer: Trainer) -> None:
        self._epoch = (trainer.current_epoch, self._examples, self.train_seconds)
        self._since = time.perf_counter()

    def _rest(self, trainer: Trainer, wait: bool = True) -> None:
        """Stop the training clock. `wait`: for a device that computes behind our back."""
        if self._since is None:
            return
        if wait and trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize(trainer.strategy.root_device)
        self.train_seconds += time.perf_counter() - self._since
        self._since = None

    # ------------------------------------------------------------------------------------------ showing
    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._draw_evaluation(trainer, "validating", trainer.num_val_batches, batch_idx, dataloader_idx)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._draw_evaluation(trainer, "testing", trainer.num_test_batches, batch_idx, dataloader_idx)

    def _draw_training(self, trainer: Trainer, batch: int, now: float) -> None:
        if not self._live(trainer):
            return
        total = trainer.num_training_batches
        running = now - self._since if self._since is not None else 0.0
        speed = self._examples * self._processes / max(self.train_seconds + running, 1e-9)
        parts = [self._epoch_text(trainer), _bar(batch, total)]
        left = _batches_left(trainer, batch)
        if left is not None and self._batches:
            parts.append(f"{clock((now - self._started) / self._batches * left)} left")
        self._screen.draw([*parts, speed_in_words(speed)])

    def _draw_evaluation(self, trainer: Trainer, what: str, totals: Any, batch_idx: int, dataloader_idx: int) -> None:
        now = time.perf_counter()
        if now - self._shown < _REDRAW or trainer.sanity_checking or not self._live(trainer):
            return
        self._shown = now
        total = totals[dataloader_idx] if isinstance(totals, list) else totals
        epoch = [self._epoch_text(trainer)] if trainer.state.fn == "fit" else []
        self._screen.draw([*epoch, what, _bar(batch_idx + 1, total)])

    def _close_epoch(self, trainer: Trainer) -> None:
        """The line of the epoch that ended: here because the module logs after the callbacks' epoch end."""
        if self._epoch is None or self._epoch[1] == self._examples:
            return
        _, examples, seconds = self._epoch
        examples, seconds = (self._examples - examples) * self._processes, self.train_seconds - seconds
        speed = speed_in_words(examples / max(seconds, 1e-9))
        if trainer.is_global_zero and not quiet():
            judged = judged_by(trainer, trainer.lightning_module)
            metrics = _of_epoch(trainer.callback_metrics, judged and judged[0])
            best = any(
                isinstance(callback, Checkpoints) and callback.best_epoch == self._epoch[0]
                for callback in trainer.callbacks  # type: ignore[attr-defined]
            )
            self._screen.keep(self._epoch_text(trainer), metrics, clock(seconds), speed, best)
        self._epoch = None

    def _epoch_text(self, trainer: Trainer) -> str:
        epoch = (self._epoch[0] if self._epoch else trainer.current_epoch) + 1
        limited = trainer.max_epochs is not None and trainer.max_epochs > 0
        return f"epoch {epoch:>{len(str(trainer.max_epochs))}}/{trainer.max_epochs}" if limited else f"epoch {epoch}"

    def _live(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and self._screen.live and not quiet()


def examples_in(batch: Any) -> int:
    """Examples in a batch: the length of its first tensor, found through tuples and dicts."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.ndim else 1
    if isinstance(batch, (tuple, list)):
        return (examples_in(batch[0]) or len(batch)) if batch else 0
    if isinstance(batch, Mapping):
        return next((count for value in batch.values() if (count := examples_in(value))), 0)
    return 0


def _batches_left(trainer: Trainer, batch: int) -> float | None:
    """Training batches to go in the whole run, None if there is no end."""
    each, left = trainer.num_training_batches, []
    if trainer.max_epochs is not None and trainer.max_epochs > 0 and each != float("inf"):
        left.append((trainer.max_epochs - trainer.current_epoch) * each - batch)
    if trainer.max_steps > 0:
        left.append((trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches)
    return max(min(left), 0) if left else None


def _bar(done: int, total: float) -> str:
    if not total or total == float("inf"):
        return f"{done} batches"
    filled = min(_BAR, int(_BAR * done / total))
    return f"{'━' * filled}{'─' * (_BAR - filled)} {done}/{int(total)}"


def _of_epoch(metrics: Mapping[str, Tensor], judged: str | None) -> dict[str, float]:
    """Return the losses of training and validation and the metric that names the best epoch; where there are fewer,
    others as well.
    """
    losses = [name for split in ("train", "val") if (name := loss_of(split, metrics))]
    names = dict.fromkeys([*losses, *([judged] if judged in metrics else [])])
    others = [n for n in metrics if n.startswith("val")] or [n for n in metrics if n.startswith("train")]
    for name in others:
        if len(names) < 3 and not name.endswith("learning_rate"):
            names[name] = None
    return {str(name): float(metrics[name]) for name in names if name is not None}

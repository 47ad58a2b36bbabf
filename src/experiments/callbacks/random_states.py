"""The states of all random number generators in every checkpoint, whoever writes it, so that a resumed run draws what it would have."""

from __future__ import annotations

import logging
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import CombinedLoader

from experiments.callbacks.checkpoint_files import random_state, restore_random_state
from experiments.callbacks.lightning_state import batches_of_unfinished_epoch, draw_order_again

log = logging.getLogger(__name__)


class RandomStates(Callback):
    """Puts the states of every process's generators into each checkpoint, and restores them where a run resumes.

    It stands beside a ModelCheckpoint of Lightning's, which keeps none; our own checkpoints are such a callback.
    """

    def __init__(self) -> None:
        self._random_state: dict[str, Any] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states: list[Any] = [random_state()]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, random_state())
        checkpoint["random_states"] = states

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get("random_states", [])
        self._random_state = states[trainer.global_rank] if len(states) == trainer.world_size else None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._random_state is None:
            return
        restore_random_state(self._random_state)  # again at the first batch, for what hooks draw in between
        if not goes_on_within(trainer):
            self._random_state = None
            if not _keeps_its_place(trainer):
                # Other loaders draw their order from the same generators, when an epoch makes its iterator. Lightning made the
                # first one before this hook.
                draw_order_again(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self._restore_random_state()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._restore_random_state()

    def _restore_random_state(self) -> None:
        if self._random_state is not None:
            restore_random_state(self._random_state)
            self._random_state = None


class WithinAnEpoch(RandomStates):
    """Also resumes from a checkpoint that a callback of Lightning's wrote in the middle of an epoch: after the batches that are
    done where the data can, else with a warning.
    """

    def __init__(self) -> None:
        super().__init__()
        self._resumed = False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(trainer, pl_module, checkpoint)
        self._resumed = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        done = batches_of_unfinished_epoch(trainer) if self._resumed else 0
        self._resumed = False
        if not done or _keeps_its_place(trainer):
            return
        if goes_on_within(trainer):
            trainer.train_dataloader.batch_sampler.start_batch = done  # type: ignore[union-attr]
            return
        log.warning(
            "The checkpoint was written after batch %d of an epoch, and these data draw other batches for the rest of it: let the "
            "callback write at the end of epochs, or give their batch sampler a start_batch.",
            done,
        )


def goes_on_within(trainer: Trainer) -> bool:
    """Tell whether the data can resume in the middle of an epoch."""
    return hasattr(getattr(trainer.train_dataloader, "batch_sampler", None), "start_batch")


def _keeps_its_place(trainer: Trainer) -> bool:
    """Tell whether user-defined loaders have states, which Lightning saves and restores: a new iterator would lose them."""
    return any(hasattr(loader, "load_state_dict") for loader in CombinedLoader(trainer.train_dataloader).flattened)

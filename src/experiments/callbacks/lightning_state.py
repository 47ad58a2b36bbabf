"""What saving and resuming within an epoch need of Lightning and no public name of it gives: its private names, one a function."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.evaluation_loop import RestartStage


def whole_state(trainer: Trainer) -> dict[str, Any]:
    """Return what `save_checkpoint` would write now."""
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=False)


def batches_of_unfinished_epoch(trainer: Trainer) -> int:
    """Return the training batches that are done of this epoch; 0 after the last."""
    loop = trainer.fit_loop.epoch_loop
    return 0 if loop._num_ready_batches_reached() else loop.batch_progress.current.ready


def accumulates(trainer: Trainer) -> bool:
    """Tell whether gradients wait for the batches to come, which no checkpoint holds."""
    return bool(trainer.fit_loop.epoch_loop._should_accumulate())


def draw_order_again(trainer: Trainer) -> None:
    """Make the iterator of the training batches anew, with which most loaders draw their order."""
    if (fetcher := getattr(trainer.fit_loop, "_data_fetcher", None)) is not None:
        iter(fetcher)


def begin_with_validation(trainer: Trainer) -> None:
    """Let the resumed epoch begin with the validation that was left out, as Lightning resumes one, but from its first batch."""
    trainer.fit_loop.epoch_loop.val_loop._restart_stage = RestartStage.RESTARTED_MID_EVALUATION


def look_for_unused_parameters(strategy: Any) -> None:
    """Let DistributedDataParallel look for parameters without a gradient in every step."""
    strategy._ddp_kwargs["find_unused_parameters"] = True

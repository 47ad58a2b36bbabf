"""What a LightningModule that is none of our tasks predicts of its data's `predict_dataloader`, as Lightning's Trainer does it."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.errors import UserError, in_short
from experiments.run.build import prepare_process
from experiments.run.folder import read_config, reading
from experiments.run.foreign import class_of, lightning_in_words, shares_batches
from experiments.run.loaded import foreign_parts, tested_checkpoint
from experiments.run.tested_weights import read_by_trainer
from experiments.run.trainer import build_trainer, several
from experiments.run.trust import READING, require_trust


def predictions_of(folder: Path, returned: bool) -> tuple[list[Any], list[str]]:
    """Return what a run's module predicts of each batch, and the names of the run's prediction writers, which write meanwhile.

    Args:
        folder: the run's.
        returned: whether the predictions are wanted where there are writers too.

    Raises:
        UserError: when the run cannot be loaded, or its data give nothing to predict.
    """
    from lightning.pytorch.callbacks import BasePredictionWriter
    from lightning.pytorch.utilities.model_helpers import is_overridden

    config = read_config(folder)
    require_trust(OmegaConf.to_container(config), folder, (*READING, "callbacks", "trainer"))
    record, checkpoint = tested_checkpoint(folder, config)
    with reading(folder, record.get("environment")):
        prepare_process(config)
        task, data = foreign_parts(config)
    if not is_overridden("predict_dataloader", data):
        raise UserError(
            f"{config.data['_target_']} has no predict_dataloader, so there is nothing to predict: add one to it, or use "
            f"experiments.load({str(folder)!r}).task in Python"
        )
    if not is_overridden("predict_step", task) and not is_overridden("forward", task):
        raise UserError(
            f"{class_of(config.task)} has no predict_step and no forward, so nothing can be predicted: add a predict_step, or use "
            f"experiments.load({str(folder)!r}).task in Python"
        )
    trainer = build_trainer(config, callbacks=False, shares=shares_batches(data))
    own = {name: node for name, node in (config.callbacks or {}).items() if node and not _of_ours(node)}
    writers = [callback for callback in several(own) if isinstance(callback, BasePredictionWriter)]
    trainer.callbacks.extend(writers)
    with lightning_in_words():
        try:
            outputs = trainer.predict(
                read_by_trainer(task, checkpoint),
                datamodule=data,
                return_predictions=returned or not writers,
                ckpt_path=checkpoint,
                weights_only=True,
            )
        except Exception as error:
            if not _usual_step_failed(error):
                raise
            raise UserError(
                f"{class_of(config.task)} has no predict_step, and its forward does not take the batches of predict_dataloader "
                f"({in_short(error)}): add a predict_step, or use experiments.load({str(folder)!r}).task in Python"
            ) from error
    by_loader = len(trainer.num_predict_batches) > 1
    batches = [batch for loader in outputs or [] for batch in loader] if by_loader else list(outputs or [])
    return batches, [type(writer).__name__ for writer in writers]


def _usual_step_failed(error: Exception) -> bool:
    """Tell whether Lightning's own predict_step was called, which gives a batch to `forward` as it comes."""
    from lightning.pytorch import LightningModule

    usual = LightningModule.predict_step.__code__
    return any(frame.f_code is usual for frame, _ in traceback.walk_tb(error.__traceback__))


def _of_ours(node: Any) -> bool:
    return str(node.get("_target_", "")).startswith("experiments.callbacks.")

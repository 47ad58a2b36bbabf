"""Which metric names the best epoch of a run, and which way it improves."""

from __future__ import annotations

import re
from collections.abc import Collection

from experiments.errors import UserError


def watched_loss(names: Collection[str]) -> str | None:
    """Return the loss of validation among metrics: val/loss, or what a LightningModule of the user's own calls it
    (val_loss, valid/loss).
    """
    return next(
        (name for name in ["val/loss", *sorted(names)] if name in names and re.fullmatch("val.*loss", name)), None
    )


def direction(metric: str) -> str:
    """Tell which way a metric improves, by its name.

    Raises:
        UserError: when the name does not say.
    """
    if re.search("loss|error|mse|mae|perplexity|wer|cer", metric):
        return "min"
    if re.search("acc|f1|auc|auroc|precision|recall|iou|dice|score|map|bleu|return|reward", metric.lower()):
        return "max"
    raise UserError(
        f"callbacks.checkpoint.monitor={metric} does not say which way it improves: add callbacks.checkpoint.mode=min or max"
    )

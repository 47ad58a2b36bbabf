"""Which metric names the best epoch of a run."""

from __future__ import annotations

import re
from collections.abc import Collection


def watched_loss(names: Collection[str]) -> str | None:
    """Return the loss of validation among metrics: val/loss, or what a user-defined LightningModule calls it
    (val_loss, valid/loss).
    """
    return next(
        (name for name in ["val/loss", *sorted(names)] if name in names and re.fullmatch("val.*loss", name)), None
    )

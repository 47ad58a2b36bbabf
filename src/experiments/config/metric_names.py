"""The two parts of a metric's name: its split and its quantity, in every usual form."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_FIRST = re.compile(rf"({'|'.join(_SPLITS)})[/_](.+)")
_LAST = re.compile(rf"(.+)/({'|'.join(_SPLITS)})")


@cache
def split_and_quantity(metric: str) -> tuple[str, str]:
    """Return train, val or test and what was measured on it; "" and the whole name where it names no split.

    Our tasks write `val/loss`. A LightningModule may also write `val_loss`, `valid_loss`, `validation/loss` or, as TensorBoard's
    examples do, `loss/val`.
    """
    if match := _FIRST.fullmatch(metric):
        return _SPLITS[match[1]], match[2]
    if match := _LAST.fullmatch(metric):
        return _SPLITS[match[2]], match[1]
    return "", metric


def usual_name(metric: str) -> str:
    """Return a name in the form of our tasks: val/loss for val_loss, train/loss for train_loss_epoch.

    Lightning adds `_epoch` and `_step` to the name of what is logged both ways.
    """
    return "/".join(filter(None, split_and_quantity(metric))).removesuffix("_epoch")


def split_of(metric: str) -> str:
    """Return train, val or test; "" where the name says none of them."""
    return split_and_quantity(metric)[0]


def loss_of(split: str, names: Collection[str]) -> str | None:
    """Return the loss of a split among metrics: val/loss, or what a LightningModule calls it (val_loss, valid/loss, Loss/val)."""

    def is_loss(name: str) -> bool:
        of, quantity = split_and_quantity(name)
        return of == split and quantity.lower().endswith("loss")

    usual = f"{split}/loss"
    return usual if usual in names else next(filter(is_loss, sorted(names)), None)

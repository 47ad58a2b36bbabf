"""`data=none`: a LightningModule that has loaders of its own needs no data, as in Lightning's `trainer.fit(module)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.config.fitting_task import inherited
from experiments.config.signatures import defines
from experiments.errors import UserError

TARGET = "experiments.run.own_loaders.OwnLoaders"
_MODULE = ("LightningModule",)
_CHOOSE_DATA = {"data", "data._target_", "experiment", "sweep"}


def with_own_loaders(words: Sequence[str], config_dirs: Sequence[str] = ()) -> list[str]:
    """Add `data=none` to overrides that choose a LightningModule with a `train_dataloader` and name no data.

    Raises:
        UserError: for a key of data, which such loaders do not ask.
    """
    chosen = {key.lstrip("+~"): value.strip("'\"") for key, _, value in (word.partition("=") for word in words)}
    if _CHOOSE_DATA & set(chosen) or not {"task", "task._target_"} & set(chosen):
        return list(words)
    target = str(
        chosen.get("task._target_") or inherited("task", chosen.get("task", ""), "_target_", config_dirs) or ""
    )
    if not target or target.startswith("experiments.") or defines(target, "train_dataloader", _MODULE) is not True:
        return list(words)
    if key := next((key for key in chosen if key.startswith("data.")), ""):
        raise UserError(
            f"{target} has loaders of its own, which {key} does not reach: set what the class itself takes, or name the data that "
            "take their place, as in data=digits"
        )
    return [*words, "data=none"]


def problem(config: Any) -> str | None:
    """Return a sentence for `data=none` beside a task without loaders; None where all fits or the source does not tell."""
    target = str(config["task"].get("_target_") or "")
    if config["data"].get("_target_") != TARGET or target == "experiments.run.python_objects.module":
        return None
    if not target or target.startswith("experiments."):
        return (
            "data=none is for a LightningModule with a train_dataloader of its own: name it, as in task._target_=mine.LitModel, or "
            "choose data=digits, or another that experiments list data shows"
        )
    if defines(target, "train_dataloader", _MODULE) is False:
        return f"{target} has no train_dataloader, and data=none gives none: add one to the class, or name its data, as in data=digits"
    return None

"""Which configs can only be judged by building what they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.config.foreign_modules import has_own_network
from experiments.config.preprocessing import given_keys
from experiments.config.trainer_keys import LISTED
from experiments.config.value_rules import RULES

_OF_FILES = (
    "trainer.val_check_interval",
    "data.limit",
    "data.validation",
    "data.test",
    "data.count",
    "data.cut",
    "data.empty",
    "data.missing",
    "data.classes",
    "data.rate",
    "data.max_length",
    "data.history",
    "data.horizon",
    "data.season",
    "data.steps",
)
_OF_THE_MODEL = ("freezing.count", "freezing.depth", "freezing.views", "trainer.limit_train_batches")
_SETTLED = re.compile(
    r"seed|weights|hydra\..*|launcher\..*|features\..*|logger|callbacks|trainer|precision|sweep|experiment"
    r"|callbacks\.(checkpoint|early_stopping)\.(mode|patience|every_n_steps|every_minutes)"
    r"|callbacks\.(figures|pr_curves|progress|projector|learning_rate|checkpoint)"
    r"|trainer\.(devices|memory_format|compile|precision)"
    r"|freezing\.(norm|decay|reset_head)|data\.(root|seed|download)"
)
_BY_RULE = ("optimizer.", "scheduler.", "trainer.", "callbacks.", "logger.")  # whose values mostly rules judge
_OPEN_OPTIONS = {
    "model": ("timm", "torchvision", "transformers"),
    "freezing": ("lora", "stages", "bias_only", "norm_only"),
    "optimizer": ("torch", "timm"),
    "scheduler": ("torch",),
}


def only_building_tells(config: Any) -> bool:
    """Tell whether values were given, or options chosen, that no rule judges: a class or the files of a dataset do.

    Data that would be downloaded and data of user-defined classes are left alone.
    """
    if config.data.get("download") or not str(config.data.get("_target_")).startswith("experiments."):
        return False
    if has_own_network(config):
        return True  # what it is made with, and what it gives for the examples
    if "gradient_reach" in (config.get("callbacks") or {}):
        return True  # only of recurrent layers
    root = config.data.get("root")
    if config.weights is not None or (root and not Path(str(root)).expanduser().is_dir()):
        return True
    if any(config.run.choices.get(group) in names for group, names in _OPEN_OPTIONS.items()):
        return True
    return any(_open(key) for key in given_keys(config))


def unsettled(words: Sequence[str]) -> tuple[str, ...]:
    """Return those of a run's words that no rule settles: what it chooses, and keys whose values a class or a file judges."""
    keys = [word.partition("=")[0].lstrip("+~") for word in words]
    return tuple(
        word
        for word, key in zip(words, keys, strict=True)
        if key != "seed" and (not key.startswith(_BY_RULE) or _open(key))
    )


def _open(key: str) -> bool:
    """Tell whether a key that was given has a value that no rule judges."""
    if "." not in key:
        return False
    if key in ("data.root", "data.path"):
        return True
    if key in _OF_FILES or key in _OF_THE_MODEL:
        return True
    if key in RULES or (key != "trainer.strategy" and key.removeprefix("trainer.") in LISTED):
        return False
    return _SETTLED.fullmatch(key.lstrip("~")) is None

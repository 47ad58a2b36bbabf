"""A resolved config as plain Python, read by attribute and by dotted key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.signatures import module_that_takes

MISSING = object()


class View(dict[str, Any]):
    """A resolved config as plain Python, read by attribute like OmegaConf's, at a hundredth of its price."""

    def __init__(self, plain: Mapping[str, Any]) -> None:
        super().__init__({key: View(value) if isinstance(value, dict) else value for key, value in plain.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def is_group(node: Any) -> bool:
    """Tell whether a node of a config, resolved or not, is a group of keys."""
    return isinstance(node, (dict, DictConfig))


def select(config: Any, key: str, default: Any = None) -> Any:
    for part in key.split("."):
        config = config.get(part, MISSING) if isinstance(config, (View, DictConfig)) else MISSING
    return default if config is MISSING else config


# Whose keys mean what the rules of this package say; those of other classes may mean anything.
KNOWN_PACKAGES = ("experiments.", "torch.", "torchvision.", "torchmetrics.", "lightning.", "timm.", "transformers.")


def class_and_argument(config: Any, key: str) -> tuple[str, str]:
    """Return the class that takes a key, `model.dropout` or `callbacks.early_stopping.patience`, and the name of the
    argument; an empty class where the group has none.
    """
    group, *inner = key.split(".")
    place = ".".join([group, *inner[:1]]) if group in ("callbacks", "logger") else group
    argument = inner[1:2] if group in ("callbacks", "logger") else inner[:1]
    return str(select(config, f"{place}._target_") or ""), "".join(argument)


def of_known_class(config: Any, key: str) -> bool:
    """Tell whether the class that takes a key is ours or of a known library, also by way of a user's class that hands the
    key on to it; so is a group without a class.
    """
    target, argument = class_and_argument(config, key)
    if not target or target.startswith(KNOWN_PACKAGES):
        return True
    return f"{module_that_takes(target, argument) or ''}.".startswith(KNOWN_PACKAGES)


def shown(value: Any) -> str:
    """Return a value as it is written on the command line: true, null, [64,32]."""
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return (
        str(plain) if isinstance(plain, (str, float)) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    )

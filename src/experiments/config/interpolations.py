"""Resolving interpolations, but for those of the environment: what they give may be a secret, and a run folder is passed on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from experiments.errors import first_line
from experiments.system.outside_text import note_variables

_OURS = "EXPERIMENTS_"  # variables of this project hold folders


def resolve(config: DictConfig) -> None:
    """Replaces every interpolation by its value, in place.

    What comes from a variable of the environment stays an interpolation, and is read from there when it is used, unless it
    is a number, true or false, such as the seed of an array of jobs.

    Raises:
        OmegaConfBaseException: when an interpolation cannot be resolved.
    """
    with _watched() as asked:
        _resolve(config, asked)


def refusal(error: OmegaConfBaseException) -> str:
    """Return the sentence for an interpolation that cannot be resolved."""
    sentence = first_line(error)
    if unset := re.search(r"Environment variable '(\w+)' not found", sentence):
        name, key = unset[1], error.full_key or ""
        if not key or key.startswith("run."):  # the words of the command line stand there, too
            key = "a key of the config"
        return (
            f"{key} reads the variable {name} of the environment, which is not set: export {name}=…, or give it a default, "
            f"as in ${{oc.env:{name},.}}"
        )
    if sentence.startswith("Unsupported interpolation type"):
        sentence += ": register it in a module in a folder hydra_plugins, as docs/extending.md says, or use one of OmegaConf's, such as oc.env"
    return sentence


def _resolve(node: DictConfig | ListConfig, asked: list[str]) -> None:
    keys: list[Any] = list(node.keys()) if isinstance(node, DictConfig) else list(range(len(node)))
    for key in keys:
        if OmegaConf.is_missing(node, key):
            continue
        if OmegaConf.is_interpolation(node, key):
            asked.clear()
            value = node[key]
            if asked and not OmegaConf.is_config(value) and not _is_number(value):
                continue
            node[key] = value
        inner = node[key]
        if isinstance(inner, (DictConfig, ListConfig)):  # null is neither
            _resolve(inner, asked)


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, int, float)):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return str(value).lower() in ("true", "false", "null")
    return True


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Notes which variables of the environment are asked for, but those of this project."""
    asked: list[str] = []

    def env(name: str, *default: Any) -> Any:
        if not name.startswith(_OURS):
            asked.append(name)
            note_variables([name])
        return oc.env(name, *default)

    OmegaConf.register_new_resolver("oc.env", env, replace=True)
    try:
        yield asked
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)

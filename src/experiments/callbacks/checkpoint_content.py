"""What a checkpoint may hold: tensors and plain Python, so that it can be read without running anything."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

log = logging.getLogger(__name__)

_GIVEN = ("hyper_parameters", "datamodule_hyper_parameters")  # what save_hyperparameters() keeps: anything
_LEFT = object()


def plain(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the checkpoint with hyperparameters and the state of callbacks as plain Python.

    What has no plain form among hyperparameters (an optimizer's factory, a network) is left out: whoever loads the checkpoint
    with `load_from_checkpoint` gives it again.
    """
    changed = {key: _plain(checkpoint[key]) for key in (*_GIVEN, "callbacks", "loops") if key in checkpoint}
    for key in _GIVEN:
        if isinstance(changed.get(key), dict):
            left = [name for name, value in changed[key].items() if value is _LEFT]
            changed[key] = {name: value for name, value in changed[key].items() if value is not _LEFT}
            if left:
                log.debug("%s are no plain values and not kept in the checkpoint", ", ".join(map(str, left)))
    kept = {key: value for key, value in checkpoint.items() if not isinstance(value, type)}  # hparams_type
    return kept | {key: _without(value) for key, value in changed.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(
        value, (bool, int, float, str, bytes, complex, torch.Tensor, torch.Size, torch.dtype, torch.device)
    ):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not hasattr(value, "_fields"):
        kind = {tuple: tuple, set: set, frozenset: set}.get(type(value), list)
        return kind(_plain(one) for one in value)
    return _LEFT


def _without(value: Any) -> Any:
    """Takes out what has no plain form, wherever it is."""
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items() if one is not _LEFT}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_without(one) for one in value if one is not _LEFT)
    return None if value is _LEFT else value

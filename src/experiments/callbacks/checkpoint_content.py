"""What a checkpoint may hold: tensors and plain Python, so that it can be read without running anything."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.errors import UserError

log = logging.getLogger(__name__)

_GIVEN = ("hyper_parameters", "datamodule_hyper_parameters")  # what save_hyperparameters() keeps: anything
_LEFT = object()
_told: set[tuple[str, str]] = set()  # callbacks whose state was told of, and of which key: once for a process
# What Lightning's Trainer and strategies write themselves.
_LIGHTNING = {
    "epoch", "global_step", "pytorch-lightning_version", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers",
    "hparams_name", "hparams_type", "datamodule_hparams_name", "datamodule_hparams_type", *_GIVEN,
}  # fmt: skip


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
    for name, state in (checkpoint.get("callbacks") or {}).items():
        _tell_left_out(str(name), state)
    kept = {key: value for key, value in checkpoint.items() if not isinstance(value, type)}  # hparams_type
    for key in set(kept) - _LIGHTNING:  # by hooks of the module, of callbacks and of the data
        if (odd := _left_out(kept[key])) is not None:
            raise UserError(
                f"on_save_checkpoint or state_dict puts {_named(odd)} under {key!r} into the checkpoint, which holds tensors and "
                "plain Python alone, so that it can be read without running code: put its values there, and make it anew when they "
                "are loaded"
            )
        if not _readable(kept[key]):
            kept[key] = _plain(kept[key])
    return kept | {key: _without(value) for key, value in changed.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):  # of text a list; a tensor takes no view that runs backwards
        return torch.from_numpy(np.ascontiguousarray(value)) if value.dtype.kind in "biufc" else _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(
        value, (bool, int, float, str, bytes, complex, torch.Tensor, torch.Size, torch.dtype, torch.device)
    ):
        return value
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not hasattr(value, "_fields"):
        kind = {tuple: tuple, set: set, frozenset: set}.get(type(value), list)
        return kind(_plain(item) for item in value)
    return _LEFT


def _left_out(value: Any) -> Any:
    """Return the first value within another that has no plain form; None where each has one."""
    if isinstance(value, Mapping):
        inside = (part for pair in value.items() for part in pair)
        return next((odd for part in inside if (odd := _left_out(part)) is not None), None)
    if isinstance(value, (list, tuple, set)) and not hasattr(value, "_fields"):
        return next((odd for inner in value if (odd := _left_out(inner)) is not None), None)
    return value if _plain(value) is _LEFT else None


def _tell_left_out(name: str, state: Any) -> None:
    """Warns of what is lost of a callback's state when a run is resumed."""
    for key, value in state.items() if isinstance(state, Mapping) else [("", state)]:
        if (odd := _left_out(value)) is not None and (name, str(key)) not in _told:
            _told.add((name, str(key)))
            log.warning(
                "The state of %s has %s%s, which no checkpoint keeps: a resumed run begins without it; keep its values as tensors "
                "and plain Python",
                name.partition("{")[0], _named(odd), f" under {str(key)!r}" if key else "",
            )  # fmt: skip


def _readable(value: Any) -> bool:
    """Tell whether what has a plain form is read back as it is; single numbers of NumPy are, its arrays are not."""
    if isinstance(value, Mapping):
        return type(value) in (dict, OrderedDict) and all(map(_readable, (*value, *value.values())))
    if isinstance(value, (list, tuple, set)):
        return type(value) in (list, tuple, set, torch.Size) and all(map(_readable, value))
    return not isinstance(value, (Path, Enum, frozenset, np.ndarray, Sequence)) or isinstance(value, (str, bytes))


def _named(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def _without(value: Any) -> Any:
    """Takes out what has no plain form, wherever it is."""
    if isinstance(value, dict):
        return {key: _without(item) for key, item in value.items() if item is not _LEFT}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_without(item) for item in value if item is not _LEFT)
    return None if value is _LEFT else value

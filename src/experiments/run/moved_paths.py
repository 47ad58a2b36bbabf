"""Paths of a run in a config of plain Python: those into its folder, wherever that lies."""

from __future__ import annotations

from typing import Any


def moved(value: Any, old: str, new: str) -> Any:
    """Plain Python with every path at or below `old` taken to `new`."""
    if isinstance(value, dict):
        return {key: moved(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [moved(one, old, new) for one in value]
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value[len(old) :]
    return value

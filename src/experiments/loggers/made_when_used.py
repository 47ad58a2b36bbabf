"""An object that is made where something of it is used first."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any


class MadeWhenUsed:
    """Stand for an object that takes long to import: its attributes and `isinstance` are those of the object.

    Args:
        make: returns the object; called once.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Any:
        return self._make()

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._made)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

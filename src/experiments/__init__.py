"""Deep-learning experiments with Lightning and Hydra.

`train`, `sweep`, `search`, `evaluate`, `compare` and `load` do in Python what the commands of these names do in a shell. Nothing
heavy is imported before one is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.api import compare, evaluate, load, search, sweep, train

    __version__: str

__all__ = ["UserError", "__version__", "compare", "evaluate", "load", "search", "sweep", "train"]
_FUNCTIONS = ("evaluate", "load", "train")
_PACKAGES = ("compare", "search", "sweep")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from experiments.system.version import version

        return version()
    if name in _PACKAGES:  # which can be called
        from importlib import import_module

        return import_module(f"experiments.{name}")
    if name in _FUNCTIONS:
        from experiments import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

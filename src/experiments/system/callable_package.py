"""Packages that can be called as the function of the Python API that has their name: `experiments.compare(…)`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _function(self.__name__)(*args, **kwargs)

    @property
    def __signature__(self) -> Any:
        from inspect import signature

        return signature(_function(self.__name__))


def _function(package: str) -> Any:
    return getattr(
        import_module("experiments.api"), package.rpartition(".")[2]
    )  # by name: it stands above all packages


def make_callable(package: str) -> None:
    """Lets a package be called: it hides the function of its name in `experiments`, whichever was imported first."""
    sys.modules[package].__class__ = _Callable

"""Errors that are shown as one sentence, without a traceback, and what such sentences share."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import signal
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path


class UserError(Exception):
    """A mistake in what the user asked for; the message names the value, the rule and the cure. Exit code 2."""

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        """Give a notebook the sentence in place of a traceback, which would stand in pages of Hydra's own frames."""
        if debugging():
            raise AttributeError("_render_traceback_")
        return self._in_a_notebook

    def _in_a_notebook(self) -> list[str]:
        """Return the line of the cell that asked, and the sentence."""
        import traceback

        calls = traceback.extract_tb(self.__traceback__)
        ours = f"{Path(__file__).parent}{os.sep}"
        asked = [call for call, inside in pairwise(calls) if inside.filename.startswith(ours)][:1]
        return [*(f"line {call.lineno}: {call.line}" for call in asked), f"{type(self).__name__}: {self}"]


class Interrupted(BaseException):
    """A signal asked the run to stop.

    Attributes:
        folder: of the run that was stopped, to be resumed; None where none had begun.
        exit_code: 128 plus the signal's number, as shells count.
    """

    def __init__(self, signum: int, folder: Path | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.folder, self.exit_code = signum, folder, 128 + signum


class Pruned(Exception):
    """A search stopped the run early because it fell behind; `metrics` are those of its last epoch."""

    def __init__(self, text: str, metrics: dict[str, float]) -> None:
        super().__init__(text)
        self.metrics = metrics


def first_line(error: BaseException) -> str:
    """Return what an error says, in one line; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def kind_of(value: object) -> str:
    """Return what a value read from a file is, as a person says it: a list, a number."""
    names = {list: "a list", dict: "a group of keys", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else f"a {type(value).__name__}")


def in_short(error: BaseException) -> str:
    """Return an error in one line: its type, what it says, and the notes it was given on its way, as of what was being
    made.
    """
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    if isinstance(error, UserError):  # whose sentence says all
        return f"{first_line(error)}{notes}"
    return f"{type(error).__name__}: {first_line(error)}{notes}"


class RunFailed(Exception):
    """A run that failed in another process; the message is its error. Exit code 1."""


def belongs_to(error: BaseException, folder: Path) -> None:
    """Notes the run that an error ended, as its attribute `folder`."""
    if getattr(error, "folder", None) is None:
        error.folder = folder  # type: ignore[attr-defined]


def how_to_resume(error: BaseException) -> str | None:
    """Return the command that resumes the run that an error ended; None where there is none, or nothing of it is
    left.
    """
    folder: Path | None = getattr(error, "folder", None)
    if folder is None or not (folder / "config.yaml").exists():
        return None
    return f"experiments train resume={shlex.quote(as_typed(folder))}"


def debugging() -> bool:
    """Tell whether tracebacks are wanted: EXPERIMENTS_DEBUG=1."""
    return os.environ.get("EXPERIMENTS_DEBUG", "") not in ("", "0")


def unknown(what: str, rule: str, name: str, names: Sequence[str]) -> str:
    """Return a sentence for an unknown name: the nearest known ones, or all short ones where none is near."""
    near = difflib.get_close_matches(name, set(names), n=3, cutoff=0.6)
    short = sorted({candidate for candidate in names if "." not in candidate})
    cure = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(short)}"
    return f"{what} is {rule}: {cure}"


def as_typed(path: Path) -> str:
    """Return a path as one would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)

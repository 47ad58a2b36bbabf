"""Signals that ask this process to stop, and errors that go back to one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from experiments.errors import Interrupted

_asked: int | None = None


def stop(signum: int, frame: Any) -> None:
    """A signal handler that raises `Interrupted`, and remembers that it did."""
    global _asked
    _asked = signum
    raise Interrupted(signum)


def stop_if_asked() -> None:
    """Raises `Interrupted` where a signal came and what `stop` raised was lost, as it is in code that frees an object."""
    if _asked is not None:
        raise Interrupted(_asked)


def stop_behind(error: BaseException) -> Interrupted | None:
    """The stop that an error goes back to, if any: raised in the midst of a library it may come out as an error of that library."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, Interrupted):
            return at
        if isinstance(at, KeyboardInterrupt):
            return Interrupted(signal.SIGINT)
        seen.add(id(at))
        at = at.__cause__ or at.__context__
    return None


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and SIGINT raise `Interrupted` until training takes them over."""
    global _asked
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # such as a notebook's helper; Python allows none there
        yield
        return
    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop_if_asked()
        yield
    finally:
        _asked = None
        for signum, handler in previous.items():
            signal.signal(signum, handler)

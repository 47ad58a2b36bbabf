"""Signals that ask this process to stop, and errors that go back to one."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Any

from experiments.errors import Interrupted

_asked: int | None = None


def handle(handler: Callable[[int, Any], Any]) -> dict[int, Any]:
    """Gives the signals that ask a process to stop a handler; returns those they had.

    A terminal that is closed sends SIGHUP, and nothing can be written to it any more; after `nohup` SIGHUP is to be ignored.
    In other threads than the first, such as a notebook's helper, Python allows no handlers and nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}

    def hang_up(signum: int, frame: Any) -> None:
        for descriptor in (1, 2):
            with contextlib.suppress(OSError):  # closed before
                if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                    with open(os.devnull, "w") as nowhere:
                        os.dup2(nowhere.fileno(), descriptor)
        handler(signum, frame)

    handlers = {signal.SIGINT: handler, signal.SIGTERM: handler}
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handlers[signal.SIGHUP] = hang_up
    if (ctrl_break := getattr(signal, "SIGBREAK", None)) is not None:  # how Windows asks one process to stop
        handlers[ctrl_break] = lambda signum, frame: handler(signal.SIGINT, frame)
    return {signum: signal.signal(signum, action) for signum, action in handlers.items()}


def answer_break() -> None:
    """Let Ctrl-Break on Windows do what Ctrl-C does, from now on; other systems have no Ctrl-Break."""
    if (ctrl_break := getattr(signal, "SIGBREAK", None)) is not None:
        signal.signal(ctrl_break, signal.default_int_handler)


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
    """Return the stop that an error goes back to, if any: raised in the midst of a library it may come out as an error
    of that library.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, Interrupted):
            return at
        if isinstance(at, KeyboardInterrupt):
            return Interrupted(signal.SIGINT, getattr(error, "folder", None))
        seen.add(id(at))
        at = at.__cause__ or at.__context__
    # A library that was stopped while it was imported may have let the stop go, and fail for what it then lacks.
    return None if _asked is None else Interrupted(_asked, getattr(error, "folder", None))


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise `Interrupted` until training takes them over."""
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield  # such as a notebook's helper: Python allows no handlers there
        return
    previous = handle(stop)
    try:
        stop_if_asked()
        yield
    finally:
        _asked = None
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Lets SIGINT, SIGTERM and SIGHUP wait: how a run ended is written down to the end, however often it is asked to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not hasattr(signal, "pthread_sigmask"):
        with _put_off():
            yield
        return
    waiting = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _put_off() -> Iterator[None]:
    """Yield the same on Windows, which cannot block signals: one that comes meanwhile is raised again at the end."""
    came: list[int] = []
    previous = handle(lambda signum, frame: came.append(signum))
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        for signum in came[:1]:
            signal.raise_signal(signum)

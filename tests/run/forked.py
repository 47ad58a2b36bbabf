"""Runs in processes of their own, forked from one that has the imports done: for tests that stop runs and do not look at the start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.context import ForkServerContext
from typing import Any

PRELOADED = ["experiments.run.execute", "experiments.speedups.training_loop", "experiments.tasks.classification"]


def _train(words: tuple[str, ...], variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    sys.argv = ["experiments", *words]
    from experiments.cli import entry

    entry()


class Forked:
    """`experiments …` in a process of its own, whose output nobody reads."""

    _context: ForkServerContext | None = None

    def __init__(self, *words: str) -> None:
        if Forked._context is None:
            Forked._context = multiprocessing.get_context("forkserver")
            Forked._context.set_forkserver_preload(PRELOADED)
        self._process: Any = Forked._context.Process(target=_train, args=(words, dict(os.environ)))
        self._process.start()

    def poll(self) -> int | None:
        """The exit code, negative for the signal that ended the process; None while it lives."""
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        os.kill(self._process.pid, signum)

    def wait(self, timeout: float) -> int:
        """Wait for the end, and kill what does not end in time."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self.send_signal(signal.SIGKILL)
            self._process.join()
            raise TimeoutError(f"the run did not end within {timeout:.0f} s")
        return self._process.exitcode

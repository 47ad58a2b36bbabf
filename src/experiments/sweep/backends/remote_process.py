"""What runs on the machine that a cluster chose: the job as a process of its own, watched and signalled."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from experiments.sweep.job import command
from experiments.system.processes import Child, alive

_LOOK = 0.2  # seconds
_SAVE = 60.0  # seconds that a job has to save when its machine is taken away


class Work:
    """One job of a sweep as a batch system calls it; a crash of the job is not one of the caller.

    Args:
        folder: of the run, which all machines see.
        environment: for the job beside what is there.
        directory: to work in, where paths of the config start.
        launcher: the process without which the job is to end too; None lets it outlive its launcher.
        forward: whether signals to this process are passed on to the job; not inside the launcher itself.
    """

    def __init__(
        self, folder: str, environment: dict[str, str], directory: str, launcher: int | None, forward: bool
    ) -> None:
        self.folder, self.environment, self.directory = folder, environment, directory
        self.launcher, self.forward = launcher, forward
        self._child: Child | None = None

    def __call__(self) -> int:
        """Return the exit code of the job, or minus the number of the signal that killed it."""
        with self._forwarding():
            self.start()
            while (code := self.ended()) is None:
                if self.launcher is not None and not alive(self.launcher):
                    self.stop()
                time.sleep(_LOOK)
        return code

    def start(self) -> int:
        """Starts the job, and gives its process id; what it prints goes to `job.log` in its folder."""
        directory = self.directory if Path(self.directory).is_dir() else None
        log = Path(self.folder) / "job.log"
        self._child = Child(command(self.folder), log, self.environment, directory, first=_own_signals)
        return self._child.pid

    def ended(self) -> int | None:
        """Return the exit code; None before the job is over."""
        return None if self._child is None else self._child.ended()

    def signal(self, signum: int) -> None:
        """Passes a signal on."""
        if self._child is not None:
            self._child.ask(signum)

    def kill(self) -> None:
        """Ends all processes of the job at once."""
        if self._child is not None:
            self._child.kill()

    def stop(self) -> None:
        """Lets the job save and end; kills it when that takes too long."""
        self.signal(signal.SIGTERM)
        if self._child is not None and not self._child.wait(_SAVE):
            self._child.kill()

    def checkpoint(self) -> Any:
        """Return what submitit asks before a job's time is over or its machine is taken: the job saves, and is queued
        again to resume.
        """
        from submitit.helpers import DelayedSubmission

        self.stop()
        return DelayedSubmission(Work(self.folder, self.environment, self.directory, self.launcher, self.forward))

    @contextlib.contextmanager
    def _forwarding(self) -> Iterator[None]:
        """Passes signals on: asked once the job saves and ends, asked twice it is killed."""
        previous: dict[int, Any] = {}
        asked = 0

        def ask(signum: int, frame: FrameType | None) -> None:
            nonlocal asked
            asked += 1
            if asked == 1:
                self.signal(signal.SIGTERM)
            else:
                self.kill()

        def time_is_over(signum: int, frame: FrameType | None) -> None:
            self.signal(signal.SIGTERM)  # in every process of the job, and the first then asks to be queued again
            if callable(previous[signum]):
                previous[signum](signum, frame)

        handlers = {signal.SIGTERM: ask, signal.SIGINT: ask, signal.SIGHUP: ask, signal.SIGUSR2: time_is_over}
        for signum, handler in handlers.items() if self.forward else ():
            previous[signum] = signal.signal(signum, handler)
        try:
            yield
        finally:
            for number, before in previous.items():
                signal.signal(number, before)


def _own_signals() -> None:
    """A batch system may send some to all processes, and the one that started the job passes them on. Ray's workers block
    SIGINT, and hand that down: Ctrl-C would never reach the job."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for signum in (signal.SIGHUP, signal.SIGUSR2):
        signal.signal(signum, signal.SIG_IGN)

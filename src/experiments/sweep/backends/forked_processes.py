"""Jobs forked on this machine from one process that holds the imports: the launcher's end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from experiments.sweep.backends.protocol import Ended, Event, Started
from experiments.system.fresh_python import python_module

_ALWAYS = (
    "experiments.run.execute", "experiments.speedups.training_loop", "experiments.run.layer_table", "experiments.loggers.base", "experiments.tasks.classification",
    "experiments.callbacks.meter", "experiments.callbacks.checkpoint", "experiments.transfer.freezing",
    "experiments.transfer.weights",
)  # fmt: skip
_KNOWN = ("experiments.", "lightning.", "torch.", "torchvision.", "torchmetrics.")


def modules_of(targets: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """Return what to import before the first job: the modules of some classes, those that may be imported without harm.

    A user's own package is left to the jobs, because what it starts on import (threads, CUDA) would not survive a fork;
    `launcher.preload` names those that may be imported all the same.
    """
    modules = [target.rpartition(".")[0] for target in targets if target.startswith(_KNOWN)]
    return list(dict.fromkeys([*_ALWAYS, *modules, *more]))


def all_known(targets: Sequence[str]) -> bool:
    """Tell whether the classes are all ours or Lightning's, so that torch's compiler can be left out."""
    return all(target.startswith(_KNOWN) for target in targets)


class _Started:
    """A process just started, which imports torch and then waits for messages."""

    def __init__(self) -> None:
        self.output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                python_module("experiments.sweep.backends.fork_server", str(theirs.fileno()), str(os.getpid())),
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # a job sets its own number
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                start_new_session=True,  # a terminal's Ctrl-C is for the launcher alone
            )

    def stop(self) -> None:
        self.socket.close()
        self.process.kill()  # it may still be importing, and has nothing to save
        self.process.wait()


_ahead: _Started | None = None


@contextlib.contextmanager
def started_ahead() -> Iterator[None]:
    """Has another core import torch, for the `ForkedProcesses` that start within, while this process reads the sweep's config."""
    global _ahead
    _ahead = _Started()
    try:
        yield
    finally:
        if _ahead is not None:
            _ahead.stop()
            _ahead = None


class ForkedProcesses:
    """Starts jobs by a message to the fork server. Starting that takes seconds, and `start` does not wait for them."""

    def __init__(self, modules: Sequence[str], lean: bool = True) -> None:
        self._modules, self._lean = list(modules), lean
        self._server: _Started | None = None
        self._rest = b""

    def start(self) -> None:
        global _ahead
        self._server, _ahead = _ahead or _Started(), None
        self._rest = b""
        self._send({"import": self._modules, "lean": self._lean})

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        """Starts a job; `key` names it from now on."""
        self._send({"run": key, "folder": str(folder), "environment": environment, "threads": threads})

    def keep_ready(self, data: dict[str, Any]) -> None:
        """Has a dataset read for all jobs that start from now on."""
        self._send({"data": data})

    def signal(self, key: str, signum: int) -> None:
        """Sends a signal to a job, which it can answer."""
        self._send({"signal": key, "number": int(signum)})

    def kill(self, key: str) -> None:
        """Ends all processes of a job at once."""
        self._send({"kill": key})

    def wait(self, seconds: float) -> list[Event] | None:
        """Return the jobs that started or ended, after at most some seconds; None when the process is gone, and all its
        jobs with it.
        """
        assert self._server is not None
        if not select.select([self._server.socket], [], [], seconds)[0]:
            return []
        try:
            received = self._server.socket.recv(1 << 16)
        except OSError:
            received = b""
        if not received:
            return None
        *lines, self._rest = (self._rest + received).split(b"\n")
        events: list[Event] = []
        for line in lines:
            message = json.loads(line)
            if "started" in message:
                events.append(Started(message["started"], message["pid"]))
            else:
                events.append(Ended(message["ended"], message["code"]))
        return events

    def stop(self) -> str:
        """Ends the process and what it still runs; gives the last lines that it wrote."""
        if self._server is None:
            return ""
        self._server.stop()
        server, self._server = self._server.output, None
        server.seek(0)
        return server.read().decode(errors="replace").strip()[-2000:]

    def _send(self, message: dict[str, Any]) -> None:
        assert self._server is not None
        with contextlib.suppress(OSError):  # it is gone: `wait` says so
            self._server.socket.sendall(json.dumps(message).encode() + b"\n")

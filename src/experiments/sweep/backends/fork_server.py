"""The process that the jobs of a sweep are forked from: it holds the imports, starts no thread and runs nothing itself.

The launcher writes a JSON line for each job to start or to signal and reads a line for each that started or ended. When the
launcher is gone this process ends, and with it every job: the kernel kills a process whose parent dies.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from experiments.sweep.backends.protocol import Ended, Event, Started
from experiments.system.signals import stop, stop_behind

# What these import inside their functions, because not every run needs it.
_COMPANIONS = {
    "experiments.callbacks.figures": tuple(
        f"experiments.viz.{name}" for name in ("canvas", "confusion", "curves", "filters", "images", "raster")
    ),
    "experiments.data.images.image_data": ("numpy.random",),
    "experiments.loggers.tensorboard": (
        "tensorboard.compat.proto.event_pb2",
        "tensorboard.plugins.hparams.plugin_data_pb2",
    ),
}
_ALWAYS = (
    "experiments.run.execute", "experiments.speedups.training_loop", "experiments.run.layer_table", "experiments.loggers.base", "experiments.tasks.classification",
    "experiments.callbacks.meter", "experiments.callbacks.checkpoint", "experiments.transfer.freezing",
    "experiments.transfer.weights",
)  # fmt: skip
_KNOWN = ("experiments.", "lightning.", "torch.", "torchvision.", "torchmetrics.")


def modules_of(targets: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """What to import before the first job: the modules of some classes, those that may be imported without harm.

    A user's own package is left to the jobs, because what it starts on import (threads, CUDA) would not survive a fork;
    `launcher.preload` names those that may be imported all the same.
    """
    modules = [target.rpartition(".")[0] for target in targets if target.startswith(_KNOWN)]
    return list(dict.fromkeys([*_ALWAYS, *modules, *more]))


def all_known(targets: Sequence[str]) -> bool:
    """Whether the classes are all ours or Lightning's, so that its lean import serves."""
    return all(target.startswith(_KNOWN) for target in targets)


class _Started:
    """A process just started, which imports torch and then waits for messages."""

    def __init__(self) -> None:
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "experiments.sweep.backends.fork_server",
                    str(theirs.fileno()),
                    str(os.getpid()),
                ],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1"},  # a job sets its own number
                stdin=subprocess.DEVNULL,
                stdout=self.said,
                stderr=self.said,
                start_new_session=True,  # a terminal's Ctrl-C is for the launcher alone
            )

    def stop(self) -> None:
        self.socket.close()
        self.process.kill()  # it may still be importing, and has nothing to save
        self.process.wait()


_ahead: _Started | None = None


@contextlib.contextmanager
def started_ahead() -> Iterator[None]:
    """Has another core import torch, for the `Warm` that starts within, while this process reads the sweep's config."""
    global _ahead
    _ahead = _Started()
    try:
        yield
    finally:
        if _ahead is not None:
            _ahead.stop()
            _ahead = None


class Warm:
    """The launcher's end. Starting takes seconds, and `start` does not wait for them."""

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
        """Sends a signal to a job; SIGKILL to all its processes."""
        self._send({"signal": key, "number": int(signum)})

    def wait(self, seconds: float) -> list[Event] | None:
        """The jobs that started or ended, after at most some seconds; None when the process is gone, and all its jobs with it."""
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
                events.append(Ended(message["ended"], message["code"], message["peak_memory_mb"]))
        return events

    def stop(self) -> str:
        """Ends the process and what it still runs; gives the last lines that it wrote."""
        if self._server is None:
            return ""
        self._server.stop()
        said, self._server = self._server.said, None
        said.seek(0)
        return said.read().decode(errors="replace").strip()[-2000:]

    def _send(self, message: dict[str, Any]) -> None:
        assert self._server is not None
        with contextlib.suppress(OSError):  # it is gone: `wait` says so
            self._server.socket.sendall(json.dumps(message).encode() + b"\n")


class _Server:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.jobs: dict[int, str] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Handed down: a job that is asked to stop as soon as it is forked is not to miss it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def serve(self) -> None:
        rest = b""
        while True:
            readable = select.select([self.connection.fileno(), self.wake_read], [], [])[0]
            if self.wake_read in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.wake_read, 4096)
                self.reap()
            if self.connection.fileno() in readable:
                received = self.connection.recv(1 << 16)
                if not received:
                    return
                *lines, rest = (rest + received).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))

    def obey(self, message: dict[str, Any]) -> None:
        if "import" in message:
            _import_all(message["import"], message["lean"])
        elif "data" in message:
            _keep_ready(message["data"])
        elif "run" in message:
            self.fork(message)
        else:
            self.kill(message["signal"], message["number"])

    def fork(self, message: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.set_wakeup_fd(-1)
                for descriptor in (self.wake_read, self.wake_write, self.connection.fileno()):
                    os.close(descriptor)
                code = _job(message)
            except BaseException as error:
                if stopped := stop_behind(error):  # before the run could take it
                    code = 128 + stopped.signum
                else:
                    traceback.print_exc()
            finally:
                os._exit(code)  # without the teardown of a large interpreter
        self.jobs[pid] = message["run"]
        self.tell({"started": message["run"], "pid": pid})

    def kill(self, key: str, number: int) -> None:
        for pid in [pid for pid, known in self.jobs.items() if known == key]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if number == signal.SIGKILL:
                    os.killpg(pid, number)
                else:
                    os.kill(pid, number)

    def reap(self) -> None:
        while self.jobs:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            if key := self.jobs.pop(pid, None):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # workers that a killed job left behind
                code = os.waitstatus_to_exitcode(status)
                self.tell({"ended": key, "code": code, "peak_memory_mb": round(usage.ru_maxrss / 1024, 1)})

    def tell(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")


def _import_all(modules: Sequence[str], lean: bool) -> None:
    """Imports what the jobs would import each for itself; what cannot be imported is left to them, and its error too."""
    gc.disable()
    from experiments.speedups.lean_imports import import_lightning

    import_lightning(lean)
    for name in modules:
        for one in (name, *_COMPANIONS.get(name, ())):
            with contextlib.suppress(Exception):
                importlib.import_module(one)
    with contextlib.suppress(Exception):
        _look_up()
    gc.freeze()  # the jobs' collections leave alone, and shared, what is there now
    gc.enable()


def _keep_ready(node: dict[str, Any]) -> None:
    """What goes wrong goes wrong in the jobs as well, and is said there."""
    with contextlib.suppress(Exception):
        import torch

        from experiments.run.build import keep_ready

        torch.set_num_threads(1)  # more would start threads, which do not survive a fork
        keep_ready(node)
        gc.freeze()


def _look_up() -> None:
    """What every job would find out again: the state of the code that it runs, and matplotlib's fonts."""
    from experiments.run.record import environment

    environment()
    if canvas := sys.modules.get("experiments.viz.canvas"):
        from PIL import Image

        Image.preinit()
        letters = "0123456789 abcdefghijklmnopqrstuvwxyz"
        fig = canvas.figure(2, 1, letters, "fonts")
        fig.text(0, 0, letters)  # matplotlib's own way to draw them
        canvas.png(fig)


def _job(message: dict[str, Any]) -> int:
    """One job, in the forked process; what it prints goes to `job.log` in its folder. Returns the exit code."""
    from experiments.run.ranks import die_with_parent
    from experiments.sweep.job import run_job

    parent = os.getppid()
    os.setsid()
    die_with_parent()
    if os.getppid() != parent or parent == 1:
        return 1
    for signum in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with contextlib.suppress(OSError):  # the kernel, out of memory, is to take a job and not the launcher
        Path("/proc/self/oom_score_adj").write_text("500")
    folder = Path(message["folder"])
    log = os.open(folder / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    import faulthandler

    faulthandler.enable()
    os.environ.update(message["environment"])
    import torch

    torch.set_num_threads(message["threads"])
    code = run_job(folder)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


def main(arguments: Sequence[str]) -> None:
    """`python -m experiments.sweep.backends.fork_server SOCKET LAUNCHER`."""
    from experiments.run.ranks import die_with_parent
    from experiments.speedups.lean_imports import no_collection

    descriptor, launcher = (int(word) for word in arguments)
    die_with_parent()
    if os.getppid() != launcher:
        return
    server = _Server(socket.socket(fileno=descriptor))
    with contextlib.suppress(Exception), no_collection():  # the jobs say what is wrong with it
        importlib.import_module("torch")
    with contextlib.suppress(OSError):
        server.serve()
    for pid in server.jobs:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while server.jobs and time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            pid, _ = os.waitpid(-1, os.WNOHANG)
            server.jobs.pop(pid, None)
            if pid:
                continue
        time.sleep(0.02)
    os._exit(0)


if __name__ == "__main__":
    # This module would otherwise be there twice, under two names.
    from experiments.sweep.backends.fork_server import main as _main

    _main(sys.argv[1:])

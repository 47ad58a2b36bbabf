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
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.system.fresh_python import look_here_last
from experiments.system.processes import end_with
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
        elif "kill" in message:
            self.send(message["kill"], signal.SIGKILL, os.killpg)
        else:
            self.send(message["signal"], message["number"], os.kill)

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
                    code = stopped.exit_code
                else:
                    traceback.print_exc()
            finally:
                os._exit(code)  # without the teardown of a large interpreter
        self.jobs[pid] = message["run"]
        self.tell({"started": message["run"], "pid": pid})

    def send(self, key: str, number: int, how: Callable[[int, int], None]) -> None:
        for pid in [pid for pid, held_key in self.jobs.items() if held_key == key]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                how(pid, number)

    def reap(self) -> None:
        while self.jobs:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if key := self.jobs.pop(pid, None):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)  # workers that a killed job left behind
                code = os.waitstatus_to_exitcode(status)
                self.tell({"ended": key, "code": code})

    def tell(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")


def _import_all(modules: Sequence[str], lean: bool) -> None:
    """Imports what the jobs would import each for itself; what cannot be imported is left to them, and its error too."""
    gc.disable()
    from experiments.speedups.lean_imports import import_lightning

    import_lightning(lean)
    for name in modules:
        for module in (name, *_COMPANIONS.get(name, ())):
            with contextlib.suppress(Exception):
                importlib.import_module(module)
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
    """Return one job, in the forked process; what it prints goes to `job.log` in its folder. Returns the exit code."""
    from experiments.sweep.job import run_job

    parent = os.getppid()
    os.setsid()
    if not end_with(parent) or parent == 1:
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
    from experiments.speedups.lean_imports import no_collection

    look_here_last()
    descriptor, launcher = (int(word) for word in arguments)
    if not end_with(launcher):
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

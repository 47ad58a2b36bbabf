"""`experiments board`: TensorBoard on the folder of a run, a sweep, or all runs."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

from experiments.errors import Interrupted, UserError, as_typed
from experiments.system.arguments import Parser
from experiments.system.signals import stop

_ABOUT = """\
Starts TensorBoard where the runs below a folder log: outputs, a sweep, or a run. It listens to this machine alone; stop it with
Ctrl-C. For mean curves with bands run experiments compare FOLDER --tensorboard before.
"""


def main(words: list[str]) -> int:
    """Starts TensorBoard and waits for its end.

    Raises:
        UserError: when no run below the folder has logged for it.
    """
    parser = Parser("experiments board", _ABOUT)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("outputs"), metavar="FOLDER", help="outputs (default), a sweep or a run")  # fmt: skip
    parser.add_argument("--port", type=int, metavar="N", help="default: 6006, or the next that is free")
    parser.add_argument("--host", default="localhost", help="default: localhost, this machine alone")
    parser.add_argument("--dry", action="store_true", help="print the command and start nothing")
    options = parser.parse_args(words)
    command = command_for(options.folder, options.host, options.port)
    shown = ["tensorboard", *command[3:]]
    print(shlex.join(shown), flush=True)
    if options.dry:
        return 0
    if options.port:
        _require_free(options.host, options.port)
    return _until_stopped(command)


def _require_free(host: str, port: int) -> None:
    """Refuses a port that another process listens at, as TensorBoard would after some seconds, in a sentence."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        raise UserError(f"--port {port} is taken: choose another, or leave it out for the next that is free")


def _until_stopped(command: list[str]) -> int:
    """Runs TensorBoard; a signal that ends this process ends TensorBoard first."""
    for name in ("SIGTERM", "SIGHUP"):
        if signum := getattr(signal, name, None):
            signal.signal(signum, stop)
    job = subprocess.Popen(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    try:
        return job.wait()
    except (KeyboardInterrupt, Interrupted) as error:
        job.terminate()
        try:
            job.wait(10)
        except subprocess.TimeoutExpired:
            job.kill()
            job.wait()
        if isinstance(error, Interrupted) and error.signum != signal.SIGINT:
            raise
        return 0


def command_for(folder: Path, host: str = "localhost", port: int | None = None) -> list[str]:
    """Return the command that starts TensorBoard on a folder.

    Raises:
        UserError: when the folder is missing, or nothing below it has logged for TensorBoard.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: name outputs, a sweep or a run, or train one first")
    if next(folder.rglob("events.out.tfevents.*"), None) is None:
        raise UserError(f"{folder} holds no events of TensorBoard: train with logger=default or logger=tensorboard")
    if port is not None and not 0 <= port < 65536:
        raise UserError(f"--port {port} must be from 0 to 65535: try --port 6006")
    ports = [] if port is None else ["--port", str(port)]
    return [sys.executable, "-m", "tensorboard.main", "--logdir", as_typed(folder), "--host", host, *ports]

"""One run in several processes of this machine, by torch's elastic launcher; and what each of them does.

Every process starts from the run's `config.yaml` and never composes. The first to fail ends the others.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from experiments.errors import Interrupted, RunFailed, UserError, debugging, first_line, in_short
from experiments.run.outcome import ANY, end
from experiments.run.record import FAILED, INTERRUPTED, read_record
from experiments.system.files import write_json
from experiments.system.fresh_python import look_here_last, python_module
from experiments.system.outside_text import speak_everywhere
from experiments.system.processes import end_with


def launch(folder: Path, processes: int) -> dict[str, Any]:
    """Executes a run in several processes of this machine, by torch's elastic launcher.

    The first process to fail ends the others, and its error is what the record says.
    """
    with tempfile.TemporaryDirectory() as logs:  # torch makes one where it is given none, and leaves it
        return _launch(folder, processes, logs)


def _launch(folder: Path, processes: int, logs: str) -> dict[str, Any]:
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=folder.name,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.2,
        logs_specs=DefaultLogsSpecs(log_dir=logs),
    )
    if not debugging():  # what it tells of its processes comes back as one sentence
        for name in ("torch.distributed.elastic", *logging.root.manager.loggerDict):  # some have levels of their own
            if name.startswith("torch.distributed.elastic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        python, *words = python_module("experiments.run.ranks", str(folder), str(os.getpid()))
        elastic_launch(settings, entrypoint=python)(*words)
    except ChildFailedError as failure:
        rank, first = min(failure.failures.items(), key=_order)
        if first.exitcode in (130, 143):
            raise Interrupted(first.exitcode - 128) from None
        if first.exitcode == 2:  # the user's mistake; the first process may have been ended before it could record it
            message = _said(first) or str(read_record(folder).get("error"))
            failed: Exception = UserError(message)
        else:
            message = f"process {rank} of {processes} {_ending(first)}"
            failed = RunFailed(message)
        end(folder, FAILED, message, over=ANY)
        raise failed from None
    except SignalException as stopped:
        end(folder, INTERRUPTED, first_line(Interrupted(stopped.sigval)))
        raise Interrupted(stopped.sigval) from None
    return read_record(folder)


def _order(item: tuple[int, Any]) -> tuple[bool, float]:
    """Sorts the failure or the stop that came first to the front, and what the launcher ended before it could write to the end.

    A process that was killed could not write when, and its time is a whole second, of when that was seen: the others may have
    written by then that they had lost it. Nobody is lost before a failure that was written.
    """
    _, failure = item
    written = (failure.error_file_data or {}).get("message")
    when = written["extraInfo"].get("when") if isinstance(written, dict) else None
    ended = failure.exitcode in (-signal.SIGTERM, 128 + signal.SIGTERM) and when is None
    return ended, when or failure.timestamp - 5


def _ending(failure: Any) -> str:
    if failure.exitcode < 0:
        return f"was killed by {signal.Signals(-failure.exitcode).name}"
    return f"failed: {_said(failure)}"


def _said(failure: Any) -> str:
    """Return the error that a process left."""
    return str(failure.message if isinstance(failure.message, str) else failure.message.get("message", ""))


def rank_main(folder: Path, launcher: int) -> int:
    """Executes one process of a distributed run; ends with the process that launched it, or at once where that is gone."""
    from experiments.run.execute import execute

    look_here_last()
    if not end_with(launcher):
        return 1
    speak_everywhere()
    try:
        execute(folder)
    except Interrupted as stopped:
        _tell_launcher(stopped)
        return stopped.exit_code
    except Exception as error:
        _tell_launcher(error)
        return 2 if isinstance(error, UserError) else 1
    return 0


def _tell_launcher(error: BaseException) -> None:
    """Leaves the error where torch's elastic launcher looks for it."""
    if debugging() and not isinstance(error, Interrupted):
        traceback.print_exc()
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        text = in_short(error)
        message = {
            "message": text,
            "extraInfo": {
                "timestamp": str(int(time.time())),
                "when": time.time(),
                "py_callstack": traceback.format_exc(),
            },
        }
        write_json(Path(path), {"message": message})


if __name__ == "__main__":
    # A module run by name is imported under two names otherwise.
    from experiments.run.ranks import rank_main as main
    from experiments.speedups.process_exit import leave

    leave(main(Path(sys.argv[1]), int(sys.argv[2])))

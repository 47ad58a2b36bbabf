"""One run in several processes of this machine, started by torch's elastic launcher; each of them is `run/ranks.py`.

The first to fail ends the others.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from experiments.errors import Interrupted, RunFailed, UserError, debugging, first_line
from experiments.run.outcome import ANY, end, last_written
from experiments.run.record import FAILED, INTERRUPTED, read_record
from experiments.system.fresh_python import python_module


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
    written = last_written(folder)
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
        if (
            written is None or last_written(folder) != written
        ):  # else it is the record of the finished run that was to be made longer
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

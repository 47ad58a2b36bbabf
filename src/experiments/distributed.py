"""One run in several processes of this machine, by torch's elastic launcher; and what each of them does.

Every process starts from the run's `config.yaml` and never composes. The first to fail ends the others.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from experiments.errors import Interrupted, RunFailed, UserError, debugging, first_line
from experiments.files import write_json
from experiments.record import FAILED, INTERRUPTED, RUNNING, now, read_record


def launch(folder: Path, processes: int) -> dict[str, Any]:
    """Executes a run in several processes of this machine, by torch's elastic launcher.

    The first process to fail ends the others, and its error is what the record says.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
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
    )
    if not debugging():  # what it tells of its processes comes back as one sentence
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        elastic_launch(settings, entrypoint=sys.executable)("-m", "experiments.distributed", str(folder))
    except ChildFailedError as failure:
        rank, first = min(failure.failures.items(), key=_order)
        content = read_record(folder)
        if first.exitcode == 2:
            raise UserError(content["error"].split(": ", 1)[-1]) from None
        if first.exitcode in (130, 143):
            raise Interrupted(first.exitcode - 128) from None
        message = f"process {rank} of {processes} {_ending(first)}"
        write_json(folder / "record.json", content | {"status": FAILED, "error": message, "ended": now()})
        raise RunFailed(message) from None
    except SignalException as stopped:
        content = read_record(folder)
        if content["status"] == RUNNING:
            error = first_line(Interrupted(stopped.sigval))
            write_json(folder / "record.json", content | {"status": INTERRUPTED, "error": error, "ended": now()})
        raise Interrupted(stopped.sigval) from None
    return read_record(folder)


def _order(item: tuple[int, Any]) -> tuple[bool, int]:
    """Sorts the failure that came first to the front: times are whole seconds, and the launcher ends the rest itself."""
    _, failure = item
    return failure.exitcode in (-signal.SIGTERM, 128 + signal.SIGTERM), failure.timestamp


def _ending(failure: Any) -> str:
    if failure.exitcode < 0:
        return f"was killed by {signal.Signals(-failure.exitcode).name}"
    message = failure.message if isinstance(failure.message, str) else failure.message.get("message", "")
    return f"failed: {message}"


def rank_main(folder: Path) -> int:
    """One process of a distributed run; ends with the process that launched it."""
    from experiments.run import execute

    die_with_parent()
    try:
        execute(folder)
    except Interrupted as stopped:
        return 128 + stopped.signum
    except UserError:
        return 2
    except Exception as error:
        _tell_launcher(error)
        return 1
    return 0


def _tell_launcher(error: Exception) -> None:
    """Leaves the error where torch's elastic launcher looks for it."""
    if debugging():
        traceback.print_exc()
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        text = f"{type(error).__name__}: {first_line(error)}"
        message = {
            "message": text,
            "extraInfo": {"timestamp": str(int(time.time())), "py_callstack": traceback.format_exc()},
        }
        write_json(Path(path), {"message": message})


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its launcher is gone (Linux), so that none is left behind."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    # A module run by name is imported under two names otherwise.
    from experiments.distributed import rank_main as main
    from experiments.leaving import leave

    leave(main(Path(sys.argv[1])))

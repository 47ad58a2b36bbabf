"""The outcome of a run whose process died before it could write it: the launcher writes it into the record."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.errors import UserError, as_typed
from experiments.run.folder import read_config
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, PRUNED, RUNNING, Record, now, read_record
from experiments.system.files import write_json
from experiments.system.outside_text import concealed

UNFINISHED = (RUNNING, FAILED, INTERRUPTED, PRUNED)
ANY = (*UNFINISHED, FINISHED)

# Exit codes of a process that was asked to stop, as a shell counts them and as the kernel does.
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


def repeat(folder: Path) -> str:
    """Return the command that runs one job again."""
    return f"experiments train resume={shlex.quote(as_typed(folder))}"


def how(code: int) -> str:
    """Tell how a process ended that said nothing itself, by its exit code or minus the signal's number."""
    if code in STOPPED:
        return f"stopped by {signal.Signals(abs(code) % 128).name}"
    if code >= 0:
        return f"the process ended with exit code {code} and without a result; see its job.log"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    more = {
        "SIGKILL": ", as the system does when memory runs out",
        "SIGSEGV": ": native code went astray; its job.log shows where",
    }
    return f"the process was killed by {name}{more.get(name, '')}"


def last_written(folder: Path) -> int | None:
    """When a run's record was last written, in nanoseconds; None where there is none."""
    try:
        return (folder / "record.json").stat().st_mtime_ns
    except OSError:
        return None


def end(
    folder: Path, status: str, error: str, seconds: float | None = None, over: Collection[str] = (RUNNING,)
) -> dict[str, Any]:
    """Makes the record of a run say how it ended, where its process could not; gives the record.

    A record that is lost or damaged is made anew from the run's config.

    Args:
        folder: of the run.
        status: how it ended.
        error: why, in a sentence.
        seconds: that it took at least; None leaves what the record says.
        over: what the record may say so far to be written over.

    Raises:
        UserError: when the folder holds no config.
        OSError: when the record cannot be written.
    """
    path = folder / "record.json"
    try:
        record = read_record(folder)
    except UserError:
        with contextlib.suppress(FileNotFoundError):
            path.rename(folder / "record.json.damaged")
        Record(folder, OmegaConf.to_container(read_config(folder))).write(RUNNING)  # type: ignore[arg-type]
        record = read_record(folder)
    if record["status"] in over:
        record |= {"status": status, "error": error and concealed(error), "ended": now()}
        if seconds is not None:
            record["cost"]["seconds"] = round(max(record["cost"].get("seconds") or 0.0, seconds), 3)
        write_json(path, record)
    return record

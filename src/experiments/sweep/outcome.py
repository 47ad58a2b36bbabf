"""What becomes of a job whose process is gone: its record says how it ended, whatever happened. Never imports torch."""

from __future__ import annotations

import contextlib
import shlex
import signal
from pathlib import Path
from typing import Any

from experiments.errors import UserError, as_typed
from experiments.run.record import FINISHED, RUNNING, Record, now, read_record
from experiments.system.files import write_json
from experiments.system.plain import read_yaml

# Exit codes of a process that was asked to stop, as a shell counts them and as the kernel does.
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


def repeat(folder: Path) -> str:
    """The command that runs one job again."""
    return f"experiments train resume={shlex.quote(as_typed(folder))}"


def how(code: int) -> str:
    """How a process ended that said nothing itself, by its exit code or minus the signal's number."""
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


def written(folder: Path) -> int | None:
    """When a run's record was last written, in nanoseconds; None where there is none."""
    try:
        return (folder / "record.json").stat().st_mtime_ns
    except OSError:
        return None


def settled(folder: Path, status: str, error: str, seconds: float, force: bool) -> dict[str, Any]:
    """The record of a run whose process is gone, with an end; written where the run could not do it itself."""
    path = folder / "record.json"
    try:
        record = read_record(folder)
    except UserError:
        with contextlib.suppress(FileNotFoundError):
            path.rename(folder / "record.json.damaged")
        config = read_yaml(folder / "config.yaml")
        Record(folder, config).write(RUNNING)  # type: ignore[arg-type]
        record = read_record(folder)
    if record["status"] == RUNNING or (force and record["status"] != FINISHED):
        record |= {"status": status, "error": error, "ended": now()}
        record["cost"]["seconds"] = round(max(record["cost"].get("seconds") or 0.0, seconds), 3)
        write_json(path, record)
    return record

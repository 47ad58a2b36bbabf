"""The state of each run of a sweep, read from its record: finished, to be resumed, or new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.run.record import FAILED, INTERRUPTED, RUNNING, code_state, own_sources, unlike_a_record
from experiments.system.bounded_files import read_json

NEW = "new"


def state_of(folder: Path, wanted: str | None = None) -> tuple[dict[str, Any], str]:
    """Return the record in a folder and the run's state for a resumed sweep: a damaged record counts as a failure.

    Args:
        folder: of a run.
        wanted: the identity that it must have to count.
    """
    path = folder / "record.json"
    try:
        record = read_json(path)
    except FileNotFoundError:
        return {}, NEW
    except (OSError, ValueError):
        return {}, FAILED
    if unlike_a_record(record) is not None:
        return {}, FAILED
    status = record["status"]
    if wanted is not None and record.get("identity") != wanted:
        return record, NEW
    return record, INTERRUPTED if status == RUNNING else status


def other_code(record: dict[str, Any]) -> str | None:
    """Say how the code that made a record differs from this code; None where both are the same."""
    there, here = record.get("environment", {}), code_state()
    for key, name in (("package_hash", "package hash"), ("git_commit", "git commit")):
        before, now = there.get(key), here[key]
        if before != now and ((before and now) or key == "package_hash"):  # no git on one side says nothing
            return f"{name} {str(before)[:12]} there, {str(now)[:12]} here"
    for name, before in (there.get("own_code") or {}).items():
        if (now := own_sources(name)) != before:
            return f"the sources of {name} hash to {before[:12]} there, {str(now)[:12]} here"
    return None

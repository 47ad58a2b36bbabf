"""The jobs of a sweep that lie in SLURM's queue, written down beside it: they outlive the process that put them there."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.system.bounded_files import read_json
from experiments.system.files import write_json

FOLDER = "submitit"  # below the sweep: scripts, logs and results of the batch system
_FILE = "jobs.json"


@dataclass(frozen=True)
class Queued:
    """A job as the batch system knows it: its id, and the number of its processes."""

    id: str
    tasks: int


def read_queued(sweep: Path) -> dict[str, Queued]:
    """Return the jobs that were put into the queue, by the name of their run."""
    try:
        content = read_json(sweep / FOLDER / _FILE)
        return {name: Queued(str(job["id"]), int(job["tasks"])) for name, job in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_queued(sweep: Path, jobs: dict[str, Queued]) -> None:
    """Writes them down.

    Raises:
        OSError: when the folder cannot be written to.
    """
    (sweep / FOLDER).mkdir(exist_ok=True)
    write_json(sweep / FOLDER / _FILE, {name: asdict(job) for name, job in jobs.items()})


def still_queued(sweep: Path) -> dict[str, Queued]:
    """Return those that wait or run there still, as `squeue` says; none where it cannot be asked."""
    jobs = read_queued(sweep)
    if not jobs:
        return {}
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    there = set(answer.split())
    return {name: job for name, job in jobs.items() if job.id in there}

"""Jobs as fresh processes of this machine: each imports all it needs. Slower than forking, and at home on every system."""

from __future__ import annotations

import time
from pathlib import Path

from experiments.sweep.backends.protocol import Ended, Event, Started
from experiments.sweep.job import command
from experiments.system.processes import Child

_LOOK = 0.05  # seconds between two looks at the jobs


class SpawnedProcesses:
    """Starts each job from the `config.yaml` in its folder; a job ends with this process."""

    def __init__(self) -> None:
        self._jobs: dict[str, Child] = {}
        self._events: list[Event] = []

    def start(self) -> None:
        """Nothing is to be made ready."""

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        """Starts a job; `environment` says how many threads it takes."""
        try:
            self._jobs[key] = job = Child(command(folder), folder / "job.log", environment)
        except OSError as error:
            self._events.append(Ended(key, 1, f"it could not be started ({error.strerror})"))
        else:
            self._events.append(Started(key, job.pid))

    def signal(self, key: str, signum: int) -> None:
        if key in self._jobs:
            self._jobs[key].ask(signum)

    def kill(self, key: str) -> None:
        if key in self._jobs:
            self._jobs[key].kill()

    def wait(self, seconds: float) -> list[Event] | None:
        until = time.monotonic() + seconds
        while not (events := [*self._events, *self._ended()]) and time.monotonic() < until:
            time.sleep(_LOOK)
        self._events = []
        return events

    def _ended(self) -> list[Event]:
        """Return the jobs that are over; what they left behind is ended."""
        events: list[Event] = []
        for key, job in list(self._jobs.items()):
            if (code := job.ended()) is not None:
                job.kill_rest()
                del self._jobs[key]
                events.append(Ended(key, code))
        return events

    def stop(self) -> str:
        for job in self._jobs.values():
            job.kill()
            job.wait(5)
        self._jobs = {}
        return ""

"""Jobs of a sweep on a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.errors import UserError, first_line
from experiments.sweep.backends.protocol import Ended, Event, Started, Withdrawn
from experiments.sweep.backends.remote_process import Work
from experiments.sweep.resources import Machine


@dataclass(frozen=True)
class Ray:
    """Which cluster, and what each job takes of it.

    Raises:
        UserError: for a value that cannot be.
    """

    address: str | None
    num_cpus: float
    num_gpus: float
    max_in_flight: int | None
    resources: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("num_cpus", "num_gpus"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
                raise UserError(f"hydra.launcher.{key}={value} must be a number, 0 or more: try hydra.launcher.{key}=1")
        most = self.max_in_flight
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise UserError(
                f"hydra.launcher.max_in_flight={most} must be a whole number, 1 or more, or null: try max_in_flight=8"
            )

    @property
    def machine(self) -> Machine:
        gpus = int(self.num_gpus) or int(self.num_gpus > 0)
        return Machine(cpus=max(1, int(self.num_cpus)), gpus=gpus, at_a_time=self.max_in_flight)

    def engine(self, folder: Path) -> RayEngine:
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "hydra/launcher=ray needs Ray, which is not installed: pip install 'lightning-experiments[ray]'"
            ) from error
        return RayEngine(ray, self)


@dataclass
class _RayJob:
    """A job between its request and its end: its actor, and what it answers."""

    actor: Any
    started: Any
    ended: Any
    at_work: bool = False


class RayEngine:
    """An actor for each job: it holds the job's share of the cluster, runs it as a process of its own, and passes signals on.

    All of them end with this process.
    """

    def __init__(self, ray: Any, options: Ray) -> None:
        self.ray, self.options = ray, options
        self.jobs: dict[str, _RayJob] = {}
        self.requested: list[tuple[str, Work]] = []
        self.events: list[Event] = []
        self.actor: Any = None

    def start(self) -> None:
        local: dict[str, Any] = {"include_dashboard": False} if self.options.address is None else {}
        try:
            self.ray.init(address=self.options.address, log_to_driver=False, logging_level="ERROR", **local)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"hydra.launcher.address={self.options.address} cannot be reached ({first_line(error)}): start a cluster with "
                "ray start --head, or take hydra.launcher.address=null for this machine alone"
            ) from error
        options = self.options
        self.actor = self.ray.remote(_Actor).options(
            num_cpus=options.num_cpus,
            num_gpus=options.num_gpus,
            resources=options.resources or None,
            max_concurrency=3,
            max_restarts=0,
        )

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        self.requested.append((key, Work(str(folder), environment, os.getcwd(), None, forward=False)))

    def wait(self, seconds: float) -> list[Event] | None:
        self._request()
        events, self.events = self.events, []
        if not self.jobs:
            return events
        waited = {job.ended if job.at_work else job.started: key for key, job in self.jobs.items()}
        done, _ = self.ray.wait(list(waited), num_returns=len(waited), timeout=0)
        if not done:
            done, _ = self.ray.wait(list(waited), num_returns=1, timeout=seconds)
        for reference in done:
            events.append(self._told(waited[reference], reference))
        return events

    def _request(self) -> None:
        """Start actors, at most `max_in_flight` at a time."""
        most = self.options.max_in_flight or len(self.requested) + len(self.jobs)
        while self.requested and len(self.jobs) < most:
            key, work = self.requested.pop(0)
            actor = self.actor.remote(work)
            self.jobs[key] = _RayJob(actor, actor.start.remote(), actor.result.remote())

    def _told(self, key: str, reference: Any) -> Event:
        job = self.jobs[key]
        try:
            answer = self.ray.get(reference)
        except Exception as error:  # its actor was killed, or its machine is gone
            self._drop(key)
            return Ended(key, 1, reason=f"its place on the Ray cluster is gone ({first_line(error)})")
        if not job.at_work:
            job.at_work = True
            return Started(key, answer)
        self._drop(key)
        return Ended(key, answer)

    def _drop(self, key: str) -> None:
        with contextlib.suppress(Exception):  # it may be gone already
            self.ray.kill(self.jobs[key].actor)
        del self.jobs[key]

    def signal(self, key: str, signum: int) -> None:
        if any(wanted == key for wanted, _ in self.requested):
            self.requested = [(wanted, work) for wanted, work in self.requested if wanted != key]
            self.events.append(Withdrawn(key))
            return
        job = self.jobs.get(key)
        if job is None:
            return
        if not job.at_work:
            done, _ = self.ray.wait([job.started], timeout=0)
            if not done:  # it waits for its share of the cluster
                self._drop(key)
                self.events.append(Withdrawn(key))
                return
        job.actor.signal.remote(int(signum))

    def kill(self, key: str) -> None:
        job = self.jobs.get(key)
        if job is not None and job.at_work:
            job.actor.kill.remote()
        else:
            self.signal(key, signal.SIGTERM)

    def stop(self) -> str:
        for key in list(self.jobs):
            self._drop(key)
        if self.actor is not None:
            self.ray.shutdown()
        return ""


class _Actor:
    """Runs in a worker process of Ray."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def start(self) -> int:
        """Return the job's process id."""
        return self.work.start()

    def result(self) -> int:
        """Return the exit code, or minus the signal's number, once the job is over."""
        while True:
            if (code := self.work.ended()) is not None:
                return code
            time.sleep(0.1)

    def signal(self, signum: int) -> None:
        self.work.signal(signum)

    def kill(self) -> None:
        self.work.kill()

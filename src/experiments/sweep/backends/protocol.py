"""The protocol between a launcher and a backend that runs its jobs: local processes, a batch system, a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from experiments.sweep.resources import Machine


@dataclass
class Started:
    """A job has its process."""

    key: str
    pid: int


@dataclass
class Ended:
    """A job that is over: exit code, or minus the signal's number; `reason` where the engine knows better than the code."""

    key: str
    code: int
    reason: str | None = None


@dataclass
class Withdrawn:
    """A job that was asked for and taken back before it had a process."""

    key: str


Event = Started | Ended | Withdrawn


class Engine(Protocol):
    """Runs jobs, each from the `config.yaml` in its folder and in processes of its own."""

    def start(self) -> None:
        """Gets ready."""

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        """Starts a job; `key` names it from now on."""

    def signal(self, key: str, signum: int) -> None:
        """Sends a signal to a job, which it can answer."""

    def kill(self, key: str) -> None:
        """Ends all processes of a job at once."""

    def wait(self, seconds: float) -> list[Event] | None:
        """Return what happened, after about some seconds at most; None when the engine is gone, and all its jobs with
        it.
        """

    def stop(self) -> str:
        """Ends the engine and what it still runs; gives the last lines that it wrote."""


class Cluster(Protocol):
    """Machines that a batch system or a cluster shares out."""

    machine: Machine

    def engine(self, folder: Path) -> Engine:
        """Return what runs the jobs of the sweep in a folder.

        Raises:
            UserError: when the package that it needs is not installed.
        """

"""Jobs of a sweep through a launcher of Hydra's that is not ours: basic, joblib, submitit_local, a user's.

Such a launcher gets all jobs at once and answers when all are over. Each of its jobs runs from the `config.yaml` in its folder
(`hydra_job.run_here`), so that records, folders, resume and exit codes are those of any sweep.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config.devices import cores, gpus
from experiments.config.quoting import quoted
from experiments.errors import Interrupted, first_line
from experiments.sweep.backends.protocol import Ended, Event, Started
from experiments.sweep.hydra_job import refuse_settings
from experiments.sweep.resources import Machine


@dataclass(frozen=True)
class HydraLauncher:
    """A launcher as a place where jobs run.

    Args:
        launcher: of Hydra, set up with the function that runs one job.
        config: of the sweep, with Hydra's part.

    Raises:
        UserError: for a setting of our own launcher, which this one would not follow.
    """

    launcher: Any
    config: Any

    def __post_init__(self) -> None:
        refuse_settings(self.config)

    @property
    def machine(self) -> Machine:
        """What the launcher's own keys say, and this machine where they say nothing."""
        asked = self.config.hydra.launcher
        return Machine(
            nodes=asked.get("nodes") or 1,
            tasks=asked.get("tasks_per_node") or 1,
            cpus=asked.get("cpus_per_task") or cores(),
            gpus=gpus() if asked.get("gpus_per_node") is None else asked.gpus_per_node,
        )

    def engine(self, folder: Path) -> LauncherEngine:
        return LauncherEngine(self.launcher)


class LauncherEngine:
    """Collects jobs, and hands them over when it is asked what happened."""

    def __init__(self, launcher: Any) -> None:
        self.launcher = launcher
        self.jobs: list[str] = []
        self.at_work = False

    def start(self) -> None:
        pass

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        self.jobs.append(key)

    def signal(self, key: str, signum: int) -> None:
        """Ends the launcher's call, which knows no other way to be stopped."""
        if self.at_work:
            raise Interrupted(signum)

    def kill(self, key: str) -> None:
        self.signal(key, signal.SIGTERM)

    def wait(self, seconds: float) -> list[Event] | None:
        jobs, self.jobs = self.jobs, []
        return [*(Started(key, 0) for key in jobs), *self._ends(jobs)] if jobs else []

    def stop(self) -> str:
        return ""

    def _ends(self, jobs: Sequence[str]) -> list[Ended]:
        self.at_work = True
        try:
            words = [[f"hydra.sweep.subdir={quoted(key)}"] for key in jobs]
            returns: Sequence[Any] = self.launcher.launch(words, initial_job_idx=0)
        except Interrupted as stopped:
            self.at_work = False
            signal.raise_signal(stopped.signum)  # which a job in this process took from the sweep
            return [Ended(key, stopped.exit_code) for key in jobs]
        except Exception as error:  # the launcher's own, whatever became of its jobs
            return [Ended(key, 1, reason=f"{type(error).__name__}: {first_line(error)}") for key in jobs]
        finally:
            self.at_work = False
        return [_ended(key, job) for key, job in zip(jobs, returns, strict=True)]


def _ended(key: str, job: Any) -> Ended:
    value = getattr(job, "_return_value", None)  # its public form raises what the job raised
    if isinstance(value, BaseException):
        return Ended(key, 1, reason=f"{type(value).__name__}: {first_line(value)}")
    return Ended(key, int(value or 0))

"""Jobs of a sweep through submitit: SLURM's queue, processes of this machine, or this process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.errors import UserError, first_line
from experiments.sweep.backends.protocol import Ended, Event, Started, Withdrawn
from experiments.sweep.backends.queued_jobs import FOLDER, Queued, still_queued, write_queued
from experiments.sweep.backends.remote_process import Work
from experiments.sweep.resources import Machine

CLUSTERS = ("slurm", "local", "debug")
_ASK = 30.0  # seconds between questions to SLURM about jobs that have left no result


@dataclass(frozen=True)
class Submitit:
    """What each job asks of the batch system; `None` leaves it to the cluster's own default.

    Raises:
        UserError: for a value that cannot be.
    """

    cluster: str
    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    nodes: int
    tasks_per_node: int
    gpus_per_node: int
    cpus_per_task: int
    mem_gb: float | None
    timeout_min: int
    max_num_timeout: int
    signal_delay_s: int
    array_parallelism: int
    setup: tuple[str, ...]
    additional_parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.cluster not in CLUSTERS:
            raise UserError(f"hydra.launcher.cluster={self.cluster} is not known: choose from {', '.join(CLUSTERS)}")
        for key in ("nodes", "tasks_per_node", "cpus_per_task", "timeout_min", "array_parallelism"):
            if not _whole(value := getattr(self, key)) or value < 1:
                raise UserError(
                    f"hydra.launcher.{key}={value} must be a whole number, 1 or more: try hydra.launcher.{key}=1"
                )
        for key in ("gpus_per_node", "max_num_timeout", "signal_delay_s"):
            if not _whole(value := getattr(self, key)) or value < 0:
                raise UserError(
                    f"hydra.launcher.{key}={value} must be a whole number, 0 or more: try hydra.launcher.{key}=0"
                )
        for key in ("nodes", "tasks_per_node"):
            if self.cluster != "slurm" and (value := getattr(self, key)) > 1:
                raise UserError(
                    f"hydra.launcher.{key}={value} needs SLURM and hydra.launcher.cluster={self.cluster} starts one process: "
                    f"set hydra.launcher.{key}=1"
                )

    @property
    def machine(self) -> Machine:
        at_a_time = {"slurm": self.array_parallelism, "local": None, "debug": 1}[self.cluster]
        return Machine(self.nodes, self.tasks_per_node, self.cpus_per_task, self.gpus_per_node, at_a_time)

    def engine(self, folder: Path) -> SubmititEngine:
        try:
            import submitit
        except ImportError as error:
            raise UserError(
                "hydra/launcher=submitit_slurm needs submitit, which is not installed: pip install 'lightning-experiments[slurm]'"
            ) from error
        if self.cluster == "slurm" and not shutil.which("srun"):
            raise UserError(
                "hydra/launcher=submitit_slurm needs SLURM's commands (sbatch, srun, squeue) and there is no srun here: start the "
                "sweep on a login node, or try it with hydra.launcher.cluster=local"
            )
        return SubmititEngine(submitit, folder, self)

    def parameters(self) -> dict[str, Any]:
        """As submitit's AutoExecutor names them."""
        common = {
            "name": "experiments",
            "nodes": self.nodes,
            "tasks_per_node": self.tasks_per_node,
            "gpus_per_node": self.gpus_per_node,
            "cpus_per_task": self.cpus_per_task,
            "mem_gb": self.mem_gb,
            "timeout_min": self.timeout_min,
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "slurm_qos": self.qos,
            "slurm_constraint": self.constraint,
            "slurm_signal_delay_s": self.signal_delay_s,
            "slurm_array_parallelism": self.array_parallelism,
            "slurm_srun_args": ["--kill-on-bad-exit=1"],  # a lost process ends the others
            "slurm_setup": list(self.setup) or None,
            "local_setup": list(self.setup) or None,
            "slurm_additional_parameters": dict(self.additional_parameters) or None,
        }
        return {key: value for key, value in common.items() if value is not None}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _touched(folder: Path) -> tuple[int, int] | None:
    """Return what changes in a run's folder when its job starts; None where none ever did."""
    try:
        stat = (folder / "job.log").stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


@dataclass
class _SlurmJob:
    """A job between its submission and its end."""

    folder: Path
    log_before: tuple[int, int] | None
    work: Work | None = None
    submitted: Any = None  # submitit's
    started: bool = False


class SubmititEngine:
    """Submits what it is given as one array, and looks after it until it ends.

    Jobs in SLURM's queue outlive this process: their ids lie in `submitit/jobs.json`, and a resumed sweep waits for
    those that still wait or run instead of submitting them again.
    """

    def __init__(self, submitit: Any, folder: Path, options: Submitit) -> None:
        self.submitit, self.folder, self.options = submitit, folder, options
        self.jobs: dict[str, _SlurmJob] = {}
        self.queued: dict[str, Queued] = {}
        self.events: list[Event] = []
        self.executor: Any = None
        self._asked = time.monotonic()

    def start(self) -> None:
        cluster, retries = self.options.cluster, self.options.max_num_timeout
        place = self.folder / FOLDER
        place.mkdir(exist_ok=True)
        try:
            self.executor = self.submitit.AutoExecutor(place, cluster=cluster, slurm_max_num_timeout=retries)
            self.executor.update_parameters(**self.options.parameters())
        except (RuntimeError, ValueError, NameError, AssertionError) as error:
            raise UserError(f"hydra/launcher=submitit_slurm: {first_line(error)}") from error
        if cluster == "slurm":
            self.queued = still_queued(self.folder)

    def run(self, key: str, folder: Path, environment: dict[str, str], threads: int) -> None:
        job = self.jobs[key] = _SlurmJob(folder, _touched(folder))
        if key in self.queued:  # submitted by an earlier launcher
            queued = self.queued[key]
            job.submitted = self.submitit.SlurmJob(self.folder / FOLDER, queued.id, tasks=range(queued.tasks))
            job.started = (folder / "record.json").exists()
            return
        within = self.options.cluster == "debug"
        launcher = os.getpid() if self.options.cluster == "local" else None
        job.work = Work(str(folder), environment, os.getcwd(), launcher, forward=not within)

    def wait(self, seconds: float) -> list[Event] | None:
        self._submit()
        until = time.monotonic() + seconds
        while not (events := self._look()) and time.monotonic() < until:
            time.sleep(min(seconds, 0.1))
        return events

    def _submit(self) -> None:
        fresh = {key: job for key, job in self.jobs.items() if job.submitted is None and job.work is not None}
        if not fresh:
            return
        try:
            with self.executor.batch():
                for job in fresh.values():
                    job.submitted = self.executor.submit(job.work)
        except Exception as error:  # sbatch refuses for many reasons: a partition, a limit
            output = getattr(error, "stderr", None) or getattr(error, "output", None) or error
            text = output.decode(errors="replace") if isinstance(output, bytes) else str(output)
            raise UserError(f"the batch system takes no job ({' '.join(text.split())[:300]})") from error
        if self.options.cluster == "slurm":
            tasks = self.options.nodes * self.options.tasks_per_node
            self.queued |= {key: Queued(job.submitted.job_id, tasks) for key, job in fresh.items()}
            write_queued(self.folder, self.queued)

    def _look(self) -> list[Event]:
        events, self.events = self.events, []
        force = time.monotonic() - self._asked > _ASK
        for key, job in list(self.jobs.items()):
            if job.submitted is None:
                continue
            if not job.started and _touched(job.folder) != job.log_before:
                job.started = True
                events.append(Started(key, 0))
            if self._done(job, force):
                force = False  # one question is for all
                del self.jobs[key]
                events.append(self._ended(key, job))
            if events and self.options.cluster == "debug":  # asking for the next one would run it
                break
        if force:
            self._asked = time.monotonic()
        return events

    def _done(self, job: _SlurmJob, force: bool) -> bool:
        return bool(job.submitted.done(force_check=force))

    def _ended(self, key: str, job: _SlurmJob) -> Ended:
        try:
            codes = job.submitted.results()
        except Exception as error:  # no result: the machine or the whole job is gone
            state = str(getattr(job.submitted, "state", "")) or "gone"
            reason = f"job {job.submitted.job_id} of the batch system ended as {state} and without a result ({first_line(error)})"
            return Ended(key, 1, reason=reason)
        return Ended(key, next((code for code in codes if code), 0))

    def signal(self, key: str, signum: int) -> None:
        job = self.jobs.get(key)
        if job is None:
            return
        if self.options.cluster == "debug":
            if job.work is not None:
                job.work.signal(signum)
        elif job.submitted is None:
            self._withdraw(key)
        elif self.options.cluster == "local":
            process = job.submitted._process
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        elif not job.started:
            job.submitted.cancel(check=False)
            self._withdraw(key)
        else:  # not SIGTERM, which some clusters send to all processes of a job: it would then arrive twice
            subprocess.run(["scancel", "--signal=HUP", str(job.submitted.job_id)], check=False, capture_output=True)

    def kill(self, key: str) -> None:
        job = self.jobs.get(key)
        if job is None:
            return
        if self.options.cluster == "debug" and job.work is not None:
            job.work.kill()
        elif self.options.cluster == "slurm" and job.submitted is not None:
            job.submitted.cancel(check=False)
        else:  # asked twice, a job of this machine is killed
            self.signal(key, signal.SIGTERM)

    def _withdraw(self, key: str) -> None:
        del self.jobs[key]
        self.events.append(Withdrawn(key))

    def stop(self) -> str:
        for _ in range(2):
            for key in list(self.jobs):
                self.kill(key)
            if not self.jobs:
                break
            time.sleep(0.5)
        return ""

"""The jobs of a launch: started as there is room, watched, timed, stopped, and their ends written down.

An engine runs the jobs: processes of this machine, a batch system, a cluster.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.config.devices import cores, machine_with
from experiments.config.view import View
from experiments.errors import RunFailed, UserError
from experiments.run.folder import moved, write_config
from experiments.run.outcome import STOPPED, UNFINISHED, end, how, last_written
from experiments.run.record import FAILED, INTERRUPTED, RUNNING
from experiments.sweep.backends.forked_processes import ForkedProcesses
from experiments.sweep.backends.protocol import Ended, Engine, Withdrawn
from experiments.sweep.folder import stand_in
from experiments.sweep.planned_run import PlannedRun
from experiments.sweep.resources import Anywhere, Machine, Need, Pool, Share, gpu_names, need
from experiments.sweep.run_source import Source
from experiments.sweep.run_state import NEW
from experiments.sweep.status import WAITING, Job
from experiments.system.processes import KILLED
from experiments.system.signals import stop_if_asked

_GRACE = 10.0  # seconds between asking a job that has had its time to stop, and killing it


@dataclass
class Running:
    """A job at work."""

    planned: PlannedRun
    shown: Job
    share: Share
    began: float  # when it got its process, or, before that, was asked for
    at_work: bool = False  # its time counts from here: neither imports nor a queue are the job's
    record_before: int | None = None  # when an earlier attempt last wrote its record, in nanoseconds
    asked: float | None = None  # when it was asked to stop


class JobLoop:
    """Runs what a source gives until it has no more.

    Args:
        source: where the runs come from.
        settings: `launcher.*`, checked.
        engine: that runs the jobs.
        machine: of the cluster that they run on; None is this one.
    """

    def __init__(
        self, source: Source, settings: dict[str, Any], engine: Engine, machine: Machine | None = None
    ) -> None:
        self.source, self.engine, self.machine = source, engine, machine
        self.folder, self.display = source.folder, source.display
        self.timeout: float | None = settings.get("timeout")
        self.jobs: int = settings["jobs"]
        self.threads: int | None = settings.get("threads")
        self.pool = Anywhere() if machine else Pool(cores(), gpu_names(), int(settings.get("jobs_per_gpu") or 1))
        self.held: PlannedRun | None = None  # the next run, for which there is no room yet
        self.running: dict[str, Running] = {}
        self.stopped: int | None = None
        self.hung_up = False
        self.lost = self.ended = 0  # engines, jobs

    def run(self) -> list[dict[str, Any]]:
        """Runs all, and gives their records as the source does.

        Raises:
            UserError: as the source does.
            RunFailed: when some failed, or what runs the jobs was lost again and again.
            Interrupted: when a signal stopped the launch.
        """
        self.source.announce()
        with self._signals():
            self._start_what_fits()
            while self.running:
                self.display.draw()
                events = self.engine.wait(0.2)
                if events is None:
                    self._engine_is_gone()
                for event in events or ():
                    if event.key not in self.running:
                        continue
                    if isinstance(event, Ended):
                        self._end(event.key, event)
                    elif isinstance(event, Withdrawn):
                        job = self.running.pop(event.key)
                        self.pool.give_back(job.share)
                        job.shown.state = WAITING
                    else:
                        self._began(self.running[event.key])
                self._look_at_the_clock()
                if self.hung_up:
                    self._detach()
                self._start_what_fits()
        self.display.close()
        if self.ended and self.stopped is None:
            self._write_columns()
        return self.source.conclude(self.stopped)

    # Starting

    def _start_what_fits(self) -> None:
        while len(self.running) < self.jobs and (planned := self._next()) is not None:
            share = self.pool.take(self._need(planned))
            if share is None:
                return
            self.held = None
            self._start(planned, share)

    def _next(self) -> PlannedRun | None:
        """Return the run to start next; None where nothing is to be started."""
        if self.stopped is not None:
            return None
        if self.held is None:
            self.held = self.source.next()
        return self.held

    def _need(self, planned: PlannedRun) -> Need:
        config = View(planned.config or {})
        if self.machine is None:
            return need(config, self.jobs, self.threads)
        with machine_with(self.machine.gpus):
            return self.machine.need(config, self.threads)

    def _start(self, planned: PlannedRun, share: Share) -> None:
        name = planned.entry.name
        job = self.running[name] = Running(planned, self.source.job(name), share, time.monotonic())
        job.shown.error = None
        if self.machine is None:  # a cluster's queue may take its time
            job.shown.state, job.shown.began = RUNNING, time.time()
        try:
            self._prepare(planned)
            job.record_before = last_written(self.folder / name)
        except OSError as error:
            self._over(name, FAILED, f"its folder cannot be written to ({error.strerror})")
            return
        if isinstance(self.engine, ForkedProcesses) and name in self.source.shared:
            self.engine.keep_ready(self.source.shared.pop(name))
        stopped = self.stopped  # before the engine knew the job
        self.engine.run(name, self.folder / name, share.environment(), share.need.threads)
        if stopped is not None:
            self.engine.signal(name, stopped)

    def _began(self, job: Running) -> None:
        job.began, job.at_work = time.monotonic(), True
        job.shown.state, job.shown.began = RUNNING, time.time()

    def _prepare(self, planned: PlannedRun) -> None:
        """Make the run's folder with its config; move aside what an earlier attempt left and no run can resume."""
        folder = self.folder / planned.entry.name
        folder.mkdir(exist_ok=True)
        record = folder / "record.json"
        if planned.state == NEW and record.exists():  # of another config: its checkpoints must not be taken up
            with contextlib.suppress(OSError):
                for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
                    checkpoint.unlink()
            record.unlink()
        elif planned.state == FAILED and not planned.record and record.exists():
            record.rename(folder / "record.json.damaged")
        config = moved(planned.config, stand_in(self.folder), str(folder))
        write_config(config, folder)

    # Ending

    def _end(self, name: str, ended: Ended) -> None:
        job = self.running[name]
        error = ended.reason or how(ended.code)
        timed_out = job.asked is not None and self.stopped is None
        if timed_out and ended.code != 0:
            self._over(name, FAILED, f"it was stopped after launcher.timeout={self.timeout:g} s", force=True)
        elif ended.code in STOPPED:
            self._over(name, INTERRUPTED, error)
        elif ended.code == KILLED and self.stopped is not None:
            self._over(name, INTERRUPTED, "killed, as the sweep was asked to stop a second time")
        else:
            self._over(name, FAILED, error)

    def _over(self, name: str, status: str, error: str, force: bool = False) -> None:
        """Takes a job from the list. Its record stands where it says how the run ended; else it is made to say it."""
        job = self.running.pop(name)
        self.ended += 1
        self.pool.give_back(job.share)
        seconds = time.monotonic() - job.began
        record: dict[str, Any] = {"status": status, "error": error}
        try:
            silent = last_written(self.folder / name) == job.record_before
            over = UNFINISHED if force or silent else (RUNNING,)
            record = end(self.folder / name, status, error, seconds, over)
        except (OSError, UserError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            record["error"] = f"{error}; its record cannot be written ({why})"
        job.shown.take(record, record["status"])
        told = (record.get("cost") or {}).get(
            "seconds"
        ) or 0.0  # a launcher of Hydra's says only at its end that a job began
        job.shown.began, job.shown.seconds = None, max(seconds, told)
        self.source.ended(name, record["status"])

    def _engine_is_gone(self) -> None:
        """Handle the death of the process that forks the jobs: its jobs failed, and a new one starts the others."""
        last_words = self.engine.stop()
        for name in list(self.running):
            self._over(
                name,
                FAILED,
                "the process it was forked from was killed" if self.machine is None else "its cluster is gone",
            )
        self.lost += 1
        if self.lost > 3:
            raise RunFailed(
                f"what the jobs are run by ended {self.lost} times: {last_words.splitlines()[-1] if last_words else 'killed'}"
            )
        if self._next() is not None:
            self.engine.start()

    def _look_at_the_clock(self) -> None:
        if self.timeout is None and self.stopped is None:
            return
        now_ = time.monotonic()
        for name, job in self.running.items():
            late = self.timeout is not None and job.at_work and now_ - job.began > self.timeout
            if job.asked is None and late:
                job.asked = now_
                self.engine.signal(name, signal.SIGTERM)
            elif (
                job.asked is not None
                and job.asked != float("inf")
                and self.stopped is None
                and now_ - job.asked > _GRACE
            ):
                job.asked = float("inf")
                self.engine.kill(name)

    # Stopping

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(signum: int, frame: Any) -> None:  # the jobs save and end by themselves; asked again they are killed
            again = self.stopped is not None
            self.stopped = self.stopped or signum
            for name in list(self.running):
                if again:
                    self.engine.kill(name)
                else:
                    self.engine.signal(name, signum)

        def hang_up(signum: int, frame: Any) -> None:
            self.hung_up = True

        previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
        try:
            stop_if_asked()
            yield
        finally:
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def _detach(self) -> None:
        """Continue without the terminal, which was closed: write to a file, which `experiments status` shows."""
        self.hung_up = False
        log = os.open(self.folder / "launcher.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        self.display.write_to(sys.stdout)

    def _write_columns(self) -> None:
        from experiments.compare.tensorboard import refresh_columns

        try:
            refresh_columns(self.folder)
        except (OSError, UserError) as error:
            self.display.say(
                f"warning: the columns of TensorBoard's HPARAMS tab could not be written ({error}); the runs are whole"
            )

"""The jobs of a sweep, each in a process of its own.

On this machine the processes are forked from one that has torch and Lightning imported and has started no thread: a job
neither pays the imports again nor can it hurt the next one. Where a system has no fork, and by `launcher.start=spawn`, each is
a fresh process. A cluster starts them as it does any job. This process itself never imports torch.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.check import View
from experiments.config.devices import accelerator, cores, machine_with
from experiments.errors import Interrupted, RunFailed, UserError, as_typed
from experiments.run.build import data_key
from experiments.run.folder import moved, write_config
from experiments.run.outcome import STOPPED, UNFINISHED, end, how, last_written, repeat
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, RUNNING, targets_of
from experiments.sweep.backends.forked_processes import ForkedProcesses, all_known, modules_of
from experiments.sweep.backends.protocol import Cluster, Ended, Engine, Withdrawn
from experiments.sweep.backends.spawned_processes import SpawnedProcesses
from experiments.sweep.closing import tell
from experiments.sweep.plan import NEW, Cell, Plan, make_plan, problems_of, state_of, summary
from experiments.sweep.prepare import claimed, open_sweep, read_settings, sweep_folder_of, write_sweep
from experiments.sweep.resources import Anywhere, Machine, Need, Pool, Share, gpu_names, jobs_at_a_time, need
from experiments.sweep.status import WAITING, Display, Job, standing
from experiments.system.processes import KILLED
from experiments.system.signals import stop_if_asked

_GRACE = 10.0  # seconds between asking a job that has had its time to stop, and killing it


@dataclass
class Running:
    """A job at work."""

    cell: Cell
    shown: Job
    share: Share
    began: float  # when it got its process, or, before that, was asked for
    at_work: bool = False  # its time counts from here: neither imports nor a queue are the job's
    record_before: int | None = None  # when an earlier attempt last wrote its record, in nanoseconds
    asked: float | None = None  # when it was asked to stop


def launch(
    config: DictConfig, job_overrides: Sequence[Sequence[str]], loader: Any, cluster: Cluster | None = None
) -> list[dict[str, Any]]:
    """Composes and checks all cells, runs those that are not done, and gives the records of all in order.

    Args:
        config: of the sweep, with Hydra's part.
        job_overrides: what each cell sets.
        loader: Hydra's, to compose with.
        cluster: where the jobs run; None is this machine.

    Raises:
        UserError: when a cell's config cannot run (unless `launcher.on_invalid=skip`) or the folder is taken; nothing has
            been run then.
        RunFailed: after all jobs, when some failed.
        Interrupted: when a signal stopped the sweep.
    """
    settings = read_settings(config)
    machine = cluster.machine if cluster else None
    if cluster and (asked := config.launcher.get("start") or "auto") != "auto":
        raise UserError(
            f"launcher.start={asked} has no effect where a cluster starts the jobs: leave it out, or take hydra/launcher=processes"
        )
    if settings["only_check"]:
        check_only(config, settings, job_overrides, loader, machine)
        return []
    folder = sweep_folder_of(config)
    engine: Engine | None = None if cluster else engine_here(config, settings)
    try:
        with claimed(folder):
            plan = make_plan(config, job_overrides, loader, open_sweep(config, folder), machine)
            _refuse_invalid(plan, settings)
            if cluster:
                engine = cluster.engine(folder)
            assert engine is not None
            _register(plan, settings, machine)
            if cluster and plan.to_run:
                engine.start()
            return Launch(plan, settings, engine, machine).run()
    finally:
        if engine is not None:
            engine.stop()


def check_only(
    config: DictConfig,
    settings: dict[str, Any],
    job_overrides: Sequence[Sequence[str]],
    loader: Any,
    machine: Machine | None,
) -> None:
    """Composes and checks all cells and says what a sweep would do; runs nothing and writes nothing.

    Raises:
        UserError: when a cell's config cannot run and `launcher.on_invalid` is stop.
    """
    folder = Path(os.path.abspath(config.hydra.sweep.dir))
    plan = make_plan(config, job_overrides, loader, open_sweep(config, folder), machine)
    print(summary(plan))
    _refuse_invalid(plan, settings)
    for line in _remarks(plan):
        print(line)
    print("This sweep can run." if plan.to_run else "Nothing is left to run.")


def _refuse_invalid(plan: Plan, settings: dict[str, Any]) -> None:
    """Raises for cells that cannot run; those that a resumed sweep has skipped before do not stop it."""
    invalid = [cell for cell in plan.invalid if not cell.skipped_before]
    if invalid and settings["on_invalid"] == "stop":
        cure = ["launcher.on_invalid=skip leaves such cells out"] if plan.cells and len(invalid) > 1 else []
        raise UserError("\n".join([*_problems(invalid), *cure]))


def _problems(invalid: Sequence[Cell]) -> list[str]:
    """No more lines than one reads."""
    lines = problems_of(invalid)
    return lines[:20] + ([f"… and {len(lines) - 20} more problems"] if len(lines) > 20 else [])


def _remarks(plan: Plan) -> list[str]:
    lines = [f"the same: {text}; it runs once" for text in plan.duplicates[:5]]
    if len(plan.duplicates) > 5:
        lines.append(f"… and {len(plan.duplicates) - 5} more that are the same as another")
    lines += [f"skipped: {line}" for line in _problems(plan.invalid)]
    return [*lines, *(f"warning: {text}" for text in plan.warnings)]


def engine_here(config: DictConfig, settings: dict[str, Any]) -> Engine:
    """What runs jobs on this machine, started.

    Forked jobs come from a process that imports what the sweep's own config names, while the cells are composed.
    """
    if settings["start"] == "spawn":
        return SpawnedProcesses()
    targets = targets_of(OmegaConf.to_container(config, resolve=False))
    forked = ForkedProcesses(modules_of(targets, settings.get("preload") or ()), all_known(targets))
    forked.start()
    return forked


def _shared_data(cells: Sequence[Cell], jobs: int) -> dict[str, dict[str, Any]]:
    """Datasets that more jobs read than begin at once, each by the name of the first of these jobs."""
    by_key: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.config and all_known([cell.config["data"]["_target_"]]):
            by_key.setdefault(data_key(cell.config["data"]), []).append(cell)
    return {those[0].entry.name: those[0].config["data"] for those in by_key.values() if len(those) > jobs}  # type: ignore[index]


def _register(plan: Plan, settings: dict[str, Any], machine: Machine | None) -> None:
    """Writes the list of cells, with those of earlier commands."""
    sweep = plan.sweep
    sweep.entries = plan.entries
    if machine:
        sweep.jobs = settings["jobs"] or machine.at_a_time or max(1, len(plan.to_run))
    else:
        on_gpus = any(cell.config and accelerator(View(cell.config).trainer) == "gpu" for cell in plan.cells)
        sweep.jobs = jobs_at_a_time(settings, on_gpus)
    settings["jobs"] = settings["jobs"] or (
        max(1, len(plan.to_run)) if machine else sweep.jobs
    )  # a cluster queues them
    write_sweep(sweep)


class Launch:
    """One go at a sweep."""

    def __init__(self, plan: Plan, settings: dict[str, Any], engine: Engine, machine: Machine | None = None) -> None:
        self.plan, self.engine, self.machine = plan, engine, machine
        self.folder = plan.sweep.folder
        self.timeout: float | None = settings.get("timeout")
        self.jobs: int = settings["jobs"]
        self.threads: int | None = settings.get("threads")
        self.needs = {cell.entry.name: self._need(cell) for cell in plan.to_run}
        self.pool = Anywhere() if machine else Pool(cores(), gpu_names(), int(settings.get("jobs_per_gpu") or 1))
        self.waiting = list(plan.to_run)
        self.shared = {} if machine else _shared_data(plan.to_run, self.jobs)
        self.running: dict[str, Running] = {}
        stand = standing(self.folder)
        stand.at_a_time = plan.sweep.jobs
        by_name = {job.name: job for job in stand.jobs}
        self.shown = {cell.entry.name: by_name[cell.entry.name] for cell in plan.cells}
        stand.jobs = list(self.shown.values())
        for cell in plan.to_run:
            self.shown[cell.entry.name].state = WAITING
        self.display = Display(stand)
        self.stopped: int | None = None
        self.hung_up = False
        self.lost = self.ended = 0  # engines, jobs

    def _need(self, cell: Cell) -> Need:
        config = View(cell.config or {})
        if self.machine is None:
            return need(config, self.jobs, self.threads)
        with machine_with(self.machine.gpus):
            return self.machine.need(config, self.threads)

    def run(self) -> list[dict[str, Any]]:
        self._announce()
        with self._signals():
            while self.running or (self.waiting and self.stopped is None):
                self._start_what_fits()
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
        self.display.close()
        if self.ended and self.stopped is None:
            self._write_columns()
        return self._conclude()

    def _announce(self) -> None:
        self.display.say(f"{summary(self.plan)}; in {self.folder}")
        for line in _remarks(self.plan):
            self.display.say(line)

    # Starting

    def _start_what_fits(self) -> None:
        while self.waiting and self.stopped is None and len(self.running) < self.jobs:
            cell = self.waiting[0]
            share = self.pool.take(self.needs[cell.entry.name])
            if share is None:
                return
            self.waiting.pop(0)
            self._start(cell, share)

    def _start(self, cell: Cell, share: Share) -> None:
        name = cell.entry.name
        job = self.running[name] = Running(cell, self.shown[name], share, time.monotonic())
        job.shown.error = None
        if self.machine is None:  # a cluster's queue may take its time
            job.shown.state, job.shown.began = RUNNING, time.time()
        try:
            self._prepare(cell)
            job.record_before = last_written(self.folder / name)
        except OSError as error:
            self._over(name, FAILED, f"its folder cannot be written to ({error.strerror})")
            return
        if isinstance(self.engine, ForkedProcesses) and name in self.shared:
            self.engine.keep_ready(self.shared.pop(name))
        stopped = self.stopped  # before the engine knew the job
        self.engine.run(name, self.folder / name, share.environment(), share.need.threads)
        if stopped is not None:
            self.engine.signal(name, stopped)

    def _began(self, job: Running) -> None:
        job.began, job.at_work = time.monotonic(), True
        job.shown.state, job.shown.began = RUNNING, time.time()

    def _prepare(self, cell: Cell) -> None:
        """The run's folder with its config; what an earlier attempt left that cannot be gone on with is put aside."""
        folder = self.folder / cell.entry.name
        folder.mkdir(exist_ok=True)
        record = folder / "record.json"
        if cell.state == NEW and record.exists():  # of another config: its checkpoints must not be taken up
            with contextlib.suppress(OSError):
                for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
                    checkpoint.unlink()
            record.unlink()
        elif cell.state == FAILED and not cell.record and record.exists():
            record.rename(folder / "record.json.damaged")
        config = moved(cell.config, str(self.folder / "cell"), str(folder))
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
        self.display.ended(job.shown)

    def _engine_is_gone(self) -> None:
        """What runs the jobs was killed, and with it all of them: they failed, and the rest goes on from a new one."""
        said = self.engine.stop()
        for name in list(self.running):
            self._over(
                name,
                FAILED,
                "the process it was forked from was killed" if self.machine is None else "its cluster is gone",
            )
        self.lost += 1
        if self.lost > 3:
            raise RunFailed(
                f"what the jobs are run by ended {self.lost} times: {said.splitlines()[-1] if said else 'killed'}"
            )
        if self.waiting and self.stopped is None:
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
        """The terminal is closed: the sweep goes on and writes to a file; `experiments status` shows it."""
        self.hung_up = False
        log = os.open(self.folder / "launcher.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os.close(log)
        self.display.stream, self.display._lines = sys.stdout, 0

    def _write_columns(self) -> None:
        from experiments.compare.tensorboard import refresh_columns

        try:
            refresh_columns(self.folder)
        except (OSError, UserError) as error:
            self.display.say(
                f"warning: the columns of TensorBoard's HPARAMS tab could not be written ({error}); the runs are whole"
            )

    def _conclude(self) -> list[dict[str, Any]]:
        records, failed = [], []
        for cell in self.plan.cells:
            name = cell.entry.name
            record, state = state_of(self.folder / name, cell.entry.identity)
            shown = self.shown[name]
            if state in (FAILED, INTERRUPTED) or (state == NEW and shown.state in (FAILED, INTERRUPTED)):
                failed.append(f"{name}: {record.get('error') or shown.error}; repeat it: {repeat(self.folder / name)}")
            records.append(record or {"status": shown.state, "error": shown.error, "metrics": {}})
        if self.stopped is not None:
            count = sum(record["status"] != FINISHED for record in records)
            go_on = f"experiments train -m resume={shlex.quote(as_typed(self.folder))}"
            print(f"{count} of {len(records)} runs are not finished; go on with: {go_on}", file=sys.stderr)
            raise Interrupted(self.stopped)
        if any(record["status"] == FINISHED for record in records):
            tell(self.folder, len(failed))
        if failed:
            raise RunFailed("\n".join([f"{len(failed)} of {len(records)} runs failed", *failed]))
        return records

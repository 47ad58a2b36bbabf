"""The jobs of a sweep, each in a process of its own.

The processes are forked from one that has torch and Lightning imported and has started no thread (`warm`): a job neither pays
the imports again nor can it hurt the next one. This process itself never imports torch.
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

from experiments.check import View
from experiments.devices import accelerator, cores
from experiments.errors import Interrupted, RunFailed, UserError
from experiments.files import write_json
from experiments.record import FAILED, FINISHED, INTERRUPTED, RUNNING, Record, now, read_record
from experiments.runs import moved, write_config
from experiments.sweeps import folder as sweep_folder
from experiments.sweeps.folder import RUN, Sweep, locked
from experiments.sweeps.plan import NEW, Cell, Plan, make_plan, state_of, summary
from experiments.sweeps.pool import Pool, Share, gpu_names, jobs_at_a_time, need
from experiments.sweeps.status import WAITING, Display, Job, standing
from experiments.sweeps.warm import Ended, Warm, all_known, modules_of

_GRACE = 10.0  # seconds between asking a job that has had its time to stop, and killing it


@dataclass
class Running:
    """A job at work."""

    cell: Cell
    shown: Job
    share: Share
    began: float  # when it was forked, or, before that, asked for
    record_before: int | None = None  # when an earlier attempt last wrote its record, in nanoseconds
    asked: float | None = None  # when it was asked to stop


def launch(config: DictConfig, job_overrides: Sequence[Sequence[str]], loader: Any) -> list[dict[str, Any]]:
    """Composes and checks all cells, runs those that are not done, and gives the records of all in order.

    Args:
        config: of the sweep, with Hydra's part.
        job_overrides: what each cell sets.
        loader: Hydra's, to compose with.

    Raises:
        UserError: when a cell's config cannot run (unless `launcher.on_invalid=skip`) or the folder is taken; nothing has
            been run then.
        RunFailed: after all jobs, when some failed.
        Interrupted: when a signal stopped the sweep.
    """
    settings = _settings(config)
    folder = _folder(config)
    warm = _warm_up(config, settings)
    try:
        with locked(folder):
            sweep = _open(config, folder)
            plan = make_plan(config, job_overrides, loader, sweep)
            _refuse_invalid(plan, settings)
            _register(plan, settings)
            return _Launch(plan, settings, warm).run()
    except UserError:
        with contextlib.suppress(OSError):  # what this made and nothing is in
            if not sweep_folder.is_sweep(folder):
                (folder / sweep_folder.LOCK).unlink(missing_ok=True)
                folder.rmdir()
        raise
    finally:
        warm.stop()


def check_only(config: DictConfig, job_overrides: Sequence[Sequence[str]], loader: Any) -> int:
    """Composes and checks all cells and says what a sweep would do; runs nothing and writes nothing. Gives the number to run.

    Raises:
        UserError: when a cell's config cannot run and `launcher.on_invalid` is stop.
    """
    settings = _settings(config)
    folder = Path(os.path.abspath(config.hydra.sweep.dir))
    plan = make_plan(config, job_overrides, loader, _open(config, folder))
    print(summary(plan))
    for line in _remarks(plan):
        print(line)
    _refuse_invalid(plan, settings)
    print("This sweep can run." if plan.to_run else "Nothing is left to run.")
    return len(plan.to_run)


def _settings(config: DictConfig) -> dict[str, Any]:
    """`launcher.*` as plain Python, its values checked."""
    settings: dict[str, Any] = OmegaConf.to_container(config.launcher, resolve=True)  # type: ignore[assignment]
    for key in ("jobs", "threads", "jobs_per_gpu"):
        value = settings.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(f"launcher.{key}={value} must be a whole number, 1 or more, or null: try launcher.{key}=1")
    timeout = settings.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout <= 0):
        raise UserError(
            f"launcher.timeout={timeout} must be seconds above 0, or null for no limit: try launcher.timeout=3600"
        )
    if settings.get("on_invalid") not in ("stop", "skip"):
        raise UserError(
            f"launcher.on_invalid={settings.get('on_invalid')} must be stop or skip: try launcher.on_invalid=skip"
        )
    return settings


def _folder(config: DictConfig) -> Path:
    """The sweep's folder: the one that was asked for, or a fresh one."""
    folder = Path(os.path.abspath(config.hydra.sweep.dir))
    given = any(word.startswith("hydra.sweep.dir=") for word in config.hydra.overrides.hydra)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if given:
            folder.mkdir(exist_ok=True)
            return folder
        for number in range(1, 1000):  # two sweeps may begin within the second that names them
            one = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
            with contextlib.suppress(FileExistsError):
                one.mkdir()
                return one
    except OSError as error:
        raise UserError(f"hydra.sweep.dir={folder} cannot be made ({error.strerror}): choose another folder") from error
    raise UserError(f"{folder} and 999 like it exist: clear {folder.parent}")


def _open(config: DictConfig, folder: Path) -> Sweep:
    try:
        sweep = sweep_folder.read_sweep(folder)
    except UserError:
        sweep = Sweep(folder)
    hydra = [
        word
        for word in config.hydra.overrides.hydra
        if not word.startswith(("hydra.sweep.dir=", "hydra.mode=", "hydra.sweeper."))
    ]
    task = [word for word in config.hydra.overrides.task if word.startswith("launcher.")]
    sweep.settings = [*hydra, *task]
    sweep.config_dirs = config_dirs(config)
    return sweep


def config_dirs(config: DictConfig) -> list[str]:
    """Folders of configs beside ours, as Hydra was given them."""
    sources = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    return [str(path) for path in sources]


def _warm_up(config: DictConfig, settings: dict[str, Any]) -> Warm:
    """Starts the process that holds the imports, for what the sweep's own config names: it works while the cells are composed."""
    targets = _targets(OmegaConf.to_container(config, resolve=False))
    environment = {"OMP_NUM_THREADS": str(settings.get("threads") or max(1, cores() // (settings.get("jobs") or 1)))}
    warm = Warm(modules_of(targets, settings.get("preload") or ()), environment, all_known(targets))
    warm.start()
    return warm


def _targets(node: Any, hydra: bool = False) -> list[str]:
    """Every `_target_` of a config but Hydra's own."""
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for key, value in node.items() if key != "hydra" for target in _targets(value)]
    return [target for value in node for target in _targets(value)] if isinstance(node, list) else []


def _refuse_invalid(plan: Plan, settings: dict[str, Any]) -> None:
    if plan.invalid and settings["on_invalid"] == "stop":
        problems = dict.fromkeys(
            f"{' '.join(cell.entry.words)}: {problem}" for cell in plan.invalid for problem in cell.problems
        )
        shown = list(problems)[:20]
        if len(problems) > 20:
            shown.append(f"… and {len(problems) - 20} more like these; launcher.on_invalid=skip leaves such cells out")
        raise UserError("\n".join(shown))


def _remarks(plan: Plan) -> list[str]:
    lines = [f"the same: {text}; it runs once" for text in plan.duplicates[:5]]
    if len(plan.duplicates) > 5:
        lines.append(f"… and {len(plan.duplicates) - 5} more that are the same as another")
    lines += [f"skipped: {' '.join(cell.entry.words)}: {cell.entry.reason}" for cell in plan.invalid]
    return [*lines, *(f"warning: {text}" for text in plan.warnings)]


def _register(plan: Plan, settings: dict[str, Any]) -> None:
    """Writes the list of cells: those of earlier commands stay, what was passed over before is decided anew."""
    sweep = plan.sweep
    kept = [entry for entry in sweep.entries if entry.plan == RUN]
    known = {id(entry) for entry in kept}
    fresh = [cell.entry for cell in [*plan.cells, *plan.excluded, *plan.invalid] if id(cell.entry) not in known]
    sweep.entries = sorted([*kept, *fresh], key=lambda entry: entry.number)
    on_gpus = any(cell.config and accelerator(View(cell.config).trainer) == "gpu" for cell in plan.cells)
    sweep.jobs = settings["jobs"] = jobs_at_a_time(settings, on_gpus)
    try:
        sweep.write()
    except OSError as error:
        raise UserError(
            f"{sweep.folder} cannot be written to ({error.strerror}): make room, or choose another hydra.sweep.dir"
        ) from error


class _Launch:
    """One go at a sweep."""

    def __init__(self, plan: Plan, settings: dict[str, Any], warm: Warm) -> None:
        self.plan, self.warm = plan, warm
        self.folder = plan.sweep.folder
        self.timeout: float | None = settings.get("timeout")
        self.jobs: int = settings["jobs"]
        self.needs = {
            cell.entry.name: need(View(cell.config or {}), self.jobs, settings.get("threads")) for cell in plan.to_run
        }
        self.pool = Pool(cores(), gpu_names(), int(settings.get("jobs_per_gpu") or 1))
        self.waiting = list(plan.to_run)
        self.running: dict[str, Running] = {}
        stand = standing(self.folder)
        stand.at_a_time = self.jobs
        by_name = {job.name: job for job in stand.jobs}
        self.shown = {cell.entry.name: by_name[cell.entry.name] for cell in plan.cells}
        stand.jobs = list(self.shown.values())
        for cell in plan.to_run:
            self.shown[cell.entry.name].state = WAITING
        self.display = Display(stand)
        self.stopped: int | None = None
        self.hung_up = False
        self.lost = 0

    def run(self) -> list[dict[str, Any]]:
        self._announce()
        with self._signals():
            while self.running or (self.waiting and self.stopped is None):
                self._start_what_fits()
                self.display.draw()
                ended = self.warm.wait(0.2)
                if ended is None:
                    self._warm_is_gone()
                for one in ended or ():
                    if isinstance(one, Ended):
                        self._end(one.key, one)
                    elif one.key in self.running:
                        self.running[one.key].began = time.monotonic()
                        self.running[one.key].shown.began = time.time()
                self._look_at_the_clock()
                if self.hung_up:
                    self._detach()
        self.display.close()
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
        shown = self.shown[name]
        shown.state, shown.began, shown.error = RUNNING, time.time(), None
        job = self.running[name] = Running(cell, shown, share, time.monotonic())
        try:
            self._prepare(cell)
            job.record_before = _written(self.folder / name)
        except OSError as error:
            self._over(name, FAILED, f"its folder cannot be written to ({error.strerror})")
            return
        self.warm.run(name, self.folder / name, share.environment(), share.need.threads)

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
        write_config(OmegaConf.create(config), folder)

    # Ending

    def _end(self, name: str, ended: Ended) -> None:
        job = self.running[name]
        error = _how(ended.code)
        timed_out = job.asked is not None and self.stopped is None
        if timed_out and ended.code != 0:
            self._over(name, FAILED, f"it was stopped after launcher.timeout={self.timeout:g} s", force=True)
        elif ended.code in (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM):
            self._over(name, INTERRUPTED, error)
        else:
            self._over(name, FAILED, error)

    def _over(self, name: str, status: str, error: str, force: bool = False) -> None:
        """Takes a job from the list. Its record stands where it says how the run ended; else it is made to say it."""
        job = self.running.pop(name)
        self.pool.give_back(job.share)
        seconds = time.monotonic() - job.began
        record: dict[str, Any] = {"status": status, "error": error}
        try:
            silent = _written(self.folder / name) == job.record_before
            record = _settled(self.folder / name, status, error, seconds, force or silent)
        except OSError as problem:
            record["error"] = f"{error}; its record cannot be written ({problem.strerror})"
        job.shown.take(record, record["status"])
        job.shown.began, job.shown.seconds = None, seconds
        self.display.ended(job.shown)

    def _warm_is_gone(self) -> None:
        """The process that jobs are forked from was killed, and with it all jobs: they failed, and the rest goes on from a new one."""
        said = self.warm.stop()
        for name in list(self.running):
            self._over(name, FAILED, "the process it was forked from was killed")
        self.lost += 1
        if self.lost > 3:
            raise RunFailed(
                f"the process that jobs are forked from ended {self.lost} times: {said.splitlines()[-1] if said else 'killed'}"
            )
        if self.waiting and self.stopped is None:
            self.warm.start()

    def _look_at_the_clock(self) -> None:
        if self.timeout is None and self.stopped is None:
            return
        now_ = time.monotonic()
        for name, job in self.running.items():
            late = self.timeout is not None and now_ - job.began > self.timeout
            if job.asked is None and late:
                job.asked = now_
                self.warm.signal(name, signal.SIGTERM)
            elif (
                job.asked is not None
                and job.asked != float("inf")
                and self.stopped is None
                and now_ - job.asked > _GRACE
            ):
                job.asked = float("inf")
                self.warm.signal(name, signal.SIGKILL)

    # Stopping

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(signum: int, frame: Any) -> None:  # the jobs save and end by themselves; asked again they are killed
            again = self.stopped is not None
            self.stopped = self.stopped or signum
            for name in list(self.running):
                self.warm.signal(name, signal.SIGKILL if again else signum)

        def hang_up(signum: int, frame: Any) -> None:
            self.hung_up = True

        previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
        try:
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

    def _conclude(self) -> list[dict[str, Any]]:
        records, failed = [], []
        for cell in self.plan.cells:
            name = cell.entry.name
            record, state = state_of(self.folder / name, cell.entry.identity)
            shown = self.shown[name]
            if state == FAILED or (state == NEW and shown.state == FAILED):
                failed.append(f"{name}: {record.get('error') or shown.error}; repeat it: {repeat(self.folder / name)}")
            records.append(record or {"status": shown.state, "error": shown.error, "metrics": {}})
        if self.stopped is not None:
            count = sum(record["status"] != FINISHED for record in records)
            go_on = f"experiments train -m resume={shlex.quote(_near(self.folder))}"
            print(f"{count} of {len(records)} runs are not finished; go on with: {go_on}", file=sys.stderr)
            raise Interrupted(self.stopped)
        if failed:
            raise RunFailed("\n".join([f"{len(failed)} of {len(records)} runs failed", *failed]))
        return records


def repeat(folder: Path) -> str:
    """The command that runs one job again."""
    return f"experiments train resume={shlex.quote(_near(folder))}"


def _near(folder: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(folder.relative_to(Path.cwd()))
    return str(folder)


def _how(code: int) -> str:
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


def _written(folder: Path) -> int | None:
    """When a run's record was last written, in nanoseconds; None where there is none."""
    try:
        return (folder / "record.json").stat().st_mtime_ns
    except OSError:
        return None


def _settled(folder: Path, status: str, error: str, seconds: float, force: bool) -> dict[str, Any]:
    """The record of a run whose process is gone, with an end; written where the run could not do it itself."""
    path = folder / "record.json"
    try:
        record = read_record(folder)
    except UserError:
        with contextlib.suppress(FileNotFoundError):
            path.rename(folder / "record.json.damaged")
        config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        Record(folder, config).write(RUNNING)  # type: ignore[arg-type]
        record = read_record(folder)
    if record["status"] == RUNNING or (force and record["status"] != FINISHED):
        record |= {"status": status, "error": error, "ended": now()}
        record["cost"]["seconds"] = round(max(record["cost"].get("seconds") or 0.0, seconds), 3)
        write_json(path, record)
    return record

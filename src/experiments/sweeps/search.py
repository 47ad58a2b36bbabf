"""Hyper-parameter search: a sweep whose next cell is chosen by what the earlier ones gave. Never imports torch.

Optuna proposes and is told (ask and tell); the jobs, their folders, records and failures are those of any sweep. What the
search knows lies in `search.db` in the sweep's folder, so that it goes on after whatever ended it.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import random
import shlex
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.check import View, check
from experiments.compose import explain
from experiments.devices import accelerator
from experiments.errors import Interrupted, RunFailed, UserError, first_line
from experiments.record import FAILED, FINISHED, INTERRUPTED, PRUNED, identity
from experiments.sweeps import expressions, launcher
from experiments.sweeps import folder as sweep_folder
from experiments.sweeps.cells import lower_is_better
from experiments.sweeps.composing import Composer
from experiments.sweeps.folder import EXCLUDED, RUN, SKIPPED, Entry, Sweep, locked, place
from experiments.sweeps.plan import NEW, Cell, Plan, _name, _other_code, state_of
from experiments.sweeps.pool import jobs_at_a_time, need
from experiments.sweeps.space import Space, read_space
from experiments.sweeps.status import WAITING, Display, Job, Standing, clock
from experiments.tables import table

SAMPLERS, PRUNERS = ("random", "tpe", "cmaes", "grid"), ("none", "median", "hyperband")
STORAGE = "search.db"
_NAME = "search"  # of the study; Hyperband's brackets depend on it
_TRIALS = 20
_IN_VAIN = 50  # proposals in a row that need no run, after which nothing new is expected
_FAILURES = 10  # in a row, after which the search is given up
_SHOWN = 5  # trials in the table at the end
_INSTALL = {"optuna": "pip install 'optuna>=4'", "cmaes": "pip install cmaes"}
# Imported once for all jobs that prune, and what Optuna imports only when it opens its storage.
_COMPANIONS = (
    "optuna", "optuna.pruners", "optuna.storages._rdb.storage", "optuna.storages._rdb.models",
    "alembic.command", "alembic.migration", "sqlalchemy.dialects.sqlite",
)  # fmt: skip


@dataclass(frozen=True)
class Objective:
    """What a trial is judged by: `val/accuracy` of the best epoch, or a cost from the record, `cost.seconds`."""

    name: str
    lower: bool

    def of(self, record: dict[str, Any]) -> float | None:
        """The value in a record; None where it is not a number.

        Raises:
            UserError: when the record does not have it.
        """
        group, _, key = self.name.partition(".") if self.name.startswith("cost.") else ("metrics", "", self.name)
        values = record.get(group) or {}
        if key not in values:
            prefix = "cost." if group == "cost" else ""
            known = sorted(prefix + name for name in values if not name.startswith("test/"))
            raise UserError(
                f"search.metric={self.name} is not in the records of these runs: choose from {', '.join(known)}"
            )
        return None if values[key] is None else float(values[key])

    def __str__(self) -> str:
        return f"{'least' if self.lower else 'greatest'} {self.name}"


@dataclass(frozen=True)
class Settings:
    """`search.*`, checked."""

    sampler: str
    pruner: str
    trials: int
    startup: int | None
    warmup: int
    seed: int
    objectives: tuple[Objective, ...]


def search(config: DictConfig, words: Sequence[str], loader: Any) -> list[dict[str, Any]]:
    """Runs trials until there are enough, and gives the records of all that ran.

    Args:
        config: of the sweep, with Hydra's part.
        words: all overrides; what has several values is searched.
        loader: Hydra's, to compose with.

    Raises:
        UserError: when the settings, the space or the folder do not fit; nothing has been run then.
        RunFailed: after all trials, when some failed.
        Interrupted: when a signal stopped the search.
    """
    if not config.hydra.launcher._target_.endswith(".ProcessLauncher"):
        raise UserError("a search runs its trials on this machine: leave hydra/launcher at processes")
    jobs_settings = launcher._settings(config)
    space = read_space(words)
    optuna = _import("optuna")
    if config.search.sampler == "cmaes":
        _import("cmaes")
    _check_words(config.search, space)  # before a process is started
    folder = launcher._folder(config)
    prunes = config.search.pruner != "none"
    jobs_settings["preload"] = [*(jobs_settings.get("preload") or ()), *(_COMPANIONS if prunes else ())]
    warm = launcher._warm_up(config, jobs_settings)
    try:
        with locked(folder):
            settings = read_settings(config, space)
            sweep = launcher._open(config, folder)
            sweep.settings = [*sweep.settings, *(word for word in words if not word.startswith("launcher."))]
            trials = _Trials(config, space, loader, sweep)
            if jobs_settings["on_invalid"] == "stop":
                _refuse_invalid(trials)
            study = open_study(optuna, folder, settings, space)
            sample = trials.cell(next(space.corners()))
            on_gpus = sample.config is not None and accelerator(View(sample.config).trainer) == "gpu"
            sweep.jobs = jobs_settings["jobs"] = jobs_at_a_time(jobs_settings, on_gpus)
            _write(sweep)
            return _Search(trials, study, settings, jobs_settings, warm).run()
    except optuna.exceptions.StorageInternalError as error:
        raise RunFailed(
            f"{folder / STORAGE} cannot be written to ({first_line(error)}): make room, and go on with the same command and hydra.sweep.dir={folder}"
        ) from error
    except UserError:
        with contextlib.suppress(OSError):  # what this made and nothing is in
            if not sweep_folder.is_sweep(folder):
                (folder / sweep_folder.LOCK).unlink(missing_ok=True)
                folder.rmdir()
        raise
    finally:
        warm.stop()


def check_only(config: DictConfig, words: Sequence[str], loader: Any) -> None:
    """Says what a search would do; runs nothing and writes nothing.

    Raises:
        UserError: when the settings, the space or one of its ends cannot run.
    """
    launcher._settings(config)
    space = read_space(words)
    _check_words(config.search, space)
    settings = read_settings(config, space)
    folder = Path(config.hydra.sweep.dir).absolute()
    trials = _Trials(config, space, loader, launcher._open(config, folder))
    print(_headline(settings, space))
    for key in space.keys:
        print(f"  {key}")
    _refuse_invalid(trials)
    print("This search can run.")


# Settings


def _import(name: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"a search needs {name}, which is not installed: {_INSTALL[name]}") from error
    if name == "optuna":
        if int(module.__version__.split(".")[0]) < 4:
            raise UserError(f"a search needs Optuna 4 or newer and {module.__version__} is installed: {_INSTALL[name]}")
        module.logging.set_verbosity(module.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        warnings.filterwarnings("ignore", category=module.exceptions.ExperimentalWarning)
    return module


def _check_words(search: Any, space: Space) -> None:
    """What can be said of `search.*` without knowing the metric."""
    for key, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if search[key] not in known:
            raise UserError(f"search.{key}={search[key]} is not known: choose from {', '.join(known)}")
    for key in ("trials", "startup"):
        value = search[key]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(
                f"search.{key}={value} must be a whole number, 1 or more, or null: try search.{key}={_TRIALS}"
            )
    if isinstance(search.warmup, bool) or not isinstance(search.warmup, int) or search.warmup < 0:
        raise UserError(f"search.warmup={search.warmup} must be a whole number of epochs: try search.warmup=1")
    if isinstance(search.seed, bool) or not isinstance(search.seed, int):
        raise UserError(f"search.seed={search.seed} must be a whole number: try search.seed=0")
    names = _metric_names(search)
    for name in names:
        if name.startswith("test/") and not search.allow_test:
            raise UserError(
                f"search.metric={name} would choose by the test part, which then no longer tells how good the choice is: "
                f"take val/{name[5:]}, or insist with search.allow_test=true"
            )
        if not name.startswith(("val/", "train/", "test/", "cost.")):
            raise UserError(
                f"search.metric={name} is no metric: name one such as val/accuracy, or a cost such as cost.seconds"
            )
    if len(set(names)) < len(names):
        raise UserError(f"search.metric={','.join(names)} names a metric twice: name it once")
    directions = _directions(search)
    if directions and len(directions) != max(1, len(names)):
        raise UserError(
            f"search.direction={','.join(directions)} must say min or max once for each metric: {', '.join(names) or 'one'}"
        )
    if search.pruner != "none":
        if len(names) > 1:
            raise UserError(
                f"search.pruner={search.pruner} can judge by one metric and not by {len(names)}: take search.pruner=none"
            )
        if names and not names[0].startswith(("val/", "train/")):
            raise UserError(
                f"search.pruner={search.pruner} judges while a run trains, and {names[0]} is known at its end: take a val/ metric"
            )
    if search.sampler == "cmaes":
        if len(names) > 1:
            raise UserError(f"search.sampler=cmaes takes one metric and not {len(names)}: take tpe")
        if sum(key.numeric for key in space.keys) < 2:
            raise UserError(
                "search.sampler=cmaes needs two keys with numbers between bounds, interval(…) or range(…): add one, or take tpe"
            )
    if search.sampler == "grid":
        space.grid()


def _metric_names(search: Any) -> list[str]:
    value = search.metric
    return [] if value is None else [value] if isinstance(value, str) else [str(name) for name in value]


def _directions(search: Any) -> list[str]:
    value = search.direction
    words = [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]
    for word in words:
        if word not in ("min", "max"):
            raise UserError(f"search.direction={word} is no direction: write min or max")
    return words


def read_settings(config: DictConfig, space: Space) -> Settings:
    """`search.*` with what is left open filled in.

    Raises:
        UserError: as it is checked.
    """
    search = config.search
    names, directions = _metric_names(search), _directions(search)
    checkpoint = (config.get("callbacks") or {}).get("checkpoint") or {}
    monitor, mode = checkpoint.get("monitor"), checkpoint.get("mode")
    if not names and not monitor:
        monitor, mode = _monitor(config)
    names = names or [str(monitor)]
    objectives = []
    for number, name in enumerate(names):
        direction = directions[number] if directions else mode if name == monitor else None
        objectives.append(Objective(name, direction == "min" if direction else _lower(name)))
    count = len(space.grid()) if search.sampler == "grid" else _TRIALS
    trials = min(search.trials or count, count) if search.sampler == "grid" else search.trials or count
    return Settings(
        search.sampler, search.pruner, trials, search.startup, search.warmup, search.seed, tuple(objectives)
    )


def _lower(name: str) -> bool:
    return name != "cost.examples_per_second" if name.startswith("cost.") else lower_is_better(name)


def _monitor(config: DictConfig) -> tuple[str, str]:
    """What the task judges its epochs by, and whether "min" or "max" of it.

    Raises:
        UserError: when the task does not say.
    """
    target = config.task._target_
    if (said := _written_monitor(target)) is not None:
        return said
    code = (  # inherited, or made up: ask in another process, because a task imports torch
        "import sys, json; from experiments.imports import import_lightning; import_lightning(); "
        "from hydra.utils import get_class; print(json.dumps(get_class(sys.argv[1]).monitor))"
    )
    answer = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True)
    try:
        name, mode = json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (answer.stderr.strip() or "no answer").splitlines()[-1]
        raise UserError(
            f"task._target_={target} does not say what it is judged by ({last}): give search.metric=…"
        ) from error
    return name, mode


def _written_monitor(target: str) -> tuple[str, str] | None:
    """The same as it stands in the source of the class; None where it does not, which takes a second less to find out."""
    module, _, wanted = target.rpartition(".")
    with contextlib.suppress(ImportError, OSError, SyntaxError, ValueError, TypeError):
        spec = importlib.util.find_spec(module) if module.startswith("experiments.") else None
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body if spec and spec.origin else ():
            for line in node.body if isinstance(node, ast.ClassDef) and node.name == wanted else ():
                if isinstance(line, ast.Assign) and any(
                    isinstance(one, ast.Name) and one.id == "monitor" for one in line.targets
                ):
                    name, mode = ast.literal_eval(line.value)
                    return name, mode
    return None


# The study


def open_study(optuna: ModuleType, folder: Path, settings: Settings, space: Space) -> Any:
    """The search's study in a folder, made where it is not there.

    Raises:
        UserError: when the folder holds another search, or its storage is damaged.
    """
    about = {
        "search.metric": [one.name for one in settings.objectives],
        "search.direction": ["min" if one.lower else "max" for one in settings.objectives],
        "the space": [str(key) for key in space.keys],
        "the shared values": sorted(space.fixed),
    }
    path = folder / STORAGE
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
        found = [one for one in storage.get_all_studies() if one.study_name == _NAME]
        if found:
            study = optuna.load_study(study_name=_NAME, storage=storage)
            different = [key for key, value in about.items() if study.user_attrs.get(key) != value]
            if not different:
                return study
            if any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
                key = different[0]
                there, here = (", ".join(one) for one in (study.user_attrs.get(key) or ["nothing"], about[key]))
                raise UserError(
                    f"hydra.sweep.dir={folder} holds a search in which {key} is {there} and not {here}: take that, or another folder"
                )
            optuna.delete_study(study_name=_NAME, storage=storage)  # nothing came of it
        directions = ["minimize" if one.lower else "maximize" for one in settings.objectives]
        study = optuna.create_study(study_name=_NAME, storage=storage, directions=directions)
        for key, value in about.items():
            study.set_user_attr(key, value)
    except UserError:
        raise
    except Exception as error:  # of SQLite, of SQLAlchemy, of Optuna: whatever a damaged file leads to
        raise UserError(
            f"{path} cannot be read ({first_line(error)}): move it away; the runs beside it are taken up again"
        ) from error
    return study


def make_sampler(optuna: ModuleType, settings: Settings, number: int, jobs: int) -> Any:
    """The sampler for one trial, which depends on the seed and the trial's number alone: a search taken up goes on as it would have."""
    seed = random.Random(f"{settings.seed},{number}").getrandbits(32)
    if settings.sampler == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup or 10, constant_liar=jobs > 1)
    if settings.sampler == "cmaes":
        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=settings.startup or 1, warn_independent_sampling=False
        )
    return optuna.samplers.RandomSampler(seed=seed)


# Cells


class _Trials:
    """Makes cells of proposals: composed, checked, and matched with the runs that are there."""

    def __init__(self, config: DictConfig, space: Space, loader: Any, sweep: Sweep) -> None:
        self.space, self.sweep = space, sweep
        self.composer = Composer(loader, config, sweep.config_dirs)
        conditions = config.launcher.get("exclude") or []
        self.excluded = [
            expressions.parse(text) for text in ([conditions] if isinstance(conditions, str) else conditions)
        ]
        self.base = str(sweep.folder / "cell")  # stands for the run's folder

    def cell(self, values: dict[str, Any]) -> Cell:
        """The cell of some values; its entry says why it does not run."""
        words = self.space.words(values)
        keys = {key.name.lstrip("+") for key in self.space.keys}
        cell = Cell(Entry(-1, "", "", place(words, keys), words), None)
        entry = cell.entry
        try:
            cell.config = self.composer.compose(words, self.base)
        except UserError as error:
            cell.problems = [str(error)]
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            cell.problems = [explain(error, words, self.sweep.config_dirs)]
        if cell.config is not None:
            cell.config.pop("search", None)
            if matched := next((tree for tree in self.excluded if expressions.holds(tree, cell.config)), None):
                entry.plan, entry.reason = EXCLUDED, expressions.ast.unparse(matched)
                return cell
            cell.problems = check(View(cell.config), View(self.composer.defaults(words, self.base)))
            entry.identity = identity(cell.config)
        if cell.problems:
            entry.plan, entry.reason = SKIPPED, "; ".join(cell.problems)
        return cell

    def known(self, wanted: str) -> Entry | None:
        """The run with an identity."""
        return next((entry for entry in self.sweep.entries if entry.plan == RUN and entry.identity == wanted), None)

    def enter(self, entry: Entry) -> None:
        """Puts a cell on the sweep's list."""
        entry.number = self.sweep.next_number
        entry.name = _name(entry) if entry.plan == RUN else ""
        self.sweep.entries.append(entry)
        _write(self.sweep)


def _write(sweep: Sweep) -> None:
    try:
        sweep.write()
    except OSError as error:
        raise UserError(
            f"{sweep.folder} cannot be written to ({error.strerror}): make room, or choose another hydra.sweep.dir"
        ) from error


def _refuse_invalid(trials: _Trials) -> None:
    """Tries the ends of the space before anything runs: a wrong key or an impossible option shows there."""
    problems: dict[str, list[str]] = {}  # what is wrong: where
    cells = [trials.cell(values) for values in trials.space.corners()]
    wrong = [cell for cell in cells if cell.entry.plan == SKIPPED]
    for cell in wrong:
        for problem in cell.problems:
            problems.setdefault(problem, []).append(
                " ".join(f"{key}={value}" for key, value in cell.entry.place.items())
            )
    if problems:
        lines = [
            f"{where[0]}: {problem}" + (f" (and {len(where) - 1} more)" if len(where) > 1 else "")
            for problem, where in problems.items()
        ]
        more = ["launcher.on_invalid=skip leaves such trials out"] if len(wrong) < len(cells) else []
        raise UserError("\n".join([*lines[:20], *more]))


# The search


class _Standing(Standing):
    """Knows the best trial by what is searched for, not by the test."""

    objective: Objective | None = None

    def best(self) -> tuple[str, float, Job] | None:
        one = self.objective
        if one is None or one.name.startswith("cost."):
            return None
        done = [job for job in self.jobs if job.state == FINISHED and job.metrics.get(one.name) is not None]
        if not done:
            return None
        job = (min if one.lower else max)(done, key=lambda job: job.metrics[one.name])
        return one.name, job.metrics[one.name], job


class _Display(Display):
    """Shows what is searched for when a trial ends."""

    objectives: tuple[Objective, ...] = ()

    def ended(self, job: Job) -> None:
        done = self.stand.count(FINISHED, PRUNED, FAILED, INTERRUPTED)
        if job.state == FINISHED:
            shown = [
                f"{one.name} {job.metrics[one.name]:.4f}"
                for one in self.objectives
                if job.metrics.get(one.name) is not None
            ]
            outcome = "  ".join(shown)
        else:
            outcome = job.error or job.state if job.state == PRUNED else f"{job.state}: {job.error}"
        self.say(f"[{done}/{len(self.stand.jobs)}] {job.name}  {outcome}  {job.seconds:.1f} s")
        self.draw(now=True)


class _Search(launcher._Launch):
    """One go at a search: a launch whose waiting list is filled by asking."""

    def __init__(
        self, trials: _Trials, study: Any, settings: Settings, jobs_settings: dict[str, Any], warm: Any
    ) -> None:
        super().__init__(Plan(trials.sweep, [], [], [], [], []), jobs_settings, warm)
        self.trials, self.study, self.settings, self.jobs_settings = trials, study, settings, jobs_settings
        self.optuna = sys.modules["optuna"]
        self.states = self.optuna.trial.TrialState
        self.asked: dict[str, list[int]] = {}  # run: the trials that wait for it
        self.in_vain = self.failures = 0
        self.failed_now: list[str] = []
        self.enough: str | None = None  # why nothing more is asked for
        self.wrong: UserError | None = None
        self.grid = trials.space.grid() if settings.sampler == "grid" else []
        stand = _Standing(self.folder, [], self.jobs)
        stand.objective = settings.objectives[0] if len(settings.objectives) == 1 else None
        self.display = _Display(stand)
        self.display.objectives = settings.objectives
        seeds = [key.name for key in trials.space.keys if key.name == "seed"]
        self.notes = [
            f"warning: {name} is searched like any other key, and the best seed is luck: fix it, as in seed=0"
            for name in seeds
        ]
        self._take_stock()

    def _take_stock(self) -> None:
        """What earlier goes left: runs that are done, and trials that were asked for and never told."""
        other_code = 0
        for entry in self.trials.sweep.entries:
            if entry.plan == RUN:
                record, state = state_of(self.folder / entry.name, entry.identity)
                job = self.shown[entry.name] = Job(entry.name, state if state != NEW else WAITING, earlier=True)
                job.take(record, job.state)
                other_code += state == FINISHED and _other_code(record)
        if other_code:
            self.notes.append(
                f"warning: {other_code} finished runs were made by other code: what runs now may not compare with them"
            )
        trials = self.study.get_trials(deepcopy=False)
        self.seen = {trial.user_attrs.get("run") for trial in trials if trial.state.is_finished()}
        taken_up = 0
        for frozen in (trial for trial in trials if trial.state == self.states.RUNNING):
            self.study.sampler = make_sampler(self.optuna, self.settings, frozen.number, self.jobs)
            trial = self.optuna.trial.Trial(self.study, frozen._trial_id)
            self.trials.space.suggest(trial)  # what it lacks when it was killed while it was being asked for
            taken_up += self._propose(trial)
        if taken_up:
            self.notes.append(
                f"{taken_up} trial{'s' if taken_up > 1 else ''} that had not ended go{'es' if taken_up == 1 else ''} on"
            )
        self._show_waiting()

    def _announce(self) -> None:
        done = self._done()
        text = _headline(self.settings, self.trials.space) + (f", {done} done already" if done else "")
        self.display.say(f"{text}; in {self.folder}")
        for note in self.notes:
            self.display.say(note)
        self._fill()

    # Asking

    def _start_what_fits(self) -> None:
        while len(self.running) < self.jobs and self._fill():
            before = len(self.waiting)
            super()._start_what_fits()
            if len(self.waiting) == before:
                return

    def _fill(self) -> bool:
        """Whether a cell waits to be started, after asking for one where none does."""
        while not self.waiting and self.stopped is None and self.enough is None and self._wanted():
            self._propose(self._ask())
            if self.in_vain >= _IN_VAIN:
                self.enough = f"the last {_IN_VAIN} proposals had run before or cannot run: the space holds nothing new"
        self._show_waiting()
        return bool(self.waiting)

    def _wanted(self) -> bool:
        if self.grid and self._count() >= len(self.grid) and not self._enqueued():
            return False
        return self._done() + len(self.running) < self.settings.trials

    def _done(self) -> int:
        return sum(job.state in (FINISHED, PRUNED) for job in self.shown.values())

    def _ask(self) -> Any:
        """A new trial, with its values."""
        if self.grid and not self._enqueued():
            self.study.enqueue_trial(self.grid[self._count()])
        number = self._count() - (1 if self.grid else 0)
        self.study.sampler = make_sampler(self.optuna, self.settings, number, self.jobs)
        trial = self.study.ask()
        self.trials.space.suggest(trial)
        return trial

    def _count(self) -> int:
        return self.study._storage.get_n_trials(self.study._study_id)

    def _enqueued(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(self.states.WAITING,)))

    def _propose(self, trial: Any) -> bool:
        """Puts a trial's cell on the waiting list; False where it needs no run, and is told."""
        number = trial.number
        cell = self.trials.cell(trial.params)
        if cell.entry.plan != RUN:
            self.trials.enter(cell.entry)
            self.study.tell(number, state=self.states.FAIL)
            self.in_vain += 1
            self.display.say(
                f"trial {number} {cell.entry.plan}: {' '.join(cell.entry.place.values())}: {cell.entry.reason}"
            )
            return False
        known = self.trials.known(cell.entry.identity)
        if known is None:
            self.trials.enter(cell.entry)
        else:
            cell.entry = known
            cell.record, cell.state = state_of(self.folder / known.name, known.identity)
        name = cell.entry.name
        trial.set_user_attr("run", name)
        busy = name in self.running or any(other.entry.name == name for other in self.waiting)
        self.asked.setdefault(name, []).append(number)
        if not busy and cell.state in (FINISHED, PRUNED, FAILED):
            # What this storage has not seen is of a lost one, or of a plain sweep in this folder.
            self.in_vain = self.in_vain + 1 if name in self.seen else 0
            self._tell(name, cell.record, cell.state)
            return False
        if busy:
            self.in_vain += 1
            return False
        self.in_vain = 0
        self._watch(cell, number)
        self.needs[name] = need(View(cell.config or {}), self.jobs, self.jobs_settings.get("threads"))
        self.shown[name] = Job(name)
        self.waiting.append(cell)
        return True

    def _watch(self, cell: Cell, number: int) -> None:
        """Gives the job the callback that may end it early."""
        if self.settings.pruner == "none" or cell.config is None:
            return
        epochs = cell.config["trainer"].get("max_epochs")
        callback = {
            "_target_": "experiments.callbacks.pruning.Pruning",
            "dir": self.trials.base,
            "trial": number,
            "metric": self.settings.objectives[0].name,
            "pruner": self.settings.pruner,
            "startup": self.settings.startup or 5,
            "warmup": self.settings.warmup,
            "epochs": epochs if epochs and epochs > 0 else None,
        }
        cell.config["callbacks"] = (cell.config.get("callbacks") or {}) | {"pruning": callback}

    def _show_waiting(self) -> None:
        """Trials that are still to be asked for wait too, on the screen."""
        jobs = list(self.shown.values())
        to_come = self.settings.trials - self._done() - len(self.running) - len(self.waiting)
        self.display.stand.jobs = jobs + [Job("")] * (to_come if self.enough is None else 0)

    # Telling

    def _over(self, name: str, status: str, error: str, force: bool = False) -> None:
        super()._over(name, status, error, force)
        entry = next(entry for entry in self.trials.sweep.entries if entry.name == name)
        record, state = state_of(self.folder / name, entry.identity)
        if state == NEW:  # it got no record
            state = status
        if state == FAILED:
            self.failures += 1
            self.failed_now.append(name)
            if self.failures >= _FAILURES:
                self.enough = f"the last {_FAILURES} trials failed"
        elif state in (FINISHED, PRUNED):
            self.failures = 0
        self._tell(name, record, state)
        if not self.running:
            self._fill()

    def _tell(self, name: str, record: dict[str, Any], state: str) -> None:
        if state not in (FINISHED, PRUNED, FAILED):
            return  # interrupted: it goes on another time
        values: list[float] | None = None
        if state == FINISHED:
            try:
                found = [one.of(record) for one in self.settings.objectives]
            except UserError as error:
                self.wrong, self.enough = error, str(error)
                return
            values = None if None in found else found  # type: ignore[assignment]
        self.seen.add(name)
        for number in self.asked.pop(name, []):
            kind = (
                self.states.PRUNED if state == PRUNED else self.states.FAIL if values is None else self.states.COMPLETE
            )
            self.study.tell(
                number, values=values if kind == self.states.COMPLETE else None, state=kind, skip_if_finished=True
            )

    # The end

    def _conclude(self) -> list[dict[str, Any]]:
        entries = [entry for entry in self.trials.sweep.entries if entry.plan == RUN]
        found = [(entry, *state_of(self.folder / entry.name, entry.identity)) for entry in entries]
        records = [record for _, record, _ in found if record]
        if self.wrong is not None:
            raise self.wrong
        self._report([(entry, record) for entry, record, state in found if state == FINISHED])
        states = [state for *_, state in found]
        counts = [(states.count(state), state) for state in (FINISHED, PRUNED, FAILED, INTERRUPTED)]
        took = clock(sum(record.get("cost", {}).get("seconds") or 0 for record in records))
        print(
            f"{', '.join(f'{count} {state}' for count, state in counts if count) or 'nothing ran'}; {took} of computing"
        )
        go_on = f"experiments train -m resume={shlex.quote(launcher._near(self.folder))}"
        if self.stopped is not None:
            print(f"{self._done()} of {self.settings.trials} trials are done; go on with: {go_on}", file=sys.stderr)
            raise Interrupted(self.stopped)
        if self.enough is not None:
            print(f"ended early: {self.enough}", file=sys.stderr)
        elif not self.grid:
            print(f"go on with: {go_on} search.trials={2 * self.settings.trials}")
        if self.failed_now:
            lines = []
            for name in self.failed_now:
                error = self.shown[name].error
                lines.append(f"{name}: {error}; repeat it: {launcher.repeat(self.folder / name)}")
            raise RunFailed("\n".join([f"{len(lines)} trial{'s' if len(lines) > 1 else ''} failed", *lines]))
        return records

    def _report(self, finished: list[tuple[Entry, dict[str, Any]]]) -> None:
        """The best trials, or those that no other beats in everything, and the commands that repeat them."""
        objectives = self.settings.objectives
        scored = []
        for entry, record in finished:
            values = [one.of(record) for one in objectives]
            if None not in values:
                scored.append((entry, values, record))
        if not scored:
            return
        signs = [1 if one.lower else -1 for one in objectives]
        signed = [[sign * value for sign, value in zip(signs, values, strict=True)] for _, values, _ in scored]  # type: ignore[operator]
        order = sorted(range(len(scored)), key=lambda index: signed[index])
        if len(objectives) > 1:
            order = [index for index in order if not any(_beats(other, signed[index]) for other in signed)]
            title = f"{len(order)} of {len(scored)} runs are beaten by no other in everything (Pareto front)"
        else:
            title, order = f"best of {len(scored)} runs by {objectives[0].name}", order[:_SHOWN]
        keys = list(dict.fromkeys(key for entry, *_ in scored for key in entry.place))
        rows = []
        for index in order:
            entry, values, _ = scored[index]
            rows.append(
                [str(entry.number), *(f"{value:.6g}" for value in values), *(entry.place.get(key, "") for key in keys)]
            )
        numeric = range(len(objectives) + 1)
        print(f"\n{title}\n{table(['run', *(one.name for one in objectives), *keys], rows, right=numeric)}")
        many = len(objectives) > 1
        for index in order if many else order[:1]:
            entry = scored[index][0]
            dirs = [f"--config-dir={one}" for one in self.trials.sweep.config_dirs]
            command = shlex.join(["experiments", "train", *dirs, *entry.words])
            print(f"repeat {f'run {entry.number}' if many else 'the best'}: {command}")


def _beats(one: list[float], other: list[float]) -> bool:
    """Whether a trial is nowhere worse than another and somewhere better; all values are the better the lower."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _headline(settings: Settings, space: Space) -> str:
    count = f"{settings.trials} trial{'s' if settings.trials != 1 else ''}"
    goal = " and ".join(str(one) for one in settings.objectives)
    pruner = "" if settings.pruner == "none" else f", pruned by {settings.pruner}"
    return f"search for {goal} by {settings.sampler} over {', '.join(key.name for key in space.keys)}: {count}{pruner}"

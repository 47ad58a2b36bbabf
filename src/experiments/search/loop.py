"""One go at a search: a launch whose waiting list is filled by asking. Never imports torch."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from experiments.errors import Interrupted, RunFailed, UserError, as_typed
from experiments.run.outcome import repeat
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, PRUNED
from experiments.search.settings import Settings, headline
from experiments.search.study import make_sampler
from experiments.search.trials import Trials
from experiments.sweep.backends.protocol import Engine
from experiments.sweep.folder import RUN, Entry
from experiments.sweep.launch import Launch
from experiments.sweep.plan import NEW, Cell, Plan, other_code, state_of
from experiments.sweep.status import WAITING, Display, Job, Standing, clock
from experiments.viz.tables import table

_IN_VAIN = 50  # proposals in a row that need no run, after which nothing new is expected
_FAILURES = 10  # in a row, after which the search is given up
_SHOWN = 5  # trials in the table at the end


class SearchDisplay(Display):
    """Shows what is searched for when a trial ends."""

    def ended(self, job: Job) -> None:
        done = self.stand.count(FINISHED, PRUNED, FAILED, INTERRUPTED)
        if job.state == FINISHED:
            shown = [
                f"{one.name} {job.metrics[one.name]:.4f}"
                for one in self.stand.objectives or ()
                if job.metrics.get(one.name) is not None
            ]
            outcome = "  ".join(shown)
        else:
            outcome = job.error or job.state if job.state == PRUNED else f"{job.state}: {job.error}"
        self.say(f"[{done}/{len(self.stand.jobs)}] {job.name}  {outcome}  {job.seconds:.1f} s")
        self.draw(now=True)


class Search(Launch):
    """One go at a search: a launch whose waiting list is filled by asking."""

    def __init__(
        self, trials: Trials, study: Any, settings: Settings, jobs_settings: dict[str, Any], engine: Engine
    ) -> None:
        super().__init__(Plan(trials.sweep, [], [], [], [], []), jobs_settings, engine)
        self.trials, self.study, self.settings, self.jobs_settings = trials, study, settings, jobs_settings
        self.optuna = sys.modules["optuna"]
        self.states = self.optuna.trial.TrialState
        self.asked: dict[str, list[int]] = {}  # run: the trials that wait for it
        self.in_vain = self.failures = 0
        self.failed_now: list[str] = []
        self.enough: str | None = None  # why nothing more is asked for
        self.wrong: UserError | None = None
        self.grid = trials.space.grid() if settings.sampler == "grid" else []
        self.display = SearchDisplay(Standing(self.folder, [], self.jobs, objectives=settings.objectives))
        seeds = [key.name for key in trials.space.keys if key.name == "seed"]
        self.notes = [
            f"warning: {name} is searched like any other key, and the best seed is luck: fix it, as in seed=0"
            for name in seeds
        ]
        self._take_stock()

    def _take_stock(self) -> None:
        """What earlier goes left: runs that are done, and trials that were asked for and never told."""
        others = 0
        for entry in self.trials.sweep.entries:
            if entry.plan == RUN:
                record, state = state_of(self.folder / entry.name, entry.identity)
                job = self.shown[entry.name] = Job(entry.name, state if state != NEW else WAITING, earlier=True)
                job.take(record, job.state)
                others += state == FINISHED and other_code(record) is not None
        if others:
            self.notes.append(
                f"warning: {others} finished runs were made by other code: what runs now may not compare with them"
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
        text = headline(self.settings, self.trials.space) + (f", {done} done already" if done else "")
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
        self.needs[name] = self._need(cell)
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
        if state in (FAILED, INTERRUPTED):
            self.failed_now.append(name)
        if state == FAILED:
            self.failures += 1
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
        go_on = f"experiments train -m resume={shlex.quote(as_typed(self.folder))}"
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
                lines.append(f"{name}: {error}; repeat it: {repeat(self.folder / name)}")
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

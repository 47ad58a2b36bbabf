"""The trials of a search as runs for the launcher: it asks for each, and reports the result of each."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from experiments.errors import Interrupted, RunFailed, UserError, as_typed
from experiments.run.outcome import repeat
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, PRUNED
from experiments.search.report import tell_best
from experiments.search.settings import SearchSettings, headline
from experiments.search.study import keeps_text, make_sampler
from experiments.search.trial_planner import TrialPlanner
from experiments.sweep.folder import RUN
from experiments.sweep.planned_run import PlannedRun
from experiments.sweep.run_state import NEW, other_code, state_of
from experiments.sweep.status import WAITING, Display, Job, Standing, clock

_IN_VAIN = 50  # proposals in a row that need no run, after which nothing new is expected
_FAILURES = 10  # in a row, after which the search is given up


class SearchDisplay(Display):
    """Shows what is searched for when a trial ends."""

    def ended(self, job: Job) -> None:
        done = self.stand.count(FINISHED, PRUNED, FAILED, INTERRUPTED)
        if job.state == FINISHED:
            shown = [
                f"{objective.name} {job.metrics[objective.name]:.4f}"
                for objective in self.stand.objectives or ()
                if job.metrics.get(objective.name) is not None
            ]
            outcome = "  ".join(shown)
        else:
            outcome = job.error or job.state if job.state == PRUNED else f"{job.state}: {job.error}"
        self.say(f"[{done}/{len(self.stand.jobs)}] {job.name}  {outcome}  {job.seconds:.1f} s")
        self.draw(now=True)


class Trials:
    """Asks a study for the next run, and tells it what became of each; a source of runs for a launch.

    Args:
        planner: that makes a run of each proposal.
        study: Optuna's.
        settings: `search.*`, checked.
        jobs: that run at a time.
    """

    def __init__(self, planner: TrialPlanner, study: Any, settings: SearchSettings, jobs: int) -> None:
        self.planner, self.study, self.settings, self.jobs = planner, study, settings, jobs
        self.folder = planner.sweep.folder
        self.shared: dict[str, dict[str, Any]] = {}
        self.display: Display = SearchDisplay(Standing(self.folder, [], jobs, objectives=settings.objectives))
        self.optuna = sys.modules["optuna"]
        self.states = self.optuna.trial.TrialState
        self._as_text = keeps_text(study)
        self.grid = planner.space.grid(self._as_text) if settings.sampler == "grid" else []
        self._shown: dict[str, Job] = {}
        self._waiting: list[PlannedRun] = []
        self._at_work: set[str] = set()  # runs that were given away and have not ended
        self._asked: dict[str, list[int]] = {}  # run: the trials that wait for it
        self._in_vain = self._failures = 0
        self._failed_now: list[str] = []
        self._enough: str | None = None  # why nothing more is asked for
        self._wrong: UserError | None = None
        self._notes = [
            f"warning: {key.name} is searched like any other key, and the best seed is luck: fix it, as in seed=0"
            for key in planner.space.keys
            if key.name == "seed"
        ]
        self._take_stock()

    def _take_stock(self) -> None:
        """Takes up what earlier goes left: runs that are done, and trials that were asked for and never told."""
        others = 0
        for entry in self.planner.sweep.entries:
            if entry.plan == RUN:
                record, state = state_of(self.folder / entry.name, entry.identity)
                job = self._shown[entry.name] = Job(entry.name, state if state != NEW else WAITING)
                job.take(record, job.state)
                others += state == FINISHED and other_code(record) is not None
        if others:
            self._notes.append(
                f"warning: {others} finished runs were made by other code: what runs now may not compare with them"
            )
        trials = self.study.get_trials(deepcopy=False)
        self._seen = {trial.user_attrs.get("run") for trial in trials if trial.state.is_finished()}
        taken_up = 0
        for frozen in (trial for trial in trials if trial.state == self.states.RUNNING):
            self.study.sampler = make_sampler(self.optuna, self.settings, frozen.number, self.jobs)
            trial = self.optuna.trial.Trial(self.study, frozen._trial_id)
            self.planner.space.suggest(
                trial, self._as_text
            )  # what it lacks when it was killed while it was being asked for
            taken_up += self._propose(trial)
        if taken_up:
            self._notes.append(
                f"{taken_up} trial{'s' if taken_up > 1 else ''} that had not ended go{'es' if taken_up == 1 else ''} on"
            )
        self._show_waiting()

    def announce(self) -> None:
        done = self._done()
        text = headline(self.settings, self.planner.space) + (f", {done} done already" if done else "")
        self.display.say(f"{text}; in {self.folder}")
        for note in self._notes:
            self.display.say(note)

    # Asking

    def next(self) -> PlannedRun | None:
        while not self._waiting and self._enough is None and self._wanted():
            self._propose(self._ask())
            if self._in_vain >= _IN_VAIN:
                self._enough = (
                    f"the last {_IN_VAIN} proposals had run before or cannot run: the space holds nothing new"
                )
        planned = self._waiting.pop(0) if self._waiting else None
        if planned is not None:
            self._at_work.add(planned.entry.name)
        self._show_waiting()
        return planned

    def job(self, name: str) -> Job:
        return self._shown[name]

    def _wanted(self) -> bool:
        if self.grid and self._count() >= len(self.grid) and not self._enqueued():
            return False
        return self._done() + len(self._at_work) < self.settings.trials

    def _done(self) -> int:
        return sum(job.state in (FINISHED, PRUNED) for job in self._shown.values())

    def _ask(self) -> Any:
        """Return a new trial, with its values."""
        if self.grid and not self._enqueued():
            self.study.enqueue_trial(self.grid[self._count()])
        number = self._count() - (1 if self.grid else 0)
        self.study.sampler = make_sampler(self.optuna, self.settings, number, self.jobs)
        trial = self.study.ask()
        self.planner.space.suggest(trial, self._as_text)
        return trial

    def _count(self) -> int:
        return len(self.study.get_trials(deepcopy=False))

    def _enqueued(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(self.states.WAITING,)))

    def _propose(self, trial: Any) -> bool:
        """Puts a trial's run on the waiting list; False where it needs no run, and is told."""
        number = trial.number
        planned = self.planner.plan(trial.params)
        if planned.entry.plan != RUN:
            self.planner.enter(planned.entry)
            self.study.tell(number, state=self.states.FAIL)
            self._in_vain += 1
            self.display.say(
                f"trial {number} {planned.entry.plan}: {' '.join(planned.entry.place.values())}: {planned.entry.reason}"
            )
            return False
        earlier = self.planner.entry_of(planned.entry.identity)
        if earlier is None:
            self.planner.enter(planned.entry)
        else:
            planned.entry = earlier
            planned.record, planned.state = state_of(self.folder / earlier.name, earlier.identity)
        name = planned.entry.name
        trial.set_user_attr("run", name)
        busy = name in self._at_work or any(other.entry.name == name for other in self._waiting)
        self._asked.setdefault(name, []).append(number)
        if not busy and planned.state in (FINISHED, PRUNED, FAILED):
            # What this storage has not seen is of a lost one, or of a plain sweep in this folder.
            self._in_vain = self._in_vain + 1 if name in self._seen else 0
            self._tell(name, planned.record, planned.state)
            return False
        if busy:
            self._in_vain += 1
            return False
        self._in_vain = 0
        self._watch(planned, number)
        self._shown[name] = Job(name)
        self._waiting.append(planned)
        return True

    def _watch(self, planned: PlannedRun, number: int) -> None:
        """Gives the job the callback that may end it early."""
        if self.settings.pruner == "none" or planned.config is None:
            return
        epochs = planned.config["trainer"].get("max_epochs")
        callback = {
            "_target_": "experiments.callbacks.pruning.Pruning",
            "dir": self.planner.runs.base,
            "trial": number,
            "metric": self.settings.objectives[0].name,
            "pruner": self.settings.pruner,
            "startup": self.settings.startup or 5,
            "warmup": self.settings.warmup,
            "epochs": epochs if epochs and epochs > 0 else None,
        }
        planned.config["callbacks"] = (planned.config.get("callbacks") or {}) | {"pruning": callback}

    def _show_waiting(self) -> None:
        """Trials that are still to be asked for wait too, on the screen."""
        jobs = list(self._shown.values())
        to_come = self.settings.trials - self._done() - len(self._at_work) - len(self._waiting)
        self.display.stand.jobs = jobs + [Job("")] * (to_come if self._enough is None else 0)

    # Telling

    def ended(self, name: str, status: str) -> None:
        self._at_work.discard(name)
        self.display.ended(self._shown[name])
        entry = next(entry for entry in self.planner.sweep.entries if entry.name == name)
        record, state = state_of(self.folder / name, entry.identity)
        if state == NEW:  # it got no record
            state = status
        if state in (FAILED, INTERRUPTED):
            self._failed_now.append(name)
        if state == FAILED:
            self._failures += 1
            if self._failures >= _FAILURES:
                self._enough = f"the last {_FAILURES} trials failed"
        elif state in (FINISHED, PRUNED):
            self._failures = 0
        self._tell(name, record, state)

    def _tell(self, name: str, record: dict[str, Any], state: str) -> None:
        if state not in (FINISHED, PRUNED, FAILED):
            return  # interrupted: it is resumed another time
        values: list[float] | None = None
        if state == FINISHED:
            try:
                scores = [objective.of(record) for objective in self.settings.objectives]
            except UserError as error:
                self._wrong, self._enough = error, str(error)
                return
            values = None if None in scores else scores  # type: ignore[assignment]
        self._seen.add(name)
        for number in self._asked.pop(name, []):
            kind = (
                self.states.PRUNED if state == PRUNED else self.states.FAIL if values is None else self.states.COMPLETE
            )
            self.study.tell(
                number, values=values if kind == self.states.COMPLETE else None, state=kind, skip_if_finished=True
            )

    # The end

    def conclude(self, stopped: int | None) -> list[dict[str, Any]]:
        entries = [entry for entry in self.planner.sweep.entries if entry.plan == RUN]
        judged = [(entry, *state_of(self.folder / entry.name, entry.identity)) for entry in entries]
        records = [record for _, record, _ in judged if record]
        if self._wrong is not None:
            raise self._wrong
        finished = [(entry, record) for entry, record, state in judged if state == FINISHED]
        tell_best(finished, self.settings.objectives, self.planner.sweep.config_dirs)
        states = [state for *_, state in judged]
        counts = [(states.count(state), state) for state in (FINISHED, PRUNED, FAILED, INTERRUPTED)]
        took = clock(sum(record.get("cost", {}).get("seconds") or 0 for record in records))
        print(
            f"{', '.join(f'{count} {state}' for count, state in counts if count) or 'nothing ran'}; {took} of computing"
        )
        resume = f"experiments train -m resume={shlex.quote(as_typed(self.folder))}"
        if stopped is not None:
            print(f"{self._done()} of {self.settings.trials} trials are done; resume with: {resume}", file=sys.stderr)
            raise Interrupted(stopped)
        if self._enough is not None:
            print(f"ended early: {self._enough}", file=sys.stderr)
        elif not self.grid:
            print(f"resume with: {resume} search.trials={2 * self.settings.trials}")
        if self._failed_now:
            lines = []
            for name in self._failed_now:
                error = self._shown[name].error
                lines.append(f"{name}: {error}; repeat it: {repeat(self.folder / name)}")
            raise RunFailed("\n".join([f"{len(lines)} trial{'s' if len(lines) > 1 else ''} failed", *lines]))
        return records

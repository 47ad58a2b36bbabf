"""Where the next runs of a launch come from: the list that a sweep has planned, or a search that asks."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from experiments.errors import Interrupted, RunFailed, as_typed
from experiments.run.identity import same_examples
from experiments.run.instantiate import plain_node
from experiments.run.outcome import repeat
from experiments.run.record import FAILED, FINISHED, INTERRUPTED
from experiments.sweep.backends.forked_processes import all_known
from experiments.sweep.end_table import tell
from experiments.sweep.plan import Plan, summary
from experiments.sweep.planned_run import PlannedRun, problems_of
from experiments.sweep.run_state import NEW, state_of
from experiments.sweep.status import WAITING, Display, Job, standing

_LINES = 20  # of problems that somebody reads


class Source(Protocol):
    """Gives a launch its runs one by one, and hears what became of each.

    Attributes:
        folder: of the sweep.
        display: that shows its runs.
        shared: datasets that several runs read, each by the name of the first of them.
    """

    folder: Path
    display: Display
    shared: dict[str, dict[str, Any]]

    def announce(self) -> None:
        """Says what is going to be done."""

    def next(self) -> PlannedRun | None:
        """Return the run to start next; None where there is none before another has ended."""

    def job(self, name: str) -> Job:
        """Return a run of this launch as it is shown."""

    def ended(self, name: str, status: str) -> None:
        """Hears that a run is over; its record says how, and `status` where it has none."""

    def conclude(self, stopped: int | None) -> list[dict[str, Any]]:
        """Says how it went and gives the records of all runs.

        Args:
            stopped: the signal that stopped the launch.

        Raises:
            RunFailed: when some failed.
            Interrupted: when a signal stopped the launch.
        """


class ListedRuns:
    """The runs of a sweep's plan, in order.

    Args:
        plan: what the sweep is going to do.
        jobs: that run at a time; None where the jobs run elsewhere and share no memory.
    """

    def __init__(self, plan: Plan, jobs: int | None) -> None:
        self.plan = plan
        self.folder = plan.sweep.folder
        self.shared = {} if jobs is None else _shared_data(plan.to_run, jobs)
        self._waiting = list(plan.to_run)
        stand = standing(self.folder)
        stand.at_a_time = plan.sweep.jobs
        by_name = {job.name: job for job in stand.jobs}
        self._jobs: Mapping[str, Job] = {run.entry.name: by_name[run.entry.name] for run in plan.runs}
        stand.jobs = list(self._jobs.values())
        for run in plan.to_run:
            self._jobs[run.entry.name].state = WAITING
        self.display = Display(stand)

    def announce(self) -> None:
        self.display.say(f"{summary(self.plan)}; in {as_typed(self.folder)}")
        for line in remarks(self.plan):
            self.display.say(line)

    def next(self) -> PlannedRun | None:
        return self._waiting.pop(0) if self._waiting else None

    def job(self, name: str) -> Job:
        return self._jobs[name]

    def ended(self, name: str, status: str) -> None:
        self.display.ended(self._jobs[name])

    def conclude(self, stopped: int | None) -> list[dict[str, Any]]:
        records, failed = [], []
        for run in self.plan.runs:
            name = run.entry.name
            record, state = state_of(self.folder / name, run.entry.identity)
            shown = self._jobs[name]
            if state in (FAILED, INTERRUPTED) or (state == NEW and shown.state in (FAILED, INTERRUPTED)):
                failed.append(f"{name}: {record.get('error') or shown.error}; repeat it: {repeat(self.folder / name)}")
            records.append(record or {"status": shown.state, "error": shown.error, "metrics": {}})
        if stopped is not None:
            count = sum(record["status"] != FINISHED for record in records)
            resume = f"experiments train -m resume={shlex.quote(as_typed(self.folder))}"
            print(f"{count} of {len(records)} runs are not finished; resume with: {resume}", file=sys.stderr)
            raise Interrupted(stopped)
        if any(record["status"] == FINISHED for record in records):
            tell(self.folder, len(failed))
        if failed:
            raise RunFailed("\n".join([f"{len(failed)} of {len(records)} runs failed", *failed]))
        return records


def problems(invalid: Sequence[PlannedRun]) -> list[str]:
    """Return what is wrong with runs that cannot be, in no more lines than one reads."""
    lines = problems_of(invalid)
    return lines[:_LINES] + ([f"… and {len(lines) - _LINES} more problems"] if len(lines) > _LINES else [])


def remarks(plan: Plan) -> list[str]:
    """Return what is to be said of a plan besides its numbers."""
    lines = [f"the same: {text}; it runs once" for text in plan.duplicates[:5]]
    if len(plan.duplicates) > 5:
        lines.append(f"… and {len(plan.duplicates) - 5} more that are the same as another")
    lines += [f"skipped: {line}" for line in problems(plan.invalid)]
    return [*lines, *(f"warning: {text}" for text in plan.warnings)]


def _shared_data(runs: Sequence[PlannedRun], jobs: int) -> dict[str, dict[str, Any]]:
    """Datasets that more jobs read than begin at once, each by the name of the first of these jobs."""
    by_key: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for run in runs:
        if run.config and all_known([run.config["data"]["_target_"]]):
            data = run.config["data"]
            by_key.setdefault(same_examples(plain_node(data)), []).append((run.entry.name, data))
    return {those[0][0]: those[0][1] for those in by_key.values() if len(those) > jobs}

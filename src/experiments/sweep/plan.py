"""What a sweep is going to do: its planned runs, which of them are the same, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.run.record import FAILED, FINISHED, INTERRUPTED
from experiments.sweep.folder import EXCLUDED, Entry, Sweep, label, varying
from experiments.sweep.planned_run import PlannedRun, RunPlanner


@dataclass
class Plan:
    """All planned runs of one command, in order, and what is to be said of them."""

    sweep: Sweep
    runs: list[PlannedRun]  # one for each that may run
    duplicates: list[str]  # "a is the same as b", "a is given again"
    excluded: list[PlannedRun]
    invalid: list[PlannedRun]
    warnings: list[str]
    entries: list[Entry] = field(
        default_factory=list
    )  # what the sweep's list is to say, with what earlier commands left

    @property
    def to_run(self) -> list[PlannedRun]:
        return [planned for planned in self.runs if planned.state != FINISHED]

    def count(self, *states: str) -> int:
        return sum(planned.state in states for planned in self.runs)


def plan_runs(planner: RunPlanner, sweep: Sweep, words: Sequence[list[str]]) -> Plan:
    """Composes and checks all runs of a sweep; which are done already, `resume.match` finds.

    Args:
        planner: that makes each.
        sweep: what lies in the folder, if anything.
        words: the overrides of each run.

    Raises:
        UserError: for an exclusion that cannot be read.
    """
    keys = varying(words)
    plan = Plan(sweep, [], [], [], [], [])
    seen: dict[str, Entry] = {}
    for overrides in words:
        planned = planner.plan(overrides, keys)
        entry = planned.entry
        if entry.plan == EXCLUDED:
            plan.excluded.append(planned)
        elif planned.problems:
            plan.invalid.append(planned)
        elif entry.identity in seen:
            plan.duplicates.append(_same(entry, seen[entry.identity]))
        else:
            seen[entry.identity] = entry
            plan.runs.append(planned)
    return plan


def _same(entry: Entry, first: Entry) -> str:
    if entry.words == first.words:  # nothing differs, so that only all of them name it
        return f"{' '.join(entry.words)} is given again"
    return f"{label(entry)} is the same as {label(first)}"


def summary(plan: Plan) -> str:
    """Return one line: how many runs there are, and how many of them are finished, resumed or left out."""
    counts = [
        (len(plan.to_run), "to run"),
        (plan.count(FINISHED), "done already"),
        (plan.count(INTERRUPTED), "of them to resume"),
        (plan.count(FAILED), "of them to try again"),
        (len(plan.duplicates), "the same as another"),
        (len(plan.excluded), "excluded"),
        (len(plan.invalid), "that cannot run"),
    ]
    total = len(plan.runs) + len(plan.duplicates) + len(plan.excluded) + len(plan.invalid)
    shown = ", ".join(f"{count} {what}" for count, what in counts if count or what == "to run")
    return f"{total} run{'s' if total != 1 else ''}: {shown}"

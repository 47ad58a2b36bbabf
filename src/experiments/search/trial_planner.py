"""Trials as planned runs of a sweep: made, matched with the runs that are there, and tried at the ends of the space."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from experiments.errors import UserError
from experiments.search.space import Space
from experiments.sweep.folder import RUN, SKIPPED, Entry, Sweep, folder_name
from experiments.sweep.planned_run import PlannedRun, RunPlanner, problems_of
from experiments.sweep.prepare import write_sweep


class TrialPlanner:
    """Makes planned runs of proposals, and keeps the sweep's list."""

    def __init__(self, config: DictConfig, space: Space, loader: Any, sweep: Sweep) -> None:
        self.space, self.sweep = space, sweep
        self.runs = RunPlanner(config, loader, sweep, leave_out=("search",))
        self._keys = {key.name.lstrip("+") for key in space.keys}

    def plan(self, values: dict[str, Any]) -> PlannedRun:
        """Return the run of some values; its entry says why it does not run."""
        return self.runs.plan(self.space.words(values), self._keys)

    def entry_of(self, wanted: str) -> Entry | None:
        """Return the run with an identity."""
        return next((entry for entry in self.sweep.entries if entry.plan == RUN and entry.identity == wanted), None)

    def enter(self, entry: Entry) -> None:
        """Puts a run on the sweep's list."""
        entry.number = self.sweep.next_number
        entry.name = folder_name(entry) if entry.plan == RUN else ""
        self.sweep.entries.append(entry)
        write_sweep(self.sweep)


def invalid_ends(planner: TrialPlanner) -> tuple[list[str], bool]:
    """Return what is wrong at the ends of the space, each problem once with where it shows, and whether another end can
    run.

    Raises:
        UserError: for an exclusion by a key that no end has.
    """
    planned = [planner.plan(values) for values in planner.space.corners()]
    planner.runs.refuse_foreign_exclusions(planned)
    wrong = [run for run in planned if run.entry.plan == SKIPPED]
    return problems_of(wrong), len(wrong) < len(planned)


def refuse_invalid(planner: TrialPlanner) -> None:
    """Tries the ends of the space before anything runs: a wrong key or an impossible option shows there.

    Raises:
        UserError: when one cannot run.
    """
    problems, some_run = invalid_ends(planner)
    if problems:
        more = ["launcher.on_invalid=skip leaves such trials out"] if some_run else []
        raise UserError("\n".join([*problems[:20], *more]))

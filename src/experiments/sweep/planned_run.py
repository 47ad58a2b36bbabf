"""One planned run of a sweep or a search: its words composed to a config, compared with the exclusions, and checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.config.check import check
from experiments.config.compose import explain_refusal
from experiments.config.devices import machine_with
from experiments.config.shorthand import mended
from experiments.config.view import View
from experiments.errors import UserError
from experiments.run.identity import identity
from experiments.sweep import conditions
from experiments.sweep.compose_runs import Composer
from experiments.sweep.folder import EXCLUDED, SKIPPED, Entry, Sweep, label, place, stand_in
from experiments.sweep.resources import Machine
from experiments.sweep.run_state import NEW


@dataclass
class PlannedRun:
    """A run that a sweep or a search is going to do, or leaves out.

    Attributes:
        entry: what `sweep.json` says of it; its plan and reason tell why it does not run.
        config: resolved; None where that failed.
        state: finished, failed, interrupted or new, as its record has it.
        skipped_before: by an earlier command, where this one resumes its sweep.
    """

    entry: Entry
    config: dict[str, Any] | None
    problems: list[str] = field(default_factory=list)
    state: str = NEW
    record: dict[str, Any] = field(default_factory=dict)
    skipped_before: bool = False


class RunPlanner:
    """Makes planned runs of words.

    Args:
        config: the sweep's own, with Hydra's part.
        loader: Hydra's.
        sweep: what lies in its folder.
        machine: that the jobs will run on; None is this one.
        leave_out: groups of the config that are the sweep's and no run's.

    Raises:
        UserError: for an exclusion that cannot be read.
    """

    def __init__(
        self,
        config: DictConfig,
        loader: Any,
        sweep: Sweep,
        machine: Machine | None = None,
        leave_out: Sequence[str] = (),
    ) -> None:
        self.excluded = conditions.parse_all(config.launcher.get("exclude"))
        self.base = stand_in(sweep.folder)
        self._composer = Composer(loader, config, sweep.config_dirs)
        self._sweep, self._machine, self._leave_out = sweep, machine, leave_out
        self._explained: dict[str, str] = {}

    def plan(self, words: list[str], keys: set[str]) -> PlannedRun:
        """Return the run of some words.

        Args:
            words: overrides of one run.
            keys: those that tell it from the others.
        """
        planned = PlannedRun(Entry(-1, "", "", place(words, keys), words), None)
        entry = planned.entry
        try:
            planned.config, entry.words = self._composed(words)
        except UserError as error:
            planned.problems = [str(error)]
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if str(error) not in self._explained:  # explaining composes again
                self._explained[str(error)] = explain_refusal(error, words, self._sweep.config_dirs)
            planned.problems = [self._explained[str(error)]]
        if planned.config is not None:
            for group in self._leave_out:
                planned.config.pop(group, None)
            if matched := next((tree for tree in self.excluded if conditions.holds(tree, planned.config)), None):
                entry.plan, entry.reason = EXCLUDED, conditions.ast.unparse(matched)
                return planned
            planned.problems = self._check(planned.config, entry.words)
            entry.identity = identity(planned.config)
        if planned.problems:
            entry.plan, entry.reason = SKIPPED, "; ".join(planned.problems)
        return planned

    def refuse_foreign_exclusions(self, planned: Iterable[PlannedRun]) -> None:
        """Refuses an exclusion over what none of some runs has.

        Raises:
            UserError: naming it.
        """
        conditions.refuse_foreign(self.excluded, [run.config for run in planned])

    def _composed(self, words: list[str]) -> tuple[dict[str, Any], list[str]]:
        """Return the config of a run, and its words as Hydra takes them."""
        try:
            return self._composer.compose(words, self.base), words
        except HydraException as error:
            better = mended(
                error, words, lambda rest: OmegaConf.create(self._composer.compose(rest, self.base, whole=False))
            )
            if better is None:
                raise
            return self._composed(better)

    def _check(self, config: dict[str, Any], words: Sequence[str]) -> list[str]:
        view, defaults = View(config), View(self._composer.defaults(words, self.base))
        with machine_with(self._machine.gpus if self._machine else None):
            return check(view, defaults) + (self._machine.problems(view) if self._machine else [])


def problems_of(planned: Sequence[PlannedRun]) -> list[str]:
    """Return a line for each problem of some planned runs, with the first that has it."""
    by_problem: dict[str, list[PlannedRun]] = {}
    for run in planned:
        for problem in run.problems:
            by_problem.setdefault(problem, []).append(run)
    return [_of(those, problem) for problem, those in by_problem.items()]


def _of(planned: Sequence[PlannedRun], problem: str) -> str:
    """Return a problem with the first run that has it, unless the problem begins with that run's name."""
    name = label(planned[0].entry)
    if len(planned) > 1:
        return f"{name} (and {len(planned) - 1} more): {problem}"
    return problem if problem.startswith(f"{name} ") else f"{name}: {problem}"

"""Trials as cells of a sweep: composed, checked, and matched with the runs that are there. Never imports torch."""

from __future__ import annotations

from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from experiments.config.check import View, check
from experiments.config.compose import explain
from experiments.errors import UserError
from experiments.run.record import identity
from experiments.search.space import Space
from experiments.sweep import conditions
from experiments.sweep.compose_cells import Composer
from experiments.sweep.folder import EXCLUDED, RUN, SKIPPED, Entry, Sweep, place
from experiments.sweep.plan import Cell, folder_name, problems_of
from experiments.sweep.prepare import write_sweep


class Trials:
    """Makes cells of proposals: composed, checked, and matched with the runs that are there."""

    def __init__(self, config: DictConfig, space: Space, loader: Any, sweep: Sweep) -> None:
        self.space, self.sweep = space, sweep
        self.composer = Composer(loader, config, sweep.config_dirs)
        self.excluded = conditions.parse_all(config.launcher.get("exclude"))
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
            if matched := next((tree for tree in self.excluded if conditions.holds(tree, cell.config)), None):
                entry.plan, entry.reason = EXCLUDED, conditions.ast.unparse(matched)
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
        entry.name = folder_name(entry) if entry.plan == RUN else ""
        self.sweep.entries.append(entry)
        write_sweep(self.sweep)


def invalid_ends(trials: Trials) -> tuple[list[str], bool]:
    """What is wrong at the ends of the space, each problem once with where it shows, and whether another end can run.

    Raises:
        UserError: for an exclusion by a key that no end has.
    """
    cells = [trials.cell(values) for values in trials.space.corners()]
    conditions.refuse_foreign(trials.excluded, [cell.config for cell in cells])
    wrong = [cell for cell in cells if cell.entry.plan == SKIPPED]
    return problems_of(wrong), len(wrong) < len(cells)


def refuse_invalid(trials: Trials) -> None:
    """Tries the ends of the space before anything runs: a wrong key or an impossible option shows there.

    Raises:
        UserError: when one cannot run.
    """
    problems, some_run = invalid_ends(trials)
    if problems:
        more = ["launcher.on_invalid=skip leaves such trials out"] if some_run else []
        raise UserError("\n".join([*problems[:20], *more]))

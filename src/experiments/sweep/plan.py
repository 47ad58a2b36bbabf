"""What a sweep is going to do: its cells composed, checked and compared with what lies in its folder. Never imports torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from experiments.config.check import View, check
from experiments.config.compose import explain
from experiments.config.devices import machine_with
from experiments.config.shorthand import mended, spelled_out
from experiments.errors import UserError
from experiments.run.folder import moved
from experiments.run.record import FAILED, FINISHED, INTERRUPTED, RUNNING, code_state, identity, own_sources, relevant
from experiments.sweep import conditions
from experiments.sweep.compose_cells import Composer
from experiments.sweep.folder import EXCLUDED, RUN, SKIPPED, Entry, Sweep, differing, place
from experiments.sweep.resources import Machine
from experiments.system.plain import read_json, read_yaml

NEW = "new"


@dataclass
class Cell:
    """One cell of a sweep, composed.

    Attributes:
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


@dataclass
class Plan:
    """All cells of one command, in order, and what is to be said of them."""

    sweep: Sweep
    cells: list[Cell]  # one for each that may run
    duplicates: list[str]  # "a is the same as b", "a is given again"
    excluded: list[Cell]
    invalid: list[Cell]
    warnings: list[str]
    entries: list[Entry] = field(
        default_factory=list
    )  # what the sweep's list is to say, with what earlier commands left

    @property
    def to_run(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.state != FINISHED]

    def count(self, *states: str) -> int:
        return sum(cell.state in states for cell in self.cells)


def make_plan(
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    loader: Any,
    sweep: Sweep,
    machine: Machine | None = None,
) -> Plan:
    """Composes and checks all cells, and finds what is done already.

    Args:
        config: the sweep's own, with Hydra's part.
        job_overrides: what each cell sets.
        loader: Hydra's.
        sweep: what lies in the folder, if anything.
        machine: that the jobs will run on; None is this one.

    Raises:
        UserError: for an exclusion that cannot be read, and when the folder holds runs of another config.
    """
    trees = conditions.parse_all(config.launcher.get("exclude"))
    resumed = OmegaConf.select(config, "hydra.sweeper.resume") is not None
    composer = Composer(loader, config, sweep.config_dirs)
    words = [
        spelled_out([word for word in one if not word.startswith(("hydra.", "launcher."))]) for one in job_overrides
    ]
    keys = varying(words)
    said: dict[str, str] = {}
    plan = Plan(sweep, [], [], [], [], [])
    seen: dict[str, Entry] = {}
    for one in words:
        entry = Entry(-1, "", "", place(one, keys), one)
        cell = Cell(entry, None)
        try:
            cell.config, one = _composed(composer, one, str(sweep.folder / "cell"))
            entry.words = one
        except UserError as error:
            cell.problems = [str(error)]
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if str(error) not in said:  # explaining composes again
                said[str(error)] = explain(error, one, sweep.config_dirs)
            cell.problems = [said[str(error)]]
        if cell.config is not None:
            if matched := next((tree for tree in trees if conditions.holds(tree, cell.config)), None):
                entry.plan, entry.reason = EXCLUDED, conditions.ast.unparse(matched)
                plan.excluded.append(cell)
                continue
            view, defaults = View(cell.config), View(composer.defaults(one, str(sweep.folder / "cell")))
            with machine_with(machine.gpus if machine else None):
                cell.problems = check(view, defaults) + (machine.problems(view) if machine else [])
            entry.identity = identity(cell.config)
        if cell.problems:
            entry.plan, entry.reason = SKIPPED, "; ".join(cell.problems)
            plan.invalid.append(cell)
        elif entry.identity in seen:
            plan.duplicates.append(_same(entry, seen[entry.identity]))
        else:
            seen[entry.identity] = entry
            plan.cells.append(cell)
    if not resumed:
        conditions.refuse_foreign(trees, [cell.config for cell in [*plan.cells, *plan.excluded, *plan.invalid]])
    _match(plan, words, resumed)
    return plan


def _composed(composer: Composer, words: list[str], folder: str) -> tuple[dict[str, Any], list[str]]:
    """The config of a cell, and its words as Hydra takes them."""
    try:
        return composer.compose(words, folder), words
    except HydraException as error:
        better = mended(error, words, lambda rest: OmegaConf.create(composer.compose(rest, folder, whole=False)))
        if better is None:
            raise
        return _composed(composer, better, folder)


def varying(words: Sequence[Sequence[str]]) -> set[str]:
    """Keys that do not have the same value in all of some lists of overrides; all keys of a single list."""
    places = [place(one) for one in words]
    known = {key for one in places for key in one}
    if len(places) < 2:
        return known
    return {key for key in known if len({one.get(key) for one in places}) > 1}


def _match(plan: Plan, words: Sequence[Sequence[str]], resumed: bool) -> None:
    """Gives each cell its number and folder: those of the run with its identity, where there is one; and makes the new list."""
    sweep = plan.sweep
    keys = varying([entry.words for entry in sweep.entries]) | varying(words)

    def where(one: Sequence[str]) -> str:
        return json.dumps(place(one, keys), sort_keys=True)

    by_identity = {entry.identity: entry for entry in sweep.entries if entry.plan == RUN}
    in_place: dict[str, Entry] = {}
    passed_over: dict[str, Entry] = {}
    for entry in sweep.entries:
        (in_place if entry.plan == RUN else passed_over).setdefault(where(entry.words), entry)
    number, others = sweep.next_number, []
    wrong: dict[str, list[str]] = {}  # what differs: the runs
    for cell in plan.cells:
        known = by_identity.get(cell.entry.identity)
        if known is None:
            before = in_place.get(where(cell.entry.words))
            if before is not None:
                if differs := _incompatible(sweep.folder, before, cell):
                    wrong.setdefault(differs, []).append(before.name)
                    continue
                known = before  # it failed, or never ran: the new config takes its place
                known.identity, known.words = cell.entry.identity, cell.entry.words
                cell.state = NEW
        if known is None:
            cell.entry.number, number = number, number + 1
            cell.entry.name = folder_name(cell.entry)
            continue
        cell.entry = known
        cell.record, cell.state = state_of(sweep.folder / known.name, known.identity)
        if cell.state == FINISHED and (told := other_code(cell.record)):
            others.append(f"{known.name}: {told}")
    if wrong:
        sentences = []
        for differs, names in wrong.items():
            which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            sentences.append(
                f"hydra.sweep.dir={sweep.folder} holds runs of another config in the place of these ({which}: {differs}): "
                "take the values they had, or another folder"
            )
        raise UserError("\n".join(sentences))
    decided = {where(one) for one in words}
    listed = {id(entry): entry for entry in sweep.entries if entry.plan == RUN or where(entry.words) not in decided}
    listed |= {id(cell.entry): cell.entry for cell in plan.cells}
    at_hand = {id(cell.entry) for cell in plan.cells}
    for cell in [*plan.excluded, *plan.invalid]:
        spot = where(cell.entry.words)
        before, run = passed_over.pop(spot, None), in_place.get(spot)
        cell.skipped_before = resumed and before is not None and before.plan == SKIPPED
        if run is not None:
            if id(run) in at_hand or state_of(sweep.folder / run.name)[1] != NEW:
                continue  # it stays listed as what it came to
            listed.pop(id(run), None)
            before = run
        if before is None:
            cell.entry.number, number = number, number + 1
        else:
            cell.entry.number, cell.entry.place = before.number, before.place
        listed[id(cell.entry)] = cell.entry
    plan.entries = sorted(listed.values(), key=lambda entry: entry.number)
    if others:
        plan.warnings.append(
            f"{len(others)} finished runs were made by other code (such as {others[0]}): what runs now may not compare with them"
        )


def state_of(folder: Path, wanted: str | None = None) -> tuple[dict[str, Any], str]:
    """The record in a folder and what it means for whoever goes on: a record cut short counts as a failure.

    Args:
        folder: of a run.
        wanted: the identity that it must have to count.
    """
    path = folder / "record.json"
    try:
        record = read_json(path)
        status = record["status"]
    except FileNotFoundError:
        return {}, NEW
    except (OSError, ValueError, KeyError, TypeError):
        return {}, FAILED
    if wanted is not None and record.get("identity") != wanted:
        return record, NEW
    return record, INTERRUPTED if status == RUNNING else status


def _incompatible(sweep: Path, before: Entry, cell: Cell) -> str | None:
    """What differs, where a run with another config has come to something in the place of a cell."""
    folder = sweep / before.name
    _, state = state_of(folder)
    if state in (NEW, FAILED):
        return None
    try:
        there = read_yaml(folder / "config.yaml")
        here = moved(cell.config, str(sweep / "cell"), there["run"]["dir"])
        changes = differing(relevant(there), relevant(here))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        changes = []
    shown = [f"{key} is {old} there and {new} here" for key, old, new in changes[:5]] or ["the config differs"]
    return ", ".join(shown) + (f", and {len(changes) - 5} more keys" if len(changes) > 5 else "")


def other_code(record: dict[str, Any]) -> str | None:
    """In what the code that made a record differs from this; None where it is the same."""
    there, here = record.get("environment", {}), code_state()
    for key, name in (("package_hash", "package hash"), ("git_commit", "git commit")):
        before, now = there.get(key), here[key]
        if before != now and ((before and now) or key == "package_hash"):  # no git on one side says nothing
            return f"{name} {str(before)[:12]} there, {str(now)[:12]} here"
    for name, before in (there.get("own_code") or {}).items():
        if (now := own_sources(name)) != before:
            return f"the sources of {name} hash to {before[:12]} there, {str(now)[:12]} here"
    return None


def label(entry: Entry) -> str:
    """A cell by what tells it from the others."""
    return " ".join(f"{key}={value}" for key, value in entry.place.items()) or " ".join(entry.words)


def problems_of(cells: Sequence[Cell]) -> list[str]:
    """A line for each problem of some cells, with the first that has it."""
    by_problem: dict[str, list[Cell]] = {}
    for cell in cells:
        for problem in cell.problems:
            by_problem.setdefault(problem, []).append(cell)
    return [
        f"{label(those[0].entry)}{f' (and {len(those) - 1} more)' if len(those) > 1 else ''}: {problem}"
        for problem, those in by_problem.items()
    ]


def _same(entry: Entry, first: Entry) -> str:
    if entry.words == first.words:  # nothing differs, so that only all of them name it
        return f"{' '.join(entry.words)} is given again"
    return f"{label(entry)} is the same as {label(first)}"


def folder_name(entry: Entry) -> str:
    """A folder name that says what differs: `3_model=mlp,seed=1`."""
    words = [f"{key.split('.')[-1]}={value}" for key, value in entry.place.items()]
    kept = "".join(letter if letter.isalnum() or letter in "=,.-+_" else "_" for letter in ",".join(words))
    return f"{entry.number}_{kept[:80]}" if kept else str(entry.number)


def summary(plan: Plan) -> str:
    """One line: how many runs, and what becomes of the rest."""
    counts = [
        (len(plan.to_run), "to run"),
        (plan.count(FINISHED), "done already"),
        (plan.count(INTERRUPTED), "of them to go on"),
        (plan.count(FAILED), "of them to try again"),
        (len(plan.duplicates), "the same as another"),
        (len(plan.excluded), "excluded"),
        (len(plan.invalid), "that cannot run"),
    ]
    total = len(plan.cells) + len(plan.duplicates) + len(plan.excluded) + len(plan.invalid)
    shown = ", ".join(f"{count} {what}" for count, what in counts if count or what == "to run")
    return f"{total} cell{'s' if total != 1 else ''}: {shown}"

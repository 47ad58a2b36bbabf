"""How a sweep resumes: its planned runs find those that lie in its folder already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import UserError
from experiments.run.folder import moved
from experiments.run.identity import relevant
from experiments.run.record import FAILED, FINISHED
from experiments.sweep.folder import RUN, SKIPPED, Entry, differing, folder_name, place, stand_in, varying
from experiments.sweep.plan import Plan
from experiments.sweep.planned_run import PlannedRun
from experiments.sweep.run_state import NEW, other_code, state_of
from experiments.system.bounded_files import read_yaml


def match(plan: Plan, words: Sequence[Sequence[str]], resumed: bool) -> None:
    """Gives each planned run its number and folder: those of the run with its identity, where there is one; and makes the new list.

    Raises:
        UserError: when the folder holds runs of another config.
    """
    sweep = plan.sweep
    keys = varying([entry.words for entry in sweep.entries]) | varying(words)

    def where(overrides: Sequence[str]) -> str:
        return json.dumps(place(overrides, keys), sort_keys=True)

    by_identity = {entry.identity: entry for entry in sweep.entries if entry.plan == RUN}
    in_place: dict[str, Entry] = {}
    passed_over: dict[str, Entry] = {}
    for entry in sweep.entries:
        (in_place if entry.plan == RUN else passed_over).setdefault(where(entry.words), entry)
    number, others = sweep.next_number, []
    wrong: dict[str, list[str]] = {}  # what differs: the runs
    for planned in plan.runs:
        earlier = by_identity.get(planned.entry.identity)
        if earlier is None:
            before = in_place.get(where(planned.entry.words))
            if before is not None:
                if differs := _incompatible(sweep.folder, before, planned):
                    wrong.setdefault(differs, []).append(before.name)
                    continue
                earlier = before  # it failed, or never ran: the new config takes its place
                earlier.identity, earlier.words = planned.entry.identity, planned.entry.words
                planned.state = NEW
        if earlier is None:
            planned.entry.number, number = number, number + 1
            planned.entry.name = folder_name(planned.entry)
            continue
        planned.entry = earlier
        planned.record, planned.state = state_of(sweep.folder / earlier.name, earlier.identity)
        if planned.state == FINISHED and (told := other_code(planned.record)):
            others.append(f"{earlier.name}: {told}")
    if wrong:
        sentences = []
        for differs, names in wrong.items():
            which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            sentences.append(
                f"hydra.sweep.dir={sweep.folder} holds runs of another config in the place of these ({which}: {differs}): "
                "take the values they had, or another folder"
            )
        raise UserError("\n".join(sentences))
    decided = {where(overrides) for overrides in words}
    listed = {id(entry): entry for entry in sweep.entries if entry.plan == RUN or where(entry.words) not in decided}
    listed |= {id(planned.entry): planned.entry for planned in plan.runs}
    at_hand = {id(planned.entry) for planned in plan.runs}
    for planned in [*plan.excluded, *plan.invalid]:
        spot = where(planned.entry.words)
        before, run = passed_over.pop(spot, None), in_place.get(spot)
        planned.skipped_before = resumed and before is not None and before.plan == SKIPPED
        if run is not None:
            if id(run) in at_hand or state_of(sweep.folder / run.name)[1] != NEW:
                continue  # it stays listed as what it came to
            listed.pop(id(run), None)
            before = run
        if before is None:
            planned.entry.number, number = number, number + 1
        else:
            planned.entry.number, planned.entry.place = before.number, before.place
        listed[id(planned.entry)] = planned.entry
    plan.entries = sorted(listed.values(), key=lambda entry: entry.number)
    if others:
        plan.warnings.append(
            f"{len(others)} finished runs were made by other code (such as {others[0]}): what runs now may not compare with them"
        )


def _incompatible(sweep: Path, before: Entry, planned: PlannedRun) -> str | None:
    """Return what differs, where a run with another config has come to something in the place of a planned one."""
    folder = sweep / before.name
    _, state = state_of(folder)
    if state in (NEW, FAILED):
        return None
    try:
        there = read_yaml(folder / "config.yaml")
        here = moved(planned.config, stand_in(sweep), there["run"]["dir"])
        changes = differing(relevant(there), relevant(here))
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        changes = []
    shown = [f"{key} is {old} there and {new} here" for key, old, new in changes[:5]] or ["the config differs"]
    return ", ".join(shown) + (f", and {len(changes) - 5} more keys" if len(changes) > 5 else "")

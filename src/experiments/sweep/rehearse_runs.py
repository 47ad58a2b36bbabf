"""What only building tells of a sweep's runs: one of each kind is built up to its first batch, as `check` builds a single run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from experiments.config.needs_rehearsal import only_building_tells, unsettled
from experiments.config.signatures import targets_of
from experiments.config.view import View
from experiments.errors import UserError
from experiments.run.folder import moved, write_config
from experiments.run.record import read_record
from experiments.sweep.backends.forked_processes import all_known
from experiments.sweep.backends.protocol import Ended, Engine
from experiments.sweep.folder import SKIPPED, stand_in
from experiments.sweep.job import ONLY_BUILD
from experiments.sweep.plan import Plan
from experiments.sweep.planned_run import PlannedRun
from experiments.sweep.run_state import NEW
from experiments.system.terminal import waiting_for

MOST = 8  # runs that are built at most: each takes about a second

Rehearsal = Callable[[dict[str, Any]], str | None]  # from a config to the sentence that refuses it


def here(config: dict[str, Any]) -> str | None:
    """Builds a run in this process; gives the sentence that refuses it."""
    from experiments.run.rehearse import rehearse

    try:
        rehearse(OmegaConf.create(config))
    except UserError as error:
        return str(error)
    return None


def by_jobs(engine: Engine, sweep: Path) -> Rehearsal:
    """Return what builds a run in a job of an engine, which has torch imported, where this process has not.

    User-defined classes are left alone: they may be made slowly, or for one process alone. A job that is killed, or that
    fails in another way, refuses nothing: the run itself says what is wrong.
    """

    def build(config: dict[str, Any]) -> str | None:
        if not all_known(targets_of(config)):
            return None
        with tempfile.TemporaryDirectory(prefix="experiments-", ignore_cleanup_errors=True) as top:
            folder = Path(top)
            write_config(moved(config, stand_in(sweep), top), folder)
            engine.run(top, folder, {ONLY_BUILD: "1"}, 1)
            code = None
            while code is None:
                events = engine.wait(0.2)
                if events is None:  # the engine is gone
                    engine.stop()
                    engine.start()
                    return None
                code = next((event.code for event in events if isinstance(event, Ended)), None)
            return str(read_record(folder)["error"]) if code == 2 else None

    return build


def rehearse_runs(plan: Plan, build: Rehearsal = here) -> str | None:
    """Builds runs up to their first batch, one of those that differ in nothing that building judges; moves what cannot run to `plan.invalid`.

    Args:
        plan: of the sweep.
        build: builds one run.

    Returns:
        How many were left to the rules alone, in a sentence; None where all were built that only building judges.
    """
    kinds: dict[tuple[str, ...], list[PlannedRun]] = {}
    for planned in plan.to_run:
        if planned.config is not None:
            kinds.setdefault(unsettled(planned.entry.words), []).append(planned)
    doubtful = [those for those in kinds.values() if only_building_tells(View(those[0].config or {}))]
    for number, those in enumerate(doubtful[:MOST], 1):
        waiting_for(f"building one run of each kind, up to its first batch: {number} of {min(len(doubtful), MOST)}")
        if sentence := build(those[0].config or {}):
            sentence = _one_size_for_all(sentence, plan)
            for planned in those:
                planned.problems = [*planned.problems, sentence]
                plan.runs.remove(planned)
                plan.invalid.append(planned)
                if planned.state == NEW and not planned.record:  # else it stays listed as what it came to
                    entry = planned.entry
                    entry.name, entry.plan, entry.reason = "", SKIPPED, sentence
    if len(doubtful) <= MOST:
        return None
    left = len(doubtful) - MOST
    return f"{left} of {len(kinds)} kinds of runs were checked by rules alone: experiments check builds one of them."


def _one_size_for_all(sentence: str, plan: Plan) -> str:
    """Name the one size that a model of the sweep reads, where a sentence asks for any size of the images: it is asked for once."""
    if not (asked := re.search(r"set data\.size, such as data\.size=\d+\.?$", sentence)):
        return sentence
    configs = [planned.config for planned in plan.runs if planned.config]
    only = {config["model"]["reads"].get("size"): config["run"]["choices"]["model"] for config in configs}
    sizes = sorted(size for size in only if size)
    if len(sizes) != 1:
        return sentence
    return f"{sentence[: asked.start()]}set data.size={sizes[0]}, as model={only[sizes[0]]} reads no other"

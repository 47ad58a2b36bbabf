"""What only building tells of a sweep's runs: `check -m` builds one of each kind, as `check` builds a single run."""

from __future__ import annotations

from omegaconf import OmegaConf

from experiments.config.needs_rehearsal import only_building_tells
from experiments.errors import UserError
from experiments.sweep.plan import Plan

MOST = 8  # runs that are built at most: each takes about a second


def rehearse_runs(plan: Plan) -> str | None:
    """Builds runs up to their first batch, one of those that differ in the seed alone; moves what cannot run to `plan.invalid`.

    Returns:
        How many were left to the rules alone, in a sentence; None where all were built that only building judges.
    """
    built, found = 0, dict[tuple[str, ...], list[str]]()
    left: set[tuple[str, ...]] = set()
    for planned in list(plan.to_run):
        kind = tuple(word for word in planned.entry.words if not word.startswith("seed="))
        if planned.config is None or kind in left:
            continue
        if kind not in found:
            config = OmegaConf.create(planned.config)
            if not only_building_tells(config):
                found[kind] = []
            elif built == MOST:
                left.add(kind)
                continue
            else:
                from experiments.run.rehearse import rehearse

                built += 1
                try:
                    rehearse(config)
                    found[kind] = []
                except UserError as error:
                    found[kind] = [str(error)]
        if found[kind]:
            planned.problems = [*planned.problems, *found[kind]]
            plan.runs.remove(planned)
            plan.invalid.append(planned)
    if not left:
        return None
    return f"{len(left)} of {len(left) + len(found)} kinds of runs were checked by rules alone: experiments check builds one of them."

"""What a search says at its end: its best trials, and the commands that repeat them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from experiments.sweep.folder import Entry
from experiments.sweep.objective import Objective
from experiments.viz.tables import table

_SHOWN = 5  # trials in the table


def tell_best(
    finished: Sequence[tuple[Entry, dict[str, Any]]], objectives: Sequence[Objective], config_dirs: Sequence[str]
) -> None:
    """Prints the best trials, or those that no other beats in everything, and the commands that repeat them."""
    scored = []
    for entry, record in finished:
        values = [objective.of(record) for objective in objectives]
        if None not in values:
            scored.append((entry, values, record))
    if not scored:
        return
    signs = [1 if objective.lower else -1 for objective in objectives]
    signed = [[sign * value for sign, value in zip(signs, values, strict=True)] for _, values, _ in scored]  # type: ignore[operator]
    order = sorted(range(len(scored)), key=lambda index: signed[index])
    if len(objectives) > 1:
        order = [index for index in order if not any(_beats(other, signed[index]) for other in signed)]
        title = f"{len(order)} of {len(scored)} runs are beaten by no other in everything (Pareto front)"
    else:
        title, order = f"best of {len(scored)} runs by {objectives[0].name}", order[:_SHOWN]
    keys = list(dict.fromkeys(key for entry, *_ in scored for key in entry.place))
    rows = []
    for index in order:
        entry, values, _ = scored[index]
        rows.append(
            [str(entry.number), *(f"{value:.6g}" for value in values), *(entry.place.get(key, "") for key in keys)]
        )
    numeric = range(len(objectives) + 1)
    print(f"\n{title}\n{table(['run', *(objective.name for objective in objectives), *keys], rows, right=numeric)}")
    many = len(objectives) > 1
    for index in order if many else order[:1]:
        entry = scored[index][0]
        dirs = [f"--config-dir={folder}" for folder in config_dirs]
        command = shlex.join(["experiments", "train", *dirs, *entry.words])
        print(f"repeat {f'run {entry.number}' if many else 'the best'}: {command}")


def _beats(first: list[float], other: list[float]) -> bool:
    """Tell whether a trial is nowhere worse than another and somewhere better; all values are the better the lower."""
    return first != other and all(a <= b for a, b in zip(first, other, strict=True))

"""Which choice matters: what each does, averaged over the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from experiments.compare.cells import FIELD, Cell, by_size
from experiments.compare.differences import less
from experiments.compare.statistics import Difference, holm, paired


@dataclass
class Effect:
    """What one choice does, averaged over the others.

    Attributes:
        factor: the choice.
        means: level to mean over the matched cells, best first.
        contexts: how many combinations of the other choices have every level.
        difference: best level less worst, over seeds; None where the choice never differs alone.
        p: corrected for all pairs of levels of all factors.
        rank: Spearman's correlation with the metric over cells, for numeric choices that never differ alone.
    """

    factor: str
    means: dict[str, float] = field(default_factory=dict)
    contexts: int = 0
    difference: Difference | None = None
    p: float = math.nan
    rank: float | None = None

    @property
    def span(self) -> float:
        return abs(self.difference.mean) if self.difference else 0.0


def effects(
    cells: Sequence[Cell], factors: Sequence[str], metric: str, lower: bool, bootstrap: bool = False
) -> list[Effect]:
    """Return what each choice does, the strongest first; those that never differ alone come last."""
    scored = [cell for cell in cells if cell.values(metric)]
    found_effects = [_effect(scored, factor, factors, metric, lower, bootstrap) for factor in factors]
    measured = [effect for effect in found_effects if effect.difference]
    pairs = sum(math.comb(len(effect.means), 2) for effect in measured)
    ps = [effect.difference.p for effect in measured if effect.difference]
    for effect, p in zip(measured, holm(ps, pairs), strict=True):
        effect.p = p
    return sorted(found_effects, key=lambda effect: (effect.difference is None, -effect.span))


def _effect(
    cells: Sequence[Cell], factor: str, factors: Sequence[str], metric: str, lower: bool, bootstrap: bool
) -> Effect:
    levels = list(dict.fromkeys(cell.level(factor) for cell in cells))
    contexts: dict[tuple[str, ...], dict[str, Cell]] = {}
    for cell in cells:
        context = tuple(cell.level(key) for key in (*FIELD, *factors) if key != factor)
        contexts.setdefault(context, {})[cell.level(factor)] = cell
    full = [at for at in contexts.values() if len(at) == len(levels)]
    if len(levels) < 2 or not full:
        return Effect(factor, rank=_rank_correlation(cells, factor, metric))
    seeds = sorted({seed for at in full for cell in at.values() for seed in cell.values(metric)}, key=by_size)
    rows: list[list[float]] = []  # a row a seed: the mean of each level over the combinations that have it whole
    for seed in seeds:
        whole = [at for at in full if all(seed in cell.values(metric) for cell in at.values())]
        if whole:
            rows.append([fmean(at[level].values(metric)[seed] for at in whole) for level in levels])
    if not rows:
        return Effect(factor)
    means = {level: fmean(row[place] for row in rows) for place, level in enumerate(levels)}
    order = sorted(levels, key=lambda level: means[level] if lower else -means[level])
    best, worst = levels.index(order[0]), levels.index(order[-1])
    spread = paired([less(row[best], row[worst]) for row in rows], bootstrap)
    return Effect(factor, {level: means[level] for level in order}, len(full), spread)


def _rank_correlation(cells: Sequence[Cell], factor: str, metric: str) -> float | None:
    """Spearman's, of a numeric choice with the metric."""
    places = [by_size(cell.level(factor)) for cell in cells]
    if len(cells) < 5 or any(place[0] for place in places):
        return None
    first, second = _ranks([place[1] for place in places]), _ranks([cell.mean(metric) for cell in cells])
    middle = (len(cells) + 1) / 2
    top = math.fsum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    below = math.sqrt(math.fsum((a - middle) ** 2 for a in first) * math.fsum((b - middle) ** 2 for b in second))
    return top / below if below else None


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks

"""Numbers and findings in plain words, for the terminal and the report alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.compare.analysis import FEW, UNCLEAR, WORSE, Comparison, Field, Verdict
from experiments.compare.cells import COSTS, Cell
from experiments.compare.effects import Effect
from experiments.compare.statistics import ALPHA, MOST_SEEDS, Difference

NOTHING = "–"
MINUS = "−"


def number(value: float) -> str:
    """Return a metric with the digits that matter: 0.9556, 12.35, 1,204."""
    if math.isnan(value):
        return NOTHING
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.2f}"
    elif size >= 0.001 or value == 0:
        text = f"{value:.4f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", MINUS) if value < 0 else text


def signed(value: float) -> str:
    """Return a difference: +0.0120, −0.0370."""
    return f"+{number(value)}" if value > 0 else number(value)


def short(value: float) -> str:
    """Return a cost in three digits: 650, 9.61 k, 11.2 M."""
    if math.isnan(value):
        return NOTHING
    for limit, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= limit * 0.9995:
            return f"{_three(value / limit)}{unit}"
    return f"{value:.0f}" if value == int(value) else _three(value)


def _three(value: float) -> str:
    return f"{value:.{0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2}f}"


def probability(p: float) -> str:
    """p = 0.03, p < 0.001."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def width(low: float, high: float, mean: float) -> str:
    """Return an interval: ± its half where it is even, else both ends."""
    if math.isnan(low):
        return NOTHING
    half = (high - low) / 2
    if abs(low + half - mean) <= 1e-9 + 0.01 * half:
        return f"± {number(half)}"
    return f"{number(low)} … {number(high)}"


def needed(verdict: Verdict) -> str:
    """Seeds for each cell that would tell a difference of the size seen."""
    if verdict.word != UNCLEAR or math.isnan(verdict.difference.deviation) or not verdict.difference.mean:
        return NOTHING
    return f"> {MOST_SEEDS:,}" if verdict.seeds is None else f"{verdict.seeds}"


def many(count: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def measured(field: Field, cell: Cell) -> str:
    """Return a cell's mean and interval: 0.9556 ± 0.0069."""
    mean = cell.mean(field.metric)
    low, high = field.interval(cell)
    return number(mean) if math.isnan(low) else f"{number(mean)} {_bracketed(low, high, mean)}"


def _bracketed(low: float, high: float, mean: float) -> str:
    text = width(low, high, mean)
    return text if text.startswith("±") else f"({text})"


def answers(field: Field) -> list[tuple[str, str]]:
    """Return what the field says of its cells: question and answer, each a sentence or two."""
    if not field.scored:
        return [("Best", f"No finished run has {field.metric}.")]
    best = field.scored[0]
    seeds = many(len(best.values(field.metric)), "seed")
    lines = [("Best", f"{field.label(best)}: {field.metric} {measured(field, best)}, {seeds}.")]
    if len(field.scored) > 1:
        lines.append(("Certain?", _certain(field)))
    return [*lines, ("Cost", _cost(field))]


def _certain(field: Field) -> str:
    judged = field if field.reference is field.scored[0] else _against_best(field)
    verdict = judged.verdict_of[id(judged.scored[1])]
    difference, name = verdict.difference, judged.label(verdict.cell)
    if verdict.word == FEW:
        return "Nobody can say: a single seed tells nothing about chance. Run each cell with at least three, as seed=0,1,2."
    size, spread = abs(difference.mean), _spread(difference)
    if size == 0:
        most = max(len(cell.values(field.metric)) for cell in judged.scored[:2])
        some = " on the seeds that both have" if difference.paired and difference.n < most else ""
        told = f" (difference 0 {spread})" if spread else ""
        return f"No. The next, {name}, has the same mean{some}{told}.{_alike(judged)}"
    # Where seeds are unequal, the order on the seeds that both have can be the other one.
    where = "behind" if (difference.mean > 0) == field.lower else "ahead on the seeds that both have"
    how = "on equal seeds" if difference.paired else "not paired: seeds or splits differ"
    p = f"p {probability(verdict.p)}" if verdict.p < 0.001 else f"p = {probability(verdict.p)}"
    corrected = f", corrected for {many(verdict.comparisons, 'comparison')}" if verdict.comparisons > 1 else ""
    text = f"The next, {name}, is {where} by {number(size)}{f' {spread}' if spread else ''} ({how}; {p}{corrected})"
    if verdict.word == WORSE:
        return f"Yes. {text}."
    count = needed(verdict)
    if count.startswith(">"):
        text += f"; more than {MOST_SEEDS:,} seeds each would be needed to tell"
    elif count != NOTHING:
        text += f"; about {count} seeds each would tell a difference of this size"
    return f"No. {text}.{_alike(judged)}"


def _spread(difference: Difference) -> str:
    """Return the interval of a difference whose sign is said in words."""
    if math.isnan(difference.low):
        return ""
    return (
        _bracketed(-difference.high, -difference.low, -difference.mean)
        if difference.mean < 0
        else _bracketed(difference.low, difference.high, difference.mean)
    )


def _alike(field: Field) -> str:
    alike = sum(verdict.word == UNCLEAR for verdict in field.verdicts)
    return (
        f" In all, {alike:,} of the {len(field.verdicts):,} others do not differ significantly from it."
        if alike > 1
        else ""
    )


def _against_best(field: Field) -> Field:
    return Field(field.name, field.scored, field.columns, field.metric, lower=field.lower, bootstrap=field.bootstrap)


_COST_WORDS = {
    "parameters": "{} parameters",
    "flops_per_example": "{} FLOPs an example",
    "seconds": "{} s a run",
    "examples_per_second": "{} examples a second",
    "peak_memory_mb": "{} MB at most",
}


def _cost(field: Field) -> str:
    best = field.scored[0]
    parts = [
        words.format(short(best.cost(key))) for key, words in _COST_WORDS.items() if not math.isnan(best.cost(key))
    ]
    text = f"{', '.join(parts)}." if parts else "The records say nothing of it."
    judged = field if field.reference is best else _against_best(field)
    alike = [verdict.cell for verdict in judged.verdicts if verdict.difference.p >= ALPHA]
    cheaper: dict[str, list[str]] = {}
    for key, noun in (("parameters", "parameters"), ("seconds", "time")):
        cheap = [cell for cell in alike if cell.cost(key) < 0.8 * best.cost(key)]
        if cheap:
            least = min(cheap, key=lambda cell: cell.cost(key))
            share = least.cost(key) / best.cost(key)
            cheaper.setdefault(judged.label(least), []).append(f"{share:.0%} of the {noun}")
    if cheaper:
        named = [f"{label} ({', '.join(shares)})" for label, shares in cheaper.items()]
        text += f" Cheaper, and not significantly different by these seeds: {' and '.join(named)}."
    return text


def matters(effects: Sequence[Effect], metric: str, most: int = 4) -> str:
    """Tell which choice matters most, a line a finding; empty where there is only one choice."""
    lines = []
    for effect in [effect for effect in effects if effect.difference][:most]:
        levels = list(effect.means)
        sure = f"p {probability(effect.p)}" if effect.p < 0.001 else f"p = {probability(effect.p)}"
        told = "one seed" if math.isnan(effect.p) else sure if effect.p < ALPHA else f"{sure}, not distinguishable"
        lines.append(f"{effect.factor}: {number(effect.span)} between {levels[0]} and {levels[-1]} ({told})")
    ranked = [effect for effect in effects if effect.rank is not None]
    if ranked:
        parts = [f"{effect.factor} {effect.rank:+.2f}".replace("-", MINUS) for effect in ranked[:most]]
        lines.append(f"rank correlation with {metric}: {', '.join(parts)}")
    alone = [effect.factor for effect in effects if not effect.difference and effect.rank is None]
    if alone:
        lines.append(f"never varied alone, so not separable: {', '.join(alone)}")
    return "\n".join(lines)


def heading(comparison: Comparison) -> str:
    """Return what was compared: 9 runs in 3 cells."""
    return f"{many(comparison.runs, 'run')} in {many(len(comparison.cells), 'cell')}"


def cost_heads(cells: Sequence[Cell]) -> list[str]:
    """Return the costs worth a column: those that some record says; trainable only where it is not all parameters."""
    keys = [key for key in COSTS if any(not math.isnan(cell.cost(key)) for cell in cells)]
    if all(cell.cost("trainable_parameters") == cell.cost("parameters") for cell in cells if cell.finished):
        keys = [key for key in keys if key != "trainable_parameters"]
    return keys

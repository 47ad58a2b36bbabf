"""The analysis of a set of cells: which is best, whether the difference is significant, which choice matters, what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from experiments.compare.cells import (
    COSTS,
    FIELD,
    Cell,
    by_size,
    differing,
    lower_is_better,
    merge,
    usual_metric,
)
from experiments.compare.differences import difference
from experiments.compare.effects import Effect, effects
from experiments.compare.run_records import COST, GROUPS
from experiments.compare.statistics import ALPHA, Difference, holm, interval, seeds_needed
from experiments.config.metric_direction import improves
from experiments.errors import UserError
from experiments.run.record import PRUNED

SEPARATOR = " · "  # of the choices in the name of a cell
BETTER, WORSE, UNCLEAR, FEW = "better", "worse", "not distinguishable", "too few seeds"


@dataclass
class Verdict:
    """A cell against the reference of its field.

    Attributes:
        difference: cell less reference.
        p: corrected for all comparisons.
        word: better, worse, not distinguishable, or too few seeds.
        comparisons: how many were corrected for.
    """

    cell: Cell
    difference: Difference
    p: float
    word: str
    comparisons: int

    @property
    def seeds(self) -> int | None:
        """Seeds that would be needed to tell, corrected alike; None where none of that size would."""
        return seeds_needed(self.difference, ALPHA / max(self.comparisons, 1))


class Field:
    """Cells with one test set, which can be compared with each other: best first.

    Args:
        name: the data, and the task where several differ.
        cells: in any order.
        columns: the choices that tell cells apart.
        metric: what is compared.
        lower: whether less is better.
        bootstrap: intervals by resampling, p-values by sign flips.
        reference: what the others are compared with; None takes the best.
    """

    def __init__(
        self,
        name: str,
        cells: Sequence[Cell],
        columns: Sequence[str],
        metric: str,
        *,
        lower: bool,
        bootstrap: bool = False,
        reference: Cell | None = None,
    ) -> None:
        self.name, self.columns, self.metric, self.lower, self.bootstrap = name, list(columns), metric, lower, bootstrap
        sign = 1 if lower else -1
        means = {id(cell): cell.mean(metric) for cell in cells}
        self.cells = sorted(cells, key=lambda cell: (math.isnan(means[id(cell)]), sign * means[id(cell)]))
        self.scored = [cell for cell in self.cells if not math.isnan(means[id(cell)])]
        self.chosen = reference is not None
        self.reference = reference or (self.scored[0] if self.scored else None)
        self.seeds = sorted({seed for cell in cells for seed in cell.values(metric)}, key=by_size)

    def label(self, cell: Cell) -> str:
        """Return a cell in a few words: the choices that tell it from the others here."""
        keys = [key for key in self.columns if key not in FIELD or key in self._own]
        words = [cell.level(key) if key in GROUPS else f"{key.rpartition('.')[2]}={cell.level(key)}" for key in keys]
        return SEPARATOR.join(words) or cell.level("model")

    @cached_property
    def _own(self) -> list[str]:
        return differing(self.cells)

    def interval(self, cell: Cell) -> tuple[float, float]:
        return interval(list(cell.values(self.metric).values()), self.bootstrap)

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Every other cell against the reference.

        Where the reference is the best, it was chosen by the very values that are compared; the correction is then
        for all pairs of cells, since any of them could have been the one shown.
        """
        if self.reference is None:
            return []
        others = [cell for cell in self.scored if cell is not self.reference]
        differences = [difference(cell, self.reference, self.metric, self.bootstrap) for cell in others]
        size = len(self.scored)
        comparisons = len(others) if self.chosen else size * (size - 1) // 2
        corrected = holm([found_difference.p for found_difference in differences], comparisons)
        return [
            Verdict(cell, found_difference, p, self._word(found_difference, p), comparisons)
            for cell, found_difference, p in zip(others, differences, corrected, strict=True)
        ]

    def _word(self, difference: Difference, p: float) -> str:
        if math.isnan(p):
            return FEW
        if p >= ALPHA:
            return UNCLEAR
        return BETTER if (difference.mean < 0) == self.lower else WORSE

    @cached_property
    def verdict_of(self) -> dict[int, Verdict]:
        return {id(verdict.cell): verdict for verdict in self.verdicts}

    @cached_property
    def clear(self) -> bool:
        """Tell whether the best differs significantly from the next."""
        if len(self.scored) < 2:
            return False
        best, following = self.scored[:2]
        if self.reference is best:
            return self.verdict_of[id(following)].word == WORSE
        return Field("", self.scored, self.columns, self.metric, lower=self.lower, bootstrap=self.bootstrap).clear

    def front(self, cost: str) -> list[Cell]:
        """Return the cells that no other beats in both the metric and a cost: cheapest first."""
        less = COSTS[cost][1]
        priced = [
            (cell.cost(cost) * (1 if less else -1), cell) for cell in self.scored if not math.isnan(cell.cost(cost))
        ]
        sign = 1 if self.lower else -1
        front: list[Cell] = []
        best = math.inf
        for _, cell in sorted(priced, key=lambda pair: (pair[0], sign * pair[1].mean(self.metric))):
            value = sign * cell.mean(self.metric)
            if value < best:
                front.append(cell)
                best = value
        return front

    def varying_costs(self) -> list[str]:
        """Costs that differ by more than a tenth between cells; of two that go alike, the first."""
        kept: list[str] = []
        seen: list[list[float]] = []
        for key in COSTS:
            values = [cell.cost(key) for cell in self.scored]
            there = [value for value in values if not math.isnan(value)]
            if there and max(there) > 1.1 * min(there) and values not in seen:
                kept.append(key)
                seen.append(values)
        return kept


@dataclass
class Comparison:
    """All fields of a comparison, and what the choices do over all of them."""

    fields: list[Field]
    columns: list[str]
    effects: list[Effect]
    runs: int
    pruned: int  # of them ended early by a search
    versions: int
    commits: int
    changed: list[str]  # user-defined packages of which the runs saw several versions
    by: list[str]
    unclear: list[str]  # metrics of which neither name nor record says which way they improve
    disputed: dict[str, bool]  # metrics of which the runs say both, and whether less was taken as better

    @property
    def cells(self) -> list[Cell]:
        return [cell for field in self.fields for cell in field.cells]


def analyse(
    cells: Sequence[Cell],
    *,
    metric: str | None = None,
    by: Sequence[str] = (),
    reference: Sequence[str] = (),
    lower: bool | None = None,
    bootstrap: bool = False,
) -> Comparison:
    """Compares cells.

    Args:
        cells: of the finest kind, from `gather`.
        metric: what to compare; None takes the usual one of each field.
        by: choices whose cells to compare, averaged over the other choices; none: all that differ.
        reference: `key=value` words that name the cell to compare with; none: the best of each field.
        lower: whether less is better; None judges by the metric's name.
        bootstrap: intervals by resampling, p-values by sign flips.

    Raises:
        UserError: for a metric, a choice or a reference that is not there.
    """
    by = list(dict.fromkeys(by))
    runs = [run for cell in cells for run in cell.runs]
    metrics = sorted({name for run in runs for name in run.metrics})
    metrics += sorted({COST + name for run in runs for name in run.cost}) if metrics else []
    if metric is not None and metrics and metric not in metrics:
        raise UserError(f"--metric {metric} is in no record: choose from {', '.join(metrics)}")
    keys = sorted({key for cell in cells for key in cell.choices})
    for key in by:
        if key not in keys:
            raise UserError(f"--by {key} is no choice of these runs: choose from {', '.join(keys)}")
    pruned = sum(run.status == PRUNED for cell in cells for run in cell.runs)
    everything = cells
    cells = [cell for cell in cells if not cell.only_pruned] or list(cells)
    differ = differing(cells)
    kept = [key for key in FIELD if key in differ and key not in by]
    shown = merge(cells, [*kept, *by]) if by else list(cells)
    columns = [*kept, *by] if by else differ or ["model"]
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in shown:
        groups.setdefault(cell.test, []).append(cell)
    several_tasks = len({task for task, _ in groups}) > 1
    fields = []
    unclear: list[str] = []
    disputed: dict[str, bool] = {}
    for (task, data), members in sorted(groups.items(), key=lambda item: item[0][::-1]):
        own = metric or usual_metric(members)
        way = lower if lower is not None else _less_is_better(own, members)
        less = bool(way)
        if lower is None and len(_ways(own, members)) > 1:
            disputed[own] = less
        elif way is None:
            unclear.append(own)
        named = _find(members, reference, own)
        name = data if data != "none" else "unknown data"
        name += f" ({task})" if several_tasks and task != "none" else ""
        fields.append(Field(name, members, columns, own, lower=less, bootstrap=bootstrap, reference=named))
    if reference and not any(field.chosen for field in fields):
        raise UserError(
            f"--against {','.join(reference)} fits no cell: name choices such as {_example(shown, columns)}"
        )
    factors = [key for key in columns if key not in FIELD]
    return Comparison(
        fields=fields,
        columns=columns,
        effects=_all_effects(fields, factors, bootstrap),
        runs=sum(len(cell.runs) + cell.repeats for cell in everything),
        pruned=pruned,
        versions=len({run.code for cell in cells for run in cell.finished}),
        commits=len({run.commit for cell in cells for run in cell.finished} - {"none"}),
        changed=_changed(run.own for cell in cells for run in cell.finished),
        by=by,
        unclear=list(dict.fromkeys(unclear)),
        disputed=disputed,
    )


def _less_is_better(metric: str, cells: Iterable[Cell]) -> bool | None:
    """Tell whether less of a metric is better: as the runs say that chose an epoch by it, else by its name, else as they
    say of it on another split; None where nothing says.
    """
    ways = _ways(metric, cells)
    if len(ways) == 1 and any(judge == metric for judge, _ in _judged(cells)):
        return ways.pop()
    if metric.startswith(COST) or improves(metric) is not None:
        return lower_is_better(metric)
    return ways.pop() if len(ways) == 1 else None


def _ways(metric: str, cells: Iterable[Cell]) -> set[bool]:
    """Return whether less of a metric is better, as the runs say; both where they disagree, none where they are silent."""
    judged = _judged(cells)
    name = metric.rpartition("/")[2]
    return {less for judge, less in judged if judge == metric} or {
        less for judge, less in judged if judge.rpartition("/")[2] == name
    }


def _judged(cells: Iterable[Cell]) -> set[tuple[str, bool]]:
    """Return the metrics that the runs chose an epoch by, and whether they took less as better."""
    return {run.judged for cell in cells for run in cell.runs if run.judged}


def _changed(own: Iterable[dict[str, str]]) -> list[str]:
    seen: dict[str, set[str]] = {}
    for packages in own:
        for name, digest in packages.items():
            seen.setdefault(name, set()).add(digest)
    return sorted(name for name, digests in seen.items() if len(digests) > 1)


def _all_effects(fields: Sequence[Field], factors: Sequence[str], bootstrap: bool) -> list[Effect]:
    """Over all fields that share the first one's metric, where there is more than one choice to separate."""
    alike = [field for field in fields if field.metric == fields[0].metric]
    if len(factors) < 2 and len(alike) < 2:
        return []
    cells = [cell for field in alike for cell in field.cells]
    return effects(cells, factors, alike[0].metric, alike[0].lower, bootstrap)


def _find(cells: Iterable[Cell], words: Sequence[str], metric: str) -> Cell | None:
    wanted = [word.partition("=")[::2] for word in words]
    # 1e-2 is 0.01, however it is written.
    fitting = (
        [cell for cell in cells if all(same_level(cell.level(key), value) for key, value in wanted)] if wanted else []
    )
    if len(fitting) > 1:
        raise UserError(f"--against {','.join(words)} fits {len(fitting)} cells: add choices until it fits one")
    if fitting and not fitting[0].values(metric):
        raise UserError(f"--against {','.join(words)} has no finished run with {metric}: compare with another cell")
    return fitting[0] if fitting else None


def same_level(first: str, other: str) -> bool:
    """Tell whether two texts are one value of a choice: 1e-2 is 0.01, and blanks do not count."""
    return first.replace(" ", "") == other.replace(" ", "") or by_size(first)[:2] == by_size(other)[:2] < (1,)


def _example(cells: Sequence[Cell], columns: Sequence[str]) -> str:
    return ",".join(f"{key}={cells[0].level(key)}" for key in columns)

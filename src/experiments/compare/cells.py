"""Runs gathered into cells: what was chosen, what came out, and what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from experiments.compare.run_records import COST, GROUPS, RecordedRun, read_run, run_folders, shown
from experiments.config.metric_direction import improves
from experiments.errors import UserError
from experiments.run.record import FINISHED, PRUNED

COSTS = {  # key in the record: head of the column, and whether less is better
    "parameters": ("parameters", True),
    "trainable_parameters": ("trainable", True),
    "flops_per_example": ("FLOPs", True),
    "seconds": ("seconds", True),
    "examples_per_second": ("examples/s", False),
    "peak_memory_mb": ("MB", True),
}
FIELD = ("task", "data")  # cells that differ here have other test sets: their values are shown, never compared
USUAL_TESTS = (
    "test/return",
    "test/accuracy",
    "test/f1",
    "test/mse",
    "test/acc",
    "test_acc",
    "test/loss",
    "test_loss",
)  # the first that there is, is compared


def lower_is_better(metric: str) -> bool:
    """Tell whether a metric is an error or a cost, to judge by its name."""
    if metric.startswith(COST):
        return COSTS.get(metric.removeprefix(COST), ("", True))[1]
    return improves(metric) == "min"


def level(value: Any) -> str:
    """Return a value of a config as a person writes it: true, 0.001, [64, 32]; none for null."""
    return shown(value if value is None or isinstance(value, str) else json.dumps(value))


def choose(runs: Sequence[RecordedRun]) -> None:
    """Adds to the choices of some runs the values that tell their configs apart.

    These are the values that were set on the command line, and of the others those that differ although the options
    which bring them are the same, as when a named sweep or an edited file sets them. Where a config is lost, the
    words of the command line stand in for it.
    """
    with_settings = [run for run in runs if run.settings is not None]
    kept = _telling(with_settings)
    typed = {key for run in with_settings for key in run.typed}
    fixed = {
        (key, _option(run, key)) for run in with_settings for key, value in run.seeds.items() if str(value) != run.seed
    }
    seeds = {key for run in with_settings for key in run.seeds} & (typed | {key for key, _ in fixed})
    texts: dict[int, dict[str, str]] = {}  # runs of one config share it
    for run in runs:
        if run.settings is None:
            run.choices |= run.typed
            continue
        if id(run.settings) not in texts:
            texts[id(run.settings)] = {key: level(run.settings.get(key)) for key in kept}
        run.choices |= texts[id(run.settings)]
        for key in seeds:
            follows = key in run.seeds and (key, _option(run, key)) not in fixed
            run.choices[key] = "${seed}" if follows else level(run.seeds.get(key, run.settings.get(key)))


def _option(run: RecordedRun, key: str) -> tuple[str, ...]:
    """Return the options that bring a key its value where nobody sets it; those of models decide what images data give."""
    group, dot, _ = key.partition(".")
    names = ["experiment", "weights", *([group] if dot else ()), *(["model"] if group == "data" else ())]
    return tuple(str(run.choices.get(name) or (run.settings or {}).get(name)) for name in names)


def _telling(runs: Sequence[RecordedRun]) -> list[str]:
    """Return the keys whose values tell the configs of some runs apart, given the options of their groups."""
    different = list({(str(run.choices), id(run.settings)): run for run in runs}.values())
    configs = [run.settings or {} for run in different]
    if not configs:
        return []
    first, varying = configs[0], set()
    for config in configs:
        varying |= first.keys() - config.keys()
        varying |= {key for key, value in config.items() if first.get(key) != value}
    present = {key for config in configs for key in config}
    kept = sorted({key for run in runs for key in run.typed} & present)
    for key in sorted(varying.difference(kept)):
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for run, config in zip(different, configs, strict=True):
            alike.setdefault(_option(run, key), []).append(config)
        if not all(_explained(key, some, kept) for some in alike.values()):
            kept.append(key)
    return kept


def _explained(key: str, configs: Sequence[dict[str, Any]], kept: Iterable[str]) -> bool:
    """Tell whether a key says nothing new of configs with the same options: it is the same in all, or the same as
    another key in each, to which it refers, as in `head_epochs: ${freezing.every_epochs}`.
    """
    values = [config.get(key) for config in configs]
    if all(value == values[0] for value in values):
        return True
    return any(all(config.get(other) == value for config, value in zip(configs, values, strict=True)) for other in kept)


@dataclass
class Cell:
    """Runs that differ in nothing but the seed, or several such cells averaged seed by seed (`members`)."""

    choices: dict[str, Any]
    runs: list[RecordedRun] = field(default_factory=list)
    members: list[Cell] = field(default_factory=list)
    repeats: int = 0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {}

    def level(self, key: str) -> str:
        """Return a choice as text: `default` where nobody knows it, since the run did not say and its config is lost."""
        return shown(self.choices[key]) if key in self.choices else "default"

    @property
    def test(self) -> tuple[str, str]:
        """Return what values must share to be compared: task and data. LightningModules of one's own stand for networks, so
        that those on the same data are compared with one another.
        """
        return ("LightningModule" if self.foreign else self.level("task")), self.level("data")

    @property
    def foreign(self) -> bool:
        """Tell whether its LightningModule is none of our tasks."""
        runs = self.runs or self.members[0].runs
        return bool(runs) and runs[0].foreign

    def values(self, metric: str) -> dict[str, float]:
        """Seed to value, of the finished runs that have it; of the seeds that all members have."""
        if metric not in self._values:
            if self.members:
                each = [member.values(metric) for member in self.members]
                seeds = [seed for seed in each[0] if all(seed in values for values in each)]
                means = {seed: fmean(values[seed] for values in each) for seed in seeds}
            else:
                each_run = ((run.seed, run.value(metric)) for run in self.finished)
                means = {seed: value for seed, value in each_run if value is not None}
            self._values[metric] = dict(sorted(means.items(), key=lambda item: by_size(item[0])))
        return self._values[metric]

    def split(self, seed: str) -> tuple[str, ...]:
        """Return what the run of a seed was trained and tested on."""
        return tuple(run.split for run in self.finished if run.seed == seed)

    def mean(self, metric: str) -> float:
        values = self.values(metric)
        return fmean(values.values()) if values else math.nan

    def cost(self, key: str) -> float:
        """Mean over the finished runs; NaN where none says it."""
        costs = [run.cost[key] for run in self.finished if key in run.cost]
        return fmean(costs) if costs else math.nan

    @property
    def all_runs(self) -> list[RecordedRun]:
        return [run for member in self.members for run in member.all_runs] if self.members else self.runs

    @property
    def only_pruned(self) -> bool:
        """Whether a search ended all its runs early, so that there is nothing to compare and nothing went wrong."""
        return all(run.status == PRUNED for run in self.all_runs)

    @property
    def finished(self) -> list[RecordedRun]:
        return [run for run in self.all_runs if run.status == FINISHED]

    def remarks(self, metric: str, seeds: Sequence[str]) -> str:
        """Return what is not as it should be: failures, losses that diverged, seeds that others have, a single seed,
        repeats.

        Args:
            metric: what is compared.
            seeds: of the cells beside it.
        """
        have, lines = self.values(metric), []
        missing = [seed for seed in seeds if seed not in have]
        other: dict[str, list[str]] = {}
        for run in self.all_runs:
            if run.status != FINISHED:
                other.setdefault(run.status, []).append(run.seed)
        for status, failed in other.items():
            lines.append(f"{_seeds(failed)} {status}")
        if diverged := [run.seed for run in self.finished if run.diverged]:
            lines.append(f"{_seeds(diverged)} diverged")
        gone = [seed for seed in missing if not any(seed in failed for failed in other.values())]
        if gone and have:
            lines.append(f"no {_seeds(gone)}" if len(gone) <= 3 else f"{len(have)} of {len(seeds)} seeds")
        if len(have) == 1:
            lines.append("single seed")
        if not have and not lines:
            lines.append(f"no {metric}")
        repeats = self.repeats + sum(member.repeats for member in self.members)
        if repeats:
            lines.append(f"{repeats} repeat{'s' * (repeats > 1)} left out")
        return ", ".join([*lines, *self.notes])


def _seeds(seeds: Iterable[str]) -> str:
    distinct = sorted(set(seeds), key=by_size)
    if len(distinct) > 4:
        return f"{len(distinct)} seeds"
    return f"seed{'s' * (len(distinct) > 1)} {', '.join(distinct)}"


def by_size(text: str) -> tuple[int, float, str]:
    """Sorts texts that are numbers by their value, before the rest."""
    try:
        number = float(text)
    except ValueError:
        return 1, 0.0, text
    return (0, number, text) if math.isfinite(number) else (1, 0.0, text)


def gather(paths: Sequence[Path]) -> tuple[list[Cell], list[Path]]:
    """Return the cells of all runs below some paths, in the order found, and the records that cannot be read.

    Of finished runs of one cell and one seed the latest counts: repeats of a seed are no new evidence. A run that did
    not finish gives way to one of the same seed that did.

    Raises:
        UserError: when a path does not exist or no run is there.
    """
    runs, damaged = [], []
    shared: dict[str, dict[str, Any]] = {}  # seeds of one config share it
    for folder in run_folders(paths):
        try:
            run = read_run(folder)
        except (ValueError, TypeError, AttributeError, KeyError, OSError, RecursionError):
            damaged.append(folder / "record.json")
            continue
        if run.settings is not None:
            run.settings = shared.setdefault(json.dumps(run.settings), run.settings)
        runs.append(run)
    if not runs:
        where = " ".join(map(str, paths))
        readable = " that can be read" if damaged else ""
        raise UserError(f"{where} holds no run{readable}: train one first, or name another folder")
    choose(runs)
    cells: dict[str, Cell] = {}
    for run in runs:
        cells.setdefault(str(sorted(run.choices.items())), Cell(run.choices)).runs.append(run)
    for cell in cells.values():
        _settle(cell)
    return list(cells.values()), damaged


def _settle(cell: Cell) -> None:
    kept: dict[str, RecordedRun] = {}
    for run in sorted(cell.runs, key=lambda run: (run.status == FINISHED, run.ended)):
        earlier = kept.get(run.seed)
        cell.repeats += earlier is not None and earlier.status == FINISHED
        kept[run.seed] = run
    cell.runs = sorted(kept.values(), key=lambda run: by_size(run.seed))


def differing(cells: Sequence[Cell]) -> list[str]:
    """Return the choices in which some cells differ: data first, then the groups, then single keys."""
    keys = dict.fromkeys(["data", *GROUPS])
    keys |= dict.fromkeys(sorted({key for cell in cells for key in cell.choices if key not in keys}))
    varying = [key for key in keys if len({cell.level(key) for cell in cells}) > 1]
    if {"task", "model"} <= {*varying} and all(cell.foreign for cell in cells):
        pairs = {(cell.level("task"), cell.level("model")) for cell in cells}
        if len(pairs) == len({task for task, _ in pairs}):  # the class follows from the option
            varying.remove("model")
    return varying


def merge(cells: Sequence[Cell], keys: Sequence[str]) -> list[Cell]:
    """Cells that agree in some choices made into one each, its value at a seed being the mean over its members.

    A cell that averages over other members than most is marked, for its mean says something else.
    """
    rest = [key for key in differing(cells) if key not in keys]
    if not rest:
        return list(cells)
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.level(key) for key in keys), []).append(cell)
    merged, mixtures = [], []
    for members in groups.values():
        choices = {key: members[0].choices[key] for key in keys if key in members[0].choices}
        merged.append(Cell(choices, members=members))
        mixtures.append(frozenset(tuple(member.level(key) for key in rest) for member in members))
    usual = max(mixtures, key=lambda mixture: (mixtures.count(mixture), len(mixture)))
    for cell, mixture in zip(merged, mixtures, strict=True):
        if mixture != usual:
            cell.notes.append("averages over other cells than the rest")
    return merged


def usual_metric(cells: Sequence[Cell]) -> str:
    """Return what is compared when nobody says: test accuracy where there is one, and never a learning rate."""
    metrics = {name for cell in cells for run in cell.all_runs for name in run.metrics if "learning_rate" not in name}
    parts = ("test", "val", "train")
    order = sorted(
        metrics, key=lambda name: (next((n for n, part in enumerate(parts) if name.startswith(part)), 3), name)
    )
    return next((name for name in [*USUAL_TESTS, *order] if name in metrics), "test/loss")

"""What `search.*` asks for, checked before a process is started."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config.metric_direction import improves
from experiments.config.metric_names import split_and_quantity, split_of
from experiments.errors import UserError
from experiments.search.space import Space
from experiments.sweep.objective import Objective

SAMPLERS, PRUNERS = ("random", "tpe", "cmaes", "grid"), ("none", "median", "hyperband")
_TRIALS = 20


@dataclass(frozen=True)
class SearchSettings:
    """`search.*`, checked."""

    sampler: str
    pruner: str
    trials: int
    startup: int | None
    warmup: int
    seed: int
    objectives: tuple[Objective, ...]


def check_words(search: Any, space: Space) -> None:
    """What can be said of `search.*` without knowing the metric."""
    for key, choices in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
        if search[key] not in choices:
            raise UserError(f"search.{key}={search[key]} is not known: choose from {', '.join(choices)}")
    for key in ("trials", "startup"):
        value = search[key]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UserError(
                f"search.{key}={value} must be a whole number, 1 or more, or null: try search.{key}={_TRIALS}"
            )
    if isinstance(search.warmup, bool) or not isinstance(search.warmup, int) or search.warmup < 0:
        raise UserError(f"search.warmup={search.warmup} must be a whole number of epochs: try search.warmup=1")
    if isinstance(search.seed, bool) or not isinstance(search.seed, int):
        raise UserError(f"search.seed={search.seed} must be a whole number: try search.seed=0")
    names = _metric_names(search)
    for name in names:
        if split_of(name) == "test" and not search.allow_test:
            raise UserError(
                f"search.metric={name} would choose by the test split, which then no longer tells how good the choice is: "
                f"take val/{split_and_quantity(name)[1]}, or insist with search.allow_test=true"
            )
        if not (split_of(name) or name.startswith("cost.")):
            raise UserError(
                f"search.metric={name} is no metric: name one such as val/accuracy, or a cost such as cost.seconds"
            )
    if len(set(names)) < len(names):
        raise UserError(f"search.metric={','.join(names)} names a metric twice: name it once")
    directions = _directions(search)
    if directions and len(directions) != max(1, len(names)):
        raise UserError(
            f"search.direction={','.join(directions)} must say min or max once for each metric: {', '.join(names) or 'one'}"
        )
    if search.pruner != "none":
        if len(names) > 1:
            raise UserError(
                f"search.pruner={search.pruner} can judge by one metric and not by {len(names)}: take search.pruner=none"
            )
        if names and split_of(names[0]) not in ("val", "train"):
            raise UserError(
                f"search.pruner={search.pruner} judges while a run trains, and {names[0]} is known at its end: take a val/ metric"
            )
    if search.sampler == "cmaes":
        if len(names) > 1:
            raise UserError(f"search.sampler=cmaes takes one metric and not {len(names)}: take tpe")
        if sum(key.numeric for key in space.keys) < 2:
            raise UserError(
                "search.sampler=cmaes needs two keys with numbers between bounds, interval(…) or range(…): add one, or take tpe"
            )
    if search.sampler == "grid":
        space.grid()


def _metric_names(search: Any) -> list[str]:
    value = search.metric
    return [] if value is None else [value] if isinstance(value, str) else [str(name) for name in value]


def _directions(search: Any) -> list[str]:
    value = search.direction
    words = [] if value is None else [value] if isinstance(value, str) else [str(item) for item in value]
    for word in words:
        if word not in ("min", "max"):
            raise UserError(f"search.direction={word} is no direction: write min or max")
    return words


def read_search(config: DictConfig, space: Space) -> SearchSettings:
    """`search.*` with what is left open filled in.

    Raises:
        UserError: as it is checked.
    """
    search = config.search
    names, directions = _metric_names(search), _directions(search)
    checkpoint = (config.get("callbacks") or {}).get("checkpoint") or {}
    monitor, mode = checkpoint.get("monitor"), checkpoint.get("mode")
    if not names and not monitor:
        monitor, mode = _monitor(config)
    names = names or [str(monitor)]
    objectives = []
    for number, name in enumerate(names):
        direction = directions[number] if directions else mode if name == monitor else None
        objectives.append(Objective(name, direction == "min" if direction else _lower(name, config)))
    count = len(space.grid()) if search.sampler == "grid" else _TRIALS
    trials = min(search.trials or count, count) if search.sampler == "grid" else search.trials or count
    return SearchSettings(
        search.sampler, search.pruner, trials, search.startup, search.warmup, search.seed, tuple(objectives)
    )


def _lower(name: str, config: DictConfig) -> bool:
    """Tell whether less of a metric is better, by its name or by what the task says of it."""
    if name.startswith("cost."):
        return name != "cost.examples_per_second"
    direction = improves(name)
    if direction is None:
        with contextlib.suppress(UserError):  # the task does not say what it watches
            monitor, mode = _monitor(config)
            direction = mode if name == monitor else None  # type: ignore[assignment]
    if direction is None:
        raise UserError(
            f"search.metric={name} does not say which way it improves: add search.direction=min or search.direction=max"
        )
    return direction == "min"


def _monitor(config: DictConfig) -> tuple[str, str]:
    """Return what the task judges its epochs by, and whether "min" or "max" of it.

    Raises:
        UserError: when the task does not say.
    """
    target = config.task._target_
    if (monitor := written_monitor(target)) is not None:
        return monitor
    code = (  # inherited, or made up: ask in another process, because a task imports torch
        "import os, sys, json; sys.path.append(os.getcwd()); from experiments.speedups.lean_imports import import_lightning; import_lightning(); "
        "from hydra.utils import get_class; print(json.dumps(get_class(sys.argv[1]).monitor))"
    )
    answer = subprocess.run([sys.executable, "-P", "-c", code, target], capture_output=True, text=True)
    try:
        name, mode = json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        last = (answer.stderr.strip() or "no answer").splitlines()[-1]
        raise UserError(
            f"task._target_={target} does not say what it is judged by ({last}): give search.metric=…"
        ) from error
    return name, mode


def written_monitor(target: str) -> tuple[str, str] | None:
    """Return the same as it stands in the source of the class; None where it does not, which takes a second less to
    find out.
    """
    module, _, wanted = target.rpartition(".")
    with contextlib.suppress(ImportError, OSError, SyntaxError, ValueError, TypeError):
        spec = importlib.util.find_spec(module) if module.startswith("experiments.") else None
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body if spec and spec.origin else ():
            for line in node.body if isinstance(node, ast.ClassDef) and node.name == wanted else ():
                if isinstance(line, ast.Assign) and any(
                    isinstance(assigned, ast.Name) and assigned.id == "monitor" for assigned in line.targets
                ):
                    name, mode = ast.literal_eval(line.value)
                    return name, mode
    return None


def headline(settings: SearchSettings, space: Space) -> str:
    count = f"{settings.trials} trial{'s' if settings.trials != 1 else ''}"
    goal = " and ".join(str(objective) for objective in settings.objectives)
    pruner = "" if settings.pruner == "none" else f", pruned by {settings.pruner}"
    return f"search for {goal} by {settings.sampler} over {', '.join(key.name for key in space.keys)}: {count}{pruner}"

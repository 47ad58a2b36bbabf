"""Reads the records of runs for a comparison."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.errors import UserError, as_typed
from experiments.run.identity import CHOICES, settings
from experiments.run.old_names import renamed
from experiments.run.record import own_module
from experiments.system.bounded_files import read_json, read_yaml

GROUPS = (*CHOICES, "weights")
COST = "cost."  # begins the name of a cost where a metric is asked for, as in searches
_LONGEST = 200  # letters of a value
_NO_CHOICE = ("hydra", "launcher", "features", "logger", "run", "resume", "sweep", "seed", *GROUPS)
_NO_CHOICE_DOTTED = (
    *("hydra.", "launcher.", "features.", "logger.", "run.", "data.root", "data.workers"),
    *(
        f"{group}.{key}" for group in ("model", "task", "data") for key in ("object", "made")
    ),  # of Python: see run.given
    *("callbacks.progress", "callbacks.figures", "callbacks.learning_rate", "callbacks.pr_curves"),
)


def shown(value: Any) -> str:
    """Return a value from a record as it may be printed: one line, no control characters, no broken Unicode."""
    text = "none" if value is None else str(value)
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({hashlib.sha256(text.encode()).hexdigest()[:8]})"  # what tells it from the next stands behind


@dataclass(slots=True)
class RecordedRun:
    """What comparison keeps of one record.

    Attributes:
        diverged: whether its loss was no finite number at the end of training.
        choices: the options of groups; `gather` adds the values that tell runs apart.
        typed: key to text of what was set on the command line.
        settings: the values of the resolved config by dotted key; None where neither record nor folder has them.
        root: the folder of its data, where it was typed; of the machine that it lies on, so no choice.
        seeds: those of them that may be the run's seed once more, as `data.seed` is.
    """

    folder: Path
    status: str
    seed: str
    choices: dict[str, Any]
    typed: dict[str, str]
    settings: dict[str, Any] | None
    seeds: dict[str, Any]
    metrics: dict[str, float]
    cost: dict[str, float]
    diverged: bool
    split: str  # fingerprint of who is in which split of the data
    ended: str
    code: str
    commit: str
    own: dict[str, str]  # the user's own packages: a hash of their sources
    judged: tuple[str, bool] | None = None  # the metric that chose its epoch, and whether less of it is better
    root: str = ""
    foreign: bool = False  # its LightningModule is none of our tasks; its class stands as the model

    def value(self, name: str) -> float | None:
        """Return a metric, or what `cost.seconds` and the like name; None where the record has no such number."""
        return self.cost.get(name.removeprefix(COST)) if name.startswith(COST) else self.metrics.get(name)


def run_folders(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield every run folder at or below some paths, each once.

    Raises:
        UserError: when a path does not exist.
    """
    seen: set[str] = set()
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist: name a run, a sweep, or a folder above them")
        top = path.parent if path.name == "record.json" else path
        real = os.path.realpath(top)
        for below in _below(str(top)):
            if real + below not in seen:
                seen.add(real + below)
                yield Path(f"{top}{below}")


def _below(top: str, below: str = "") -> Iterator[str]:
    """Run folders below `top`, as what comes after its name; a run holds no runs, and links are not followed."""
    if os.path.exists(f"{top}{below}/record.json"):
        yield below
        return
    try:
        with os.scandir(top + below) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # no folder, or none of ours
        return
    for name in names:
        yield from _below(top, f"{below}/{name}")


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    """Return the finite numbers among some values."""
    numbers = {}
    for key, value in values.items():
        if isinstance(value, (int, float)) and abs(value) < 1e300:  # false for NaN
            numbers[key] = float(value)
    return numbers


def read_run(folder: Path) -> RecordedRun:
    """Return one record.

    Raises:
        ValueError, TypeError, AttributeError, KeyError, OSError, RecursionError: when it is damaged.
    """
    record = read_json(folder / "record.json")
    given, root = {}, ""
    for word in sorted(record.get("overrides") or ()):
        key, equals, value = word.lstrip("+").partition("=")
        root = value if key == "data.root" else root
        if key.split("@")[0] not in _NO_CHOICE and not key.startswith(_NO_CHOICE_DOTTED):
            given[key] = value if equals else "yes"
    resolved = {**record["settings"]} if "settings" in record else _settings_of(folder)
    resolved = resolved and {
        key: renamed(value) if key.endswith("_target_") else value
        for key, value in resolved.items()
        if not key.startswith(
            ("data.gives.", "task.answers", "task.needs_channels")
        )  # describes the dataset, in more words as time goes on
    }
    follow = {key for key, value in given.items() if value.replace("\\", "") == "${seed}"}
    seeds = {
        key: value
        for key, value in (resolved or {}).items()
        if key in follow or (key.endswith(".seed") and key not in given)
    }
    weights = record["choices"].get("weights")
    module = own_module(record)
    chosen = {key: record["choices"].get(key) for key in GROUPS}
    if module and chosen["model"] is None:
        chosen["model"] = module.rpartition(".")[2]
    return RecordedRun(
        folder=folder,
        status=shown(record["status"]),
        seed=shown(record["choices"].get("seed")),
        choices=chosen | {"weights": as_typed(Path(weights)) if weights else weights},
        typed=given,
        seeds=seeds,
        settings=resolved and {key: value for key, value in resolved.items() if key not in seeds},
        metrics=_numbers(record.get("metrics") or {}),
        cost=_numbers(record.get("cost") or {}),
        diverged=bool(record.get("diverged")),
        split=shown((record.get("data") or {}).get("fingerprint")),
        ended=str(record.get("ended") or ""),
        code=shown((record.get("environment") or {}).get("package_hash")),
        commit=shown((record.get("environment") or {}).get("git_commit")),
        own=dict((record.get("environment") or {}).get("own_code") or {}),
        judged=_judged(record.get("judged")),
        root=shown(root),
        foreign=module is not None,
    )


def _judged(judgement: Any) -> tuple[str, bool] | None:
    if not isinstance(judgement, dict) or judgement.get("mode") not in ("min", "max"):
        return None
    return str(judgement.get("metric")), judgement["mode"] == "min"


def _settings_of(folder: Path) -> dict[str, Any] | None:
    """From the run's `config.yaml`, for records that do not have them: slower by far."""
    path = f"{folder}/config.yaml"
    if not os.path.exists(path):
        return None
    try:
        return settings(read_yaml(Path(path)))
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None

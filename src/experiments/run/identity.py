"""Which keys of a config can change a run's result, and which cannot: two runs are the same if the former agree.

The tables below are the only place that says so. A sweep recognises a finished run by it, a comparison puts runs into cells by it,
a resumed run may change what it names, and jobs share datasets by it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

CHOICES = ("model", "data", "task", "freezing", "precision", "optimizer", "scheduler", "trainer", "experiment")
# What names or shows a run without changing its result.
_NOT_IDENTITY = ("run", "resume", "logger", "launcher", "sweep", "features")
_NOT_IDENTITY_CALLBACKS = (
    "progress",
    "figures",
    "learning_rate",
    "projector",
    "pr_curves",
    "pruning",
    "gradient_reach",
    "gradient_norms",
)
_NOT_IDENTITY_KEYS = {"model": ("about",), "data": ("about", "workers"), "task": ("answers", "needs_channels"), "trainer": (
    "threads", "log_every_n_steps", "enable_progress_bar", "enable_model_summary", "enable_checkpointing", "default_root_dir",
    "profiler", "enable_autolog_hparams", "model_registry",
)}  # fmt: skip
_PLAIN_TRAINER = {"num_sanity_val_steps": 0, "use_distributed_sampler": None}  # as they were before they were keys
# What may change when a run is resumed: how long it takes and what it shows, not what it computes.
MAY_CHANGE = (
    "trainer.max_epochs",
    "trainer.threads",
    "callbacks.",
    "logger.",
    "data.workers",
    "data.root",
    "features.",
)
# Keys of data that change what is done with the examples, and not which there are.
_AFTER_READING = ("batch_size", "seed", "workers", "augment")


def relevant(config: dict[str, Any]) -> dict[str, Any]:
    """Return what of a resolved config can change the result: not where things lie, how they are shown, or who computes
    them.
    """
    kept = {key: value for key, value in config.items() if key not in _NOT_IDENTITY}
    callbacks = {key: value for key, value in (kept.get("callbacks") or {}).items() if not _only_shows(key, value)}
    kept |= {"callbacks": callbacks}
    for group, names in _NOT_IDENTITY_KEYS.items():
        if isinstance(kept.get(group), dict):
            kept[group] = {key: value for key, value in kept[group].items() if key not in names}
    if isinstance((kept.get("data") or {}).get("gives"), dict):  # which says of the dataset what it always was
        kept["data"]["gives"] = {key: value for key, value in kept["data"]["gives"].items() if key != "answers"}
    if isinstance(kept.get("trainer"), dict):
        plain = _PLAIN_TRAINER.items()
        kept["trainer"] = {key: value for key, value in kept["trainer"].items() if (key, value) not in plain}
    root, datasets = (kept.get("data") or {}).get("root"), os.environ.get("EXPERIMENTS_DATA", "data")
    if isinstance(root, str) and (
        root == datasets or root.startswith(f"{datasets}/")
    ):  # they may lie elsewhere tomorrow
        kept["data"]["root"] = root[len(datasets) :]
    return kept


def _only_shows(name: str, callback: Any) -> bool:
    """Tell whether a callback is one of ours that changes no result; another class under its name may."""
    target = callback.get("_target_", "") if isinstance(callback, dict) else ""
    return name in _NOT_IDENTITY_CALLBACKS and (not target or target.startswith("experiments.callbacks."))


def identity(config: dict[str, Any]) -> str:
    """Hash of everything in a resolved config that can change the result; the seed counts, the folder does not."""
    text = _without_folder(json.dumps(relevant(config), sort_keys=True, default=str), config)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_folder(text: str, config: dict[str, Any]) -> str:
    """Return JSON without the run's folder, wherever a path begins with it; `0_seed=10` does not begin with `0_seed=1`."""
    folder = json.dumps(str(config["run"]["dir"]))[1:-1]  # JSON escapes quotes, backslashes and letters beyond ASCII
    return re.sub(rf"{re.escape(folder)}(?![0-9A-Za-z])", "", text)


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the same values flat, by dotted key, without the seed and the weights, which are choices; null counts as
    absent.
    """
    kept = {key: value for key, value in relevant(config).items() if key not in ("seed", "weights")}
    plain = json.loads(_without_folder(json.dumps(kept, default=str), config))
    # An option of these is no choice in records, but decides what stands under `callbacks.`.
    return _flat(plain) | {"callbacks": config["run"]["choices"].get("callbacks")}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flattened |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flattened[f"{prefix}{key}"] = value
    return flattened


def choices(config: dict[str, Any]) -> dict[str, Any]:
    """Return what a person chose, flat: the group options, the weights and the seed. A class that the command line names in
    the place of an option stands for it.
    """
    from experiments.config.foreign_modules import choices_by_name  # a comparison goes without what it imports

    groups = choices_by_name(config)
    return {key: groups.get(key) for key in CHOICES} | {"weights": config["weights"], "seed": config["seed"]}


def same_examples(data: dict[str, Any]) -> str:
    """Return what the splits of a dataset depend on: configs of `data` with the same text read the same examples."""
    return json.dumps({key: value for key, value in data.items() if key not in _AFTER_READING}, sort_keys=True)

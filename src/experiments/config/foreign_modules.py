"""What a config says of LightningModules and LightningDataModules that are not ours, read from their sources."""

from __future__ import annotations

from typing import Any

from experiments.config import absent_groups, own_loaders
from experiments.config.preprocessing import given_keys
from experiments.config.signatures import defines, is_a, signature
from experiments.config.view import is_group

_WRITER = ("BasePredictionWriter",)
_TASK, _MODULE, _DATA = ("Task",), ("LightningModule",), ("LightningDataModule",)
_GIVEN = "experiments.run.python_objects.module"  # a LightningModule that Python code gives
_CURE = {
    "model": "leave it out, or give its __init__ a `model`",
    "optimizer": "leave it out and set what the class itself takes, or give its __init__ an `optimizer`",
    "scheduler": "leave it out and set what the class itself takes, or give its __init__ a `scheduler`",
    "freezing": "leave it out: freezing needs the named stages of a task of ours",
    "weights": "leave it out: use resume=RUN, or load weights in the class itself",
}


def problem(config: Any) -> str | None:
    """Return the first thing that cannot be, as a sentence; None where all fits or the sources do not tell."""
    data, task = config["data"], config["task"]
    chosen = config["run"]["choices"]
    target = str(task.get("_target_") or "")
    silent = _without_spec(str(data.get("_target_") or ""))
    if without_loaders := own_loaders.problem(config):
        return without_loaders
    if not target:
        of_class = f" ({data['_target_']})" if data.get("_target_") else ""
        spec = " and gives no spec" if silent else ""
        return (
            f"data={chosen.get('data')}{of_class} names no task{spec}: add task=… with a LightningModule of your own"
            + ("" if silent else ", or one of ours, such as task=classification")
        )
    if _is_foreign(target):
        return _no_effect(config, target)
    if silent:
        if not target.startswith("experiments.") and is_a(target, _TASK) is None:
            return None  # a class that cannot be imported is named by what makes it
        return (
            f"data={chosen.get('data')} ({data['_target_']}) gives no spec, from which task={chosen.get('task')} and "
            f"model={chosen.get('model')} get their shapes: add `spec` to the class (docs/extending.md), or use a LightningModule "
            "with its own network as task"
        )
    return absent_groups.problem(config)


def is_foreign(config: Any) -> bool:
    """Tell from its source whether a config's task is a user-defined LightningModule."""
    return _is_foreign(str(config["task"].get("_target_") or ""))


def is_bare(group: str, target: str) -> bool:
    """Tell whether a class is a user's network, or task or data without what ours offer, so that no option of ours describes
    it.
    """
    if group == "model":
        return not target.startswith("experiments.")
    return _is_foreign(target) if group == "task" else group == "data" and _without_spec(target)


def has_own_network(config: Any) -> bool:
    """Tell whether a config's network is a user's, of which no option says what it reads and makes."""
    target = str((config.get("model") or {}).get("_target_") or "")
    return bool(target) and is_bare("model", target)


def choices_by_name(config: Any) -> dict[str, str | None]:
    """Return the options of groups as a person calls them: a class that the command line puts in an option's place, as
    `model._target_=mine.Net` does, by its own name, and beside a LightningModule that takes no network, no model.
    """
    given, groups = given_keys(config), ("model", "data", "task")
    classes = {
        group: str(config[group]["_target_"]).rpartition(".")[2] for group in groups if f"{group}._target_" in given
    }
    names = dict(config["run"]["choices"]) | classes
    taken = signature(str(config["task"]["_target_"])) if "task" in classes and is_foreign(config) else None
    return names | ({"model": None} if taken is not None and not taken.takes("model") else {})


def unused_writers(config: Any) -> list[str]:
    """Return a sentence for each callback that writes what Trainer.predict gives, where `experiments predict` does without it."""
    if is_foreign(config):
        return []
    callbacks = (config.get("callbacks") or {}).items()
    nodes = {name: str(node.get("_target_") or "") for name, node in callbacks if is_group(node)}
    return [
        f"callbacks.{name} ({target}) writes what Trainer.predict gives, which serves a LightningModule of one's own alone: leave it out, "
        "and write with experiments predict RUN INPUT… --out FOLDER"
        for name, target in nodes.items()
        if target and not target.startswith("experiments.") and is_a(target, _WRITER)
    ]


def _is_foreign(target: str) -> bool:
    if target == _GIVEN:
        return True
    if not target or target.startswith("experiments."):
        return False
    return is_a(target, _TASK) is False and is_a(target, _MODULE) is True


def _without_spec(target: str) -> bool:
    """Tell whether a user-defined data module publishes no spec."""
    if not target or target.startswith("experiments."):
        return False
    return is_a(target, _DATA) is True and defines(target, "spec", _DATA) is False


def _no_effect(config: Any, target: str) -> str | None:
    """Return a group that the command line chooses and a LightningModule of its own has no use for."""
    taken = signature(target)
    if taken is None:
        return None
    given = given_keys(config)
    chosen, task = config["run"]["choices"], config["run"]["choices"].get("task")
    for group, cure in _CURE.items():
        words = [key for key in given if key == group or key.startswith(f"{group}.")]
        if not words or (taken.takes(group) and group in ("model", "optimizer", "scheduler")):
            continue
        value = config.get("weights") if group == "weights" else chosen.get(group)
        if value in (None, "none"):
            continue
        word = f"{group}={value}" if words[0] == group else f"{words[0]}=…"
        return f"task={task} ({target}) does not take {group}, so {word} would have no effect: {cure}"
    return None

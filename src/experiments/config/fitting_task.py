"""The task of a model that cannot learn its data's usual one: an autoencoder on labelled images learns to reconstruct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.config.options import content, defaults_of, option_files

OVERRIDE = "/task@_global_.task"
_LABELS = ("classes", "value", "values", "steps")  # what tasks with labels learn from


def fitting_tasks(model: Any, makes: Sequence[Any], kind: Any, config_dirs: Sequence[str]) -> list[str]:
    """Names the tasks that learn from what a model makes: what it makes first comes first, then reconstruction, then those
    whose usual model it is."""
    tasks = {name: content(file) for name, file in option_files("task", config_dirs).items()}
    fitting = [
        name
        for name, option_content in tasks.items()
        if (option_content.get("makes") or "classes") in makes
        and (not kind or kind in option_content.get("reads", [kind]))
    ]

    def rank(name: str) -> tuple[int, bool, bool]:
        usual = [entry.option for entry in defaults_of(tasks[name], "task") if entry.group == "model"]
        return makes.index(tasks[name].get("makes") or "classes"), name != "reconstruction", model not in usual

    return sorted(fitting, key=rank)


def with_fitting_task(words: Sequence[str], config_dirs: Sequence[str] = ()) -> list[str]:
    """Adds `task=…` to overrides that choose a model which makes nothing that the data's usual task learns from.

    Nothing is added where a task or an experiment is chosen, or where none fits. For a model that makes classes too, a task that
    needs labels does not fit: the data's usual task would be one if they had some.
    """
    chosen = dict(word.split("=", 1) for word in words if "=" in word)
    if "model" not in chosen or {"task", "experiment", "sweep"} & {word.lstrip("+~") for word in chosen}:
        return list(words)
    makes = _listed(inherited("model", chosen["model"], "makes", config_dirs) or "classes")
    data = chosen.get("data", "digits")
    usual = inherited("data", data, OVERRIDE, config_dirs)
    if usual is None or (inherited("task", usual, "makes", config_dirs) or "classes") in makes:
        return list(words)
    kind = (inherited("data", data, "gives", config_dirs) or {}).get("kind")
    if "classes" in makes:
        makes = [made for made in makes if made not in _LABELS]
    fitting = fitting_tasks(chosen["model"], makes, kind, config_dirs)
    return [*words, f"task={fitting[0]}"] if fitting else list(words)


def fitting_data(model: str | None, task: str | None, kinds: Sequence[str], config_dirs: Sequence[str]) -> str | None:
    """Names data that give one of some kinds and suit a model or task: of their usual task first, generated ones before files."""
    makes = _listed(inherited("model", model, "makes", config_dirs) or "classes") if model else None

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        usual = inherited("data", name, OVERRIDE, config_dirs)
        asked = (inherited("task", usual, "makes", config_dirs) or "classes") if usual else None
        suits = usual == task if task else makes is None or asked in makes
        return not suits, usual != (task or "classification"), not name.startswith(("generated", "digits")), name

    fitting = [
        name
        for name in option_files("data", config_dirs)
        if (inherited("data", name, "gives", config_dirs, of="kind") or {}).get("kind") in kinds
    ]
    return min(fitting, key=rank, default=None)


def inherited(
    group: str, name: str, key: str, config_dirs: Sequence[str], depth: int = 0, of: str | None = None
) -> Any:
    """Return a key of an option's file, or of the option that it changes; a default of its list counts as a key.

    Args:
        of: a key that the value must have; where it has not, the option that is changed is asked.
    """
    path = option_files(group, config_dirs, bases=True).get(name)
    if path is None or depth > 10:
        return None
    option_content = content(path)
    if key in option_content and (of is None or of in (option_content[key] or {})):
        return option_content[key]
    for entry in defaults_of(option_content, group):
        if entry.key:
            if entry.key == key:
                return entry.option
        elif (value := inherited(entry.group, entry.option, key, config_dirs, depth + 1, of)) is not None:
            return value
    return None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]

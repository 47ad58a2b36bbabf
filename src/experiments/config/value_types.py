"""Values of the command line whose type is not that of their default."""

from __future__ import annotations

import math
import re
from typing import Any

from omegaconf import DictConfig, ListConfig

from experiments.config import trainer_keys
from experiments.config.annotated_types import annotation_problems, is_number, unlike
from experiments.config.compose import compose, parse
from experiments.config.fitting_task import inherited
from experiments.config.signatures import annotation, signature
from experiments.config.value_rules import RULES
from experiments.config.view import class_and_argument, of_known_class, select, shown
from experiments.errors import UserError


def type_problems(config: Any, defaults: Any) -> list[str]:
    """Values given on the command line whose type is not their default's; those that have a rule are looked at there."""
    given, added = {}, []
    for override in parse(config.run.overrides):
        if "." in override.key_or_group and override.is_add() and override.key_or_group not in RULES:
            added.append(override.key_or_group)
        elif "." in override.key_or_group and not override.is_delete():
            given[override.key_or_group] = override
    given = {
        key: given_value
        for key, given_value in given.items()
        if not key.startswith("hydra.") and (key not in RULES or not of_known_class(config, key))
    }
    of_added = annotation_problems(config, added)
    if defaults is None and all(_as_in_its_file(config, key) for key in given):  # which spares a second composition
        return of_added
    rest = [word for word in config.run.overrides if not any(word.lstrip("+").startswith(f"{key}=") for key in given)]
    try:
        defaults = defaults or compose(rest, config.run.config_dirs, whole=False)
    except UserError:  # such as a value that another refers to
        return of_added + annotation_problems(config, given)
    problems, typed = of_added, {f"trainer.{key}" for key in trainer_keys.LISTED}
    for key in given:
        default, value = (select(source, key) for source in (defaults, config))
        if (sentence := _empty(key, value, default)) is not None:
            problems.append(sentence)
            continue
        if default in (None, "???") or key == "trainer.devices" or key in typed or _is_object(value):
            continue
        if not of_known_class(config, key) and _taken_by_theirs(config, key, default, value):
            continue
        place = _in_the_run_folder(default, select(defaults, "run.dir"))
        if place and unlike(annotation(*class_and_argument(config, key)) or "str", value) is not None:
            problems.append(f"{key}={shown(value)} must be a path: its default is {place}")
            continue
        if isinstance(value, str) and _may_be_a_word(config, key):
            continue
        if not (_may_be_null(config, key) if value is None else _alike(default, value)):
            problems.append(f"{key}={shown(value)} must be {_named(default)}: {_usual(key, default)}")
    refused = {sentence.partition("=")[0] for sentence in problems}
    return problems + annotation_problems(config, [key for key in given if key not in refused])


def _as_in_its_file(config: Any, key: str) -> bool:
    """Tell whether a value is a number, text or truth value, as the file of the option that was chosen has it."""
    group, _, name = key.partition(".")
    option, value = select(config, f"run.choices.{group}"), select(config, key)
    if (
        type(value) not in (bool, int, float, str)
        or value in ("", "???")
        or value != value
        or not isinstance(option, str)
    ):
        return False
    first, *rest = name.split(".")
    default = inherited(group, option, first, config.run.config_dirs)
    for part in rest:
        default = default.get(part) if isinstance(default, dict) else None
    return type(default) is type(value) and (str(default).startswith("${oc.env:") or "${" not in str(default))


def _usual(key: str, default: Any) -> str:
    """Return what a key has by default; of a group of keys, which may name the folder of the run, one key to set."""
    inside = (
        [str(name) for name in default if not str(name).startswith("_")]
        if isinstance(default, (dict, DictConfig))
        else []
    )
    return f"set these, as in {key}.{inside[-1]}=…" if inside else f"its default is {shown(default)}"


def _in_the_run_folder(default: Any, folder: Any) -> str:
    """Return a path in the folder of a run as files of options write it, the same for every run; empty where it is none."""
    text, start = str(default), str(folder)
    return f"${{run.dir}}{text[len(start) :]}" if text == start or text.startswith(f"{start}/") else ""


def _empty(key: str, value: Any, default: Any) -> str | None:
    """Say that a value is empty where its default is not; a network may have no hidden layer, the Trainer no plugin."""
    listed = isinstance(value, (list, ListConfig)) and not key.startswith(("model.", "trainer."))
    if value == "" and default != "":
        return f"{key}= is empty: give a value, or leave it out"
    if listed and not len(value) and not (isinstance(default, (list, ListConfig)) and not len(default)):
        return f"{key}=[] is empty: give a value, or leave it out"
    return None


def _is_object(value: Any) -> bool:
    """Tell whether a value is a node that makes an object, whose type its class alone knows."""
    return isinstance(value, (dict, DictConfig)) and "_target_" in value


def _may_be_null(config: Any, key: str) -> bool:
    """Tell whether null is a value of a key; where its class asks for a number by annotation, it is none."""
    target, name = class_and_argument(config, key)
    taken = signature(target)
    return taken is None or taken.annotations.get(name) not in ("int", "float", "bool")


def _may_be_a_word(config: Any, key: str) -> bool:
    """Tell whether a class takes a word beside a number by its annotation, as data.test=val; it looks at the word itself."""
    text = annotation(*class_and_argument(config, key)) or ""
    return re.search(r"\bstr\b", text) is not None and unlike(text, "") is None


def _taken_by_theirs(config: Any, key: str, default: Any, value: Any) -> bool:
    """Tell whether a user-defined class takes a value of another type than the default's: by its annotation; where there is
    none, a whole number stands for any number.
    """
    text = annotation(*class_and_argument(config, key))
    return unlike(text, value) is None if text else is_number(default) and is_number(value)


def _alike(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) == isinstance(default, bool) or (
            isinstance(value, (int, float)) and 0 <= value <= 1
        )
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not math.isnan(value)
    if isinstance(default, int):
        return isinstance(value, int)
    if isinstance(default, str):
        return isinstance(value, (str, int, float))
    if isinstance(default, (list, ListConfig)):
        if not isinstance(value, (list, ListConfig)):
            return False  # what a list may hold besides, such as names in place of numbers, its class knows
        return all(isinstance(item, str) or _alike(default[0], item) for item in value if len(default))
    return isinstance(default, (dict, DictConfig)) == isinstance(value, (dict, DictConfig))


def _named(value: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if isinstance(value, (list, ListConfig)):
        inside = {int: " of whole numbers", float: " of numbers"}
        return "a list" + (inside.get(type(value[0]), "") if len(value) else "")
    return names.get(type(value), "a group of keys")

"""Words of a command line that Hydra alone would refuse, and that say clearly what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from experiments.config.options import GROUPS, content, option_files
from experiments.config.quoting import quoted
from experiments.config.signatures import classes_of, signature
from experiments.errors import UserError

TRAINER = "lightning.pytorch.Trainer"
KNOWN = {  # what conf/trainer/cpu.yaml lists, and so needs no ++
    "_target_", "accelerator", "devices", "num_nodes", "strategy", "max_epochs", "max_steps", "check_val_every_n_epoch",
    "limit_train_batches", "limit_val_batches", "limit_test_batches", "accumulate_grad_batches", "gradient_clip_val",
    "deterministic", "memory_format", "compile", "threads",
    "num_sanity_val_steps", "log_every_n_steps", "enable_progress_bar", "enable_model_summary", "enable_checkpointing",
    "use_distributed_sampler", "default_root_dir",
}  # fmt: skip
CLASSES = {  # groups with an option `torch`, and the modules whose classes may be named instead of an option
    "optimizer": {"torch": "torch.optim", "timm": "timm.optim"},
    "scheduler": {"torch": "torch.optim.lr_scheduler"},
}
SCHEDULER_ENTRIES = ("interval", "frequency", "monitor", "strict")  # keys of Lightning's scheduler dictionary
AUGMENT = "data.augment"
LATE = ("task", "model")  # groups that data and task choose; where they do not, the command line may


def spelled_out(words: Sequence[str]) -> list[str]:
    """Return the same words, with `++` before keys of Lightning's Trainer that our YAML files do not list or that stand
    behind a `+` (they may be listed), and before the keys of a callback, logger, metric or transform that the words
    add: `callbacks.rate._target_=…`. No option of a group, `logger=null`, is `~logger`. Values in other letters than
    Latin ones, as `data.root=चित्र`, are put in the quotes that Hydra asks for.
    """
    words = [_with_quotes(word) for word in words]
    nothing = {f"{group}=null": f"~{group}" for group in GROUPS}
    words = [nothing.get(word, word) for word in words]
    words += _of_trainer_option(words)
    words = _one_transform(_spread(words))
    named = (
        word.lstrip("+").partition("._target_=")[0] + "."
        for word in words
        if word.lstrip("+").startswith(("callbacks.", "logger.", "data.augment", "data.transform", "scheduler."))
        and "._target_=" in word
    )
    added = ("task.metrics.", "data.options.", *named)
    return [_forced(word) if word.startswith(added) or _adds(word) else word for word in words]


def _spread(words: Sequence[str]) -> list[str]:
    """Return words in which `optimizer={_target_: …}`, `task={_target_: …}` and `callbacks={stop: {_target_: …}}` give their keys
    one by one, as Hydra takes no whole group.
    """
    written: list[str] = []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("callbacks", "logger") and value.lstrip().startswith("{") and len(objects := _objects(word)) == 1:
            written += (
                [f"{key}.{name}={_written(node)}" for name, node in objects[0].items()] if any(objects) else [word]
            )
            continue
        if key not in (*CLASSES, "data", "task", "model") or not value.lstrip().startswith("{"):
            written.append(word)
            continue
        objects = _objects(word)
        if len(objects) > 1:
            raise UserError(
                f"{word} sweeps over whole objects, and {key} takes one: put each into a file {key}/NAME.yaml of a --config-dir and "
                f"sweep over their names, or sweep over a key, as in {key}._target_=package.One,package.Other"
            )
        written += (
            [f"++{key}.{name}={_written(inner)}" for name, inner in objects[0].items()] if any(objects) else [word]
        )
    return written


def _objects(word: str) -> list[dict[Any, Any]]:
    """Return the dictionaries that a word gives, those of a sweep too; none where it gives other values or cannot be read."""
    try:
        value: Any = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return []  # Hydra says what is wrong
    values: list[Any] = value.list if isinstance(value, ChoiceSweep) else [value]
    return values if all(isinstance(inner, dict) for inner in values) else []


def _written(value: Any) -> str:
    """Return a value in Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    if isinstance(value, (QuotedString, str)):
        return quoted(value.text if isinstance(value, QuotedString) else value)
    return json.dumps(value)


def _one_transform(words: Sequence[str]) -> list[str]:
    """Return words that give `data.augment` one transform, as a key `transforms` beside those of the data: `{_target_: …}`, or
    `data.augment._target_=…` with the keys that its class takes. Transforms with names, `{crop: 2, hue: {_target_: …}}`, are
    given one by one.
    """
    target = next(
        (word.partition("=")[2] for word in words if word.lstrip("+").startswith(f"{AUGMENT}._target_=")), None
    )
    taken = signature(target) if target else None
    named = {"_target_", *(taken.annotations if taken else ())}
    written = []
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        objects = _objects(word) if key == AUGMENT and value.lstrip().startswith("{") else []
        if any("_target_" in node for node in objects):
            word = f"++{AUGMENT}.transforms={value}"
        elif len(objects) == 1 and any(
            isinstance(node, dict) for node in objects[0].values()
        ):  # ours beside named ones
            for name, node in objects[0].items():
                written.append(f"{'++' if isinstance(node, dict) else ''}{AUGMENT}.{name}={_written(node)}")
            continue
        elif target and key.startswith(f"{AUGMENT}.") and key.removeprefix(f"{AUGMENT}.") in named:
            word = f"++{AUGMENT}.transforms.{key.removeprefix(f'{AUGMENT}.')}={value}"
        written.append(word)
    return written


def _with_quotes(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals or word.startswith("-") or value.isascii() or set(value) & set("'\"[]{}()$\\"):
        return word
    values = (text if text.isascii() else quoted(text.strip()) for text in value.split(","))
    return f"{key}={','.join(values)}"


def _of_trainer_option(words: Sequence[str]) -> list[str]:
    """Return what the option of `trainer=quick` changes as words, where an experiment or a named sweep is chosen too: what the
    command line names counts more than what a file sets. What `debug=` sets stays.
    """
    given = dict(word.lstrip("+").partition("=")[::2] for word in words)
    if "trainer" not in given or "debug" in given or not {"experiment", "sweep"} & set(given):
        return []
    return [f"{key}={value}" for key, value in _changed_by(given["trainer"]).items() if key not in given]


@cache
def _changed_by(option: str) -> dict[str, str]:
    """Return the keys that an option of `trainer` changes of the one it begins from, and their values; none of cpu, where
    all begin.
    """
    path = option_files("trainer").get(option)
    own = content(path) if path else {}
    if "defaults" not in own:
        return {}
    return {f"trainer.{key}": json.dumps(value) for key, value in own.items() if key != "defaults"}


def _adds(word: str) -> bool:
    """Tell whether a word gives a key that no YAML file of ours lists: of Trainer, or an object among the
    augmentations, callbacks or loggers.
    """
    key, _, value = word.partition("=")
    value = value.lstrip()
    named = key.startswith(("callbacks.", "logger.")) and key.count(".") == 1 and "_target_" in value
    return (
        _of_trainer(word)
        or (key.startswith("data.augment.") and value.startswith(("{", "[")))
        or (named and value.startswith("{"))
    )


def _forced(word: str) -> str:
    return f"++{word.lstrip('+')}"


def _of_trainer(word: str) -> bool:
    name = word.lstrip("+").partition("=")[0].split(".")
    if name[0] != "trainer" or len(name) < 2 or (name[1] in KNOWN and len(name) == 2 and not word.startswith("+")):
        return False
    parameters = signature(TRAINER)
    return parameters is not None and name[1] in parameters.annotations


def mended(error: Exception, words: Sequence[str], compose: Callable[[list[str]], DictConfig]) -> list[str] | None:
    """Words that Hydra would take in place of those that it refused; None where their meaning is not clear.

    Args:
        error: Hydra's.
        words: overrides.
        compose: composes other words, for what keys a class takes.
    """
    text = str(error)
    if match := re.search(r"[Cc]ould not find '(\w+)/([\w.]+)'", text):
        return _class_by_name(match.group(1), match.group(2), list(words))
    match = re.search(r"Could not override '([^'@]+)", text) or re.search(r"Key '([^']+)' is not in struct", text)
    if not match:
        return None
    key = match.group(1)
    places = [number for number, word in enumerate(words) if word.startswith(f"{key}=")]
    if not places:
        return None
    rest = [word for number, word in enumerate(words) if number not in places]
    if key in LATE:
        return [f"+{word}" if number in places else word for number, word in enumerate(words)]
    above, _, last = key.rpartition(".")
    if not above or above.startswith("hydra"):
        return None
    try:
        node: Any = OmegaConf.select(compose(rest), above)
    except Exception:
        return None
    if not isinstance(node, DictConfig):
        return None
    open_group = isinstance(node.get(last), DictConfig) and not node.get(last)  # `options: {}` takes any keys
    if last == "_target_" or open_group:
        return [f"++{word}" if number in places else word for number, word in enumerate(words)]
    target = node.get("_target_")
    if str(target).startswith("experiments."):  # the YAML files of ours list every key that has an effect
        return None
    taken = signature(str(target)) if target else None
    if taken is None or last not in taken.annotations:
        return None
    return [f"++{word}" if number in places else word for number, word in enumerate(words)]


def _class_by_name(group: str, name: str, words: list[str]) -> list[str] | None:
    for option, module in CLASSES.get(group, {}).items():
        if name in classes_of(module):
            place = words.index(f"{group}={name}") if f"{group}={name}" in words else None
            if place is None:
                return None
            return [*words[:place], f"{group}={option}", f"{group}.name={name}", *words[place + 1 :]]
    return None

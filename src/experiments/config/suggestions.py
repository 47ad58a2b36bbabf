"""Words that people know an option or a key by, answered with what to type here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from experiments.config.fitting_task import inherited
from experiments.config.options import content, option_files
from experiments.config.usual_words import (
    CONTROL_KEYS,
    KEYS,
    NO_KEYS,
    NO_TRANSFORM,
    OPTIONS,
    PAIR_KEYS,
    PLACES,
    SENTENCES,
)

_MOST = 8  # names in one sentence
_ALL = 30  # options of a group that one sentence still lists


def unknown_option(group: str, name: str, options: Sequence[str]) -> str:
    """Says that a group has no such option, and what to type: its name here, names that hold the word, or near ones."""
    if sentence := SENTENCES.get((group, name.lower())):
        return f"{group}={name} is no option of {group}: {sentence}"
    if meant := option_known_as(group, name, options):
        return f"{group}={name} is {group}={meant} here: write that"
    sentence = f"{group}={name} is no option of {group}"
    if group == "data" and Path(name).is_dir():
        return f"{sentence}: of a folder of images write data=image_folder data.root={name}; experiments list data shows all {len(options)}"
    if near := near_names(name.lower(), options):
        return f"{sentence}: did you mean {' or '.join(near)}?"
    if len(options) > _ALL:
        plural = group if group.endswith("a") else f"{group}s"
        return f"{sentence}: experiments list {plural} shows all {len(options)}"
    return f"{sentence}: choose from {', '.join(options)}"


def option_known_as(group: str, name: str, options: Sequence[str]) -> str | None:
    """Return the option of a group that a word stands for, as `lenet5` for lenet or LeNet-5; None where it is none."""
    if (meant := OPTIONS.get(group, {}).get(name.lower())) in options:
        return meant
    return next((option for option in options if _bare(option) == _bare(name)), None)  # VGG-16, SimpleCNN


def near_names(name: str, options: Sequence[str]) -> list[str]:
    """Options that have the word as one of theirs, begin with it or hold it, or else look like it."""
    if len(name) > 1:
        groups = (
            [option for option in options if name in option.split("_") or option.startswith(name)],
            [option for option in options if name in option and len(name) > 3],
            [option for option in options if option in name and len(option) > 2],
        )
        for near in groups:
            if near:
                return sorted(near, key=_with_numbers)[:_MOST]
    return difflib.get_close_matches(name, options, n=3, cutoff=0.6)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _with_numbers(name: str) -> list[str]:
    return [part.zfill(9) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def usual_key(key: str, words: Sequence[str] = ()) -> str | None:
    """Return the key that a word stands for elsewhere, as `epochs` for `trainer.max_epochs`; None where it is none of
    these.

    Args:
        key: that is unknown here.
        words: overrides, which say what is learned.
    """
    if place := _place_of_data(key.lower(), words):
        return place
    of_control = any(word.startswith(("data=control", "task=policy_gradient", "experiment=ppo_")) for word in words)
    of_pairs = any(re.match(r"data=(pairs|en_hi|generated_pairs)$|task=translation", word) for word in words)
    if (
        meant := (of_pairs and PAIR_KEYS.get(key.lower()))
        or (of_control and CONTROL_KEYS.get(key.lower()))
        or KEYS.get(key.lower())
    ):
        return meant.replace("[head]", _stages_of(key, words)) if meant.endswith("freezing.learn=[head]") else meant
    group, _, name = key.lower().rpartition(".")  # optimizer.learning_rate, trainer.epochs
    meant = KEYS.get(name) if group else None
    return meant if meant and meant.startswith(f"{group}.") and meant != key else None


def _place_of_data(key: str, words: Sequence[str]) -> str | None:
    """Return the key by which the chosen data find their files, for a word that means it, as `data.folder`."""
    group, _, name = key.rpartition(".")
    option = next((word.partition("=")[2] for word in words if word.startswith("data=")), "")
    if group not in ("", "data") or name not in PLACES or not option:
        return None
    own = [place for place in ("root", "path") if inherited("data", option, place, ()) is not None]
    return next((f"data.{place}" for place in own if f"data.{place}" != key), None)


def _stages_of(key: str, words: Sequence[str]) -> str:
    """Return the list of stages that was given to a key, with `head` for the last layer's usual names."""
    given = next((word.partition("=")[2] for word in words if word.lstrip("+").startswith(f"{key}=")), "")
    names = re.findall(r"[\w.]+", given) or ["head"]
    last = ("fc", "classifier", "linear", "output")
    return f"[{','.join(dict.fromkeys('head' if name in last else name for name in names))}]"


SEARCH_KEYS = frozenset(
    f"search.{key}" for key in ("trials", "sampler", "pruner", "startup", "warmup", "seed", "metric")
)


def not_a_key(key: str) -> str:
    """Return why there is no such key, where people look for one; empty elsewhere."""
    if key == "data.transform":
        return NO_TRANSFORM
    if key in SEARCH_KEYS:
        return "a search has it: add -m hydra/sweeper=optuna"
    return NO_KEYS.get(key.rpartition(".")[2].lower(), "") if key.partition(".")[0] in (key, "model", "data") else ""


def options_with(key: str, config_dirs: Sequence[str]) -> list[str]:
    """Return the options that have a key which the chosen one has not: `freezing.learn` is one of `freezing=stages`."""
    group, _, rest = key.partition(".")
    top, _, below = rest.partition(".")
    if not top or below:
        return []
    return [name for name, path in option_files(group, config_dirs).items() if top in content(path)]

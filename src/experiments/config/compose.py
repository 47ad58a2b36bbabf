"""Composing configs with Hydra: the words of a command line in, a resolved config out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from experiments.config.absent_groups import fill_absent
from experiments.config.augmentation import settle_augmentation
from experiments.config.broken_options import broken_files_named, faulty_file, not_a_file
from experiments.config.chosen_in_files import with_choices_of_files
from experiments.config.class_keys import leave_out_untaken
from experiments.config.command_suggestions import as_option
from experiments.config.foreign_modules import choices_by_name
from experiments.config.hydra_keys import refuse_sweep, refuse_unused, refuse_words, searchpath_is_there
from experiments.config.implied_choices import with_implied_choices
from experiments.config.interpolations import refusal, resolve
from experiments.config.labels_never_seen import take_over_labels
from experiments.config.misplaced_keys import refuse_unread
from experiments.config.options import GROUPS, conf_dir, content, option_files, options
from experiments.config.preprocessing import given_keys, take_over_published
from experiments.config.pretrained_texts import take_over_texts
from experiments.config.quoting import quoted
from experiments.config.refusals import (
    OF_ALL,
    refuse_filled_in,
    refuse_hidden,
    refuse_lists,
    refuse_missing,
    refuse_names,
)
from experiments.config.shorthand import LATE, mended, spelled_out
from experiments.config.signatures import signature
from experiments.config.sound_networks import take_sizes
from experiments.config.suggestions import not_a_key, options_with, unknown_option, usual_key
from experiments.config.weights_place import place_weights
from experiments.errors import UserError, first_line, unknown


def compose(
    overrides: Sequence[str], config_dirs: Sequence[str] = (), whole: bool = True, recorded: bool = False
) -> DictConfig:
    """Return the resolved config for some overrides; `run.dir`, `run.choices`, `run.overrides` and `run.config_dirs`
    are filled in.

    Args:
        overrides: in Hydra's syntax, without sweeps.
        config_dirs: further folders of configs, searched after ours.
        whole: whether what has no default must be given.
        recorded: whether a run has begun with these overrides already, maybe as one of a named sweep.

    Raises:
        UserError: for an unknown key or option, a value that cannot be parsed, or a missing value.
    """
    for word in overrides:
        if word.lstrip("+~").startswith("="):
            raise UserError(f"{word} names no key: write key=value, as in optimizer.lr=0.01")
    refuse_filled_in(overrides, "hydra.run.dir")
    refuse_words(overrides)
    refuse_lists(overrides)
    overrides, asked = without_searchpath(overrides)
    own = [place for place in asked if "://" not in place]
    folders = [str(Path(folder).resolve()) for folder in [*config_dirs, *own]]
    for folder in folders:
        if not Path(folder).is_dir():
            source = "hydra.searchpath names" if folder in map(os.path.realpath, own) else "--config-dir"
            raise UserError(f"{source} {folder}, which is no folder: name one that holds model/, data/ or other groups")
    refuse_hidden(folders)
    places = [*(f"file://{folder}" for folder in folders), *(place for place in asked if "://" in place)]
    search = [f"hydra.searchpath=[{','.join(quoted(place) for place in places)}]"] if places else []
    overrides = with_choices_of_files(spelled_out(overrides), folders)
    words, config = composed_by_hydra(with_implied_choices(overrides, folders), search, folders)
    if whole:
        refuse_sweep(config.hydra, words, recorded)
    return settle(config, words, folders, whole=whole)


def without_searchpath(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return some overrides without those of hydra.searchpath, and the places that these name: folders, and pkg://…"""
    words = [word for word in overrides if not word.startswith("hydra.searchpath=")]
    paths = parse([word for word in overrides if word.startswith("hydra.searchpath=")])
    listed = paths[-1].value() if paths else []
    places = [str(place) for place in (listed if isinstance(listed, list) else [listed])]
    return words, [place.removeprefix("file://") for place in places if place != "None"]


def plain_config(overrides: Sequence[str], config_dirs: Sequence[str] = ()) -> dict[str, Any]:
    """Return the config for some overrides as plain Python, whether or not what has no default is given.

    Raises:
        UserError: as `compose`.
    """
    return OmegaConf.to_container(compose(overrides, config_dirs, whole=False))  # type: ignore[return-value]


def to_plain_config(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain Python."""
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def composed_by_hydra(
    words: Sequence[str], search: Sequence[str], folders: Sequence[str]
) -> tuple[list[str], DictConfig]:
    """Return what Hydra composes of some words, and the words as it takes them.

    Raises:
        UserError: when it refuses them.
    """
    GlobalHydra.instance().clear()
    try:
        with (
            searchpath_is_there(),
            broken_files_named(folders),
            initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="experiments"),
        ):
            config = hydra_compose("train", overrides=[*search, *words], return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        better = mended(error, words, lambda rest: composed_by_hydra(rest, search, folders)[1])
        if better is None:
            raise UserError(explain_refusal(error, words, folders)) from error
        return composed_by_hydra(better, search, folders)
    return list(words), config


def settle(
    config: DictConfig,
    overrides: Sequence[str],
    config_dirs: Sequence[str],
    folder: str | None = None,
    whole: bool = True,
) -> DictConfig:
    """Fills in what names the run, resolves every interpolation, and takes Hydra's own part away.

    Raises:
        UserError: when a value is missing or refers to what is not there.
    """
    refuse_unused(config.hydra)
    plain = OmegaConf.to_container(config, resolve=False)
    refuse_unread(overrides, plain)
    refuse_names(plain, config.hydra.runtime.choices)
    HydraConfig.instance().set_config(config)
    try:
        with open_dict(config):
            chosen = config.hydra.runtime.choices
            config.run.choices = {group: chosen.get(group) for group in GROUPS}
            config.run.overrides = list(overrides)
            config.run.config_dirs = list(config_dirs)
            place = str(folder or config.hydra.run.dir)
            names = choices_by_name(config)
            named = f"_{names['model'] or names['task']}_{names['data']}_"
            place = place.replace(f"_{chosen.get('model')}_{chosen.get('data')}_", named)
            config.run.dir = str(Path(place).absolute())
            runtime: Any = HydraConfig.get().runtime  # a node that Hydra types as its dataclass
            with read_write(runtime):  # for configs that ask for ${hydra:runtime.output_dir}
                runtime.output_dir = config.run.dir
            del config["hydra"]
        resolve(config)
    except OmegaConfBaseException as error:
        raise UserError(refusal(error)) from error
    if whole:
        refuse_missing(OmegaConf.missing_keys(config), config.run.choices, config_dirs)
    finish(config)
    OmegaConf.set_struct(config, True)
    return config


def finish(config: Any) -> None:
    """What follows from a resolved config's own values: see each of these; changed in place."""
    with open_dict(config) if isinstance(config, DictConfig) else nullcontext():
        fill_absent(config)
        leave_out_untaken(config, given_keys(config))
    settle_augmentation(config)
    take_over_published(config)
    place_weights(config)
    take_sizes(config)
    take_over_texts(config)
    take_over_labels(config)


def explain_refusal(error: Exception, overrides: Sequence[str], config_dirs: Sequence[str]) -> str:
    """Return one sentence for what Hydra refused, with the nearest names where a name is unknown."""
    text = str(error)
    if sentence := faulty_file(text, config_dirs):
        return sentence
    if isinstance(error, MissingConfigException) and (match := re.search(r"[Cc]ould not find '([^']*)'", text)):
        group, _, option = match.group(1).rpartition("/")
        return not_a_file(group, option, config_dirs) or unknown_option(group, option, options(group, config_dirs))
    if match := re.search(r"An item is already at '([^']+)'|Multiple values for ([^.]+)\.", text):
        start = f"+{match.group(1) or match.group(2)}="
        if word := next((word for word in overrides if word.startswith(start)), ""):
            return f"{word} would add what the config has already: drop the +, as in {word[1:]}"
    if match := re.search(r"Could not (?:override|delete|append|find).*?'([^']+)'", text):
        key, at, place = match.group(1).partition("@")
        if at and (word := next((word for word in overrides if word.lstrip("+~").startswith(match.group(1))), "")):
            return f"{word} names a place that no option stands in: write {key}={word.partition('=')[2]}"
        if at:
            return _misplaced(key, place, overrides)
        if str(inner := getattr(error.__cause__, "full_key", "")).startswith(f"{key}."):
            key = inner  # of a dictionary, as in trainer={max_epoch: 3}
        if meant := usual_key(key, overrides):
            return f"{key} is {meant} here: {_where(meant, overrides, config_dirs) or 'write that'}"
        if reason := not_a_key(key):
            return f"{key} is no key of this config: {reason}"
        if (
            key in LATE
            and "No match in the defaults list" in text
            and not any(word.startswith(f"{key}=") for word in overrides)
        ):
            return f"a file overrides {key}, and the data that it chooses names none: write  - /{key}: NAME  without override in that file"
        if "No match in the defaults list" in text or ("." not in key and "/" not in key):
            return unknown(key, "no group and no key", key, [*GROUPS, *_keys(config_dirs)])
        return _unknown_key(key, overrides, config_dirs)
    if isinstance(error, OverrideParseException):
        word = next((word for word in overrides if not _parses(word)), "")
        if meant := as_option(word, config_dirs):  # a bare name, such as lenet5
            return f"{word} is no key=value: write {meant}"
        if (Path(word) / "config.yaml").exists():
            return f"{word} is the folder of a run and no key=value: write resume={word} to resume the run"
        if re.fullmatch(r"[\w./-]+", word):
            return f"{word} is no key=value: write group=option or key=value, as model=lenet5 or optimizer.lr=0.01"
        return f"{word or 'the command line'} cannot be read as key=value ({first_line(error)}): {_quoted(word)}"
    if "Config group override must be" in text:  # precision=16, which reads as a number
        for word in overrides:
            group, _, option = word.lstrip("+").partition("=")
            if group in GROUPS and not isinstance(parse([word])[0].value(), str):
                return unknown_option(group, option, options(group, config_dirs))
    if match := re.search(r"Error merging override ([^=\s]+)=(\[.*)", text):
        key, value = match.groups()
        inside = next((below for below in _keys(config_dirs, overrides) if below.startswith(f"{key}.")), f"{key}.KEY")
        return f"{key}={value} is a list, and {key} is a group of keys: set these, as in {inside}=…"
    if match := re.search(r"Key '([^']+)' is not in struct", text):
        return _unknown_key(match.group(1), overrides, config_dirs)
    if match := re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", text):
        key, values = match.groups()
        return f"{key}={values} gives one run several values: add -m for a run with each{'' if key in GROUPS else f', or write {key}=[{values}] where it takes a list'}"
    return refusal(error) if isinstance(error, OmegaConfBaseException) else " ".join(text.split())


def _misplaced(key: str, place: str, overrides: Sequence[str]) -> str:
    """Says how a file overrides a group whose option stands elsewhere than the file says."""
    group = place.partition(".")[0]
    chosen = next((word for word in overrides if word.startswith(f"{group}=")), f"a file of {group}")
    cure = "begin its file with the line `# @package _global_`"
    if group not in OF_ALL:
        cure = f"write `- override /{key}@_global_.{key}: NAME` among its defaults"
    return f"{chosen} overrides {key} at {place}, where no option stands: {cure}"


def _where(key: str, overrides: Sequence[str], config_dirs: Sequence[str]) -> str:
    """Return which option of its group has a key that the chosen one has not; empty where the chosen one has it."""
    group = key.partition(".")[0]
    if (
        "=" in key
        or group == key
        or group not in GROUPS
        or not (all_keys := _keys(config_dirs, overrides))
        or key in all_keys
    ):
        return ""
    files = option_files(group, config_dirs)
    chosen = next((word.partition("=")[2] for word in overrides if word.startswith(f"{group}=")), "")

    def kind(option: str) -> Any:
        read = content(files[option]).get("reads")
        return read.get("kind") if isinstance(read, dict) else None

    reads = kind(chosen) if chosen in files else "image"  # which the default data give
    asks = {option: content(files[option]).get(key.rpartition(".")[2]) == "???" for option in files}
    having = sorted(options_with(key, config_dirs), key=lambda option: (not asks[option], kind(option) != reads))
    return f"choose an option of {group} that has it, as {group}={f' or {group}='.join(having[:3])}" if having else ""


def _unknown_key(key: str, overrides: Sequence[str], config_dirs: Sequence[str]) -> str:
    """Says that the config has no such key, and which option of the group has it, or which key is near."""
    group = key.partition(".")[0]
    if reason := not_a_key(key):
        return f"{key} is no key of this config: {reason}"
    if key == f"{group}._target_":
        return f"{group}=null leaves no place for {key}: leave {group}=null out"
    start = f"{group}._target_="
    target = next(
        (word.lstrip("+").removeprefix(start) for word in overrides if word.lstrip("+").startswith(start)), ""
    )
    if (taken := signature(target)) is not None and taken.annotations:
        return unknown(key, f"not taken by {target}", key.removeprefix(f"{group}."), list(taken.annotations))
    if group in GROUPS and (having := options_with(key, config_dirs)) and len(having) <= 3:
        return (
            f"{key} is a key of {group}={f' and {group}='.join(having)}: choose that, as in {group}={having[0]} {key}=…"
        )
    return unknown(key, "no key of this config", key, _keys(config_dirs, overrides))


def _quoted(word: str) -> str:
    """Return what to type in the place of a word whose value Hydra's grammar does not know, such as `{epoch}-{val_loss:.2f}`."""
    key, _, value = word.lstrip("+").partition("=")
    quoted = f"{key}='{value}'"
    if not value or set(value) & set("'\"$`") or not _parses(quoted):
        return "quote values with special characters"
    return f'quote its value for Hydra too, "{quoted}"'


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([word])
    except HydraException:
        return False
    return True


def parse(overrides: Sequence[str]) -> list[Any]:
    """Hydra's parsed overrides.

    Raises:
        UserError: for what is not in its grammar.
    """
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise UserError(explain_refusal(error, overrides, ())) from error


def _keys(config_dirs: Sequence[str], overrides: Sequence[str] = ()) -> list[str]:
    """Return every dotted key of the config that the group choices among the overrides give, but for what options say of themselves."""
    try:
        words = [word for word in overrides if "=" in word and "{" not in word]  # a dictionary chooses no option
        config = plain_config([word for word in words if word.split("=")[0].lstrip("+~") in GROUPS], config_dirs)
    except UserError:
        return []
    return [key for key in dotted(config) if not re.match(r"run\.|.*\.(_|about|gives|reads)", key)]


def dotted(node: Any, prefix: str = "") -> Iterator[str]:
    """Yield every key of a plain config, those of its parts after a dot."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")

"""What is refused of the words of a command line and of the files that they choose, before or after Hydra composes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.config.comments import comment_of
from experiments.config.misplaced_keys import refers
from experiments.config.options import GROUPS, conf_dir
from experiments.errors import UserError

OF_ALL = ("experiment", "debug", "sweep", "local")  # groups whose files set keys of all others


def refuse_hidden(config_dirs: Sequence[str]) -> None:
    """Refuse a user's config file that has the name of one of ours: Hydra would never read it.

    Raises:
        UserError: when there is such a file, and it says something else.
    """
    for ours in conf_dir().rglob("*.yaml") if config_dirs else ():
        name = ours.relative_to(conf_dir())
        for theirs in (Path(folder) / name for folder in config_dirs):
            if theirs.is_file() and not os.path.samefile(theirs, ours) and theirs.read_bytes() != ours.read_bytes():
                raise UserError(
                    f"{theirs} has the name of an option that is there already, which would be read in its place: "
                    f"rename it, as {name.with_stem(f'my_{name.stem}')}"
                )


def refuse_filled_in(overrides: Sequence[str], folder: str) -> None:
    """Refuse overrides of keys that a run fills in itself: they would have no effect.

    Args:
        overrides: in Hydra's syntax.
        folder: the key that says where to write.

    Raises:
        UserError: when there is such an override.
    """
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if key == "run.dir":
            raise UserError(f"{word} has no effect, because the run fills it in: write {folder}={value}")
        if key in ("run", "run.choices", "run.overrides", "run.config_dirs"):
            raise UserError(f"{word} has no effect, because the run fills it in: leave it out")


def refuse_lists(overrides: Sequence[str]) -> None:
    """Refuse a list where a group takes one option: Hydra would merge all of them.

    Raises:
        UserError: when there is such an override.
    """
    for word in overrides:
        key, _, value = word.lstrip("+~").partition("=")
        if key in GROUPS and value.startswith("[") and value.endswith("]"):
            if "_target_" in value:
                named = value[1:-1].strip()
                raise UserError(f"{word} is a list, and {key} takes each under a name: write {key}={{NAME: {named}}}")
            inside = value[1:-1].split(",")
            cure = f"{key}={inside[0].strip() or 'NAME'}"
            sweep = f", or sweep over them with -m {key}={','.join(inside)}" if len(inside) > 1 else ""
            raise UserError(f"{word} is a list, and {key} takes one option: write {cure}{sweep}")


def refuse_names(config: Any, chosen: Mapping[str, Any], others: Iterable[Any] = ()) -> None:
    """Refuse a file that gives an option's name where the keys of its group belong, and one whose keys stand where nothing reads them.

    Args:
        config: plain, its interpolations not resolved.
        chosen: the option of each group.
        others: further texts that may refer to such keys, such as the folder of a sweep.

    Raises:
        UserError: naming the line to write.
    """
    for group in OF_ALL:
        nodes, option = config.get(group), chosen.get(group) or ("default" if group == "local" else None)
        if option is None or not isinstance(nodes, dict) or not nodes:  # without an option a remark, +experiment.note=1
            continue
        if not refers(" ".join(map(str, (config, *others))), group):
            raise UserError(
                f"the keys of {group}={option} ({', '.join(map(str, nodes))}) stand where nothing reads them: "
                "begin its file with the line `# @package _global_`"
            )
    for group in GROUPS:
        if isinstance(config.get(group), str):
            name = config[group]
            raise UserError(
                f"{group}: {name} in a YAML file stands where the keys of that group belong: write `- override /{group}: {name}` "
                "among the file's defaults"
            )


def refuse_missing(keys: Iterable[str], choices: Mapping[str, Any], config_dirs: Sequence[str] = ()) -> None:
    """Refuse a config with missing values: name the first, with the comment of its file.

    Raises:
        UserError: when there is one.
    """
    missing = sorted(keys)
    if missing:
        comment = comment_of(missing[0], choices, config_dirs)
        raise UserError(f"{missing[0]} has no default: add {missing[0]}=…{f' ({comment})' if comment else ''}")

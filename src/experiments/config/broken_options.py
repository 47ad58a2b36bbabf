"""Files of options that nobody can read: one sentence with the file, and the line where one is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from experiments.config.options import GROUPS, conf_dir, describe, option_files
from experiments.errors import UserError, first_line
from experiments.system.bounded_files import read_bounded, read_yaml
from experiments.system.yaml_of_configs import strict_loader

_MAY_BE_EMPTY = ("callbacks", "logger", "debug")  # an empty file of callbacks means none
_PLAIN = "an option's file holds a line `key: value` for each key"


def refuse_broken(path: Path) -> None:
    """Raises for an option's file that cannot be read, or holds no keys.

    Raises:
        UserError: naming the file, the line where one is known, what is wrong and the cure.
    """
    try:
        state = path.stat()
        sentence = _what_is_wrong(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        sentence = f"{path} cannot be read ({error.strerror or error}): mend it, or take it away"
    if sentence:
        raise UserError(sentence)


@lru_cache(1000)  # a sweep composes its files for every run
def _what_is_wrong(path: Path, changed: int, size: int) -> str:
    try:
        content = read_yaml(path, strict_loader())
    except UnicodeDecodeError as error:
        line = read_bounded(path).count(b"\n", 0, error.start) + 1
        return f"{path}, line {line} is no text in UTF-8 (byte {error.object[error.start]:#x}): save the file in UTF-8"
    except ValueError as error:
        mark = getattr(error.__cause__, "problem_mark", None)
        problem = getattr(error.__cause__, "problem", None) or first_line(error)
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        return f"{place} is no YAML that can be read ({problem}): mend it; {_PLAIN}"
    ours = path.parent.name in GROUPS  # user-defined groups hold what they like
    if content is None and ours and path.parent.name not in _MAY_BE_EMPTY:
        return f"{path} is empty: write its keys into it, or take it away; {_PLAIN}"
    if content is not None and not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the single value {str(content)[:40]!r}"
        return f"{path} holds {kind} where keys belong: {_PLAIN}"
    for key in content or ():
        if ours and not isinstance(key, str):
            return f"{path} has the key {key!r}, which is no text: put it in quotes"
    return _wrong_defaults(path, (content or {}).get("defaults", []))


def _wrong_defaults(path: Path, listed: Any) -> str:
    if not isinstance(listed, list):
        return f"{path}: defaults is no list: write a line `  - group: option` below it for each"
    for entry in listed:
        pairs = list(entry.items()) if isinstance(entry, dict) else [(entry, None)]
        names = [name for _, name in pairs if name is not None]
        if (
            len(pairs) != 1
            or not isinstance(pairs[0][0], str)
            or not all(isinstance(part, (str, list)) for part in names)
        ):
            return f"{path}: {entry!r} among its defaults names no option: write `- group: option`, the option in quotes if it is a number"
    return ""


@contextmanager
def broken_files_named(config_dirs: Sequence[str] = ()) -> Iterator[None]:
    """Have Hydra refuse a broken file in our sentence, until the end of the block.

    Args:
        config_dirs: further folders of configs.

    Raises:
        UserError: for a broken file that Hydra reads, and for defaults of this machine that are no file.
    """
    from hydra.core.plugins import Plugins
    from hydra.plugins.config_source import ConfigSource

    readers: Any = Plugins.instance().discover(ConfigSource)
    reader = next(candidate for candidate in readers if candidate.scheme() == "file")
    ours = str(conf_dir())
    for folder in (ours, *config_dirs):
        local = Path(folder) / "local" / "default.yaml"
        if (local.exists() or local.is_symlink()) and not local.is_file():
            raise UserError(f"{local} is {_no_file(local)}: mend it, or take it away; {_PLAIN}")
    read = reader.load_config

    def load_config(self: Any, config_path: str) -> Any:
        path = Path(self.path) / f"{config_path.removesuffix('.yaml')}.yaml"
        if path.is_file() and not path.match("hydra/*.yaml"):
            refuse_broken(path)
        return read(self, config_path)

    reader.load_config = load_config
    try:
        yield
    finally:
        reader.load_config = read


def not_a_file(group: str, option: str, config_dirs: Sequence[str]) -> str:
    """Return a sentence where a folder or a broken link has the name of an option's file; else nothing."""
    for folder in config_dirs:
        path = Path(folder) / group / f"{option}.yaml"
        if path.is_symlink() or path.exists():
            return f"{path} is {_no_file(path)}: mend it, or take it away; {_PLAIN}"
    return ""


def faulty_file(refusal: str, config_dirs: Sequence[str]) -> str:
    """Return a sentence for what Hydra refused, where that lies in an option's file: its defaults, or the kind of a value.

    Args:
        refusal: what Hydra says.
        config_dirs: further folders of configs.
    """
    match = re.match(
        r"In '([\w/.-]+)': (?:Could not load '([^']+)'|\w+ raised while composing config:\s*(.+))", refusal
    )
    if not match:
        return ""
    option, missing, problem = match.groups()
    places = [Path(folder) / f"{option}.yaml" for folder in (str(conf_dir()), *config_dirs)]
    path = next((place for place in places if place.is_file()), places[0])
    if missing:
        return f"{path}: its defaults name {missing}, and there is no such file: write `- group: option`, or take the line away"
    what = (
        "a list or a value stands where the config has keys, or keys where it has a value"
        if "Cannot merge" in problem
        else problem
    )
    return f"{path} does not fit the config ({what}): experiments train --help shows what stands where"


def descriptions(group: str, config_dirs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each option of a group says of itself.

    Raises:
        UserError: for a broken file.
    """
    for folder in (conf_dir(), *map(Path, config_dirs)):
        for path in (folder / group).glob("*.yaml"):
            if not path.is_file():
                raise UserError(not_a_file(group, path.stem, [str(folder)]))
    return {name: description(path) for name, path in option_files(group, config_dirs).items()}


def description(path: Path) -> dict[str, Any]:
    """Return what an option's file says of itself.

    Raises:
        UserError: when the file is broken.
    """
    try:
        return describe(path)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError):
        refuse_broken(path)
        return {"title": ""}


def _no_file(path: Path) -> str:
    return "a folder" if path.is_dir() else "a link to nothing" if path.is_symlink() else "no plain file"

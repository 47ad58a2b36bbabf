"""What the YAML files say of their keys: the comment behind a key, or above it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from experiments.config.options import conf_dir, content, defaults_of, option_files

_KEY = re.compile(r"^(\s*)([\w.]+|'[^']+'|\"[^\"]+\"):(?:\s|$)")


@cache
def comments(path: Path) -> dict[str, str]:
    """Return the comment of each dotted key of a file; one above a key counts where none stands behind it."""
    comments_by_key: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    above: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().lstrip("#").strip())
            continue
        match = _KEY.match(line)
        if match is None:
            above = []
            continue
        indent, name = len(match.group(1)), match.group(2).strip("'\"")
        stack = [level for level in stack if level[0] < indent] + [(indent, name)]
        behind = _behind(line)
        comment = behind or (" ".join(above) if stack[0][1] != name or (above and len(stack) > 1) else "")
        if comment:
            comments_by_key[".".join(level for _, level in stack)] = comment
        above = []
    return comments_by_key


def _behind(line: str) -> str:
    """Return what follows ` #` outside of quotes."""
    quote = ""
    for place, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not (place and line[place - 1].isalnum()):
            quote = letter
        elif letter == "#" and place and line[place - 1].isspace():
            return line[place + 1 :].strip()
    return ""


def files_of(group: str, option: str, config_dirs: Sequence[str] = ()) -> Iterator[Path]:
    """Yield the file of an option, and those of the options that it changes."""
    waiting, seen = [option], set()
    files = option_files(group, config_dirs, bases=True)
    while waiting:
        name = waiting.pop(0)
        path = files.get(name) or conf_dir() / group / f"{name}.yaml"
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        yield path
        waiting += [entry.option for entry in defaults_of(content(path), group) if not entry.key]


def comment_of(key: str, choices: Mapping[str, Any], config_dirs: Sequence[str] = ()) -> str:
    """Return what is said of a dotted key of the config that some choices make; empty where nothing is.

    Args:
        key: such as `data.validation`.
        choices: the option of each group.
        config_dirs: further folders of configs.
    """
    group, _, rest = key.partition(".")
    whole = comments(conf_dir() / "train.yaml").get(key, "")
    if whole or not rest or not choices.get(group):
        return whole
    for path in files_of(group, str(choices[group]), config_dirs):
        if comment := comments(path).get(rest):
            return comment
    return ""


def with_comments(text: str, choices: Mapping[str, Any], config_dirs: Sequence[str] = ()) -> str:
    """Return a config as YAML, with what is said of each key behind it."""
    stack: list[tuple[int, str]] = []
    lines = []
    for line in text.splitlines():
        match = _KEY.match(line)
        if match is not None:
            indent = len(match.group(1))
            stack = [level for level in stack if level[0] < indent] + [(indent, match.group(2).strip("'\""))]
            if comment := comment_of(".".join(name for _, name in stack), choices, config_dirs):
                line = f"{line:<40} # {comment}"
        lines.append(line)
    return "\n".join(lines) + ("\n" if text.endswith("\n") else "")

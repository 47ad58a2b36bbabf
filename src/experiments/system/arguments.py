"""A parser of a command's options whose errors are one sentence, as all others are."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from experiments.errors import UserError
from experiments.system.terminal import filled

_KINDS = {"int": "a whole number", "float": "a number", "new_folder": "a folder, for several files are written"}


def flat(given: Iterable[Any]) -> list[Any]:
    """Return the arguments of a call, each of which may be a list of them."""
    return [item for part in given for item in (part if isinstance(part, (list, tuple)) else [part])]


def new_folder(text: str) -> Path:
    """Read the name of a folder that several files are written to.

    Raises:
        ValueError: for a name that ends like that of a file, as somebody types who expects one.
    """
    path = Path(text)
    if path.suffix.lower() in (".png", ".svg", ".pdf", ".jpg", ".webp", ".html", ".htm") and not path.is_dir():
        raise ValueError
    return path


class Parser(argparse.ArgumentParser):
    """Reads the options of a command; what is wrong with them is a UserError.

    Args:
        prog: the command.
        about: what its help says first; its lines are folded as those of the options are.
    """

    def __init__(self, prog: str, about: str = "") -> None:
        shown = argparse.RawDescriptionHelpFormatter  # a list in the text stays one
        super().__init__(prog, description=filled(about), formatter_class=shown)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read words and options in any order: argparse itself takes no words behind an option that follows one."""
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises what argparse has found, in this project's words.

        Raises:
            UserError: always.
        """
        raise UserError(self._reworded(message))

    def _reworded(self, message: str) -> str:
        more = f"see {self.prog} --help"
        if match := re.fullmatch(r"argument (\S+?)(?:/\S+)?: invalid (\w+) value: '(.*)'", message):
            name, kind, value = match.groups()
            return f"{name} {value} must be {_KINDS.get(kind, kind)}: {more}"
        if match := re.fullmatch(r"argument (\S+?)(?:/\S+)?: invalid choice: '(.*)' \(choose from (.*)\)", message):
            name, value, choices = match.groups()
            return f"{name} {value} is no choice: choose from {choices.replace(chr(39), '')}"
        if match := re.fullmatch(r"argument (\S+?)(?:/\S+)?: expected (one|at least one) argument", message):
            return f"{match[1]} needs a value: {more}"
        if match := re.fullmatch(r"the following arguments are required: (.*)", message):
            free = re.findall(r"\[([A-Z]+)", self.format_usage())  # INPUT of [INPUT ...]
            return f"{self.prog} needs {', '.join(name for name in match[1].split(', ') if name not in free)}: {more}"
        if match := re.fullmatch(r"unrecognized arguments: (.*)", message):
            word = match[1].split()[0]
            choices = re.findall(r"--[\w-]+", self.format_usage())
            near = difflib.get_close_matches(word.partition("=")[0], choices, n=2, cutoff=0.6)
            return f"{word} is no option of {self.prog}: {f'did you mean {near[0]}?' if near else more}"
        return f"{message}: {more}"

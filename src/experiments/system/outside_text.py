"""Text from outside, such as names of classes and files, as it may be shown or written into a table."""

from __future__ import annotations

import codecs
import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

_INSTEAD = "\N{REPLACEMENT CHARACTER}"
_KEPT = "\n\t"
_JOINERS = "\u200c\u200d"  # letters of Hindi and others need them

_variables: set[str] = set()  # of the environment, that a config of this process reads
_FEWEST = 4  # letters of a value that is looked for in what is said


def note_variables(names: Iterable[str]) -> None:
    """Remember which variables of the environment a config reads: their values may be secrets."""
    _variables.update(names)


def concealed(text: str) -> str:
    """Return a text with `${oc.env:NAME}` where it says the value of a variable that a config reads, as in the config."""
    values = {name: os.environ.get(name, "") for name in _variables if not name.startswith("EXPERIMENTS_")}
    for name, value in sorted(values.items(), key=lambda pair: -len(pair[1])):
        if len(value) >= _FEWEST:
            text = text.replace(value, f"${{oc.env:{name}}}")
    return text


def clean(text: str) -> str:
    """Text without what a terminal or a viewer would obey: control characters, changes of direction, broken Unicode."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in _KEPT + _JOINERS else _INSTEAD for letter in text)


def cell(value: Any) -> str:
    """Text as a cell of a CSV file: clean, and never a formula of a spreadsheet."""
    text = clean(str(value))
    if len(text) > 1 and text[0] in "=+-@\t\r" and not _is_number(text):
        return f"'{text}"
    return text


def json_text(value: Any) -> str:
    """Plain Python as indented JSON, in which what cannot be shown is written as its number."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n" + _JOINERS else json.dumps(letter)[1:-1] for letter in text
    )


_ASCII = {"─": "-", "—": "-", "–": "-", "−": "-", "×": "x", "·": "-", "…": "...", "±": "+-", "≥": ">=", "≤": "<=", "→": "->",
          "µ": "u", "’": "'", "“": '"', "”": '"', "⏎": " / ", "✓": "ok", "█": "#", "▁": "_"}  # fmt: skip


def _spelled(error: UnicodeError) -> tuple[str | bytes, int]:
    """Stands for letters that the output cannot have: their usual spelling, or a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_ASCII.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


class _Clean(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def speak_everywhere() -> None:
    """Lets this process print any text where the output knows few letters, and warnings nothing that a terminal obeys."""
    codecs.register_error("spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # closed, or no text file
            stream.reconfigure(errors="spelled")  # type: ignore[union-attr]
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Clean())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

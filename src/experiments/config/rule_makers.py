"""What a rule for the value of a key is made of."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from omegaconf import DictConfig


class ValueRule(NamedTuple):
    """What the value of a key must be."""

    kind: type  # int, float (takes whole numbers too), str, list, or object for anything
    words: str
    holds: Callable[[Any], bool]
    cure: str
    optional: bool = False  # may be null
    choices: tuple[str, ...] = ()  # where it is one of some words


def whole_number(least: int, cure: str, optional: bool = False) -> ValueRule:
    words = f"a whole number, {least} or more{', or null' if optional else ''}"
    return ValueRule(int, words, lambda v: v >= least, cure, optional)


def one_of(*words: str, optional: bool = False) -> ValueRule:
    *first, last = [*words, *(["null"] if optional else [])]
    return ValueRule(str, f"{', '.join(first)} or {last}", lambda v: v in words, words[0], optional, words)


def below_one(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1


def amount(*, whole: bool = False, word: str = "") -> ValueRule:
    """Return the rule of a count (a whole number) or a share; a share may be 1.0 where `whole`, and a word where there is one."""

    def holds(value: Any) -> bool:
        if isinstance(value, (str, bool)) or not isinstance(value, (int, float)):
            return bool(word) and value == word
        return value >= 1 if isinstance(value, int) else 0 < value < 1 or (whole and value == 1)

    share = "a share up to 1.0" if whole else "a share below 1"
    words = f"{share}, a number of examples, or {word}" if word else f"{share}, or a number of examples"
    return ValueRule(object, words, holds, "0.1")


_UNITS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")


def is_time(value: Any) -> bool:
    """Tell whether Lightning takes a value as a length of time."""
    if isinstance(value, str):
        return bool(re.fullmatch(r"\d+(:\d\d){3}", value.strip()))
    return isinstance(value, (dict, DictConfig)) and all(
        unit in _UNITS and isinstance(number, (int, float)) for unit, number in value.items()
    )


TIME = "a time, as '00:12:00:00' (days, hours, minutes, seconds) or {hours: 12}"

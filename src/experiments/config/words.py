"""The words of a command line, sorted: overrides, folders of configs, options, packages to trust. Never imports torch."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.errors import UserError


def split_words(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Overrides, folders after --config-dir, and Hydra's other switches."""
    overrides, folders, switches = [], [], []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in ("--config-dir", "-cd"):
            folder = value if equals else next(rest, None)
            if not folder:
                raise UserError("--config-dir needs a folder: --config-dir FOLDER")
            folders.append(folder)
        elif word.startswith("-"):
            switches.append(word)
            if word in ("--cfg", "-c", "--package", "-p", "--info", "-i", "--config-name", "-cn"):
                switches.append(next(rest, ""))
        else:
            overrides.append(word)
    return overrides, folders, switches


def option(name: str, words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the value of an option such as --reads, None where it is not there, and the other words.

    Raises:
        UserError: when the option has no value.
    """
    values, others = _values(name, words, f"{name} needs a value: {name} VALUE")
    return values[-1] if values else None, others


def split_trust(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the packages after --trust, and the other words.

    Raises:
        UserError: when --trust names none.
    """
    values, others = _values("--trust", words, "--trust needs the name of a package: --trust PACKAGE")
    return [package for value in values for package in value.split(",")], others


def _values(name: str, words: Sequence[str], missing: str) -> tuple[list[str], list[str]]:
    """Return the values of an option, `--name VALUE` or `--name=VALUE`, and the other words; `missing` is said of none."""
    values, others = [], []
    rest = iter(words)
    for word in rest:
        own, equals, value = word.partition("=")
        if own != name:
            others.append(word)
            continue
        value = value if equals else next(rest, "")
        if not value or value.startswith("-"):
            raise UserError(missing)
        values.append(value)
    return values, others

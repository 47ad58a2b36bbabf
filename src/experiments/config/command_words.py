"""The words of a command line, sorted: overrides, folders of configs, options, packages to trust."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.errors import UserError

_VALUED = (
    "--cfg", "-c", "--package", "-p", "--info", "-i", "--config-name", "-cn", "--config-path", "-cp", "--experimental-rerun",
)  # fmt: skip
_ALONE = ("-m", "--multirun", "-h", "--help", "--hydra-help", "--version", "--resolve", "-r", "--run", "-q", "-v")
_SHOWS = {  # of Hydra's switches that show something, what they take
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
_LONG = {"-c": "--cfg", "-i": "--info", "-p": "--package", "-cn": "--config-name", "-cp": "--config-path"}
_REFUSED = {
    "--config-name": "every run begins with train.yaml: put {value}.yaml into the folder experiment of a --config-dir and write experiment={value}",
    "--config-path": "it would take the options of this project away: write --config-dir {value}, whose groups stand beside them",
    "--experimental-rerun": "a run starts from its own config.yaml: write resume=FOLDER",
}


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
            if word in _VALUED:
                switches.append(next(rest, ""))
        else:
            overrides.append(word)
    return overrides, folders, switches


def settled_switches(switches: Sequence[str]) -> list[str]:
    """Return the switches that Hydra is to answer, without those that mean one run.

    Args:
        switches: as `split_words` gives them, each value behind its switch.

    Raises:
        UserError: for a switch that is unknown, has no effect here, or has no such value.
    """
    settled: list[str] = []
    rest = iter(switches)
    for word in rest:
        short, equals, value = word.partition("=")
        name = _LONG.get(short, short)
        if not equals and short in _VALUED:
            value = next(rest, "")
        if name in _REFUSED and not (name == "--config-name" and value == "train"):
            raise UserError(
                f"{short} {value}".rstrip() + f" has no effect: {_REFUSED[name].format(value=value or 'NAME')}"
            )
        if name in _SHOWS and value not in _SHOWS[name]:
            raise UserError(f"{short} shows one of {', '.join(_SHOWS[name])}: write {short} {_SHOWS[name][0]}")
        if name not in (*_ALONE, *_SHOWS, "--package", "--config-name"):
            from experiments.config.command_suggestions import unknown_switch

            raise UserError(unknown_switch(word, [*_ALONE, *_SHOWS, "--package", "--config-dir"]))
        if name not in ("-r", "--run", "--config-name"):
            settled += [name, value] if name in (*_SHOWS, "--package") else [word]
    if {"--package", "--resolve"} & set(settled) and not {"--cfg", "--help", "-h"} & set(settled):
        raise UserError("--package and --resolve say what --cfg shows: add --cfg job")
    return settled


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

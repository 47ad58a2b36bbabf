"""The words of a sweep as Hydra reads them, those of one that resumes too."""

from __future__ import annotations

import os
import re
from pathlib import Path

from experiments.config.chosen_in_files import with_choices_of_files
from experiments.config.command_words import settled_switches, split_words
from experiments.config.quoting import quoted
from experiments.errors import UserError


def sweep_words(words: list[str]) -> list[str]:
    """Return the words of a sweep as Hydra reads them: switches first, conditions in quotes, and for resume=SWEEP that
    one's runs and settings.
    """
    given, folders, switches = split_words(words)
    switches = settled_switches(switches)
    if "--hydra-help" in switches:  # which Hydra answers without a config of ours
        return ["--hydra-help"]
    for word in given:
        if word.startswith("hydra.run.dir=") and {"-m", "--multirun"} & set(switches):
            raise UserError(
                f"{word} would have no effect on a sweep, whose runs lie in its own folder: write hydra.sweep.dir={word.partition('=')[2]}"
            )
    resume = [word.partition("=")[2] for word in given if word.startswith("resume=")]
    if len(folders) > 1 and (resume or {"-m", "--multirun"} & set(switches)):
        raise UserError(
            f"--config-dir is given {len(folders)} times, and a sweep takes one: put the others into its hydra.searchpath"
        )
    if {"-m", "--multirun"} & set(switches):
        from experiments.config.compose import without_searchpath

        _, places = without_searchpath(given)
        given = with_choices_of_files(given, [*folders, *(place for place in places if "://" not in place)])
    given = _left_to_runs([_quoted_condition(word) for word in given])
    if resume and not resume[-1]:
        raise UserError("resume= names no sweep: write resume=FOLDER, or leave it out to begin a new one")
    if not resume or resume[-1] == "null":
        return [*switches, *(f"--config-dir={place}" for place in folders), *given]
    from experiments.sweep.folder import read_sweep, require_own

    folder = Path(os.path.abspath(resume[-1]))
    require_own(folder)
    sweep = read_sweep(folder)
    given = [word for word in given if not word.startswith("resume=")]
    names = {word.partition("=")[0] for word in given}
    kept = [word for word in sweep.settings if word.partition("=")[0] not in names]
    dirs = [f"--config-dir={place}" for place in folders or sweep.config_dirs]
    own = [f"{key}={quoted(str(folder))}" for key in ("hydra.sweep.dir", "hydra.sweeper.resume")]
    return [*dict.fromkeys(["-m", *switches]), *dirs, *kept, *given, *own]


def _quoted_condition(word: str) -> str:
    """`launcher.exclude=model=='mlp'` as Hydra reads it: in quotes, unless it is in quotes, brackets or null already."""
    key, _, value = word.partition("=")
    if key != "launcher.exclude" or not value or value == "null" or value[0] in "[\"'":
        return word
    return f"{key}={quoted(value)}"


def _left_to_runs(words: list[str]) -> list[str]:
    """Words such as `model.width=64` beside `model=a,b`, as sweeps over one value: Hydra leaves these to the runs, and any other
    it asks of the option that the group has by default."""
    if any(word.startswith("hydra/sweeper=") for word in words):  # for a search it would be a part of the space
        return words
    swept = {
        key for key, _, value in (word.partition("=") for word in words) if "." not in key and re.search("[,(]", value)
    }

    def resolved(word: str) -> str:
        key, _, value = word.partition("=")
        group, dot, _ = key.lstrip("+").partition(".")
        outside = re.sub(r"""'[^']*'|"[^"]*"|\[.*\]|\{.*\}""", "", value)  # quotes and brackets
        return f"{key}=choice({value})" if dot and group in swept and value and not re.search("[,(]", outside) else word

    return [resolved(word) for word in words]

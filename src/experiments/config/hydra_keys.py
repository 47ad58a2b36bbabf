"""Keys of Hydra's own that a run would not follow: each is refused in one sentence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from experiments.errors import UserError

_FILLED_IN = re.compile(r"hydra\.(runtime|overrides|job\.(id|num|override_dirname|config_name|config|env_copy))\b")
_READ_BY_ALL = ("seed", "weights", "resume", "features", "launcher")  # keys of train.yaml itself
_GROUPED = {"features": "features.cache", "launcher": "launcher.jobs"}
_LOGGING = ("hydra/job_logging", "hydra/hydra_logging", "hydra/help", "hydra/hydra_help")
_SAYING = tuple(f"{group.replace('/', '.')}." for group in _LOGGING)
_SILENT = (
    "{} has no effect, because a run prints by itself and a job of a sweep writes job.log: leave it out, and take -q or -v for "
    "less or more"
)
_ENVIRONMENT = (
    "hydra.job.env_set has no effect, because processes of a run start from its config.yaml: set {} in the shell"
)
_CALLBACKS = (
    "hydra.callbacks has no effect, because each run starts from its config.yaml: use callbacks.NAME._target_ with a callback "
    "of Lightning"
)
_WHOLE = (*_READ_BY_ALL, "freezing", "precision")  # groups whose every key is read


def refuse_words(words: Sequence[str]) -> None:
    """Raises for a word about Hydra's own part that would have no effect, and for one that takes away what every run reads.

    Args:
        words: overrides.

    Raises:
        UserError: when there is one.
    """
    for word in words:
        key, _, value = word.lstrip("+~").partition("=")
        root, dot, _ = key.partition(".")
        if key.startswith(_SAYING) or (key in _LOGGING and value not in ("none", "disabled", "null")):
            raise UserError(_SILENT.format(word))
        if word.startswith("~") and (key in _READ_BY_ALL or (dot and root in _WHOLE)):
            raise UserError(
                f"{word} takes away what every run reads: {'set its keys' if key in _GROUPED else 'set it'} instead, as in {_GROUPED.get(key, key)}=…"
            )
        if key in ("hydra.run.dir", "hydra.sweep.dir") and value.strip("'\"") in ("", "null"):
            raise UserError(f"{word} names no folder: write {key}=FOLDER, or leave it out")
        if key.startswith("hydra.job.env_set."):
            raise UserError(_ENVIRONMENT.format(key.rpartition(".")[2]))
        if key.startswith("hydra.callbacks."):
            raise UserError(_CALLBACKS)
        if word.startswith("+hydra.") and not key.startswith(("hydra.sweeper.", "hydra.launcher.")):
            raise UserError(f"{word} would have no effect, because Hydra reads no {key}: leave it out")
        if key.startswith("hydra.") and "," in value and sweeps_over(word):
            raise UserError(several_of_hydra(word))
        if match := _FILLED_IN.match(key):
            raise UserError(f"{word} would have no effect, because Hydra fills {match.group()} in: leave it out")
        if key == "hydra.job.name" and not any("hydra:job.name" in other for other in words):
            raise UserError(
                f"{word} would have no effect, because nothing asks for it: name the folder with hydra.run.dir or hydra.sweep.dir, "
                "which may ask for ${hydra:job.name}"
            )


def sweeps_over(word: str) -> bool:
    """Tell whether Hydra takes a word for several values; commas in quotes, lists and interpolations separate none."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except OverrideParseException:  # which is said elsewhere
        return False


def several_of_hydra(word: str) -> str:
    """Say what to write in place of several values for a key of Hydra's own, or for one below its null."""
    key, _, value = word.lstrip("+~").partition("=")
    if key.startswith("hydra.sweeper.params."):
        return f"{word} is a key of Hydra's own: write {key.removeprefix('hydra.sweeper.params.')}={value.strip(chr(39) + chr(34))}"
    return f"{word} is a key of Hydra's own and takes one value: give one, or quote a text with commas"


def words_given(hydra: Any, part: str = "task") -> list[str]:
    """Return the words of a command line as they were typed: what one refers to, as in `optimizer.lr=${rate}`, may be set by
    each run of a sweep alone.

    Args:
        hydra: that part of a composed config.
        part: "task", or "hydra" for the words about that part itself.
    """
    from omegaconf import OmegaConf

    overrides: Any = OmegaConf.to_container(hydra.overrides, resolve=False)
    return [str(word) for word in overrides[part]]


@contextmanager
def searchpath_is_there() -> Iterator[None]:
    """Turn Hydra's warning of a place of hydra.searchpath that is not there into an error.

    Raises:
        UserError: when there is such a place.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", r"provider=.* is not available")
        try:
            yield
        except UserWarning as warning:
            place = re.search(r"path=(\S+) is not available", str(warning))
            raise UserError(
                f"hydra.searchpath names {place.group(1) if place else warning}, which is not there: name a folder that holds "
                "model/, data/ or other groups, as in hydra.searchpath=[file:///home/me/conf]"
            ) from warning


def refuse_unused(hydra: Any) -> None:
    """Raises for a key under `hydra.` that would have no effect.

    Args:
        hydra: that part of a composed config.

    Raises:
        UserError: when there is one.
    """
    job = hydra.get("job") or {}
    if job.get("chdir"):
        raise UserError(
            "hydra.job.chdir=true has no effect, because a run stays where it was started: write paths as ${run.dir}/…"
        )
    if job.get("env_set"):
        raise UserError(_ENVIRONMENT.format(", ".join(job["env_set"])))
    if hydra.get("output_subdir"):
        raise UserError(
            f"hydra.output_subdir={hydra['output_subdir']} has no effect, because config.yaml lies in the run's folder: leave it out"
        )
    if hydra.get("callbacks"):
        raise UserError(_CALLBACKS)
    for kind in ("job_logging", "hydra_logging"):
        if (chosen := hydra.runtime.choices.get(f"hydra/{kind}")) not in (None, "none", "disabled"):
            raise UserError(_SILENT.format(f"hydra/{kind}={chosen}"))
    if hydra.get("verbose"):
        raise UserError(
            f"hydra.verbose={hydra['verbose']} has no effect: set EXPERIMENTS_DEBUG=1 in the shell for tracebacks"
        )


def refuse_sweep(hydra: Any, words: Sequence[str] = (), recorded: bool = False) -> None:
    """Raises where a single run is asked for and its config says that it is a sweep, which would run as one run.

    Args:
        hydra: that part of a composed config.
        words: overrides.
        recorded: whether a run has begun with these, which may be one of such a sweep.

    Raises:
        UserError: when it does.
    """
    for word in words:
        if word.startswith("hydra.sweep."):
            raise UserError(
                f"{word} would have no effect on one run: write hydra.run.dir=FOLDER, or add -m for a sweep"
            )
    if recorded:
        return
    if str(hydra.get("mode") or "").endswith("MULTIRUN"):
        raise UserError(
            "hydra.mode=MULTIRUN makes a sweep, and this command makes one run: add -m, as in experiments train -m"
        )
    if (named := hydra.runtime.choices.get("sweep")) is not None:
        raise UserError(
            f"sweep={named} makes a sweep, and this command makes one run: add -m, as in experiments train -m"
        )
    for kind, usual in (("launcher", "processes"), ("sweeper", "cells")):
        chosen = hydra.runtime.choices.get(f"hydra/{kind}")
        if chosen not in (None, usual):
            raise UserError(
                f"hydra/{kind}={chosen} has no effect on one run: add -m for a sweep, as in experiments train -m, or leave it out"
            )

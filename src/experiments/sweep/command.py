"""`experiments train -m` and `check -m`, and what Hydra answers itself (--help, --cfg, --info)."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys

from experiments.config.command_words import split_words
from experiments.errors import UserError
from experiments.sweep.command_words import sweep_words
from experiments.system.terminal import done_waiting, fitted, waiting_for


def main(words: list[str]) -> int:
    """Runs a sweep or a search, or shows what Hydra shows."""
    words = sweep_words(words)
    if set(split_words(words)[2]) <= {"-m", "--multirun"}:
        waiting_for("reading the sweep")
    else:
        done_waiting()  # Hydra prints what was asked for
    with _torch_ahead(words):
        return _hydra(words)


def check(words: list[str]) -> int:
    """Says what a sweep would do, and runs nothing."""
    waiting_for("reading the sweep")
    return _hydra([*sweep_words(words), "launcher.only_check=true"])


def _torch_ahead(words: list[str]) -> contextlib.AbstractContextManager[None]:
    """For a sweep on this machine, where another core is free for it."""
    from experiments.config.devices import cores
    from experiments.system.processes import can_fork

    overrides, _, switches = split_words(words)
    elsewhere = any(word.startswith("hydra/launcher=") and word != "hydra/launcher=processes" for word in overrides)
    elsewhere = elsewhere or "launcher.start=spawn" in overrides or not can_fork()
    if not set(switches) <= {"-m", "--multirun"} or elsewhere or cores() < 2:
        return contextlib.nullcontext()
    from experiments.sweep.backends.forked_processes import started_ahead

    return started_ahead()


def _hydra(words: list[str]) -> int:
    """Return what Hydra does itself: --help, --cfg, --info, and -m."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come here instead of ending the process
    from hydra import main as hydra_main
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from experiments.config.broken_options import broken_files_named
    from experiments.config.compose import compose, explain_refusal
    from experiments.config.hydra_keys import refuse_words, searchpath_is_there, several_of_hydra, sweeps_over
    from experiments.config.options import conf_dir
    from experiments.config.shorthand import mended, spelled_out
    from experiments.sweep.hydra_job import run_here

    overrides, folders, _ = split_words(words)
    refuse_words(overrides)
    words = spelled_out(words)
    before, sys.argv = sys.argv, ["experiments", *words]
    output = io.StringIO()
    try:
        shown = contextlib.redirect_stdout(output) if {"-h", "--help"} & set(words) else contextlib.nullcontext()
        with shown, searchpath_is_there(), broken_files_named(folders):
            hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(run_here)()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        fixed = [word for word in overrides if not sweeps_over(word)]
        better = mended(error, words, lambda rest: compose([w for w in rest if w in fixed], folders, whole=False))
        if better is None:
            raise UserError(explain_refusal(error, overrides, folders)) from error
        return _hydra(better)
    except AttributeError as error:  # as OmegaConf merges keys into null
        if not (key := re.search(r"full_key: (\S+)", str(error))):
            raise
        raise UserError(
            f"{key[1]} is null, and Hydra adds no keys to it from a command line: set them in a file of a --config-dir"
        ) from error
    except AssertionError as error:  # as OmegaConf adds keys below null
        below = [word for word in overrides if word.lstrip("+").startswith("hydra.sweeper.params.")]
        if not below:
            raise
        raise UserError(several_of_hydra(below[0])) from error
    except SystemExit as leaving:
        return 2 if leaving.code else 0  # such as a part of the config that --package does not find
    finally:
        sys.argv = before
        text = re.sub(r"(?<=[ ])_\w+, ", "", output.getvalue())  # bases of options are none themselves
        print(fitted(_commented(text, overrides, folders)), end="")
    return 0


def _commented(text: str, overrides: list[str], folders: list[str]) -> str:
    """Return the help of `train`, with what the YAML files say of each key behind it."""
    from experiments.config.comments import with_comments
    from experiments.config.compose import compose

    head, mark, config = text.partition("The config that these words make")
    if not mark:
        return text
    try:
        choices = compose(overrides, folders, whole=False).run.choices
    except UserError:
        return text
    return head + mark + with_comments(config, choices, folders)

"""The `experiments` command: which function answers which word, and what an error is to the shell. Imports Hydra and torch only where a command needs them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from experiments.config.command_words import settled_switches, split_trust, split_words
from experiments.errors import (
    Interrupted,
    RunFailed,
    UserError,
    debugging,
    how_to_resume,
    in_short,
)
from experiments.speedups.process_exit import announce, leave
from experiments.system.fresh_python import look_here_last, read_names_as_utf8
from experiments.system.outside_text import clean, concealed, speak_everywhere
from experiments.system.signals import stop, stop_behind
from experiments.system.terminal import done_waiting, fitted, speaking, split_level, waiting_for

HELP = """\
experiments: pick a model, a dataset, a freezing strategy and a precision; train, sweep, compare.

  experiments train [group=option …] [key=value …]     train, test and record one run
  experiments train -m model=a,b seed=0,1,2            sweep: one run for each combination
  experiments train resume=RUN                         resume a run or a sweep that stopped
  experiments status SWEEP                             how a sweep stands
  experiments check [-m] [group=option …] [key=value …]  what is wrong with a config or a sweep, without running it
  experiments list models|data|tasks|… [WORD…]         what there is; list models --reads text; list tables: the course's
  experiments explain KEY|GROUP|GROUP=OPTION           what a key means, its default, what it may be
  experiments layers [model=… data=…] [--purpose]      layer table: filters, output shapes, parameters
  experiments layers --compare model=lenet5,vgg16      models side by side: year, layers, parameters, FLOPs, idea, use
  experiments draw model=…|RUN [freezing=…]            the network as a picture (SVG, PNG, light and dark) and as Mermaid
  experiments compare PATH…                            table of the runs below some folders
  experiments evaluate RUN [key=value …]               test a run again, also on other data
  experiments predict RUN INPUT…                       what a run says of new inputs, such as image files
  experiments evaluate|predict model=… weights=… …     the same for published weights, without a run
  experiments benchmark [model=… data=…]               examples a second by precision, memory format and batch size
  experiments show RUN [IMAGE…]                        what the network looks for, as pictures and a page
  experiments export RUN --format FORMAT               the network as safetensors, torch-export or onnx
  experiments board [outputs|SWEEP|RUN]                TensorBoard on the right folder
  experiments lr RUN|[group=option …]                  which learning rate: a range test with its picture
  experiments profile RUN|[group=option …]             where a training step's time goes: tables and a trace
  experiments batch_size [group=option …]              speed and memory by batch size, and which to take
  experiments demo RUN                                 a page in the browser to try a run on
  experiments serve RUN                                a run's answers over HTTP
  experiments completion bash|zsh|fish                 what makes Tab complete commands, options, keys and runs
  experiments claim NAME [size=small|full]             test a claim of the course by a sweep; --list shows all verdicts

  train takes -q (warnings, errors and the result's folder alone) and -v (all choices, versions and settings).
  experiments COMMAND --help tells more; experiments train --help lists every group and key.
  --trust PACKAGE lets a run folder that was not made here name classes of a package; nothing else of it is run.
  EXPERIMENTS_DATA=FOLDER says where datasets live; EXPERIMENTS_DEBUG=1 shows tracebacks.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code: 0, 1 for a failure, 2 for the user's mistake, 128 + signal."""
    speak_everywhere()
    words = list(sys.argv[1:] if arguments is None else arguments)
    changed = _changed_run(words)  # now, as a run that is resumed writes its config anew
    try:
        return _run(list(words))
    except UserError as error:
        return _say(error, 2)
    except (RunFailed, Interrupted, KeyboardInterrupt) as error:
        return _say(error, 1)
    except BrokenPipeError:  # the reader of a pipe, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, ImportError):
            from experiments.config.needed_packages import of_import_error

            if sentence := of_import_error(error):
                return _say(error, 2, sentence)
        if isinstance(error, OSError) and error.filename and error.errno in _OF_PLACES and words[:1] != ["train"]:
            return _say(error, 2, f"{error.filename} cannot be read or written ({error.strerror}): name another place")
        if changed and isinstance(error, (TypeError, ValueError, AttributeError, LookupError)):
            cause = f"{changed} was not written here, or changed since, and makes no run"
            return _say(error, 2, f"{cause} ({in_short(error)}): restore it from a copy")
        return _say(error, 1, in_short(error))


_OF_PLACES = (
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip


def _changed_run(words: Sequence[str]) -> Path | None:
    """Return the config of the first run folder among some words that was not written here, or was changed since."""
    with contextlib.suppress(OSError, ValueError):
        for path in (Path(word.removeprefix("resume=")) / "config.yaml" for word in words):
            if path.is_file():
                from experiments.run.signature import made_here

                return None if made_here(path.parent) else path
    return None


def run_words(words: Sequence[str]) -> int:
    """Runs one command line as `main` does, and raises what goes wrong.

    Raises:
        UserError: for the user's mistake.
        RunFailed: when runs failed.
        Interrupted: after a signal.
    """
    return _run(list(words))


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(fitted(HELP), end="")
        return 0
    if words[0] == "--version":
        from experiments.system.version import version

        print(version())
        return 0
    command, rest = words[0], words[1:]
    if command in ("-sc", "--shell-completion") and rest and rest[0].startswith(("install=", "query=")):
        from experiments.commands.completion import for_hydra

        return for_hydra(rest[0], COMMANDS)
    if command in ("train", "evaluate", "predict", "show", "draw", "export", "lr", "profile", "demo", "serve"):
        from experiments.run.trust import trust

        packages, rest = split_trust(rest)
        trust(packages)
    if command not in COMMANDS:
        from experiments.config.command_suggestions import unknown_command

        raise UserError(unknown_command(words, list(COMMANDS)))
    if command != "completion" and any(word == "" or re.fullmatch("--[a-z-]+=", word) for word in rest):
        raise UserError(
            f"experiments {command} was given an empty word, as an unset variable of the shell makes one: fill it in, or leave it out"
        )
    if command in _PLAIN and {"-h", "--help"} & set(rest):
        print(fitted(_usage(command)))
        return 0
    try:
        return COMMANDS[command](rest) or 0
    except SystemExit as leaving:  # a parser that was asked for help
        return int(leaving.code or 0)


def _usage(command: str) -> str:
    """Return what the help says of one command."""
    lines = [line.strip() for line in HELP.splitlines() if re.match(rf"  experiments (\w+\|)?{command}\b", line)]
    return "\n".join([*lines, "experiments train --help lists every group and key."])


def _say(error: BaseException, code: int, text: str | None = None) -> int:
    done_waiting()
    if stopped := stop_behind(error):
        print(file=sys.stderr)
        _say_how_to_resume(stopped)
        print(stopped, file=sys.stderr)
        return stopped.exit_code
    if debugging():
        traceback.print_exception(error)
    kind = "error" if code == 2 else "failed"
    for line in (text or str(error)).splitlines():
        print(f"{kind}: {clean(concealed(line))}", file=sys.stderr)
    if code == 1 and not debugging():
        print("EXPERIMENTS_DEBUG=1 shows where.", file=sys.stderr)
    _say_how_to_resume(error)
    return code


def _say_how_to_resume(error: BaseException) -> None:
    if command := how_to_resume(error):
        print(f"resume       {command}", file=sys.stderr)


def _train(words: list[str]) -> int:
    asked, words = split_level(words)
    with speaking(asked):
        waiting_for("reading the config")
        overrides, folders, switches = split_words(words)
        switches = settled_switches(switches)
        resumed = _resumed(overrides)
        if switches or _is_sweep(resumed):
            from experiments.sweep.command import main as sweep

            return sweep(words)
        from experiments.commands.train import main as train

        return train(overrides, folders, resumed)


def _check(words: list[str]) -> int:
    overrides, _, switches = split_words(words)
    resumed = _resumed(overrides)
    if settled_switches(switches) in (["-m"], ["--multirun"]) or _is_sweep(resumed):
        from experiments.sweep.command import check as check_sweep

        return check_sweep(words)
    from experiments.commands.check import main as check

    return check(words, resumed)


def _resumed(overrides: Sequence[str]) -> str | None:
    """Return the folder that resume= names among some words, if any."""
    given = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
    if given and not given[-1]:
        raise UserError("resume= names no run: write resume=FOLDER, or leave it out to begin a new run")
    return given[-1] if given and given[-1] != "null" else None


def _is_sweep(folder: str | None) -> bool:
    return folder is not None and (Path(folder).expanduser() / "sweep.json").exists()


def _list(words: list[str]) -> int:
    if words and words[0] in ("claim", "claims"):
        from experiments.claims.board import list_claims

        return list_claims(words[1:])
    if words and words[0] in ("table", "tables"):
        from experiments.claims.course_tables import list_tables

        return list_tables(words[1:])
    from experiments.commands.list_options import main as list_options

    return list_options(words)


def _completion(words: list[str]) -> int:
    from experiments.commands.completion import main as completion

    return completion(words, COMMANDS)


def _claim(words: list[str]) -> int:
    from experiments.claims.command import main as claim

    names, folders, switches = split_words(words)
    return claim(names, switches, folders, _train, _check)


def _main_of(module: str) -> Callable[[list[str]], int | None]:
    """Return what imports a module of this package when it is called, and calls its `main`."""
    return lambda words: import_module(f"experiments.{module}").main(words)


COMMANDS: dict[str, Callable[[list[str]], int | None]] = {
    "train": _train,
    "check": _check,
    "list": _list,
    "explain": _main_of("config.explain"),
    "layers": _main_of("commands.layers"),
    "draw": _main_of("commands.draw"),
    "compare": _main_of("compare.command"),
    "status": _main_of("sweep.status"),
    "evaluate": _main_of("commands.evaluate"),
    "predict": _main_of("commands.predict"),
    "benchmark": _main_of("commands.benchmark"),
    "show": _main_of("commands.show"),
    "export": _main_of("commands.export"),
    "board": _main_of("commands.board"),
    "lr": _main_of("commands.lr"),
    "profile": _main_of("commands.profile"),
    "batch_size": _main_of("commands.batch_size"),
    "demo": _main_of("commands.demo"),
    "serve": _main_of("commands.serve"),
    "completion": _completion,
    "claim": _claim,
}
_PLAIN = (
    "check",
    "list",
    "layers",
    "explain",
    "status",
    "evaluate",
    "completion",
)  # whose words no parser reads, and so none explains


def entry(*command: str) -> None:
    """The console script, and with a command the script of its name."""
    signal.signal(signal.SIGINT, stop)
    read_names_as_utf8()
    announce()
    try:
        look_here_last()  # for a user-defined package beside the conf that names it
    except FileNotFoundError as error:
        leave(_say(error, 2, "the folder that this is started in is gone: change to one that is there, as with cd ~"))
    leave(main([*command, *sys.argv[1:]]))

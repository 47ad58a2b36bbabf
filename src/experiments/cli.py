"""The `experiments` command. Imports Hydra for what needs it, and torch only when a checked config runs."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from experiments.errors import (
    Interrupted,
    RunFailed,
    UserError,
    debugging,
    how_to_resume,
    in_short,
    unknown,
)
from experiments.speedups.process_exit import leave
from experiments.system.shown import clean, speak_everywhere
from experiments.system.signals import stop, stop_behind, stoppable
from experiments.system.terminal import done_waiting, speaking, split_level, waiting_for

HELP = """\
experiments: pick a model, a dataset, a freezing strategy and a precision; train, sweep, compare.

  experiments train [group=option …] [key=value …]     train, test and record one run
  experiments train -m model=a,b seed=0,1,2            sweep: one run for each combination
  experiments train resume=RUN                         go on where a run or a sweep stopped
  experiments status SWEEP                             how a sweep stands
  experiments check [-m] [group=option …] [key=value …]  what is wrong with a config or a sweep, without running it
  experiments list models|data|tasks|… [WORD…]         what there is to choose from; list models --reads text
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
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        return _say(error, 2)
    except (RunFailed, Interrupted, KeyboardInterrupt) as error:
        return _say(error, 1)
    except BrokenPipeError:  # the reader of a pipe, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _say(error, 1, in_short(error))


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
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("experiments"))
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
        raise UserError(unknown(command, "no command", command, list(COMMANDS)))
    if command in _PLAIN and {"-h", "--help"} & set(rest):
        print(_usage(command))
        return 0
    try:
        return COMMANDS[command](rest) or 0
    except SystemExit as leaving:  # a parser that was asked for help
        return int(leaving.code or 0)


def _usage(command: str) -> str:
    """What the help says of one command."""
    lines = [line.strip() for line in HELP.splitlines() if re.match(rf"  experiments (\w+\|)?{command}\b", line)]
    return "\n".join([*lines, "experiments train --help lists every group and key."])


def _say(error: BaseException, code: int, text: str | None = None) -> int:
    done_waiting()
    if stopped := stop_behind(error):
        print(file=sys.stderr)
        _say_how_to_resume(stopped)
        print(stopped, file=sys.stderr)
        return 128 + stopped.signum
    if debugging():
        traceback.print_exception(error)
    kind = "error" if code == 2 else "failed"
    for line in (text or str(error)).splitlines():
        print(f"{kind}: {clean(line)}", file=sys.stderr)
    if code == 1 and not debugging():
        print("EXPERIMENTS_DEBUG=1 shows where.", file=sys.stderr)
    _say_how_to_resume(error)
    return code


def _say_how_to_resume(error: BaseException) -> None:
    if command := how_to_resume(error):
        print(f"resume       {command}", file=sys.stderr)


def split_trust(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The packages after --trust, and the other words.

    Raises:
        UserError: when --trust names none.
    """
    trusted, others = [], []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name != "--trust":
            others.append(word)
            continue
        package = value if equals else next(rest, "")
        if not package or package.startswith("-"):
            raise UserError("--trust needs the name of a package: --trust PACKAGE")
        trusted += package.split(",")
    return trusted, others


def option(name: str, words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The value of an option such as --reads, None where it is not there, and the other words.

    Raises:
        UserError: when the option has no value.
    """
    found, others = None, []
    rest = iter(words)
    for word in rest:
        own, equals, value = word.partition("=")
        if own != name:
            others.append(word)
            continue
        found = value if equals else next(rest, "")
        if not found or found.startswith("-"):
            raise UserError(f"{name} needs a value: {name} VALUE")
    return found, others


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


def _train(words: list[str]) -> int:
    asked, words = split_level(words)
    with speaking(asked):
        return _train_aloud(words)


def _train_aloud(words: list[str]) -> int:
    waiting_for("reading the config")
    overrides, folders, switches = split_words(words)
    resume = [word.partition("=")[2] for word in overrides if word.startswith("resume=")]
    if resume and not resume[-1]:
        raise UserError("resume= names no run: write resume=FOLDER, or leave it out to begin a new run")
    if switches or (resume and (Path(resume[-1]) / "sweep.json").exists()):
        words = _sweep_words(words)
        waiting_for("reading the sweep")
        with _torch_ahead(words):
            return _hydra(words)
    opening: contextlib.AbstractContextManager[Path | None]
    if resume and resume[-1] != "null":
        from experiments.run.folder import reopened

        kept = [word for word in overrides if not word.startswith("resume=")]
        opening = reopened(Path(resume[-1]).expanduser(), kept)
    else:
        from experiments.config.compose import compose
        from experiments.run.folder import opened

        opening = opened(compose(overrides, folders))
    with stoppable(), opening as folder:
        if folder is None:
            done_waiting()
            return 0
        from experiments.run.execute import run

        record = run(folder)
    if int(os.environ.get("RANK", 0)) == 0:
        from experiments.run.banner import closing

        closing(record, folder)
    return 0


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


def _sweep_words(words: list[str]) -> list[str]:
    """The words of a sweep as Hydra reads them: switches first, conditions in quotes, and for resume=SWEEP that one's runs and settings."""
    given, folders, switches = split_words(words)
    resume = [word.partition("=")[2] for word in given if word.startswith("resume=")]
    if len(folders) > 1 and (resume or {"-m", "--multirun"} & set(switches)):
        raise UserError(
            f"--config-dir is given {len(folders)} times, and a sweep takes one: put the others into its hydra.searchpath"
        )
    given = _left_to_runs([_quoted_condition(word) for word in given])
    if resume and not resume[-1]:
        raise UserError("resume= names no sweep: write resume=FOLDER, or leave it out to begin a new one")
    if not resume or resume[-1] == "null":
        return [*switches, *(f"--config-dir={one}" for one in folders), *given]
    from experiments.config.compose import quoted
    from experiments.sweep.folder import read_sweep, require_own

    folder = Path(os.path.abspath(resume[-1]))
    require_own(folder)
    sweep = read_sweep(folder)
    given = [word for word in given if not word.startswith("resume=")]
    names = {word.partition("=")[0] for word in given}
    kept = [word for word in sweep.settings if word.partition("=")[0] not in names]
    dirs = [f"--config-dir={one}" for one in folders or sweep.config_dirs]
    own = [f"{key}={quoted(str(folder))}" for key in ("hydra.sweep.dir", "hydra.sweeper.resume")]
    return [*dict.fromkeys(["-m", *switches]), *dirs, *kept, *given, *own]


def _quoted_condition(word: str) -> str:
    """`launcher.exclude=model=='mlp'` as Hydra reads it: in quotes, unless it is in quotes, brackets or null already."""
    key, _, value = word.partition("=")
    if key != "launcher.exclude" or not value or value == "null" or value[0] in "[\"'":
        return word
    from experiments.config.compose import quoted  # imports Hydra, and torch's process is not started yet

    return f"{key}={quoted(value)}"


def _left_to_runs(words: list[str]) -> list[str]:
    """Words such as `model.width=64` beside `model=a,b`, as sweeps over one value: Hydra leaves these to the runs, and any other
    it asks of the option that the group has by default."""
    if any(word.startswith("hydra/sweeper=") for word in words):  # for a search it would be a part of the space
        return words
    swept = {
        key for key, _, value in (word.partition("=") for word in words) if "." not in key and re.search("[,(]", value)
    }

    def one(word: str) -> str:
        key, _, value = word.partition("=")
        group, dot, _ = key.lstrip("+").partition(".")
        outside = re.sub(r"""'[^']*'|"[^"]*"|\[.*\]|\{.*\}""", "", value)  # quotes and brackets
        return f"{key}=choice({value})" if dot and group in swept and value and not re.search("[,(]", outside) else word

    return [one(word) for word in words]


def _hydra(words: list[str]) -> int:
    """What Hydra does itself: --help, --cfg, --info, and -m."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its errors come here instead of ending the process
    from hydra import main as hydra_main
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from experiments.config.compose import compose, explain
    from experiments.config.options import conf_dir
    from experiments.config.shorthand import mended, spelled_out
    from experiments.sweep.hydra_job import run_here

    overrides, folders, _ = split_words(words)
    words = spelled_out(words)
    before, sys.argv = sys.argv, ["experiments", *words]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said) if {"-h", "--help"} & set(words) else contextlib.nullcontext():
            hydra_main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(run_here)()
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        better = mended(error, words, lambda rest: compose([w for w in rest if w in overrides], folders, whole=False))
        if better is None:
            raise UserError(explain(error, overrides, folders)) from error
        return _hydra(better)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    finally:
        sys.argv = before
        text = re.sub(r"(?<=[ ])_\w+, ", "", said.getvalue())  # bases of options are none themselves
        print(_commented(text, overrides, folders), end="")
    return 0


def _commented(text: str, overrides: list[str], folders: list[str]) -> str:
    """The help of `train`, with what the YAML files say of each key behind it."""
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


def _explain(words: list[str]) -> int:
    from experiments.config.explain import explain_key

    keys, folders, switches = split_words(words)
    if not keys or switches:
        raise UserError("explain needs a key: experiments explain data.validation [data=cifar10 …]")
    print(explain_key(keys[0], keys[1:], folders))
    return 0


def _check(words: list[str]) -> int:
    from experiments.config.check import require
    from experiments.config.compose import compose
    from experiments.config.rehearsal import only_building_tells

    overrides, folders, switches = split_words(words)
    if switches in (["-m"], ["--multirun"]):
        return _hydra([*_sweep_words(words), "launcher.only_check=true"])
    if switches:
        raise UserError(f"experiments check does not know {switches[0]}: give group=option and key=value")
    config = compose(overrides, folders)
    require(config)
    if only_building_tells(config):
        from experiments.run.rehearse import rehearse

        rehearse(config)
    chosen = config.run.choices
    print(
        "  ".join(f"{group}={chosen[group]}" for group in ("model", "data", "task", "freezing", "precision", "trainer"))
    )
    print("This config can run.")
    return 0


def _list(words: list[str]) -> int:
    from experiments.commands.list_options import main as list_options

    reads, words = option("--reads", words)
    names, folders, switches = split_words(words)
    if switches:
        raise UserError(
            f"experiments list does not know {switches[0]}: give a group, words to look for, or --reads KIND"
        )
    if names and names[0] in ("claim", "claims") and reads is None:
        from experiments.claims.board import listing

        print(listing(folders, names[1:]))
        return 0
    list_options(names, folders, reads)
    return 0


def _layers(words: list[str]) -> int:
    overrides, folders, switches = split_words(words)
    for switch in switches:
        if switch not in ("--compare", "--purpose"):
            raise UserError(
                f"experiments layers does not know {switch}: give group=option and key=value, --compare or --purpose"
            )
    run = next((word for word in overrides if (Path(word) / "config.yaml").exists()), None)
    if run:
        raise UserError(f"layers takes model=… and data=…, not a run: those of {run} are in {run}/config.yaml")
    from experiments.commands.layers import compared, layers

    if "--compare" not in switches:
        print(layers(overrides, folders, purposes="--purpose" in switches))
        return 0
    models = [word.partition("=")[2].split(",") for word in overrides if word.startswith("model=")]
    if not models:
        raise UserError("--compare needs models: experiments layers --compare model=lenet5,alexnet,vgg16,resnet50")
    print(compared(models[-1], [word for word in overrides if not word.startswith("model=")], folders))
    return 0


def _draw(words: list[str]) -> int:
    from experiments.commands.draw import main as draw

    return draw(words)


def _compare(words: list[str]) -> int:
    from experiments.compare.compare import main as compare

    return compare(words)


def _status(words: list[str]) -> int:
    from experiments.sweep.status import main as status

    return status(words)


def _evaluate(words: list[str]) -> int:
    if not words or words[0].startswith("-"):
        raise UserError("evaluate needs a run: experiments evaluate RUN [key=value …]")
    if "=" in words[0] and not Path(words[0]).exists():  # no run: weights from elsewhere
        from experiments.run.loaded import evaluate_weights

        overrides, folders, switches = split_words(words)
        if switches:
            raise UserError(f"experiments evaluate does not know {switches[0]}: give group=option and key=value")
        metrics = evaluate_weights(overrides, folders)
    else:
        from experiments.run.loaded import evaluate

        metrics = evaluate(words[0], *words[1:])
    for name, value in metrics.items():
        print(f"{name:<16} {value:.4f}")
    return 0


def _predict(words: list[str]) -> int:
    from experiments.commands.predict import main as predict

    return predict(words)


def _export(words: list[str]) -> int:
    from experiments.commands.export import main as export

    return export(words)


def _inside(words: list[str]) -> int:
    from experiments.commands.show import main as show

    return show(words)


def _benchmark(words: list[str]) -> int:
    from experiments.commands.benchmark import main as benchmark

    return benchmark(words)


def _board(words: list[str]) -> int:
    from experiments.commands.board import main as board

    return board(words)


def _lr(words: list[str]) -> int:
    from experiments.commands.lr import main as lr

    return lr(words)


def _profile(words: list[str]) -> int:
    from experiments.commands.profile import main as profile

    return profile(words)


def _batch_size(words: list[str]) -> int:
    from experiments.commands.batch_size import main as batch_size

    return batch_size(words)


def _demo(words: list[str]) -> int:
    from experiments.commands.demo import main as demo

    return demo(words)


def _serve(words: list[str]) -> int:
    from experiments.commands.serve import main as serve

    return serve(words)


def _completion(words: list[str]) -> int:
    from experiments.commands.completion import main as completion

    return completion(words, COMMANDS)


def _claim(words: list[str]) -> int:
    from experiments.claims.command import main as claim

    names, folders, switches = split_words(words)
    return claim(names, switches, folders, _train, _check)


COMMANDS = {
    "train": _train,
    "check": _check,
    "list": _list,
    "explain": _explain,
    "layers": _layers,
    "draw": _draw,
    "compare": _compare,
    "status": _status,
    "evaluate": _evaluate,
    "predict": _predict,
    "benchmark": _benchmark,
    "show": _inside,
    "export": _export,
    "board": _board,
    "lr": _lr,
    "profile": _profile,
    "batch_size": _batch_size,
    "demo": _demo,
    "serve": _serve,
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
    if "" not in sys.path and os.getcwd() not in sys.path:
        # For a package of the user's own beside the conf that names it; last, so that it hides nothing.
        sys.path.append(os.getcwd())
    leave(main([*command, *sys.argv[1:]]))

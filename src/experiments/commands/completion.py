"""`experiments completion`: what Tab offers in bash, zsh and fish. Imports Hydra only for keys, and torch never."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.shell_scripts import INSTALL, SCRIPTS
from experiments.config.options import GROUPS, content, option_files, options
from experiments.errors import UserError

_TRAINING = ("--multirun", "--config-dir", "--cfg", "--help", "--quiet", "--verbose", "--trust")
# The switches of each command. A test compares them with what its --help says.
SWITCHES: dict[str, tuple[str, ...]] = {
    "train": _TRAINING,
    "check": ("--multirun", "--config-dir"),
    "list": ("--reads", "--config-dir"),
    "layers": ("--config-dir", "--compare", "--purpose"),
    "draw": ("--format", "--stage", "--to", "--config-dir", "--trust"),
    "explain": ("--page", "--config-dir"),
    "compare": (
        "--by", "--metric", "--against", "--lower-is-better", "--higher-is-better", "--bootstrap", "--html", "--figures",
        "--csv", "--markdown", "--tensorboard",
    ),
    "evaluate": ("--trust",),
    "predict": ("--top", "--sample", "--format", "--out", "--labels", "--template", "--trust"),
    "export": ("--format", "--to", "--trust"),
    "show": ("--only", "--stage", "--unit", "--class", "--examples", "--to", "--trust"),
    "benchmark": ("--batch-sizes", "--precisions", "--seconds", "--json"),
    "board": ("--port", "--host", "--dry"),
    "lr": ("--min", "--max", "--steps", "--to", "--trust"),
    "profile": ("--steps", "--rows", "--trace", "--trust"),
    "batch_size": ("--smallest", "--largest", "--seconds"),
    "demo": ("--port", "--share", "--examples", "--trust"),
    "serve": ("--host", "--port", "--megabytes", "--inputs", "--seconds", "--trust"),
    "completion": (),
    "claim": ("--check", "--list", "--record", "--page", "--config-dir"),
}  # fmt: skip
_CONFIGS = (
    "train",
    "check",
    "layers",
    "draw",
    "benchmark",
    "lr",
    "profile",
    "batch_size",
)  # take group=option and key=value
_RUNS = (
    "evaluate",
    "predict",
    "export",
    "show",
    "draw",
    "compare",
    "status",
    "board",
    "demo",
    "serve",
    "lr",
    "profile",
)
_RUNS_OR_CONFIGS = ("evaluate", "predict", "export", "show", "draw", "lr", "profile")
_FORMATS = {
    "draw": ("svg", "png", "mermaid"),
    "export": ("safetensors", "torch-export", "onnx", "transformers"),
    "predict": ("table", "csv", "json", "srt", "vtt"),
}
_TAKE_A_WORD = (
    "--against", "--bootstrap", "--top", "--sample", "--labels", "--stage", "--unit", "--class", "--examples", "--only", "--port",
    "--host", "--min", "--max", "--steps", "--rows", "--smallest", "--largest", "--seconds", "--megabytes", "--inputs", "--batch-sizes", "--trust",
)  # fmt: skip
_FOLDERS = ("resume", "weights", "data.root", "data.files", "hydra.run.dir", "hydra.sweep.dir")  # keys that are paths
_MOST_RUNS = 50
_PLURALS = ("model", "task", "optimizer", "scheduler", "logger", "experiment", "sweep", "trainer")


def main(words: Sequence[str], commands: Iterable[str]) -> int:
    """`experiments completion bash|zsh|fish` prints a script; with `line` or `words`, which it calls, what may follow.

    Args:
        words: of the command line.
        commands: all there are.

    Raises:
        UserError: for another shell.
    """
    if words and words[0] == "line":
        return _print(candidates_of_line(" ".join(words[1:]), commands))
    if words and words[0] == "words":
        rest = [_unquoted(word) for word in words[2:]]
        return _print(candidates(rest[:-1], rest[-1] if rest else "", commands), escaped=words[1:2] != ["fish"])
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise UserError(f"completion needs a shell, {', '.join(SCRIPTS)}: {INSTALL['bash']}")
    print(SCRIPTS[words[0]], end="")
    print(f"# {INSTALL[words[0]]}")
    return 0


def for_hydra(query: str, commands: Iterable[str]) -> int:
    """Return what Hydra's own `-sc install=bash` and `-sc query=bash` give."""
    asked, _, shell = query.partition("=")
    if asked == "install":
        return main([shell], commands)
    line = os.environ.get("COMP_LINE", "")
    return _print(candidates_of_line(line[: int(os.environ.get("COMP_POINT", len(line)))], commands))


def _print(completions: Iterable[str], escaped: bool = True) -> int:
    for completion in completions:
        print(completion.replace(" ", "\\ ") if escaped else completion)  # fish escapes what it inserts
    return 0


def _unquoted(word: str) -> str:
    """Return what a word of a command line stands for; a quote may still be open."""
    for close in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(word + close))
    return word


def candidates_of_line(line: str, commands: Iterable[str]) -> list[str]:
    """Return what may stand at the end of a command line, which begins with the command's name."""
    for close in ("", "'", '"'):  # a quote may still be open
        with contextlib.suppress(ValueError):
            words = shlex.split(line + close)
            current = "" if line[-1:].isspace() and not close else words.pop() if words else ""
            return candidates(words[1:], current, commands)
    return []


def candidates(before: Sequence[str], current: str, commands: Iterable[str]) -> list[str]:
    """Return what the word under the cursor may become; nothing, rather than an error, where that cannot be told.

    Args:
        before: the words before it, without the name of the program.
        current: what it is so far.
        commands: all there are.
    """
    with contextlib.suppress(Exception):
        if not before:
            return _beginning(current, [*commands, "--help", "--version"])
        return sorted(dict.fromkeys(_of(before[0], list(before[1:]), current)))
    return []


def _of(command: str, before: list[str], current: str) -> list[str]:
    if current.startswith("-"):
        return _beginning(current, SWITCHES.get(command, ()))
    if before and before[-1].startswith("-") and (values := _values_of_switch(command, before[-1])) is not None:
        return values(current)
    if command == "list":
        return _to_list(before, current)
    if command == "explain":
        return _to_explain(before, current)
    if command == "completion":
        return _beginning(current, SCRIPTS)
    if command == "claim":
        sizes = ["size=small", "size=full"]
        return _beginning(current, sizes if before else [*options("claim"), *sizes])
    completions: list[str] = []
    if command == "show" and not before:
        from experiments.commands.show.steps import STEPS

        completions += _beginning(current, ["convolution", *STEPS]) if current else []
    if command in _RUNS and "=" not in current:
        completions += _with_paths(_runs(current), current)
    if command in _CONFIGS or (command in _RUNS_OR_CONFIGS and current):
        completions += _overrides(before, current, whole=command in _CONFIGS)
    return completions


def _to_list(before: Sequence[str], current: str) -> list[str]:
    """Groups, in the plural where `list` writes them so; behind one, the names that a search would find."""
    groups = {f"{group}s" if group in _PLURALS else group: group for group in GROUPS}
    words = [word for word in before if not word.startswith("-")]
    if not words:
        return _beginning(current, [*groups, "claims", "tables"])
    return _beginning(current, options(groups.get(words[0], words[0]))) if current else []


def _to_explain(before: Sequence[str], current: str) -> list[str]:
    """Groups, options and keys, whose `=` is not typed here."""
    if before or "=" in current:
        return _overrides(before, current, whole=True)
    completions = _overrides(before, current, whole=True) if current else [f"{group}=" for group in GROUPS]
    keys = [completion.removesuffix("=") for completion in completions if completion.removesuffix("=") not in GROUPS]
    return [*keys, *(name for completion in completions if (name := completion.removesuffix("=")) in GROUPS)]


def _values_of_switch(command: str, switch: str) -> Callable[[str], list[str]] | None:
    """Return what may follow a switch that takes a value; None where it takes none."""

    def of(*names: str) -> Callable[[str], list[str]]:
        return lambda start: _listed(start, names)

    completers: dict[str, Callable[[str], list[str]]] = {
        "--reads": lambda start: _beginning(start, _kinds()),
        "--format": of(*_FORMATS.get(command, ())),
        "--cfg": of("job", "hydra", "all"),
        "--precisions": lambda start: _listed(start, options("precision")),
        "--metric": lambda start: _beginning(start, _metrics()),
        "--by": of("model", "data", "task", "freezing", "precision", "optimizer", "scheduler", "weights"),
    }
    paths = ("--config-dir", "-cd", "--html", "--figures", "--csv", "--markdown", "--to", "--out", "--trace")
    if switch in completers:
        return completers[switch]
    if switch in paths:
        return _paths
    return (lambda start: []) if switch in _TAKE_A_WORD else None


def _listed(start: str, names: Iterable[str]) -> list[str]:
    """Names for the last place of a list with commas."""
    done, comma, last = start.rpartition(",")
    return [f"{done}{comma}{name}" for name in _beginning(last, names) if name not in done.split(",")]


def _metrics() -> list[str]:
    """Return the metrics that the newest records below outputs/ hold."""
    from experiments.system.bounded_files import read_json

    metrics: dict[str, None] = {}
    for path in _newest(glob.glob("outputs/*/*/record.json") + glob.glob("outputs/*/*/*/record.json"))[:5]:
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            metrics |= dict.fromkeys(read_json(path).get("metrics", {}))
    return list(metrics)


def _kinds() -> list[str]:
    reads = [content(path).get("reads") for path in option_files("model").values()]
    kinds = [kinds_read["kind"] for kinds_read in reads if isinstance(kinds_read, dict) and kinds_read.get("kind")]
    return sorted(
        {kind for kinds_read in kinds for kind in ([kinds_read] if isinstance(kinds_read, str) else kinds_read)}
    )


def _beginning(start: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _overrides(before: Sequence[str], current: str, whole: bool) -> list[str]:
    """Groups, keys and their values, as words of a command line."""
    folders = [before[at + 1] for at, word in enumerate(before[:-1]) if word in ("--config-dir", "-cd")]
    key, equals, value = current.partition("=")
    plus = key[: len(key) - len(key.lstrip("+~"))]
    name = key.lstrip("+~")
    if equals:
        return [f"{key}={option}" for option in _values(name, value, before, folders)]
    names = [f"{group}=" for group in GROUPS] if "." not in name else []
    if "." not in name:
        names += ["seed=", "weights=", "resume=", "hydra/launcher=", "hydra/sweeper="]
    names += ["hydra.run.dir=", "hydra.sweep.dir="] if name.startswith("hydra") else []
    config = _config(before, folders) if name and (whole or "." in name) else {}
    return [plus + completion for completion in _beginning(name, [*names, *_keys(config, name)])]


def _values(name: str, value: str, before: Sequence[str], folders: Sequence[str]) -> list[str]:
    if name in GROUPS or name.startswith("hydra/"):
        return _listed(value, options(name, folders))
    if name in _FOLDERS or value.startswith(("/", "./", "../", "~")):
        runs = _runs(value) if name in ("resume", "weights") else []
        return _with_paths([*(_beginning(value, ["pretrained"]) if name == "weights" else []), *runs], value)
    from experiments.config.value_rules import choices_of

    config: Any = _config(before, folders)
    for part in name.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    if isinstance(config, bool):
        return _beginning(value, ["true", "false"])
    if choices := choices_of(name):
        return _beginning(value, choices)
    return _beginning(value, [str(config)] if isinstance(config, (int, float)) else [])  # its default, to be changed


def _config(before: Sequence[str], folders: Sequence[str]) -> dict[str, Any]:
    """Return the config that the groups chosen so far make."""
    from experiments.config.compose import plain_config

    chosen = [word for word in before if word.split("=")[0].lstrip("+~") in GROUPS and "=" in word and "," not in word]
    return plain_config(chosen, folders)


def _keys(config: dict[str, Any], start: str) -> list[str]:
    """Keys at the level of a dotted name that has begun: `optimizer.` has those of the optimizer."""
    above, dot, _ = start.rpartition(".")
    node: Any = config
    for part in above.split(".") if above else ():
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return []
    return [
        f"{above}{dot}{key}{'.' if isinstance(value, dict) and value else '='}"
        for key, value in node.items()
        if key not in ("run", "_target_", "_partial_", "about", "gives", "reads", "makes", "answers", "needs_channels")
    ]


def _runs(start: str) -> list[str]:
    """Return the newest runs and sweeps below outputs/, as they are typed."""
    runs = [path for path in glob.glob("outputs/*/*/") if os.path.exists(f"{path}config.yaml") or os.path.exists(f"{path}sweep.json")]  # fmt: skip
    return _beginning(start, [str(path) for path in _newest(runs)[:_MOST_RUNS]])


def _newest(paths: Iterable[str]) -> list[Path]:
    return sorted(map(Path, paths), key=lambda path: path.stat().st_mtime, reverse=True)


def _with_paths(completions: list[str], start: str) -> list[str]:
    """Add the paths to what was found; a run stands there once, without a slash."""
    return [*completions, *(path for path in _paths(start) if path.removesuffix("/") not in completions)]


def _paths(start: str) -> list[str]:
    """Files and folders whose path begins so; folders with a slash."""
    if "=" in start:
        return []
    top = os.path.expanduser(start)
    paths = sorted(glob.glob(f"{glob.escape(top)}*"))
    home = os.path.expanduser("~")
    shown = [f"~{path[len(home) :]}" if start.startswith("~") else path for path in paths]
    return [f"{name}/" if os.path.isdir(path) else name for name, path in zip(shown, paths, strict=True)]

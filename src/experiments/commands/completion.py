"""`experiments completion`: what Tab offers in bash, zsh and fish. Imports Hydra only for keys, and torch never."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.config.options import content, option_files, options
from experiments.errors import UserError

_SCRIPTS = {
    "bash": r"""_experiments() {
    local IFS=$'\n' line="${COMP_LINE:0:$COMP_POINT}" word before one
    COMPREPLY=($(experiments completion line "$line" 2>/dev/null))
    word="${line##* }"
    if [[ "$word" == *[=:]* && "$COMP_WORDBREAKS" == *=* ]]; then
        before="${word%"${word##*[=:]}"}"
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    for one in "${COMPREPLY[@]}"; do
        case "$one" in *=|*.|*/) compopt -o nospace ;; esac
    done
    return 0
}
complete -F _experiments experiments
""",
    "zsh": r"""#compdef experiments
_experiments() {
    local -a found unfinished
    found=("${(@f)$(experiments completion words "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    found=("${(@)found:#}")
    unfinished=("${(@M)found:#*[=./]}")
    found=("${(@)found:|unfinished}")
    (( $#unfinished )) && compadd -Q -S '' -- "${unfinished[@]}"
    (( $#found )) && compadd -Q -- "${found[@]}"
    return 0
}
if [[ "$funcstack[1]" = _experiments ]]; then
    _experiments "$@"
elif (( $+functions[compdef] )); then
    compdef _experiments experiments
else
    autoload -Uz compinit && compinit && compdef _experiments experiments
fi
""",
    "fish": r"""function __experiments_words
    set -l words (commandline -opc) (commandline -ct)
    experiments completion words -- $words[2..-1] 2>/dev/null
end
complete -c experiments -f -a '(__experiments_words)'
""",
}
_INSTALL = {
    "bash": 'eval "$(experiments completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(experiments completion zsh)"    # in ~/.zshrc',
    "fish": "experiments completion fish | source   # in ~/.config/fish/config.fish",
}
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
        rest = list(words[2:] if words[1:2] == ["--"] else words[1:])
        return _print(candidates(rest[:-1], rest[-1] if rest else "", commands))
    if len(words) != 1 or words[0] not in _SCRIPTS:
        raise UserError(f"completion needs a shell, {', '.join(_SCRIPTS)}: {_INSTALL['bash']}")
    print(_SCRIPTS[words[0]], end="")
    print(f"# {_INSTALL[words[0]]}")
    return 0


def for_hydra(query: str, commands: Iterable[str]) -> int:
    """Return what Hydra's own `-sc install=bash` and `-sc query=bash` give."""
    asked, _, shell = query.partition("=")
    if asked == "install":
        return main([shell], commands)
    line = os.environ.get("COMP_LINE", "")
    return _print(candidates_of_line(line[: int(os.environ.get("COMP_POINT", len(line)))], commands))


def _print(found: Iterable[str]) -> int:
    for one in found:
        print(one.replace(" ", "\\ "))
    return 0


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
    if before and before[-1].startswith("-") and (values := _values_of_switch(before[-1])) is not None:
        return values(current)
    if command == "list":
        from experiments.config.compose import GROUPS

        names = [f"{group}s" if group in _PLURALS else group for group in GROUPS]
        return _beginning(current, [*names, "claims"]) if not before else []
    if command == "completion":
        return _beginning(current, _SCRIPTS)
    if command == "claim":
        sizes = ["size=small", "size=full"]
        return _beginning(current, sizes if before else [*options("claim"), *sizes])
    found: list[str] = []
    if command in _RUNS and "=" not in current:
        found += _runs(current) + _paths(current)
    if command in _CONFIGS or (command in _RUNS and current):
        found += _overrides(before, current, whole=command in _CONFIGS)
    return found


def _values_of_switch(switch: str) -> Callable[[str], list[str]] | None:
    """Return what may follow a switch that takes a value; None where it takes none."""
    known: dict[str, Callable[[str], list[str]]] = {
        "--reads": lambda start: _beginning(start, _kinds()),
        "--format": lambda start: _beginning(start, ("safetensors", "torch-export", "onnx", "transformers", "table", "csv", "json")),
        "--cfg": lambda start: _beginning(start, ("job", "hydra", "all")),
    }  # fmt: skip
    paths = (
        "--config-dir",
        "-cd",
        "--html",
        "--figures",
        "--csv",
        "--markdown",
        "--to",
        "--out",
        "--trace",
        "--picture",
    )
    return _paths if switch in paths else known.get(switch)


def _kinds() -> list[str]:
    found = [content(path).get("reads") for path in option_files("model").values()]
    kinds = [one["kind"] for one in found if isinstance(one, dict) and one.get("kind")]
    return sorted({kind for one in kinds for kind in ([one] if isinstance(one, str) else one)})


def _beginning(start: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _overrides(before: Sequence[str], current: str, whole: bool) -> list[str]:
    """Groups, keys and their values, as words of a command line."""
    from experiments.config.compose import GROUPS

    folders = [before[at + 1] for at, word in enumerate(before[:-1]) if word in ("--config-dir", "-cd")]
    key, equals, value = current.partition("=")
    plus = key[: len(key) - len(key.lstrip("+~"))]
    name = key.lstrip("+~")
    if equals:
        return [f"{key}={one}" for one in _values(name, value, before, folders)]
    names = [f"{group}=" for group in GROUPS] if "." not in name else []
    if "." not in name:
        names += ["seed=", "weights=", "resume=", "hydra/launcher=", "hydra/sweeper="]
    config = _config(before, folders) if name and (whole or "." in name) else {}
    return [plus + one for one in _beginning(name, [*names, *_keys(config, name)])]


def _values(name: str, value: str, before: Sequence[str], folders: Sequence[str]) -> list[str]:
    from experiments.config.compose import GROUPS

    done, comma, last = value.rpartition(",")
    if name in GROUPS or name.startswith("hydra/"):
        return [f"{done}{comma}{option}" for option in _beginning(last, options(name, folders))]
    if name in _FOLDERS or value.startswith(("/", "./", "../", "~")):
        extra = {"resume": _runs, "weights": lambda start: [*_beginning(start, ["pretrained"]), *_runs(start)]}
        return [*extra.get(name, lambda start: [])(value), *_paths(value)]
    config: Any = _config(before, folders)
    for part in name.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return _beginning(value, ["true", "false"] if isinstance(config, bool) else [])


def _config(before: Sequence[str], folders: Sequence[str]) -> dict[str, Any]:
    """Return the config that the groups chosen so far make."""
    from experiments.config.compose import GROUPS, plain_config

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
    found = [Path(one) for one in glob.glob("outputs/*/*/") if os.path.exists(f"{one}config.yaml") or os.path.exists(f"{one}sweep.json")]  # fmt: skip
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:_MOST_RUNS]
    return _beginning(start, [str(path) for path in newest])


def _paths(start: str) -> list[str]:
    """Files and folders whose path begins so; folders with a slash."""
    if "=" in start:
        return []
    top = os.path.expanduser(start)
    found = sorted(glob.glob(f"{glob.escape(top)}*"))
    home = os.path.expanduser("~")
    shown = [f"~{one[len(home) :]}" if start.startswith("~") else one for one in found]
    return [f"{name}/" if os.path.isdir(one) else name for name, one in zip(shown, found, strict=True)]

"""Commands, switches and bare words that people type elsewhere, answered with what to type here."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.config.options import GROUPS, options
from experiments.config.suggestions import option_known_as, usual_key
from experiments.errors import unknown


def _each(words: str, meant: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), meant)


_COMMANDS = {
    **_each("run fit start learn training finetune fine_tune", "train"),
    **_each("resume continue", "train resume=RUN"),
    **_each("sweep multirun grid -m --multirun", "train -m"),
    **_each("tune optimize search", "train -m hydra/sweeper=optuna"),
    **_each("test eval validate score evaluation testing", "evaluate RUN"),
    **_each("infer inference classify prediction", "predict RUN INPUT"),
    **_each("summary parameters params info", "layers model=NAME"),
    **_each("plot visualize visualise picture figure", "show RUN"),
    **_each("diagram graph architecture", "draw model=NAME"),
    **_each("models model networks", "list models"),
    **_each("data dataset datasets", "list data"),
    **_each("tasks task", "list tasks"),
    **_each("tables table", "list tables"),
    **_each("claims", "claim --list"),
    **_each("options config", "train --help"),
    **_each("tensorboard logs", "board"),
    **_each("lr_find find_lr", "lr"),
    **_each("results report", "compare outputs"),
    **_each("version -V -v", "--version"),
    **_each("app gradio ui", "demo RUN"),
    **_each("server api", "serve RUN"),
    **_each("onnx save", "export RUN --format onnx"),
    **_each("shell", "completion bash"),
}  # fmt: skip
_SWITCHES = {  # those that stand for an option, and not for a key
    **_each("--gpu --cuda", "trainer=gpu"),
    **_each("--cpu --no-cuda --no_cuda", "trainer=cpu"),
    **_each("--fp16 --amp --half", "precision=16-mixed"),
    **_each("--bf16", "precision=bf16-mixed"),
    **_each("--verbose", "-v"),
    **_each("--quiet --silent", "-q"),
    **_each("--sweep --grid", "-m"),
}  # fmt: skip
_KEYS = (*GROUPS, "seed", "weights", "resume")


def unknown_command(words: Sequence[str], commands: Sequence[str]) -> str:
    """Says that there is no such command as the first word, and what to type in the place of all of them."""
    command, *rest = words
    if meant := _COMMANDS.get(command.lower().replace("-", "_"), _COMMANDS.get(command)):
        return f"{command} is {meant} here: write experiments {meant}"
    if command.startswith("--") and _meant_by(command.partition("=")[0]):
        return f"{command} is no command: write experiments train {' '.join(_with_keys(words))}"
    if "=" in command.lstrip("-"):
        return f"{command} is no command: write experiments train {' '.join([command.lstrip('-'), *rest])}"
    if option := as_option(command):
        return f"{command} is no command: write experiments train {option}"
    return unknown(command, "no command", command, commands)


def unknown_switch(switch: str, switches: Sequence[str]) -> str:
    """Says that there is no such switch, and the key=value that takes its place."""
    name = switch.partition("=")[0]
    if name.startswith("--") and _meant_by(name):
        return f"{switch} is {_with_keys([switch])[0]} here: write that"
    return unknown(name, "no switch", name, switches)


def _with_keys(words: Sequence[str]) -> list[str]:
    """Return some words with key=value in the place of `--name value`, `--name=value` and `--name` that are known."""
    meant_words: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, _, value = word.partition("=")
        meant = _meant_by(name) if name.startswith("--") else None
        if meant is None or _is_whole(meant):
            meant_words.append(meant or word)
        else:
            if not value and rest and not rest[0].startswith("-"):
                value = rest.pop(0)
            meant_words.append(f"{meant}={value or '…'}")
    return [word for word in meant_words if word != "train"]


def _meant_by(switch: str) -> str | None:
    """Return what a switch of other programs stands for: a switch of ours, a choice, or a key without its value."""
    name = switch.lstrip("-").replace("-", "_").lower()
    return _SWITCHES.get(switch.lower()) or (name if name in _KEYS else usual_key(name))


def _is_whole(meant: str) -> bool:
    """Tell whether a word needs no value: a switch, or a choice such as trainer=gpu."""
    return meant.startswith("-") or "=" in meant


def as_option(word: str, config_dirs: Sequence[str] = (), groups: Sequence[str] = GROUPS) -> str:
    """Return the group=option that a bare word means, as `model=lenet5` for lenet5; empty where it means none."""
    if word in _KEYS:
        return f"{word}=…"
    for group in groups:
        if name := option_known_as(group, word, options(group, config_dirs)):
            return f"{group}={name}"
    return ""

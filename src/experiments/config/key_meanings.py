"""What a key means where its YAML file does not say: the docstring of its class, or what all options have alike."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from experiments.config.signatures import docstrings, signature

_GROUPS = {
    "model": "the architecture",
    "data": "the dataset; it names its usual task",
    "task": "what is learned: loss, metrics and step; it names its usual model",
    "freezing": "which stages learn, and when",
    "precision": "how many bits the numbers have",
    "optimizer": "how gradients change the weights",
    "scheduler": "how the learning rate changes over the run",
    "trainer": "where it trains and for how long: keys of Lightning's Trainer",
    "callbacks": "what is done beside the training: checkpoints, pictures, early stopping",
    "logger": "where metrics are written besides record.json",
    "experiment": "a pair with a measured result: model, data and their settings",
    "debug": "a run that shows what goes wrong",
    "sweep": "many runs with a name",
    "local": "what holds on this machine alone: conf/local/default.yaml",
    "hydra": "Hydra's own keys; experiments train --hydra-help tells of them",
}
_ALIKE = (  # what keys of a form mean wherever they stand; the first that fits
    (r".*\._target_", "the class or function that is built from the keys beside it"),
    (r".*\._partial_", "true: built when the run has what else the class needs"),
    (r".*\.about(\..*)?", "what `list`, `layers` and `explain` say of this option; no run reads it"),
    (r"data\.gives(\..*)?", "what the data give, for the check before the run"),
    (r"(model|task)\.reads(\..*)?", "what the model or task can read, for the check before the run"),
    (r"(model|task)\.makes", "what comes out, as a task asks a model for it"),
    (r"task\.needs_channels", "channels that the images must have, for the check before the run"),
    (r".*\.checked_by", "the function that finds what is wrong with these keys before the run"),
    (r"model\.pretrained\.(size|resize)", "pixels: the side that images are cut to, and that they are brought to before"),
    (r"model\.pretrained\.(mean|std)", "of the images that the published weights have learned from, a value a channel"),
    (r"model\.pretrained\.interpolation", "how images were resized for the published weights"),
    (r"model\.pretrained(\..*)?", "the published weights that weights=pretrained loads: their library and their name in it"),
    (r"(callbacks|logger)\..*\.dir", "the folder that it writes to"),
    (r"logger\..*\.project", "the name under which the tracker lists these runs"),
    (r"precision\.name", "the precision as Lightning names it"),
    (r"scheduler\.name", "the name of the schedule"),
    (r"model\.settings\..*", "a key of the library's own configuration of this network"),
    (r"model\.std|data\.std", "the deviation that pixels are divided by, a value a channel, from 0 to 1"),
    (r"data\.root", "the folder with the datasets: EXPERIMENTS_DATA, or data/"),
    (r"data\.download", "true: fetch the files into data.root where they are missing"),
    (r"data\.encoding", "of the file's characters, as Python names it"),
    (r"data\.seed", "of shuffling and of what is drawn"),
    (r"data\.tokenizers?", "how texts are cut into tokens"),
    (r"data\.tokenizers\.(source|target)", "how this side is cut into tokens"),
    (r"data\.(.*\.)?lowercase", "true: capitals are read as small letters"),
    (r"data\.tokenizers\..*\.kind", "word, character, bpe or wordpiece"),
    (r"data\.tokenizers\..*\.size", "tokens at most"),
    (r"data\.tokenizers\..*\.min_count", "how often a token must occur"),
    (r"data\.tokenizers\..*\.file", "where the run keeps it"),
)  # fmt: skip
HYDRA_KEYS = {  # those of Hydra's own that people set
    "hydra.run.dir": "the folder of a run; default: outputs/runs/ with time, model, data and seed",
    "hydra.sweep.dir": "the folder of a sweep and its runs; default: outputs/sweeps/ with the time",
    "hydra.sweeper.lists": "combinations that are no product, each a text of words: ['model=rnn optimizer.lr=0.01','model=gru']",
    "hydra.searchpath": "further folders of configs, as file:///FOLDER; --config-dir FOLDER says the same",
}
_ARGUMENT = re.compile(r"\s*([\w, ]+?)\s*(\([^)]*\))?\s*:\s*(.*)")  # of a docstring: `one, two (int): words`
_LONGEST = 240  # letters of a docstring's words


def meaning(key: str, config: Mapping[str, Any]) -> str:
    """Return what a key of a config means, where no comment says it; empty where nothing does.

    Args:
        key: dotted, such as `model.hidden`.
        config: the composed config as plain values.
    """
    for form, text_of_form in _ALIKE:
        if re.fullmatch(form, key):
            return text_of_form
    return _GROUPS.get(key, "") or _documented(key, config)


def taken(key: str, config: Mapping[str, Any]) -> str:
    """Return the class that takes a key which the config does not set, such as `trainer.benchmark`; empty where none does."""
    target, _, rest = _built_above(key, config)
    parameters = signature(target) if target and "." not in rest and not target.startswith("experiments.") else None
    return target if parameters is not None and rest in parameters.annotations else ""


def _documented(key: str, config: Mapping[str, Any]) -> str:
    target, node, rest = _built_above(key, config)
    if isinstance(node.get(rest), Mapping) and "_target_" in node[rest]:
        target = str(node[rest]["_target_"])  # an object, such as a callback: what its class is for
        return next((_sentence(text) for text in docstrings(target)), "")
    return next((sentence for text in docstrings(target) if (sentence := argument(text, rest))), "") if target else ""


def _built_above(key: str, config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], str]:
    """Return the class that is built from the keys around this one, these keys, and the rest of the name below them."""
    node: Any = config
    best: tuple[str, Mapping[str, Any], str] = ("", config, key)
    parts = key.split(".")
    for place, part in enumerate(parts[:-1], 1):
        node = node.get(part)
        if not isinstance(node, Mapping):
            break
        rest = ".".join(parts[place:])
        best = (str(node["_target_"]), node, rest) if node.get("_target_") else (best[0], node, rest)
    return best


def argument(text: str, name: str) -> str:
    """Return what the `Args:` of a docstring say of one argument, in a sentence or two; empty where they do not.

    Args:
        text: a docstring.
        name: of the argument.
    """
    lines = textwrap.dedent(text).splitlines()
    start = next((place for place, line in enumerate(lines) if line.strip() in ("Args:", "Arguments:")), None)
    if start is None:
        return ""
    indent = len(lines[start]) - len(lines[start].lstrip())
    lines_found: list[str] | None = None
    depth = 0
    for line in lines[start + 1 :]:
        now = len(line) - len(line.lstrip())
        if line.strip() and now <= indent:
            break
        if lines_found is not None:
            if not line.strip() or now <= depth:
                break
            lines_found.append(line.strip())
        elif (match := _ARGUMENT.match(line)) and name in re.split(r",\s*", match[1]):
            lines_found, depth = [match[3]], now
    return _sentence(" ".join(lines_found or ()))


def _sentence(text: str) -> str:
    """Return the first paragraph as one line, in as many whole sentences as fit."""
    line = " ".join(text.strip().split("\n\n")[0].split()).replace("``", "`")
    if len(line) <= _LONGEST:
        return line if ". " in line else line.rstrip(".")
    end = line.rfind(". ", 0, _LONGEST)
    return line[: end + 1] if end > 0 else f"{line[:_LONGEST].rsplit(' ', 1)[0]} …"

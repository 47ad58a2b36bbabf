"""What a config may say to Lightning's Trainer: every key of its own, typed as its signature is, but for those that have another
name here."""

from __future__ import annotations

import re
from typing import Any

from omegaconf import OmegaConf

from experiments.config.shorthand import KNOWN, TRAINER
from experiments.config.signatures import signature
from experiments.errors import unknown

_PRECISIONS = {
    "16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true",
}  # fmt: skip
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "list": "a list",
    "dict": "keys",
}
_CHOICES = {
    "profiler": ("simple", "advanced", "pytorch", "xla"),
    "gradient_clip_algorithm": ("norm", "value"),
}
_STARTS_ITSELF = ("ddp_spawn", "ddp_fork", "ddp_notebook")


def problems(trainer: Any, given: list[str], foreign: bool = False) -> list[str]:
    """Return what is wrong with the keys of a trainer config, in sentences.

    Args:
        trainer: the config's part.
        given: keys that the command line sets.
        foreign: whether the task is a user-defined LightningModule, with which Trainer predicts too.
    """
    keys = [str(key) for key in trainer if not (foreign and key == "limit_predict_batches")]
    wrong = [sentence for key in keys if (sentence := _renamed(key, trainer[key]))]
    strategy = trainer.get("strategy")
    if isinstance(strategy, str) and strategy.startswith(_STARTS_ITSELF):
        wrong.append(
            f"trainer.strategy={strategy} would start processes of its own, and a run starts them from its config.yaml: "
            "use trainer.strategy=ddp"
        )
    others = [str(key) for key in trainer if key not in KNOWN and not str(key).startswith("_")]
    listed = [key for key in LISTED if f"trainer.{key}" in given]
    taken = signature(str(trainer.get("_target_") or TRAINER)) if others or listed else None
    if taken is None:
        return wrong
    for key in [*others, *listed]:
        value = trainer[key]
        if any(sentence.startswith(f"trainer.{key}=") for sentence in wrong):
            continue
        if not taken.takes(key):
            names = [name for name in taken.annotations if name not in _RENAMED]
            wrong.append(unknown(f"trainer.{key}", "no key of Lightning's Trainer", key, names))
        elif annotation := taken.annotations.get(key, ""):
            if not _fits(value, annotation):
                wrong.append(
                    f"trainer.{key}={_shown(value)} must be {_in_words(annotation)}, as Lightning's Trainer has it"
                )
            elif isinstance(value, str) and key in _CHOICES and value not in _CHOICES[key]:
                wrong.append(f"trainer.{key}={value} is unknown: choose one of {', '.join(_CHOICES[key])}")
    return wrong


LISTED = (
    "num_sanity_val_steps", "log_every_n_steps", "enable_progress_bar", "enable_model_summary", "enable_checkpointing",
    "use_distributed_sampler", "default_root_dir", "strategy",
)  # fmt: skip
_RENAMED = {
    "precision": "is chosen by a group of its own: use precision={precision}",
    "logger": "is chosen by a group of its own: use logger=none, logger=tensorboard, or logger.NAME._target_=…",
    "callbacks": "is a group of its own: use callbacks=none, or callbacks.NAME._target_=…",
    "barebones": "reports nothing, so the run would have no record: use callbacks=none logger=none, or experiments benchmark for speed",
    "limit_predict_batches": "has no effect, because a task of ours predicts no data: give experiments predict the inputs that you want",
}


def _renamed(key: str, value: Any) -> str | None:
    """Return the sentence for a key that is refused."""
    if key not in _RENAMED or value is None or (key == "barebones" and value is False):
        return None
    text = str(value)
    sentence = _RENAMED[key].format(precision=_PRECISIONS.get(text, text))
    return f"trainer.{key}={_shown(value)} {sentence}"


def _fits(value: Any, annotation: str) -> bool:
    """Tell whether a value may be what a parameter's annotation names; what is made from a `_target_` is left to its
    class.
    """
    names = set(re.findall(r"[A-Za-z_]+", annotation))
    if value is None:
        return "None" in names or "Optional" in names
    if isinstance(value, bool):
        return "bool" in names
    if isinstance(value, int):
        return bool(names & {"int", "float"})
    if isinstance(value, float):
        return "float" in names
    if isinstance(value, str):
        return "str" in names or any("LITERAL" in name or "PATH" in name or "PRECISION" in name for name in names)
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if isinstance(plain, dict):
        return "dict" in names or "_target_" in plain
    return bool(names & {"list", "List", "Iterable", "Sequence"})


def _in_words(annotation: str) -> str:
    names = re.findall(r"[A-Za-z_]+", annotation)
    words = [_WORDS[name] for name in dict.fromkeys(names) if name in _WORDS]
    own = [
        name
        for name in dict.fromkeys(names)
        if name[:1].isupper() and name not in ("Union", "Optional", "Iterable", "Literal")
    ]
    words += [f"a {name} by its _target_" for name in own if name not in ("None",)]
    words += ["null"] if "Optional" in names else []
    return " or ".join(words) or annotation


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value)

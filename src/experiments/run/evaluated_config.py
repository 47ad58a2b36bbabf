"""The config with which a finished run is tested again: its own, changed where the network stays what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config.foreign_modules import choices_by_name
from experiments.errors import UserError
from experiments.run.folder import relocate
from experiments.run.foreign import is_ours
from experiments.run.instantiate import locate
from experiments.run.trust import READING, require_trust, words_to_compose


def with_overrides(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config composed anew with a run's own overrides and further ones; the network must stay.

    Raises:
        UserError: an override has no effect, the data are of another kind, or the config may run code.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose, to_plain_config

    for word in overrides:
        key = _key(word)
        if key.startswith("data.tokenizer"):
            raise UserError(
                f"{word} has no effect, as a run is tested with the tokenizer it was trained with: leave it out"
            )
    folder = Path(config.run.dir)
    own, config_dirs = words_to_compose(config, folder)
    own = [word for word in own if not _replaced(word, overrides)]
    # Other data would bring a model and a task of their own.
    names = choices_by_name(to_plain_config(config))
    kept = [
        f"{group}={option}" for group in ("task", "model") if names[group] and (option := config.run.choices.get(group))
    ]
    kept = [word for word in kept if f"{word.partition('=')[0]}=_given" not in own]  # an object of Python has no option
    changed = compose([*kept, *own, *overrides], config_dirs, recorded=True)
    given, trained = ((side.data.get("gives") or {}).get("kind") for side in (changed, config))
    if given and trained and given != trained and not {given, trained} <= {"boxes", "instances"}:
        raise UserError(
            f"data={changed.run.choices.data} gives {given} and the run was trained on {trained}: choose data of the same kind"
        )
    changed = relocate(changed, folder)
    require_trust(to_plain_config(changed), folder, (*READING, "trainer"))  # before a check of its own is called
    require(changed)
    return changed


def judged_keys(config: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Return the keys of the task that overrides change, all in its `test_keys`, which `metrics` always is.

    Raises:
        UserError: when an override changes more than what the test measures.
    """
    changed_keys: list[str] = []
    for word in overrides:
        group, _, key = _key(word).partition(".")
        key = key.partition(".")[0]
        if group not in ("model", "task", "freezing", "weights", "seed"):
            continue
        test_keys = (
            ("metrics", *getattr(locate(config.task["_target_"]), "test_keys", ())) if is_ours(config.task) else ()
        )
        if group != "task" or key not in test_keys:
            also = f", or of the task {', '.join(test_keys)}" if test_keys else ""
            raise UserError(
                f"{word} would evaluate another network than the run trained: override data or trainer{also}"
            )
        changed_keys.append(key)
    return changed_keys


def answering_keys(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the keys of the task that overrides of `experiments predict` change, and their values.

    Raises:
        UserError: when one changes more than what the run answers, or has a value that its task refuses.
    """
    keys = getattr(locate(config.task["_target_"]), "predict_keys", ()) if is_ours(config.task) else ()
    for word in overrides:
        if _key(word).removeprefix("task.") not in keys:
            may = f"name {' or '.join(f'task.{key}' for key in keys)}, or inputs" if keys else "name inputs alone"
            raise UserError(f"{word} changes nothing of what the run answers: {may}")
    changed = with_overrides(config, overrides)
    return {(key := _key(word).removeprefix("task.")): changed.task.get(key) for word in overrides}


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _replaced(word: str, overrides: Sequence[str]) -> bool:
    """Tell whether other data replaces what an override of the run says of its own."""
    return word.startswith("data.") and any(other.startswith("data=") for other in overrides)

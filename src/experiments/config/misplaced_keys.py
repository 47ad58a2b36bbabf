"""Options that a command line puts where nothing reads them: `+optimizer@second=sgd`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from experiments.config.options import GROUPS, conf_dir, content
from experiments.config.suggestions import usual_key
from experiments.errors import UserError

_WHOLE = ("features", "launcher", "run", "sweep")  # whose keys are those of train.yaml, and no more
_DOTTED = tuple(f"{root}." for root in _WHOLE)


def refuse_unread(words: Sequence[str], config: Any, others: Iterable[Any] = ()) -> None:
    """Raises for an option that some words put at a place of a config that nothing refers to.

    A plain key, `+note=1`, may be a remark: it stands in the run's config.yaml. Those below `features`, `launcher`, `run` and
    `sweep` are mistaken for keys.

    Args:
        words: overrides.
        config: composed of them, its interpolations not resolved.
        others: further texts that may refer to it, such as the folder of a sweep.

    Raises:
        UserError: when there is one.
    """
    added = {word: _place(word) for word in words if "@" in word.partition("=")[0]}
    added |= {word: _place(word) for word in words if word.startswith("+") and _place(word).startswith(_DOTTED)}
    if not added:
        return
    top = content(conf_dir() / "train.yaml")
    known_roots = {*GROUPS, *top, "search", "_global_"}
    text = " ".join(str(part) for part in (config, *words, *others))
    for word, key in added.items():
        root, _, inner = key.partition(".")
        keys = top.get(root) or {}
        if root in _WHOLE and inner and not refers(text, key) and inner.partition(".")[0] not in keys:
            meant = usual_key(key)
            cure = f"write {meant}" if meant else f"choose from {', '.join(keys)}" if keys else "leave it out"
            raise UserError(f"{word} would have no effect, because {root} has no key {inner}: {cure}")
        if root in known_roots or refers(text, root):
            continue
        group = word.lstrip("+~").partition("@")[0]
        raise UserError(
            f"{word} would have no effect, because nothing reads {root}: choose the option itself, as in "
            f"{group}={word.partition('=')[2]}, or refer to it, as in optimizer.lr=${{{key}.KEY}}"
        )


def refers(text: str, key: str) -> bool:
    """Tell whether an interpolation in a text asks for a key."""
    return re.search(rf"\$\{{(oc\.select:)?\s*{re.escape(key)}\b", text) is not None


def _place(word: str) -> str:
    """Return the key at which a word's value comes to stand."""
    key = word.lstrip("+~").partition("=")[0]
    group, at, package = key.partition("@")
    return package.partition(":")[2] or package if at else group

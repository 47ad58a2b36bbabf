"""Values whose type is none that the class that takes them asks for by annotation: of ours, and those of torch and Lightning that say it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable
from typing import Any

from omegaconf import DictConfig, ListConfig

from experiments.config.signatures import annotation
from experiments.config.view import class_and_argument, select, shown

_LISTS = ("Sequence", "list", "tuple", "Collection", "Iterable")
_GROUPS = ("Mapping", "dict")
_ANNOTATED = (
    "experiments.",
    "torch.optim.",
    "lightning.pytorch.callbacks.",
)  # whose annotations name all that they take


def annotation_problems(config: Any, keys: Iterable[str]) -> list[str]:
    """Return a sentence for each key, `data.std` or `callbacks.early_stopping.min_delta`, whose value is of no type that its class
    takes.

    A value with a `_target_` becomes an object, whose type nobody knows yet.
    """
    problems = []
    for key in keys:
        target, name = class_and_argument(config, key)
        if not name or not key.endswith(f".{name}") or not target.startswith(_ANNOTATED):
            continue
        text = annotation(target, name)
        value = select(config, key)
        if text and not _made(value) and (words := unlike(text, value)):
            problems.append(f"{key}={shown(value)} must be {words}: experiments explain {key} tells more")
    return problems


def _made(value: Any) -> bool:
    """Tell whether an object is made of a value, or of one in it."""
    if isinstance(value, (dict, DictConfig)):
        return "_target_" in value or any(map(_made, value.values()))
    return isinstance(value, (list, ListConfig)) and any(map(_made, value))


def unlike(text: str, value: Any) -> str | None:
    """Return what a value should be, where it is of none of the types of an annotation; None where it is, or nobody knows."""
    try:
        kinds = [_kind(alternative) for alternative in _alternatives(ast.parse(text, mode="eval").body)]
    except SyntaxError:
        return None
    if any(kind is None or kind[1](value) for kind in kinds):
        return None
    *first, last = [kind[0] for kind in kinds if kind]
    return f"{', '.join(first)} or {last}" if first else last


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


_Kind = tuple[str, Callable[[Any], bool]]


def _kind(node: ast.expr) -> _Kind | None:
    """Return the words for a type of an annotation and what tells whether a value is of it; None for other types."""
    if isinstance(node, ast.Constant) and node.value is None:
        return "null", lambda value: value is None
    if isinstance(node, ast.Name):
        return _PLAIN.get(node.id)
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return None
    if node.value.id in _GROUPS:
        return "a group of keys", lambda value: isinstance(value, (dict, DictConfig))
    if node.value.id not in _LISTS:
        return None
    inner = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
    kinds = [_kind(alternative) for alternative in _alternatives(inner)]
    told = [kind for kind in kinds if kind]
    of = f" of {_PLURAL.get(told[0][0], 'values')}" if len(told) == len(kinds) == 1 else ""

    def holds(value: Any) -> bool:
        return isinstance(value, (list, ListConfig)) and (
            len(told) < len(kinds) or all(any(kind[1](item) for kind in told) for item in value)
        )

    return f"a list{of}", holds


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


_PLAIN: dict[str, _Kind] = {
    "int": ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "float": ("a number", is_number),
    "bool": ("true or false", lambda value: isinstance(value, bool) or value in (0, 1)),
    "str": ("text", lambda value: isinstance(value, str)),
}
_PLURAL = {"a whole number": "whole numbers", "a number": "numbers", "text": "texts", "true or false": "true or false"}

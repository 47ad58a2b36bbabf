"""The runs of a sweep: products, pairs and lists of overrides, written out."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException

from experiments.config.compose import explain_refusal
from experiments.errors import UserError

Axis = list[tuple[str, ...]]  # the alternatives of one or several keys that move together


def expand(
    words: Sequence[str],
    zipped: Any = None,
    lists: Any = None,
    config_loader: Any = None,
) -> list[list[str]]:
    """Return every combination of the values in some overrides; the last key varies fastest.

    Args:
        words: overrides in Hydra's syntax; of two with the same key the later counts.
        zipped: keys whose values are paired, first with first, instead of combined; or several lists of such keys.
        lists: lists of overrides (or strings with blanks between them); each is expanded together with `words`, whose
            keys it replaces, and the results follow one another.
        config_loader: of Hydra, for globs over the options of a group.

    Raises:
        UserError: when paired keys have unequal numbers of values, values cannot be listed, or what should be a list is none.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    runs: list[list[str]] = []
    pairs = _pairs(zipped)
    for more in _lists(lists) or [[]]:
        alternatives: dict[str, list[str]] = {}
        try:
            overrides = parser.parse_overrides([*words, *more])
        except OverrideParseException as error:
            raise UserError(explain_refusal(error, [*words, *more], ())) from error
        for override in overrides:
            key = override.get_key_element()
            for other in [alternative for alternative in alternatives if alternative.lstrip("+~") == key.lstrip("+~")]:
                del alternatives[other]
            alternatives[key] = _values(override)
        runs += [list(itertools.chain(*choice)) for choice in itertools.product(*_axes(alternatives, pairs))]
    return runs


def overrides_of(params: Any) -> list[str]:
    """Return the overrides in `hydra.sweeper.params`.

    Raises:
        UserError: when it is no mapping.
    """
    if not isinstance(params, Mapping | None):
        raise UserError(f"hydra.sweeper.params={params} must be keys with their values, such as {{seed: range(5)}}")
    return [f"{key}={value}" for key, value in (params or {}).items()]


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _pairs(zipped: Any) -> list[list[str]]:
    """Return the lists of keys that move together."""
    if zipped is None:
        return []
    if _listed(zipped) and all(isinstance(key, str) for key in zipped):
        return [list(zipped)] if zipped else []
    if not _listed(zipped) or not all(map(_listed, zipped)):
        raise UserError(
            f"hydra.sweeper.zip={zipped} must be a list of keys, or several: write hydra.sweeper.zip=[model,optimizer.lr]"
        )
    return [[str(key) for key in keys] for keys in zipped]


def _lists(lists: Any) -> list[list[str]]:
    """Return the lists of overrides that are expanded one after another."""
    word_lists: list[list[str]] = []
    for entry in lists if _listed(lists) else [] if lists is None else [lists]:
        if not _listed(lists) or not (_listed(entry) or isinstance(entry, str)):
            raise UserError(
                f"hydra.sweeper.lists={lists} must be a list of lists of overrides: "
                """write hydra.sweeper.lists='[["model=mlp","seed=0,1"],["model=lenet5"]]'"""
            )
        try:
            word_lists.append(shlex.split(entry) if isinstance(entry, str) else [str(word) for word in entry])
        except ValueError as error:
            raise UserError(f"hydra.sweeper.lists has {entry}, where a quote is never closed: close it") from error
    return word_lists


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        value = override.get_value_element_as_str()
        return [key if override.is_delete() and override.value() is None else f"{key}={value}"]
    if key.lstrip("+").startswith("launcher."):
        raise UserError(f"{override.input_line} has several values, and a sweep has one launcher: give {key} one value")
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line} has no end of values: list some, as in {key}=0.1,0.01, or search it with hydra/sweeper=optuna"
        )
    values = [f"{key}={value}" for value in override.sweep_string_iterator()]
    if not values:
        raise UserError(f"{override.input_line} holds no value: write a range or a pattern that does, or list values")
    return values


def _axes(alternatives: dict[str, list[str]], pairs: Sequence[list[str]]) -> list[Axis]:
    together: dict[str, list[str]] = {}
    for keys in pairs:
        for key in keys:
            if key not in alternatives:
                raise UserError(f"hydra.sweeper.zip names {key}, which this sweep does not set: add {key}=value,value")
            if key in together:
                raise UserError(f"hydra.sweeper.zip names {key} twice: pair it once")
            together[key] = keys
        counts = {key: len(alternatives[key]) for key in keys}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{key} {count}" for key, count in counts.items())
            raise UserError(
                f"hydra.sweeper.zip pairs values one by one and the numbers of values differ ({shown}): give each as many"
            )
    axes: list[Axis] = []
    for key in alternatives:
        keys = together.get(key, [key])
        if keys[0] == key or key not in together:
            axes.append(list(zip(*(alternatives[swept_key] for swept_key in keys), strict=True)))
    return axes

"""The cells of a sweep: products, pairs and lists of overrides, written out. Never imports torch."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from experiments.errors import UserError

Axis = list[tuple[str, ...]]  # the alternatives of one or several keys that move together


def expand(
    words: Sequence[str],
    zipped: Sequence[Any] = (),
    lists: Sequence[Any] = (),
    config_loader: Any = None,
) -> list[list[str]]:
    """Every combination of the values in some overrides; the last key varies fastest.

    Args:
        words: overrides in Hydra's syntax; of two with the same key the later counts.
        zipped: keys whose values are paired, first with first, instead of combined; or several lists of such keys.
        lists: lists of overrides (or strings with blanks between them); each is expanded together with `words`, whose
            keys it replaces, and the results follow one another.
        config_loader: of Hydra, for globs over the options of a group.

    Raises:
        UserError: when paired keys have unequal numbers of values, or values cannot be listed.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    cells: list[list[str]] = []
    for one in lists or [[]]:
        more = shlex.split(one) if isinstance(one, str) else [str(word) for word in one]
        alternatives: dict[str, list[str]] = {}
        for override in parser.parse_overrides([*words, *more]):
            key = override.get_key_element()
            for other in [known for known in alternatives if known.lstrip("+~") == key.lstrip("+~")]:
                del alternatives[other]
            alternatives[key] = _values(override)
        cells += [list(itertools.chain(*choice)) for choice in itertools.product(*_axes(alternatives, zipped))]
    return cells


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        value = override.get_value_element_as_str()
        return [key if override.is_delete() and override.value() is None else f"{key}={value}"]
    if not override.is_discrete_sweep():
        raise UserError(
            f"{override.input_line} has no end of values: list some, as in {key}=0.1,0.01, or search it with hydra/sweeper=optuna"
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _axes(alternatives: dict[str, list[str]], zipped: Sequence[Any]) -> list[Axis]:
    groups = (
        [list(zipped)] if zipped and all(isinstance(key, str) for key in zipped) else [list(keys) for keys in zipped]
    )
    together: dict[str, list[str]] = {}
    for keys in groups:
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
            axes.append(list(zip(*(alternatives[one] for one in keys), strict=True)))
    return axes

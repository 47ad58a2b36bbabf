"""Numbers so large that a run would end for want of memory, time or processes, or compute nothing, said before anything is
made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig

from experiments.config.preprocessing import given_keys
from experiments.config.view import of_known_class, select, shown

# The largest value of the keys of each group by their last word; "" stands for the others of that group.
_LARGEST = {
    "model": {
        "depth": 2_000,
        "layers": 1_000,
        "blocks": 1_000,
        "convolutions": 1_000,
        "groups": 100_000,
        "heads": 10_000,
        "max_size": 20_000,
        "min_size": 20_000,
        "": 100_000_000,
    },
    "data": {
        "count": 1_000_000,
        "rows": 10_000_000,
        "side": 10_000,
        "resize": 20_000,
        "length": 100_000,
        "workers": 1_000,
        "environments": 10_000,
        "demonstrations": 100_000,
        "rollouts": 1_000_000,
        "validation_episodes": 1_000_000,
        "test_episodes": 1_000_000,
        "": 10**15,
    },
    "task": {"beams": 1_000, "beam": 10_000, "length": 100_000, "passes": 10_000, "samples": 100_000, "": 10**15},
    "trainer": {"threads": 10_000, "num_nodes": 100_000, "": 10**15},
}
_LARGEST_FLOAT = 1e9  # of what is no count: a rate, a weight, a share; float32 has no digits left to compute with
_OF_FLOATS = ("model", "data", "task", "optimizer", "scheduler")


def largest_problems(config: Any) -> list[str]:
    """Values that were given and are above what any run could have."""
    problems = []
    for key in given_keys(config):
        group, _, rest = key.partition(".")
        if not rest or not of_known_class(config, key):
            continue
        whole_too = group in ("optimizer", "scheduler")  # which count nothing
        large = _large_float(select(config, key), whole_too)
        if group in _OF_FLOATS and large is not None:
            problems.append(f"{key}={shown(large)} is more than the 1e9 that a run may have: take less")
            continue
        if group not in _LARGEST:
            continue
        most = _LARGEST[group].get(rest.rpartition(".")[2], _LARGEST[group][""])
        if key == "data.size":  # pixels
            most = 20_000
        for number in _numbers(select(config, key)):
            if number > most and not (key.endswith("seed") or isinstance(number, float)):
                problems.append(f"{key}={number} is more than the {most:,} that a run may have: take less")
                break
    return problems


def _large_float(value: Any, whole_too: bool) -> float | None:
    """Return the first number of a value that is beyond use, whole ones left out or not; infinity is refused, or meant,
    elsewhere.
    """
    numbers = (number for number in _numbers(value) if whole_too or isinstance(number, float))
    return next((number for number in numbers if _LARGEST_FLOAT < number < math.inf), None)


def _numbers(value: Any) -> Iterator[float]:
    """Numbers in a value, one or a list or lists of them."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, tuple, ListConfig)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (dict, DictConfig)):
        for item in value.values():
            yield from _numbers(item)

"""Whole numbers so large that a run would end for want of memory, time or processes, said before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, ListConfig

from experiments.config.preprocessing import given_keys
from experiments.config.view import select

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


def largest_problems(config: Any) -> list[str]:
    """Values that were given and are above what any run could have."""
    problems = []
    for key in given_keys(config):
        group, _, rest = key.partition(".")
        if not rest or group not in _LARGEST:
            continue
        most = _LARGEST[group].get(rest.rpartition(".")[2], _LARGEST[group][""])
        if key == "data.size":  # pixels
            most = 20_000
        for number in _numbers(select(config, key)):
            if number > most and not (key.endswith("seed") or isinstance(number, float)):
                problems.append(f"{key}={number} is more than the {most:,} that a run may have: take less")
                break
    return problems


def _numbers(value: Any) -> Iterator[int]:
    """Whole numbers in a value, one or a list or lists of them."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, tuple, ListConfig)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (dict, DictConfig)):
        for item in value.values():
            yield from _numbers(item)

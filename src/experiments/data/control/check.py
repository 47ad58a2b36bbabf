"""What is wrong with a config of control, before torch is imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from experiments.data.control.environments import examine
from experiments.errors import UserError


def problems(config: Mapping[str, Any]) -> list[str]:
    """Sentences about the environment of `data`, its physics, and the distribution that `task` asks for."""
    data, task = config["data"], config["task"]
    if data.get("env") is None or find_spec("gymnasium") is None:  # a missing package is told of all data in one way
        return []
    sentences = []
    if config["precision"]["name"] == "16-mixed" and task.get("max_gradient") and config["optimizer"].get("fused"):
        sentences.append(
            f"task.max_gradient={task['max_gradient']} cannot clip what a fused optimizer unscales itself in "
            "precision=16-mixed: set optimizer.fused=false, or take precision=bf16-mixed"
        )
    keys = ("env", "options", "physics", "test_physics", "randomise")
    return [*sentences, *_found(json.dumps({key: data.get(key) for key in keys}), task.get("distribution"))]


@lru_cache(maxsize=256)  # the cells of a sweep ask again and again
def _found(text: str, distribution: str | None) -> tuple[str, ...]:
    asked = json.loads(text)
    try:
        spec, *_ = examine(asked["env"], asked["options"], asked["physics"], asked["test_physics"], asked["randomise"])
    except UserError as error:
        return (str(error),)
    misfit = spec.misfit(distribution)
    return (misfit,) if misfit else ()

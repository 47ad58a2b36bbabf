"""From a resolved config to what makes the optimizer and its scheduler."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from experiments.config.shorthand import SCHEDULER_ENTRIES
from experiments.run.instantiate import bound, plain_node


def build_optimizer(config: DictConfig) -> Any:
    """Return what makes the optimizer for the parameters that learn."""
    made = bound(config.optimizer, ("name",))
    if str(config.precision.name).endswith("-mixed") and config.trainer.get("gradient_clip_val") is not None:
        made.keywords.pop("fused", None)  # Lightning clips no gradients that a fused optimizer would unscale itself
    return made


def build_scheduler(node: Any) -> Any:
    """Return what gives the entries of Lightning's scheduler dictionary for an optimizer and its horizon."""
    from experiments.tasks.parts.schedules import Scheduled

    entries = {key: value for key, value in plain_node(node).items() if key in SCHEDULER_ENTRIES and value is not None}
    return Scheduled(bound(node, ("name", *SCHEDULER_ENTRIES)), str(node["_target_"]), entries)

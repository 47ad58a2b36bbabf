"""From a resolved config to what makes the optimizer and its scheduler."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from experiments.config.shorthand import SCHEDULER_ENTRIES
from experiments.errors import UserError, first_line
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


def require_step(make: Any) -> None:
    """Refuses an optimizer that takes no step with the gradients that networks have here, such as one for sparse gradients.

    Args:
        make: makes it for parameters. What it refuses when it is made, it refuses of the network too, and says there.

    Raises:
        UserError: with what the optimizer says.
    """
    import torch

    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros(2, 2)
    try:
        optimizer = make([parameter])
    except Exception:
        return
    try:
        optimizer.step(lambda: torch.zeros(()))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"optimizer: {first_line(error)}; check its keys, or choose another one") from error

"""Freezing: which stages learn."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from experiments.errors import UserError


def freeze(model: nn.Module, stages: Sequence[str]) -> None:
    """Takes the gradient from stages of a model. `Task.train` keeps them in evaluation mode besides, so that running
    statistics and dropout rest too.

    Raises:
        UserError: when the model has no stage of that name, or none would be left to learn.
    """
    names = [name for name, _ in model.named_children()]
    for stage in stages:
        if stage not in names:
            raise UserError(
                f"freezing.frozen names {stage}, which is no stage of this model: choose from {', '.join(names)}"
            )
        model.get_submodule(stage).requires_grad_(False)
    # A model without parameters (a naive forecast) has nothing to freeze, and is only tested.
    if stages and not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freezing.frozen={list(stages)} leaves nothing to learn: keep the head out of it")

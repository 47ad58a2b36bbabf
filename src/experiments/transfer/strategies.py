"""The freezing strategies: each says of a model which parameters learn, from which epoch and at what rate."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from experiments.errors import UserError
from experiments.transfer.freezing import NORMS, Assignment, Learning
from experiments.transfer.lora import add_low_rank
from experiments.transfer.stages import stages_of


def everything(model: nn.Module) -> Assignment:
    """Return all parameters, from the first step."""
    return {name: Learning() for name, _ in model.named_parameters()}


def feature_extraction(model: nn.Module) -> Assignment:
    """Return the head alone."""
    return _of(model, _with_parameters(model)[-1:])


def last_stages(model: nn.Module, *, count: int) -> Assignment:
    """Return the head and `count` stages below it (those without parameters are not counted).

    Raises:
        UserError: when the model has fewer.
    """
    stages = _with_parameters(model)
    if count >= len(stages) <= 1:
        raise UserError(
            f"freezing.count={count} asks for stages below the head, and this model has none that learn: write freezing=none"
        )
    if count >= len(stages):
        raise UserError(
            f"freezing.count={count} asks for more stages below the head than this model's {len(stages) - 1}"
            f" ({', '.join(stages[:-1])}): choose fewer, or freezing=none"
        )
    return _of(model, stages[len(stages) - 1 - count :])


def gradual(model: nn.Module, *, every_epochs: int, depth: int | None) -> Assignment:
    """Return the head, and from the top down one stage more every `every_epochs` epochs, `depth` of them or all.

    Howard and Ruder, 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.3. When the first
    stage below the head begins is up to `freezing.head_epochs`.
    """
    stages = _with_parameters(model)
    below = stages[-2::-1][:depth]
    assigned = _of(model, stages[-1:])
    for number, stage in enumerate(below):
        assigned |= _of(model, [stage], Learning(number * every_epochs))
    return assigned


def discriminative(model: nn.Module, *, decay: float) -> Assignment:
    """Return all parameters; each stage at `decay` times the rate of the one above (Howard and Ruder, 2018, section
    3.1).
    """
    assigned: Assignment = {}
    for number, stage in enumerate(reversed(_with_parameters(model))):
        assigned |= _of(model, [stage], Learning(rate=decay**number))
    return assigned


def norm_only(model: nn.Module) -> Assignment:
    """Weights and biases of normalisation layers, and the head.

    Frankle, Schwab and Morcos, 2021, "Training BatchNorm and Only BatchNorm".

    Raises:
        UserError: when the model has none.
    """
    assigned = {
        name: Learning()
        for inner, layer in model.named_modules()
        if isinstance(layer, NORMS)
        for name, _ in layer.named_parameters(prefix=inner)
    }
    if not assigned:
        raise UserError(
            "freezing=norm_only needs normalisation layers and this model has none: choose bias_only or lora"
        )
    return assigned | feature_extraction(model)


def bias_only(model: nn.Module) -> Assignment:
    """Biases, those of normalisation layers included, and the head.

    Ben Zaken, Ravfogel and Goldberg, 2022, "BitFit".

    Raises:
        UserError: when the model has none below its head.
    """
    head = feature_extraction(model)
    biases = {n: Learning() for n, _ in model.named_parameters() if n.rpartition(".")[2].startswith("bias")}
    if biases.keys() <= head.keys():
        raise UserError(
            "freezing=bias_only needs biases below the head and this model has none: choose norm_only or lora"
        )
    return biases | head


def lora(model: nn.Module, *, rank: int, alpha: float, layers: str | None) -> Assignment:
    """Return a low-rank update of every linear and convolution layer below the head, and the head (Hu et al., 2022,
    "LoRA").

    Args:
        model: changed in place: the layers get two small matrices each, and their weights are computed from them.
        rank: of the update.
        alpha: the update is multiplied by alpha / rank.
        layers: a regular expression that a layer's name must match somewhere; None takes all.

    Raises:
        UserError: when no layer is left, or `layers` is no regular expression.
    """
    head = feature_extraction(model)
    try:
        added = add_low_rank(model, rank, alpha, layers, skip=_with_parameters(model)[-1])
    except re.error as error:
        raise UserError(
            f"freezing.layers={layers} is no regular expression ({error}): name a layer, or null for all of them"
        ) from error
    if not added:
        raise UserError(
            f"freezing.layers={layers} leaves no linear or convolution layer below the head: null takes all of them"
        )
    return {name: Learning() for name in added} | head


_HEAD = ("fc", "classifier", "last", "last_layer", "output", "top", "logits")  # what libraries call it


def chosen(model: nn.Module, *, learn: Sequence[str]) -> Assignment:
    """Return what is named: stages, or regular expressions that must match parameter names from their beginning.

    Raises:
        UserError: when a name fits nothing.
    """
    stages = [name for name, _ in stages_of(model)]
    assigned: Assignment = {}
    for word in learn:
        if word in stages:
            assigned |= _of(model, [word])
            continue
        try:
            pattern = re.compile(word)
        except re.error as error:
            raise UserError(f"freezing.learn has {word}, no regular expression ({error}): name a stage") from error
        matched = {name: Learning() for name, _ in model.named_parameters() if pattern.match(name)}
        if not matched and word in _HEAD:
            raise UserError(
                f"freezing.learn has {word}, and the last layer is called head here, whatever the network: write head"
            )
        if not matched:
            raise UserError(
                f"freezing.learn has {word}, which is no stage and matches no parameter: choose from {', '.join(stages)}"
            )
        assigned |= matched
    return assigned


def _with_parameters(model: nn.Module) -> list[str]:
    return [name for name, stage in stages_of(model) if next(stage.parameters(), None) is not None]


def _of(model: nn.Module, stages: Sequence[str], how: Learning | None = None) -> Assignment:
    how = how or Learning()
    return {name: how for name, _ in model.named_parameters() if name.split(".")[0] in stages}

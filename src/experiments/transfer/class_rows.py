"""Which rows of a network belong to which class: rows of other weights are met by the names of classes, never by position."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from experiments.contracts import LayersOfClasses
from experiments.errors import UserError

log = logging.getLogger(__name__)


def by_name(
    state: dict[str, Tensor],
    model: nn.Module,
    head: set[str],
    names: Sequence[str],
    trained: Sequence[str],
    shown: str,
    with_head: bool,
) -> dict[str, Tensor]:
    """Return the state dict with the rows of classes in the order of those here; of other classes they keep their first
    values.

    Args:
        state: the weights, under the names of the model.
        model: that they are for. Its `class_layers` are the layers with rows of classes: names, or the rows that a class
            has together by name; without it they are the last layers of its heads. Its `background` is the number of
            rows before those of the classes, and `blank` tells that the classes are symbols with a blank before them.
        head: names of the tensors of all its heads.
        names: of the classes of the data.
        trained: of those of the weights; empty where nobody knows.
        shown: what the weights are called, for messages.
        with_head: the head must fit.

    Raises:
        UserError: when the head must fit, and is of other classes.
    """
    ours, theirs = list(map(str, names)), list(map(str, trained))
    kind = "symbols" if getattr(model, "blank", False) else "classes"
    own = model.state_dict()
    layers = class_layers(model, own)
    rows = {key: together for key in own if (together := layers.get(key.rpartition(".")[0])) and key in state}
    if not ours or not theirs or not rows or ours == theirs:
        return state
    if len(ours) != len(theirs):
        if not with_head:
            log.warning("%s knows %d %s and the data has %d: %s.", shown, len(theirs), kind, len(ours), _anew(model))
        return state  # the shapes say so
    before = getattr(model, "background", int(kind == "symbols"))
    # Those of a detector stand at several places.
    places = isinstance(model, LayersOfClasses) and isinstance(model.class_layers, Mapping)
    for key, together in rows.items():
        size = (before + len(theirs)) * together
        if len(state[key]) % size if places else len(state[key]) != size:
            return state  # rows of something else, as those of a vocabulary
    foreign = [name for name in ours if name not in theirs]
    if not foreign:
        order = [*range(before), *(before + theirs.index(name) for name in ours)]
        return state | {key: _in_order(state[key], order, together) for key, together in rows.items()}
    if with_head:
        raise UserError(
            f"{shown} does not know the {kind} {', '.join(foreign[:10])}: train it first, or choose the data it knows"
        )
    log.warning("%s does not know the %s %s: %s.", shown, kind, ", ".join(foreign[:10]), _anew(model))
    return state | {key: own[key] for key in (rows if isinstance(model, LayersOfClasses) else head)}


def class_layers(model: nn.Module, own: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the layers that have rows of classes, and how many rows a class has together in each."""
    if isinstance(model, LayersOfClasses):
        given = model.class_layers
        return dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1)
    last: dict[str, str] = {}  # layer of each head, auxiliary ones among them
    for key in own:
        if key.startswith("head."):
            last["head"] = key.rpartition(".")[0]
        for name in getattr(model, "classifiers", ()):
            if key.startswith(f"{name}."):
                last[f"{name}.{key.removeprefix(f'{name}.').split('.')[0]}"] = key.rpartition(".")[0]
    return dict.fromkeys(last.values(), 1)


def _in_order(tensor: Tensor, order: Sequence[int], together: int) -> Tensor:
    """Return the rows of the classes in another order, at each place where there are some."""
    return tensor.unflatten(0, (-1, len(order), together))[:, order].flatten(0, 2)


def _anew(model: nn.Module) -> str:
    return "its layers of classes begin anew" if isinstance(model, LayersOfClasses) else "the head begins anew"

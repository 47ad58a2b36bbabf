"""Labels of other data met with the classes of a run: by name, never by position."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.errors import UserError


def match_classes(data: Any, trained: Any, name: str) -> None:
    """Makes the labels of a data module's batches, and its spec, those of a run's classes.

    Classes of the run without an example stay, and are not tested.

    Args:
        data: a data module that is set up, whose batches are inputs and targets.
        trained: the spec of the run's own data.
        name: of the data, for the message.

    Raises:
        UserError: when the data have examples of a class that the run does not know.
    """
    theirs, ours = tuple(data.spec.classes), tuple(trained.classes)
    if theirs == ours:
        return
    foreign = [one for one in theirs if one not in ours]
    if foreign:
        known = [one for one in theirs if one in ours]
        cure = "choose data with these, or rename the classes"
        if known and hasattr(data, "chosen"):
            cure = f"rename them, or leave them out with data.classes=[{','.join(known)}]"
        raise UserError(
            f"{name} has classes that the run does not know ({_some(foreign)}); it knows {_some(ours)}: {cure}"
        )
    import torch

    places = torch.tensor([ours.index(one) for one in theirs])
    before = data.on_after_batch_transfer

    def renumber(target: Any) -> Any:
        if not isinstance(target, torch.Tensor):
            return target
        if target.is_floating_point():
            return target.new_zeros(*target.shape[:-1], len(ours)).index_copy_(-1, places.to(target.device), target)
        found = places.to(target.device)[target.clamp(0, len(places) - 1)]
        counts = (target >= 0) & (target < len(places))
        return torch.where(counts, found, target)  # what counts for nothing stays so

    def after(batch: Any, dataloader_idx: int) -> Any:
        inputs, target, *rest = before(batch, dataloader_idx)
        return (inputs, renumber(target), *rest)

    data.on_after_batch_transfer = after
    data.spec = replace(data.spec, classes=ours)


def _some(names: Any, most: int = 10) -> str:
    shown = ", ".join(list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

"""Matches classes, columns and tokens of other data with those of a run: by name, never by position."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.contracts import RenamesLabels
from experiments.errors import UserError, as_typed
from experiments.run.record import read_record
from experiments.spec import from_plain

log = logging.getLogger(__name__)


def match_classes(data: Any, trained: Any, name: str) -> None:
    """Makes the labels of a data module's batches, and its spec, those of a run's classes, or of the symbols that it writes.

    Classes of the run without an example stay, and are not tested.

    Args:
        data: a data module that is set up, whose batches are inputs and targets.
        trained: the spec of the run's own data.
        name: of the data, for the message.

    Raises:
        UserError: when the data have examples of a class that the run does not know.
    """
    if type(data.spec) is not type(trained):
        return
    field = next(
        (asked for asked in ("symbols", "classes") if getattr(data.spec, asked, ()) and getattr(trained, asked, ())), ""
    )
    theirs, ours = (tuple(getattr(spec, field, ())) for spec in (data.spec, trained))
    if theirs == ours:
        return
    foreign = [label for label in theirs if label not in ours]
    if foreign:
        shared = [label for label in theirs if label in ours]
        cure = f"choose data with these, or rename the {field}"
        if shared and field == "classes" and hasattr(data, "chosen"):
            cure = f"rename them, or leave them out with data.classes=[{','.join(shared)}]"
        if isinstance(data, RenamesLabels):
            suggested = data.renaming(ours)
            cure = f"rename them, as in {suggested!r}" if suggested else f"{cure} with data.rename"
        raise UserError(
            f"{name} has {field} that the run does not know ({_some(foreign)}); it knows {_some(ours)}: {cure}"
        )
    import torch

    places = torch.tensor([ours.index(label) for label in theirs])
    before = data.on_after_batch_transfer

    def renumber(target: Any) -> Any:
        if not isinstance(target, torch.Tensor):
            return target
        if target.is_floating_point():
            return target.new_zeros(*target.shape[:-1], len(ours)).index_copy_(-1, places.to(target.device), target)
        changed = places.to(target.device)[target.clamp(0, len(places) - 1)]
        counts = (target >= 0) & (target < len(places))
        return torch.where(counts, changed, target)  # what counts for nothing stays so

    def after(batch: Any, dataloader_idx: int) -> Any:
        inputs, target, *rest = before(batch, dataloader_idx)
        return (inputs, renumber(target), *rest)

    data.on_after_batch_transfer = after
    data.spec = replace(data.spec, **{field: ours})


_NAMED = ("columns", "languages", "symbols", "observations", "actions")


def require_names(given: Any, trained: Any, name: str, source: str, but: str = "") -> None:
    """Refuses data whose columns, languages, symbols, observations or actions have other names than those of a run.

    A network reads and makes these by position.

    Args:
        given: the spec of the data.
        trained: that of the run's own.
        name: of the data, for the message.
        source: of the run, likewise.
        but: what may differ all the same.

    Raises:
        UserError: naming those that differ.
    """
    if type(given) is not type(trained):
        return
    for word in _NAMED:
        ours, theirs = (tuple(getattr(spec, word, ())) for spec in (trained, given))
        if word == but or len(ours) != len(theirs) or ours == theirs:
            continue  # the shapes say so
        if sorted(ours) == sorted(theirs):
            raise UserError(
                f"{name} has its {word} in another order ({_some(theirs)}) than {source} ({_some(ours)}): bring them into that order"
            )
        foreign = [label for label in theirs if label not in ours]
        raise UserError(
            f"{name} has {word} that {source} does not know ({_some(foreign)}); it knows {_some(ours)}: choose data with these, "
            f"or rename the {word}"
        )


def require_same_names(spec: Any, checkpoint: Path, folder: Path) -> None:
    """Refuses to resume on data whose classes, columns, languages, symbols, observations or actions are no longer the same.

    Args:
        spec: of the data as they are now.
        checkpoint: that the run is resumed from.
        folder: of the run, for the message.

    Raises:
        UserError: naming both.
    """
    before = spec_in(checkpoint)
    if type(before) is not type(spec):
        return  # of an earlier version, or nothing of ours
    for word in ("classes", *_NAMED):
        ours, theirs = (tuple(getattr(side, word, None) or ()) for side in (before, spec))
        if ours != theirs:
            raise UserError(
                f"the data have {word} ({_some(theirs)}) that are not those {as_typed(folder)} has learned from ({_some(ours)}): restore the data,"
                " or begin a new run"
            )


def trained_spec(weights: str | None) -> Any:
    """Return the spec of the data that weights were trained on, where they are those of an earlier run, a file in its folder,
    or a checkpoint that was taken out of it.
    """
    if weights is None:
        return None
    path = Path(str(weights))
    folders = [path, *path.parents[:2]] if path.exists() else []
    folder = next(
        (place for place in folders if (place / "config.yaml").is_file() and (place / "record.json").is_file()), None
    )
    try:
        return from_plain(read_record(folder)["spec"]) if folder else spec_in(path)
    except (UserError, KeyError, TypeError):  # an older or a damaged record, or a module without a spec
        return spec_in(path)


def spec_in(path: Path) -> Any:
    """Return the spec that a checkpoint holds, or None."""
    from experiments.transfer.weight_files import read_checkpoint

    file = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    if file.suffix != ".ckpt" or not file.is_file():
        return None
    try:
        return from_plain(read_checkpoint(file, mapped=True)["spec"])
    except (UserError, KeyError, TypeError):  # whoever loads the weights says what is wrong
        return None


def require_tokens(data: Any, spec: Any, trained: Any, weights: str) -> None:
    """Refuses weights of texts whose tokenizer is not there, as rows of a table of words would meet other words.

    Args:
        data: the config of the data.
        spec: of the data.
        trained: of those of the weights, or None where nothing says it.
        weights: their name.

    Raises:
        UserError: when they are of a run, and its tokenizer is not beside them. Of other files a warning says so.
    """
    several = data.get("tokenizers") or {}
    parts = {"tokenizer": data.get("tokenizer")} | {
        f"tokenizers.{side}": several.get(side)
        for side in (("source",) if several.get("shared") else ("source", "target"))
    }
    fitted = next((key for key, tokenizer in parts.items() if tokenizer and tokenizer.get("source") is None), None)
    if fitted is None or not hasattr(spec, "vocabulary"):
        return
    if hasattr(trained, "vocabulary"):
        raise UserError(
            f"weights={weights} is of a run on texts, and its tokenizer is not beside it: name the folder of the run, or the "
            f"file of its tokenizer in data.{fitted}.source"
        )
    if trained is None:
        log.warning(
            "weights=%s does not say which tokens its rows are: they are taken for those that data.%s is fitted to, in this order; "
            "name its tokenizer in data.%s.source.", weights, fitted, fitted,
        )  # fmt: skip


def _some(names: Any, most: int = 10) -> str:
    shown = ", ".join(list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")

"""Weights from a folder in transformers' layout: safetensors under the library's names, heads by the names of their rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from experiments.errors import UserError
from experiments.system.bounded_files import read_json
from experiments.system.hub import weight_files
from experiments.transfer.weight_files import read_checkpoint

log = logging.getLogger(__name__)

# As older files name the two parts of a weight that is normalised.
OLDER = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}
BLANK = "blank"


def is_published(folder: Path) -> bool:
    """Tell whether a folder has transformers' layout."""
    return (folder / "config.json").is_file()


def read_folder(folder: Path, named: str) -> dict[str, Tensor]:
    """Return all tensors of a folder, under the library's names.

    Raises:
        UserError: when there are none, a file is damaged, or they are pickles.
    """
    return {
        name: tensor
        for path in weight_files(folder, named)
        for name, tensor in read_checkpoint(path, f"{named}/{path.name}").items()
    }


def load_folder(model: nn.Module, folder: Path, named: str, with_head: bool, names: Sequence[str]) -> None:
    """Fills a model that knows the library's names.

    A head takes over the rows whose names the data has; where there are none it keeps its own first values.

    Args:
        model: with `published_names`, `unused_names` and `head_names`.
        folder: in transformers' layout.
        named: how the user named it.
        with_head: whether the head must come from the folder, as nothing will be trained.
        names: of the symbols or classes that the head scores; none where it has nothing to do with the data.

    Raises:
        UserError: when it does not fit.
    """
    state = read_folder(folder, named)
    own = model.state_dict()
    ours: dict[str, Tensor] = {}
    extra = []
    heads: dict[str, Tensor] = {}
    library_names: dict[str, str] = model.published_names  # type: ignore[assignment]
    head_names: dict[str, str] = model.head_names  # type: ignore[assignment]
    unused: tuple[str, ...] = model.unused_names  # type: ignore[assignment]
    for name, tensor in state.items():
        for old, new in OLDER.items():
            name = name.replace(old, new)
        head = next(
            (f"{place}{name[len(start) :]}" for start, place in head_names.items() if name.startswith(f"{start}.")),
            None,
        )
        if name in library_names:
            ours[library_names[name]] = tensor
        elif head:
            heads[head] = tensor
        elif not name.startswith(unused):
            extra.append(name)
    ours |= _head(model, folder, named, heads, own, with_head, names)
    optional = ("projection.hidden", "head.") if head_names else ("projection.hidden",)
    missing = [name for name in own if name not in ours and not name.startswith(optional)]
    unlike = [name for name, tensor in ours.items() if tensor.shape != own[name].shape]
    if missing or extra or unlike:
        faults = [
            f"{what} {', '.join(some[:3])}{f' and {len(some) - 3} more' if len(some) > 3 else ''}"
            for what, some in (("lacks", missing), ("has besides", extra), ("has another shape of", unlike))
            if some
        ]
        raise UserError(f"{named} is of another network: it {'; '.join(faults)}; choose the model that it belongs to")
    lost = next((name for name, tensor in ours.items() if not tensor.isfinite().all()), None)
    if lost is not None:
        raise UserError(f"{named} holds numbers that are not finite, first in {lost}: fetch it again")
    model.load_state_dict(own | ours)


def _head(
    model: nn.Module,
    folder: Path,
    named: str,
    heads: dict[str, Tensor],
    own: dict[str, Tensor],
    with_head: bool,
    names: Sequence[str],
) -> dict[str, Tensor]:
    """Return the head's tensors, their rows in the order of the data's names; nothing where it keeps its first values."""
    head_names: dict[str, str] = model.head_names  # type: ignore[assignment]
    if not head_names:
        return {}
    if not heads:
        if with_head:
            raise UserError(
                f"{named} has no head for this task: train it first, with experiments train weights={named}"
            )
        return {}
    last = list(head_names.values())[-1]
    rows = _rows(folder, symbols=last == "head.scores")
    absent = [token for token in names if token not in rows]
    if absent or (last == "head.scores" and BLANK not in rows):
        sentence = f"{named} has no row for {', '.join(map(repr, absent[:3]))} in its head"
        if with_head:
            raise UserError(f"{sentence}: train it first, or choose the data it knows")
        if len(absent) == len(names):
            log.warning("%s, so the head begins with values of its own.", sentence)
            return {}
        log.warning("%s, so these begin with values of their own.", sentence)
    order = [rows.get(token, -1) for token in ([BLANK, *names] if last == "head.scores" else names)]
    own_heads = {name: tensor for name, tensor in heads.items() if not name.startswith(f"{last}.")}
    for name, tensor in heads.items():
        if name.startswith(f"{last}."):
            if tensor.shape[1:] != own[name].shape[1:]:
                return heads  # of another network, as will be said of it
            kept = own[name].clone()
            for place, row in enumerate(order):
                if 0 <= row < len(tensor):
                    kept[place] = tensor[row].to(kept.dtype)
            own_heads[name] = kept
    return own_heads


def _rows(folder: Path, symbols: bool) -> dict[str, int]:
    """Return the row of each symbol, by vocab.json, or of each class, by config.json.

    Published symbols are commonly capitals, and | stands for a blank between words.
    """
    config = _json(folder / "config.json")
    if not symbols:
        return {str(name): int(row) for row, name in (config.get("id2label") or {}).items()}
    if not (folder / "vocab.json").is_file():
        return {}
    vocabulary = _json(folder / "vocab.json")
    if vocabulary and all(
        isinstance(entry, dict) for entry in vocabulary.values()
    ):  # a vocabulary for each of many languages
        vocabulary = next(iter(vocabulary.values()))
    rows = {word.lower(): row for word, row in vocabulary.items()} | vocabulary
    if "|" in rows:
        rows[" "] = rows["|"]
    return rows | {BLANK: int(config.get("pad_token_id") or 0)}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no object: fetch it again")
    return content

"""Weights in the layout of `transformers`: a folder with config.json and tensors in safetensors, under the library's names."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from experiments.contracts import published_names
from experiments.errors import UserError, first_line
from experiments.system.bounded_files import read_json

log = logging.getLogger(__name__)
FRESH = ("head", "pooler")  # stages that begin anew where a folder has nothing for them


def is_library_folder(path: Path) -> bool:
    """Tell whether a folder has the library's layout; a run's folder has its own."""
    return (path / "config.json").is_file() and not (path / "config.yaml").is_file()


def library_state(model: nn.Module, folder: Path, with_head: bool) -> dict[str, Tensor]:
    """Return the state dict of a model of `models.library`, from such a folder; the head that a classifier ended in
    stays out.

    Args:
        model: has `published_names`, the name here of each of the library's tensors.
        folder: in the library's layout.
        with_head: whether the head must come too.

    Raises:
        UserError: when the folder lacks tensors of a stage, or cannot be read.
    """
    given = {_modern(key): value for key, value in _tensors(folder).items()}
    own = model.state_dict()
    names: Mapping[str, str] = published_names(model)
    body = _body(model)
    tensors: dict[str, Tensor] = {}
    for library, ours in names.items():
        value = next((given[spelling] for spelling in _spellings(library, body) if spelling in given), None)
        if value is not None:
            tensors[ours] = value
    for names_of_one in _shared(model):  # a table of tokens may be that of the head as well
        value = next((tensors[name] for name in names_of_one if name in tensors), None)
        if value is not None:
            tensors |= dict.fromkeys(names_of_one, value)
    makes_words = getattr(model, "makes_words", False)
    if not with_head and not makes_words:
        tensors = {key: value for key, value in tensors.items() if not key.startswith("head.")}
    lost = sorted(own.keys() - tensors.keys())
    computed = {names.get(key) for key in getattr(model, "computed_names", ())}  # a file need not have these
    wrong = [key for key in lost if key.split(".")[0] not in FRESH and key not in computed]
    if wrong:
        raise UserError(
            f"weights={folder} lacks {wrong[0]}{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''} of this model: "
            "name the folder of a network of the same family, or take model=transformers"
        )
    anew = list(
        dict.fromkeys(
            key.split(".")[0] for key in lost if key not in computed and (not key.startswith("head.") or makes_words)
        )
    )
    if anew and with_head:
        cure = (
            "set model.pooling=mean"
            if anew == ["pooler"]
            else f"train it first, with experiments train weights={folder}, or compare texts by task=similarity"
        )
        raise UserError(
            f"weights={folder} has nothing for the stage {anew[0]}, and without training that tells nothing: {cure}"
        )
    if anew:
        log.warning("weights=%s has nothing for the stage %s, which keeps its own first values.", folder, anew[0])
    return tensors | {key: own[key] for key in lost}


def _shared(model: nn.Module) -> list[list[str]]:
    """Return the names of each tensor of a model that has several."""
    groups: dict[int, list[str]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _body(model: nn.Module) -> str:
    """Return what the library calls the layers below a head, with a dot: a file of the layers alone leaves it out."""
    kind = getattr(model, "library_kind", model)
    return f"{getattr(kind, 'base_model_prefix', '')}."


def _spellings(name: str, body: str) -> tuple[str, str]:
    """Under which names a tensor of one of the library's networks stands in the file of another with the same layers."""
    return (name, name.removeprefix(body)) if name.startswith(body) else (name, f"{body}{name}")


def _modern(name: str) -> str:
    """Layer norms of the first BERT had `gamma` and `beta`."""
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            return name[: -len(old)] + new
    return name


def _tensors(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    try:
        if index.is_file():
            shards: Any = sorted(set(read_json(index)["weight_map"].values()))
        else:
            shards = ["model.safetensors"]
        tensors: dict[str, Tensor] = {}
        for shard in shards:
            tensors |= load_file(folder / Path(shard).name)
        return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    except Exception as error:
        raise UserError(
            f"weights={folder} cannot be read ({first_line(error)}): fetch model.safetensors again"
        ) from error

"""Frozen features: what the first stages make of each example, computed once; the rest of the model trains on that."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from experiments.batches import IGNORED, Encoded, Pairs, Sequences
from experiments.contracts import EncodesSound, EncodesSources, FindsObjects
from experiments.system.files import digest as files_digest
from experiments.transfer.cache_files import Kept
from experiments.transfer.ragged import Ragged
from experiments.transfer.stages import stages_of

BATCH = 32  # examples that the pass takes at a time
FORMAT = 3  # to be raised when what is kept under the same key changes


class Features(NamedTuple):
    """In place of a model's input: what its first stages would have made of it.

    Attributes:
        values: (B, …), or `Sequences` (B, T, …).
        start: the number of the stage that reads them.
        sizes: height and width of each image, where a detector reads them.
    """

    values: Tensor | Sequences
    start: int
    sizes: tuple[tuple[int, int], ...] = ()

    @property
    def lengths(self) -> Tensor:
        """(B,) of sequences."""
        return self.values.lengths  # type: ignore[union-attr]


class FeatureSet(Dataset):
    """Cached features, served by the same samplers that would have picked images.

    Args:
        kept: of one split.
        start: the number of the stage that reads them.
        views: how many are kept of each example; epoch e is served view e modulo `views`.
    """

    def __init__(self, kept: Kept, start: int, views: int) -> None:
        self.kept, self.start, self.views = kept, start, views

    def __len__(self) -> int:
        return self.kept.examples // self.views

    def __getitems__(self, picks: Any) -> tuple[Features, Tensor]:
        """Return a batch: of `range` or numbers the first view; of picks with `indices` and `epoch` that epoch's."""
        if isinstance(picks, range | np.ndarray):  # of an evaluation
            rows = torch.as_tensor(picks)
        else:
            rows = torch.from_numpy(picks.indices + picks.epoch % self.views * len(self))
        values, targets = self.kept
        return (
            Features(values.padded(rows) if isinstance(values, Ragged) else values[rows], self.start),
            targets.padded(rows, IGNORED).values if isinstance(targets, Ragged) else targets[rows],
        )


class ObjectFeatures(FeatureSet):
    """Cached features of images with boxes, which are read anew for every batch: they are small and of unlike number.

    Args:
        kept: as in `FeatureSet`.
        start: likewise.
        beside: gives the sizes of some images, and what is in them.
    """

    def __init__(self, kept: Kept, start: int, beside: Callable[[Any], tuple[list[tuple[int, int]], Any]]) -> None:
        super().__init__(kept, start, 1)
        self.beside = beside

    def __getitems__(self, picks: Any) -> tuple[Features, Any]:
        features, _ = super().__getitems__(picks)
        sizes, targets = self.beside(picks)
        return features._replace(sizes=tuple(sizes)), targets


class EncodedPairs(FeatureSet):
    """Cached features of source sentences; what is beside them, their translations, is small and read anew.

    Args:
        kept: as in `FeatureSet`.
        start: likewise.
        beside: gives the pairs and labels of some examples.
    """

    def __init__(self, kept: Kept, start: int, beside: Callable[[Any], tuple[Pairs, Any]]) -> None:
        super().__init__(kept, start, 1)
        self.beside = beside

    def __getitems__(self, picks: Any) -> tuple[Any, Any]:
        features, _ = super().__getitems__(picks)
        pairs, labels = self.beside(picks)
        values, lengths, *_ = features.values
        return Pairs(Encoded(values, lengths, self.start), pairs.target), labels


class ApartFeatures(FeatureSet):
    """Cached features of pairs of texts that a model reads one by one: all first texts of a batch, and behind them all second
    ones. What is kept of an example are two rows.

    Args:
        kept: as in `FeatureSet`, the first texts of all examples before the second ones.
        start: likewise.
    """

    def __init__(self, kept: Kept, start: int) -> None:
        super().__init__(kept, start, 2)

    def __getitems__(self, picks: Any) -> tuple[Features, Tensor]:
        rows = torch.as_tensor(np.asarray(getattr(picks, "indices", picks)))
        both = torch.cat([rows, rows + len(self)])
        values, targets = self.kept
        return Features(values.padded(both) if isinstance(values, Ragged) else values[both], self.start), targets[rows]  # type: ignore[index]


class EncodedSound(FeatureSet):
    """Cached features of recordings, for a decoder that reads them."""

    def __getitems__(self, picks: Any) -> tuple[Any, Any]:
        features, targets = super().__getitems__(picks)
        values, lengths, *_ = features.values
        return Encoded(values, lengths, self.start), targets


def encodes(model: Any) -> bool:
    """Tell whether a model is an encoder-decoder, of which what the encoder makes of the source can be kept."""
    return isinstance(model, EncodesSources)


def hears(model: Any) -> bool:
    """Tell whether the source of an encoder-decoder is sound."""
    return isinstance(model, EncodesSound)


def reads_rows(model: Any) -> bool:
    """Tell whether a model is a detector, whose head reads several maps of its backbone."""
    return isinstance(model, FindsObjects)


def takes_features(model: nn.Module) -> bool:
    """Tell whether a model is its stages one after the other and nothing besides, or a detector, or an encoder-decoder."""
    chain = isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward
    return chain or reads_rows(model) or encodes(model)


def accept_features(model: Any) -> None:
    """Lets a model, called with `Features`, go on from the stage that reads them; for all else it stays what it was."""
    if encodes(model):  # which does so by itself
        return
    if reads_rows(model):
        usual = model.forward

        def detect(images: Any, targets: Any = None) -> Any:
            return model.from_features(*images, targets) if isinstance(images, Features) else usual(images, targets)

        model.forward = detect
        return
    stages = [stage for _, stage in stages_of(model)]
    channels_last = any(map(_channels_last, model.modules()))

    def forward(inputs: Any) -> Any:
        values, start = inputs[:2] if isinstance(inputs, Features) else (inputs, 0)
        # As from the stages themselves: dropout draws in this order.
        if start and channels_last and isinstance(values, Tensor) and values.ndim == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        for stage in stages[start:]:
            values = stage(values)
        return values

    model.forward = forward


def _channels_last(layer: nn.Module) -> bool:
    weight = layer.weight if isinstance(layer, nn.Conv2d) else None
    return weight is not None and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)


def sources(*objects: Any) -> str:
    """Hexadecimal digits that differ when the files do in which the classes of some objects are written, bases included."""
    modules = {base.__module__ for item in objects for base in type(item).__mro__}
    files = {getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return files_digest(map(Path, sorted(filter(None, files))))  # a class of a notebook has none


def key(model: nn.Module, start: int, facts: dict[str, Any]) -> str:
    """Names what is kept: differs when the stages, their code, their weights, or any of `facts` does."""
    digest = hashlib.sha256(
        json.dumps({"format": FORMAT, "torch": torch.__version__, **facts}, sort_keys=True).encode()
    )
    stages = stages_of(model)[:start]
    digest.update(sources(*(inner for _, stage in stages for inner in stage.modules())).encode())
    for name, stage in stages:
        kinds = ",".join(f"{type(inner).__module__}.{type(inner).__qualname__}" for inner in stage.modules())
        digest.update(f"{name}:{stage!r}:{kinds}".encode())
        for inner, tensor in stage.state_dict().items():
            digest.update(f"{inner}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


@torch.no_grad()
def through(
    stages: Sequence[nn.Module], batches: Iterable[tuple[Any, Tensor]], whole: bool = False
) -> Iterator[tuple[Tensor | Sequences, Tensor]]:
    """Yield what stages make of the inputs of some batches, in evaluation mode and without gradients; and the targets.

    They work on a copy with channels last: on a CPU that alone takes a sixth less time for a ResNet-18.

    Args:
        stages: one after the other.
        batches: inputs and targets.
        whole: whether what stands behind the end of a sequence is kept too.

    Raises:
        TypeError: when what comes out is neither a tensor nor `Sequences`.
    """
    frozen = copy.deepcopy(nn.Sequential(*stages)).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for inputs, targets in batches:
        images = isinstance(inputs, Tensor) and inputs.ndim == 4
        values = frozen(inputs.contiguous(memory_format=torch.channels_last) if images else inputs)
        if isinstance(values, Pairs):
            labels: Any = targets
            values, targets = values.source, labels.rows
        if isinstance(values, Sequences):
            steps = torch.full_like(values.lengths, values.values.shape[1]) if whole else values.lengths
            yield Sequences(values.values.cpu(), steps.cpu()), targets.cpu()
        elif isinstance(values, Tensor):
            yield values.cpu(), targets.cpu()
        else:
            raise TypeError(f"the stages give a {type(values).__name__}")


@torch.no_grad()
def rows_of(model: Any, start: int, batches: Iterable[tuple[Any, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what a detector's first stages make of the images of some batches, one row an image; and the targets."""
    frozen = copy.deepcopy(model).eval().to(memory_format=torch.channels_last)
    for images, targets in batches:
        yield frozen.reads.rows(images, start).cpu(), targets.cpu()

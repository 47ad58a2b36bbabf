"""Training on cached features: the output of frozen first stages is computed once and read in every epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.batches import Sequences
from experiments.contracts import ComesInOrder
from experiments.errors import UserError, first_line
from experiments.tasks.base import Task
from experiments.transfer.cache_files import Cache, TooLargeError
from experiments.transfer.cached_features import (
    BATCH,
    ApartFeatures,
    EncodedPairs,
    EncodedSound,
    FeatureSet,
    ObjectFeatures,
    accept_features,
    encodes,
    hears,
    key,
    reads_rows,
    rows_of,
    sources,
    takes_features,
    through,
)
from experiments.transfer.freezing import Freezing
from experiments.transfer.ragged import Ragged

TRANSFORMS = "transforms"  # of torchvision, among the names of augmentations that are on
_FOREVER = sys.maxsize  # an epoch by which everything that is ever released has been


class FrozenFeatures(Callback):
    """Serve cached features in place of examples, for as many stages as are frozen in an epoch.

    Order, batches and numbers are those of a run without it, to float tolerance. What is kept lies in a cache that
    later runs with the same frozen stages and data read too.

    Args:
        freezing: says how many of the first stages are frozen in an epoch.
        cache: where features are kept; None: nowhere.
        views: fixed augmented views of each training image; 0: none, and nothing is kept of data that augments.

    Attributes:
        summary: for the record: `kept`, a row for each split and number of stages; and `reason`, where nothing is.
    """

    def __init__(self, freezing: Freezing, cache: Cache | None, views: int) -> None:
        self.freezing, self.cache, self.views = freezing, cache, views
        self.summary: dict[str, Any] = {"kept": [], "reason": None}
        self._sets: dict[tuple[str, int], FeatureSet] = {}
        self._off = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.summary["reason"] or (self.freezing.everything and not self.views):
            return
        reason = self._reason(trainer, pl_module)
        if reason:
            if stage == "fit":
                self._give_up(trainer, reason)
            return
        self._off = False
        accept_features(pl_module.model)  # type: ignore[arg-type]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._offer(trainer, pl_module, "train", trainer.train_dataloader, trainer.num_training_batches)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._offer(trainer, pl_module, "validation", trainer.val_dataloaders, trainer.num_val_batches)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not (reads_rows(pl_module.model) or hears(pl_module.model)):  # whose tests read photographs and recordings
            self._offer(trainer, pl_module, "test", trainer.test_dataloaders, trainer.num_test_batches)

    def _reason(self, trainer: Trainer, task: LightningModule) -> str | None:
        """Tell why nothing can be kept, as half a sentence."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        last = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else 1
        if not any(self.freezing.frozen_stages(epoch) for epoch in {0, *self.freezing.releases} if epoch < last):
            if self.freezing.held_by_norms:
                return f"freezing.norm={self.freezing.settings.norm} lets the first stages change"
            return "no stage at the front stays as it is"
        if self.cache is None:
            return "features.cache=false"
        if not (isinstance(task, Task) and task.cacheable):
            return getattr(task, "changes_inputs", "") or f"{type(task).__name__} needs the examples themselves"
        if not takes_features(task.model):
            return f"{type(task.model).__name__} is more than its stages one after the other"
        if not isinstance(data, ComesInOrder):
            return f"{type(data).__name__} cannot say which examples are the same in every epoch"
        if reads_rows(task.model):
            return self._reason_of_boxes(task.model, data)
        if hears(task.model) and (reason := _reason_of_sound(task, data)):
            return reason
        mixing = [name for name in data.changes if name in ("mixup", "cutmix")]
        if self.views and mixing:
            return f"data.augment.{mixing[0]} pairs other images in every epoch"
        if self.views and not data.changes:
            return "nothing in data.augment is set, so that all views would be the same"
        if not self.views and data.changes:
            return f"{_in_words(data.changes)} makes others of them in every epoch (freezing.views=4 keeps four fixed views)"
        return None

    def _reason_of_boxes(self, model: Any, data: Any) -> str | None:
        if self.views:
            return "boxes move with each view of their image"
        if data.changes:
            return f"{_in_words(data.changes)} makes other images of them in every epoch ({_off(data.changes)})"
        for split in ("train", "validation"):
            sizes = sorted({model.reads.padded(size) for size in set(data.sizes(split))})
            if len(sizes) > 1:
                some = " and ".join(f"{width}×{height}" for height, width in (sizes[0], sizes[-1]))
                return (
                    f"the {split} images have unlike sizes ({some} when scaled), and what the backbone makes of one"
                    " depends on the others in its batch (model=ssdlite brings all to one size)"
                )
        return None

    def _offer(self, trainer: Trainer, task: LightningModule, split: str, loader: Any, batches: Any) -> None:
        if self._off:
            return
        if isinstance(loader, list):
            loader, batches = loader[0], batches
        count = batches[0] if isinstance(batches, list) else batches
        if not hasattr(loader, "instead"):
            return self._give_up(trainer, f"a {type(loader).__name__} cannot read them")
        if count < len(loader):
            return self._give_up(trainer, f"only {count} of {len(loader)} {split} batches are wanted")
        loader.instead = partial(self._serve, trainer, task, split)
        return None

    def _serve(self, trainer: Trainer, task: Any, split: str) -> FeatureSet | None:
        """Return the features that this epoch reads, or None where it reads examples; asked when an epoch's first batch
        is.
        """
        epoch = _FOREVER if split == "test" else trainer.current_epoch
        start = self._frozen(task, epoch)
        if self._off or not start:
            return None
        if (split, start) not in self._sets:
            views = self.views if split == "train" else 0
            name = self._key(trainer, task, split, start, views)
            if not (views or self._pays(trainer, task, epoch, start, name)):
                return None
            try:
                self._open(trainer, task, split, start, views, name)
            except OSError as error:
                why = error.strerror or first_line(error)
                self._give_up(trainer, f"features.dir={self.cache.folder} cannot be used ({why}): name a folder")  # type: ignore[union-attr]
                return None
            except (TooLargeError, TypeError) as error:
                self._give_up(trainer, first_line(error))
                return None
        return self._sets[split, start]

    def _key(self, trainer: Trainer, task: Any, split: str, start: int, views: int) -> str:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        facts = {
            "data": data.digest(split, augmented=bool(views)),
            "code": sources(data),
            "settings": _own_settings(data),
            "views": views,
            "precision": str(trainer.precision),
            "device": trainer.strategy.root_device.type,
        }
        if reads_rows(task.model):
            facts["scaling"] = {name: str(value) for name, value in sorted(vars(task.model.reads.scaling).items())}
        return key(task.model, start, facts)

    def _frozen(self, task: Any, epoch: int) -> int:
        """Tell what is kept in an epoch: the output of how many of the first stages."""
        start = self.freezing.frozen_stages(epoch)
        if reads_rows(task.model):
            return min(start, len(task.model.backbone_stages))  # the pyramid reads them all
        return min(start, task.model.encoder_stages) if encodes(task.model) else start

    def _pays(self, trainer: Trainer, task: Any, epoch: int, start: int, name: str) -> bool:
        """Tell whether what one pass makes will be read again: by later epochs, or by other runs with the same
        backbone.
        """
        assert self.cache is not None
        if self._frozen(task, _FOREVER) == start or self.cache.has(name):
            return True
        last = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else _FOREVER
        return epoch + 1 < last and self._frozen(task, epoch + 1) == start

    def _open(self, trainer: Trainer, task: Any, split: str, start: int, views: int, name: str) -> None:
        assert self.cache is not None
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        stages = self.freezing.stages[:start]
        rows = 2 if getattr(task.spec, "apart", False) else 1  # of an example
        loader = data.in_order(split, views, BATCH)

        def batches() -> Iterator[tuple[Tensor | Sequences, Tensor]]:
            inputs = (
                trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch)) for batch in loader
            )
            with trainer.precision_plugin.forward_context():
                if reads_rows(task.model):
                    yield from rows_of(task.model, start, inputs)
                else:
                    for values, targets in through([stage for _, stage in stages], inputs, whole=hears(task.model)):
                        yield values, torch.cat([targets] * rows)

        began = time.perf_counter()
        examples = data.splits[split]
        sampler = getattr(loader, "batch_sampler", None)
        order = getattr(sampler, "order", None)
        if rows > 1:
            order = np.concatenate([batch + side * examples for batch in sampler for side in range(rows)])  # type: ignore[union-attr]
        kept, reused = self.cache.get(name, examples * rows * max(1, views), batches, order)
        if reads_rows(task.model):
            self._sets[split, start] = ObjectFeatures(kept, start, partial(data.beside, split))
        elif rows > 1:
            self._sets[split, start] = ApartFeatures(kept, start)
        elif hears(task.model):
            self._sets[split, start] = EncodedSound(kept, start, max(1, views))
        elif encodes(task.model):
            self._sets[split, start] = EncodedPairs(kept, start, data.dataset(split).__getitems__)
        else:
            self._sets[split, start] = FeatureSet(kept, start, max(1, views))
        values = kept.values.flat if isinstance(kept.values, Ragged) else kept.values
        row = {
            "part": split,
            "stages": [stage for stage, _ in stages],
            "examples": examples,
            "views": views,
            "shape": list(values.shape[1:]),
            "megabytes": round(values.numel() * values.element_size() / 1e6, 1),
            "seconds": round(time.perf_counter() - began, 3),
            "reused": reused,
        }
        self.summary["kept"].append(row)
        if split == "train":
            made = "kept before" if reused else f"computed once, in {row['seconds']:.1f} s"
            of = stages[0][0] if start == 1 else f"{stages[0][0]} to {stages[-1][0]}"
            shape = " × ".join(map(str, row["shape"]))  # type: ignore[arg-type]
            shape += " a step" if isinstance(kept.values, Ragged) else ""
            self._say(
                trainer, f"features: output of {of} ({shape}) for {examples:,} examples, {made}; {self.cache.folder}"
            )

    def _give_up(self, trainer: Trainer, reason: str) -> None:
        if self.views:
            raise UserError(
                f"freezing.views={self.views} trains on cached features, and none are: {reason}; set it to 0"
            )
        self._off = True
        if self.summary["reason"] is None:
            self.summary["reason"] = reason
            self._say(trainer, f"features: not cached, because {reason}")

    def _say(self, trainer: Trainer, line: str) -> None:
        if trainer.is_global_zero:
            print(line, file=sys.stderr, flush=True)


def _reason_of_sound(task: Any, data: Any) -> str | None:
    """Tell which split has recordings that are longer than what the network looks at: these need more than one window."""
    window = float(task.model.window)
    for split in ("train", "validation"):
        seconds = float(data.dataset(split).lengths.max()) / task.spec.rate
        if seconds > window:
            return f"a {split} recording lasts {seconds:.1f} s and the network looks at {window:g} s"
    return None


def _in_words(changes: Sequence[str]) -> str:
    """Return the augmentations that are on, as somebody would write them."""
    return " and ".join(
        "a transform in data.augment" if name == TRANSFORMS else f"data.augment.{name}" for name in changes
    )


def _off(changes: Sequence[str]) -> str:
    """Say how images stay the same."""
    if TRANSFORMS in changes:
        return "without that they stay as they are"
    return f"{' '.join(f'data.augment.{name}=0' for name in changes)} does not"


def _own_settings(data: Any) -> dict[str, Any]:
    """Return what a user-defined class was told besides what every dataset of images is, which its digest knows."""
    ours = next(base for base in type(data).__mro__ if base.__module__.startswith("experiments."))
    if type(data) is ours:
        return {}
    parameters = signature(ours).parameters
    told = {
        name: repr(value) for name, value in vars(data).items() if name not in parameters and not name.startswith("_")
    }
    return {name: text for name, text in sorted(told.items()) if " at 0x" not in text and len(text) < 10_000}

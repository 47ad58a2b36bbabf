"""Images with one label each: what every such dataset shares, from the split to the normalised batch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from experiments.config.value_rules import require_amount
from experiments.data.common.loading import BatchedData, whole
from experiments.data.common.sampling import Picks, TrainSampler
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import check_labels, choose_classes, fingerprint, hold_out, keep
from experiments.data.common.transforms import always, augmented, listed
from experiments.data.images import augment as changes
from experiments.data.images.augment import Augment
from experiments.data.images.image_files import decode
from experiments.data.images.image_store import Batch, ImageSplit, StoredImages, channel_statistics, resize
from experiments.errors import UserError
from experiments.spec import ImageSpec, to_plain

NOTHING = Augment()  # changes no image


class ImageData(BatchedData):
    """Base of the image datasets: a subclass says how to `read` its files, and may `fetch` them.

    Args:
        batch_size: examples a step, over all processes together.
        size: side in pixels that images are resized to at load; None keeps theirs.
        validation: share or count held out from the training images where the dataset has no validation split.
        limit: use only so many training examples, evenly over the classes, or this share of each class; None: all.
        workers: processes that fetch batches; 0 is fastest for what is in memory.
        seed: of shuffling and augmentation.
        augment: see `Augment`.
        transform: of torchvision, applied to the bytes of every image of every split, after `size`; one, or a list.
        mean: a value a channel, of pixels scaled to [0, 1]; None: that of the training images used.
        std: standard deviation, likewise.
        classes: names of those to keep, in this order; None: all.
        split_seed: decides who is held out and who is kept by `limit`; the same in every run.
        root: folder where datasets live.
        download: fetch missing files.

    Attributes:
        spec: what the model needs to know, once `setup` has run.
        splits: examples in each split, and a fingerprint of who is in it, for the record.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, a split or class is empty.
    """

    name = "images"
    in_memory = True  # the splits are arrays, which forked processes share
    short: int | None = None  # the shorter side's pixels before the middle is cut out; None: those of the middle
    interpolation = "bilinear"  # of files and new images
    bits = 16  # used by files of 16 bits

    def __init__(
        self,
        *,
        batch_size: int,
        size: int | None,
        validation: float,
        limit: float | None,
        workers: int,
        seed: int,
        augment: Mapping[str, Any] | None,
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
        classes: Sequence[str | int] | None = None,
        split_seed: int = 0,
        transform: Any = None,
        root: str | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        if size is not None:
            whole("data.size", size, 1)
        require_amount("data.validation", validation)
        require_amount("data.limit", limit)
        self.size, self.validation, self.limit, self.split_seed = size, validation, limit, split_seed
        self.augment = Augment.of(augment or {})
        self.transforms = listed(transform, "data.transform")
        self._fetched: tuple[int, int] | None = None  # height and width before data.transform
        self.mean, self.std = ([numbers] if isinstance(numbers, (int, float)) else numbers for numbers in (mean, std))
        self.root, self.download = root, download
        self.chosen = None if classes is None else tuple(map(str, classes))
        self.sets: dict[str, ImageSplit] = {}
        self._scale: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    # What a dataset defines.

    def fetch(self) -> None:
        """Download what is missing, or say where it belongs."""

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        """Class names; and the splits `train`, `test` and perhaps `validation`, or `train` and sizes to hold out."""
        raise NotImplementedError

    def held_out(self) -> dict[str, float]:
        """Splits to hold out from the training images if `read` gives none."""
        return {"validation": self.validation}

    def load(self, split: ImageSplit, members: np.ndarray) -> ImageSplit:
        """Return some examples of a split, as (N, C, H, W) uint8 of the size the model receives."""
        images = torch.from_numpy(np.ascontiguousarray(split.source[members]))
        images = resize(images, self.size)
        self._fetched = tuple(images.shape[2:])  # type: ignore[assignment]
        return ImageSplit(always(self.transforms, images, "data.transform"), split.labels[members])

    def shape(self, split: ImageSplit) -> tuple[int, int, int]:
        """Channels, height and width of loaded images."""
        return tuple(split.source.shape[1:])

    def statistics(self, split: ImageSplit) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of each channel, of pixels scaled to [0, 1]."""
        return channel_statistics(split.source)

    def dataset(self, split: str, augment: Augment = NOTHING, on_device: bool = False) -> Dataset:
        """Serve one loaded split by the batch."""
        images, labels = self.sets[split]
        on_device = augment.on_device(on_device)
        if augment.crop and not on_device and split == "train":
            bordered = changes.border(images, augment.crop)
            crop, (height, width) = augment.crop, images.shape[2:]
            # The bordered copy replaces the store, which goes on as a view of it.
            inner = bordered[:, :, crop : crop + height, crop : crop + width]
            self.sets[split] = ImageSplit(inner, labels)
            images = bordered
        return StoredImages(images, torch.from_numpy(labels), augment, on_device)

    # What Lightning calls.

    def prepare_data(self) -> None:
        if not self.sets:
            self.fetch()

    def setup(self, stage: str | None = None) -> None:
        """Read, check, split, limit and resize, once; later calls return at once."""
        if self.sets:
            return
        classes, by_split = self.read()
        for split, (_, labels) in by_split.items():
            check_labels(self.name, split, labels, classes)
        if self.chosen is not None:
            for split, (source, labels) in by_split.items():
                members, labels = choose_classes(self.chosen, classes, labels)
                rows = source[members] if isinstance(source, np.ndarray) else [source[member] for member in members]
                by_split[split] = ImageSplit(rows, labels)
            classes = self.chosen
        origin = {split: (split, np.arange(len(labels))) for split, (_, labels) in by_split.items()}
        train = origin["train"][1]
        for split, amount in self.held_out().items():
            if split not in by_split:
                rest, held = hold_out(by_split["train"].labels[train], amount, self.split_seed, f"data.{split}")
                train, origin[split] = train[rest], ("train", train[held])
        if self.limit is not None:
            train = train[keep(by_split["train"].labels[train], self.limit, self.split_seed)]
        origin["train"] = ("train", train)
        loaded: dict[str, ImageSplit] = {}
        for split in SPLITS:
            source, members = origin[split]
            loaded[split] = self.load(by_split[source], members)
            if not len(loaded[split].labels):
                raise UserError(f"{self.name}: the {split} split is empty, and needs at least one example.")
        counts = np.bincount(loaded["train"].labels, minlength=len(classes))
        if not counts.all():
            empty = classes[int(np.argmin(counts))]
            raise UserError(f"{self.name}: class {empty} has no training example left; hold out fewer or add images.")
        mean, std = self.mean, self.std
        if mean is None or std is None:
            measured = self.statistics(loaded["train"])
            mean, std = mean or measured[0], std or measured[1]
        channels, height, width = self.shape(loaded["train"])
        for key, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                raise UserError(f"data.{key} has {len(values)} values; the images have {channels} channels.")
        if min(std) <= 0:
            raise UserError(f"data.std={list(std)} must be above 0 in every channel.")
        self.spec = ImageSpec(
            channels, height, width, tuple(classes), tuple(map(float, mean)), tuple(map(float, std)), self.bits
        )
        self.splits = {split: len(loaded[split].labels) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(
            (f"{split} of {origin[split][0]}", origin[split][1]) for split in SPLITS
        )
        self.sets = loaded
        black = torch.zeros(1, channels, height, width, dtype=torch.uint8)
        augmented(
            self.augment.transforms, black, Picks(np.zeros(1, np.int64), self.seed, 0, 0, 0)
        )  # refused before the first batch

    def take_over(self, ready: ImageData) -> None:
        """Does what `setup` would do, with the splits of another module that differs in nothing they depend on."""
        self.spec, self.splits, self.sets = ready.spec, dict(ready.splits), dict(ready.sets)

    @property
    def bytes(self) -> int:
        """Memory that the splits take."""
        return sum(split.source.nbytes for split in self.sets.values())

    def train_dataset(self) -> Dataset:
        _, world, share = self._share()
        if world > 1 and share % 2 and self.augment.mixes:
            raise UserError(f"mixup and cutmix mix pairs, so data.batch_size={self.batch_size} over {world} processes"
                            f" must give each an even share: take a multiple of {2 * world}.")  # fmt: skip
        return self.dataset("train", self.augment, self._on_device)

    def eval_workers(self, dataset: Dataset) -> int:
        # What is in memory is sliced: a worker would only send it through a queue.
        return 0 if isinstance(dataset, StoredImages) else self.workers

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if not isinstance(batch, Batch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if device.type == "cpu":
            return batch
        return Batch(*(None if value is None else value.to(device, non_blocking=True) for value in batch))  # type: ignore[arg-type]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment and normalise: a `Batch` -> images (B, C, H, W) float, targets (B,) int64 or (B, K) float."""
        if not isinstance(batch, Batch):
            return batch
        images, targets, places, bits = batch
        extra = None if bits is None else bits.view(torch.float32)
        if places is not None:
            images = changes.place_on_device(images, self.augment.crop, places)
        values = images.float()
        if extra is not None and self.device_augment.warps:
            values = changes.warp(values, self.device_augment, extra)
        shift, scale = self._normalisation(values.device)
        values.sub_(shift).mul_(scale)
        if extra is not None:
            if self.augment.cutout:
                changes.cut_out(values, self.augment.cutout, extra)
            if self.augment.mixes:
                values, targets = changes.mix(values, targets, self.spec.num_classes, self.augment, extra)
        if self.trainer is not None:
            # Lightning converts inputs before this hook, when images were still bytes.
            values = self.trainer.precision_plugin.convert_input(values)
            if targets.is_floating_point():
                targets = self.trainer.precision_plugin.convert_input(targets)
        return values, targets

    # For tasks, pictures and predictions.

    @property
    def class_counts(self) -> list[int]:
        """Training examples of each class."""
        return np.bincount(self.sets["train"].labels, minlength=self.spec.num_classes).tolist()

    def leave_out(self, labels: Sequence[int]) -> None:
        """Takes the images of some classes out of training and validation, but not out of the test; before loaders are made.

        Raises:
            UserError: when a split would be empty.
        """
        for split in ("train", "validation"):
            source, labels_there = self.sets[split]
            rest = np.flatnonzero(~np.isin(labels_there, list(labels)))
            if not len(rest):
                raise UserError(
                    f"{self.name}: nothing is left of the {split} split without its classes: leave fewer out."
                )
            if len(rest) < len(labels_there):
                kept = [source[place] for place in rest] if isinstance(source, list) else source[rest]
                self.sets[split] = ImageSplit(kept, labels_there[rest])
                self.splits[split] = len(rest)

    def prepare(self, images: Sequence[Any]) -> torch.Tensor:
        """Return new images as the model would get them: (N, C, H, W) float, scaled, cut and normalised as for
        evaluation.

        Args:
            images: names of files, Pillow images, or uint8 arrays (H, W) or (H, W, C).

        Raises:
            UserError: one of them cannot be read.
        """
        size: tuple[int, int] | None = self.spec.height, self.spec.width
        if self.transforms:
            size = (self.size, self.size) if self.size else self._fetched
        grey = self.spec.channels == 1
        pixels = [
            decode(image, size, grey, short=self.short, interpolation=self.interpolation, bits=self.spec.bits)
            for image in images
        ]
        changed = [always(self.transforms, torch.from_numpy(image)[None], "data.transform") for image in pixels]
        return self.on_after_batch_transfer(Batch(torch.cat(changed), torch.zeros(0)), 0)[0]

    def sample(self, split: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and targets as the model would get them, training images augmented as in epoch 0's first batch.

        It takes nothing from any loader or generator, so it may be called at any time.
        """
        size = len(self.sets[split].labels)
        if split == "train":
            picks = next(iter(TrainSampler(size, min(count, size), self.seed)))
            # Crops are left to the other path, which needs no bordered store and gives the same.
            fetched = self.dataset(split, self.augment, True).__getitems__(picks)  # type: ignore[attr-defined]
        else:
            everything = self.dataset(split, Augment(), True)
            fetched = everything.__getitems__(range(min(count, size)))  # type: ignore[attr-defined]
        return self.on_after_batch_transfer(fetched, 0)

    def examples(self, split: str, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images and targets of a split by their numbers, as for evaluation: (N, C, H, W) float and (N,) int64."""
        picks = Picks(np.asarray(indices, np.int64), self.seed, 0, 0, 0)
        fetched = self.dataset(split, Augment(), True).__getitems__(picks)  # type: ignore[attr-defined]
        if isinstance(fetched, UserError):  # what a worker would send
            raise fetched
        return self.on_after_batch_transfer(fetched, 0)

    # For features that are computed once.

    @property
    def changes(self) -> list[str]:
        """The augmentations that are on."""
        return [name for name, value in vars(self.augment).items() if value]

    def digest(self, split: str, augmented: bool) -> str:
        """Hexadecimal digits that differ when anything does of what the model gets of a split, in order."""
        source, labels = self.sets[split]
        facts: list[Any] = [
            to_plain(self.spec),
            self.short,
            self.interpolation,
            {name: value for name, value in vars(self.augment).items() if name != "transforms"} if augmented else None,
        ]
        if (
            self.transforms or self.augment.transforms
        ):  # told by what they print; without a text of their own they fit nothing
            facts.append(
                [repr(transform) for transform in (*self.transforms, *(self.augment.transforms if augmented else ()))]
            )
        digest = hashlib.sha256(json.dumps(facts).encode())
        digest.update(labels.tobytes())
        if isinstance(source, torch.Tensor):
            for some in source.split(1024):
                digest.update(some.contiguous().numpy())
        else:
            for path in source:
                state = os.stat(path)
                digest.update(f"{path}:{state.st_size}:{state.st_mtime_ns};".encode())
        return digest.hexdigest()

    def in_order(self, split: str, views: int, size: int) -> DataLoader:
        """Return every example of a split in order, `size` at a time and not augmented.

        With `views` that many times over, each time augmented by other draws; they are those of seed 0 in every run.
        """
        count = len(self.sets[split].labels)
        ranges = [range(first, min(first + size, count)) for first in range(0, count, size)]
        picks: list[Any] = [
            Picks(np.arange(span.start, span.stop), 0, view, number, 0)
            for view in range(views)
            for number, span in enumerate(ranges)
        ]
        dataset = self.dataset(split, self.augment if views else Augment(), True)
        return self._loader(dataset, picks or ranges, self.eval_workers(dataset))

    @property
    def device_augment(self) -> Augment:
        """What `on_after_batch_transfer` has left to do."""
        return self.augment

    def _normalisation(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what to take from bytes, and what to multiply them with then: (C, 1, 1) each, on the device."""
        if device not in self._scale:
            mean, std = (torch.tensor(values, dtype=torch.float64) * 255 for values in (self.spec.mean, self.spec.std))
            self._scale[device] = tuple(  # type: ignore[assignment]
                values.view(-1, 1, 1).to(device, torch.float32) for values in (mean, 1 / std)
            )
        return self._scale[device]

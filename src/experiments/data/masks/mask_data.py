"""Images with a class for every pixel: what every such dataset shares, from the files to the normalised batch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.config.value_rules import require_amount, require_values
from experiments.data.common.loading import BatchedData
from experiments.data.common.sampling import Picks, TrainSampler
from experiments.data.common.split_names import SPLITS, tell_shared
from experiments.data.common.splits import fingerprint, hold_out
from experiments.data.images.image_files import bits_used
from experiments.data.images.image_store import channel_statistics
from experiments.data.masks.augment import MaskAugment, Plane, move, relight, sides
from experiments.data.masks.mask_contents import MaskContents
from experiments.data.masks.mask_files import Pair, Photograph, fitted, picture_of
from experiments.data.masks.mask_store import Example, MaskBatch, StoredMasks, StreamedMasks
from experiments.data.masks.mask_values import IGNORED, distinct_colours
from experiments.data.masks.split_reader import Border, MaskSplit, SplitReader
from experiments.errors import UserError
from experiments.spec import MaskSpec

log = logging.getLogger(__name__)
ESTIMATE = 200  # images that mean and deviation are estimated from where the set is not in memory


class MaskData(BatchedData):
    """Base of the datasets with masks: a subclass says how to `read` its files.

    Args:
        batch_size: images a step, over all processes together.
        size: side, or height and width, that images are brought to at load; None keeps theirs, which must be alike.
        fit: how: see `fitted`.
        grey: read the images as grey.
        validation: share or count held out from the training images where the dataset has no validation split.
        test: likewise.
        limit: use only so many training images, or this share; None: all.
        workers: processes that read batches that do not fit in memory.
        seed: of shuffling and augmentation.
        augment: see `MaskAugment`.
        border_weight: what is added to the weight of a pixel between objects that touch: see `border_weights`. 0: nothing.
        border_sigma: how soon that falls, in pixels.
        background: name of the class between objects; None: the first.
        mean: a value a channel, of pixels scaled to [0, 1]; None: that of the training images used.
        std: standard deviation, likewise.
        split_seed: decides who is held out and who is kept by `limit`; the same in every run.
        memory: megabytes that images and masks may take before they are read from disk in every epoch.
        skip_broken: leave out images that cannot be read or lack a mask, with a warning, instead of an error.
        exif: see `load_pair`.
        root: folder of the dataset.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, a split is empty.
    """

    name = "masks"

    def __init__(
        self,
        *,
        batch_size: int,
        size: int | Sequence[int] | None,
        fit: str,
        grey: bool,
        validation: float,
        test: float,
        limit: float | None,
        workers: int,
        seed: int,
        augment: Mapping[str, Any] | None,
        border_weight: float,
        border_sigma: float,
        background: str | None = None,
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
        split_seed: int = 0,
        memory: float = 2000,
        skip_broken: bool = False,
        exif: str = "auto",
        root: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        self.size = None if size is None else sides("data.size", size)
        require_values(
            "masks", fit=fit, border_weight=border_weight, border_sigma=border_sigma, memory=memory, exif=exif
        )
        for key, amount in (("data.validation", validation), ("data.test", test)):
            require_amount(key, amount)
        require_amount("data.limit", limit)
        self.exif = exif
        self.fit, self.grey, self.validation, self.test, self.limit = fit, grey, validation, test, limit
        self.augment = MaskAugment.of(augment or {})
        self.border_weight, self.border_sigma, self.background = border_weight, border_sigma, background
        self.mean, self.std = ([numbers] if isinstance(numbers, int | float) else numbers for numbers in (mean, std))
        self.split_seed, self.skip_broken, self.root = split_seed, skip_broken, root
        self.memory = memory
        self.spec: MaskSpec
        self.by_split: dict[str, MaskSplit] = {}
        self._reader: SplitReader

    # What a dataset defines.

    def read(self) -> MaskContents:
        """Return its classes and the files of its splits."""
        raise NotImplementedError

    def hold_out(self, pairs: list[Pair], amount: float, key: str, of: int) -> tuple[list[Pair], list[Pair]]:
        """Splits training examples in two: the rest, and so many held out; whole images by chance."""
        rest, held = hold_out(np.zeros(len(pairs), np.int64), amount, self.split_seed, key, of)
        return [pairs[place] for place in rest], [pairs[place] for place in held]

    # What Lightning and the run call.

    def setup(self, stage: str | None = None) -> None:
        """Reads, checks, splits, limits and resizes, once; later calls return at once."""
        if self.by_split:
            return
        content = self.read()
        pairs = {split: list(several) for split, several in content.by_split.items()}
        total = len(pairs.get("train", []))
        if not total:
            raise UserError(
                f"{self.name}: the train split is empty, and needs at least one image: check data.root={self.root}"
            )
        for split, amount in (("test", self.test), ("validation", self.validation)):
            if split not in pairs:
                pairs["train"], pairs[split] = self.hold_out(pairs["train"], amount, f"data.{split}", total)
        if self.limit is not None:
            pairs["train"] = self._limited(pairs["train"])
        shape = self.size or pairs["train"][0].header.upright
        self.augment.require_fit(*shape)
        border = Border(self.border_weight, self.border_sigma, self._index_of_background(content.classes))
        memory = self.memory * 1e6
        bits = bits_used([pair.image for pair in pairs["train"] if not isinstance(pair.image, np.ndarray)])
        self._reader = SplitReader(
            shape, self.size is not None, self.fit, self.grey, bits, border, memory, self.skip_broken, self.exif
        )
        by_split = {split: self._reader.split(pairs[split], split == "train") for split in SPLITS}
        for split in SPLITS:
            if not by_split[split].pairs:
                raise UserError(
                    f"{self.name}: the {split} split is empty, and needs at least one image: add some, or hold out more"
                )
        mean, std = self._normalisation_of(by_split["train"])
        colours = content.colours or distinct_colours(len(content.classes))
        self.spec = MaskSpec(len(mean), *shape, content.classes, mean, std, bits, colours=colours, ignored=IGNORED)
        self._check_masks(by_split)
        self.splits = {split: len(by_split[split].pairs) for split in SPLITS}
        names = {split: "\n".join(pair.name for pair in by_split[split].pairs) for split in SPLITS}
        self.splits["fingerprint"] = fingerprint(
            (split, np.frombuffer(text.encode(), np.uint8)) for split, text in names.items()
        )
        tell_shared(self.name, {split: [pair.image for pair in by_split[split].pairs] for split in SPLITS})
        self.by_split = by_split

    def dataset(self, split: str, augmented: bool = False) -> Dataset:
        augment = self.augment if augmented else None
        pairs, stored = self.by_split[split]
        if stored is not None:
            return StoredMasks(*stored, augment)
        return StreamedMasks(len(pairs), partial(self._example, split), augment)

    def train_dataset(self) -> Dataset:
        return self.dataset("train", augmented=True)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        if not isinstance(batch, MaskBatch):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if device.type == "cpu":
            return batch
        return MaskBatch(*(None if value is None else value.to(device, non_blocking=True) for value in batch))  # type: ignore[arg-type]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augments and normalises: images (B, C, H, W) float, masks (B, H, W) int64, and weights (B, H, W) where there are some."""
        if not isinstance(batch, MaskBatch):
            return batch
        pixels, masks = batch.images.float(), batch.masks
        weights = None if batch.weights is None else batch.weights.view(torch.float16).float()
        if batch.draws is not None:
            draws = batch.draws.view(torch.float32)
            pixels = relight(pixels, self.augment, draws)
            self._normalise(pixels)
            planes = [Plane(pixels, 0.0, True), Plane(masks[:, None].float(), float(IGNORED), False)]
            planes += [] if weights is None else [Plane(weights[:, None], 0.0, True)]
            moved = move(planes, self.augment, draws)
            pixels, masks = moved[0], moved[1][:, 0]
            weights = None if weights is None else moved[2][:, 0]
        else:
            self._normalise(pixels)
        if self.trainer is not None:
            pixels = self.trainer.precision_plugin.convert_input(pixels)
        return (pixels, masks.long()) if weights is None else (pixels, masks.long(), weights + 1)

    # For tasks, pictures and predictions.

    @property
    def class_counts(self) -> list[int]:
        """Training pixels of each class."""
        counts = np.zeros(256, np.int64)
        for place in range(len(self.by_split["train"].pairs)):
            counts += np.bincount(self._plain("train", place)[1].reshape(-1), minlength=256)
        return counts[: self.spec.num_classes].tolist()

    def grey_values(self, split: str) -> np.ndarray:
        """Pixels of a split by class and grey value, (K, 256) int64; of colours, their mean."""
        counts = np.zeros(256 * 256, np.int64)
        for place in range(len(self.by_split[split].pairs)):
            image, mask = self._plain(split, place)
            grey = image[0] if len(image) == 1 else image.mean(axis=0, dtype=np.float32).round().astype(np.int64)
            counts += np.bincount((mask.astype(np.int64) * 256 + grey).reshape(-1), minlength=256 * 256)
        return counts.reshape(256, 256)[: self.spec.num_classes]

    @property
    def changes(self) -> tuple[str, ...]:
        """Names of the augmentations that are on."""
        return self.augment.changes

    def prepare(self, images: Sequence[Any]) -> Tensor:
        """Return new images as in evaluation, (N, C, H, W): files, Pillow images or uint8 arrays, brought to one size."""
        size = (self.spec.height, self.spec.width)
        pictures = (picture_of(image, self.spec.channels == 1, self.spec.bits) for image in images)
        return self._ready([np.array(fitted(picture, size, self.fit)) for picture in pictures])

    def photographs(self, images: Sequence[Any]) -> Iterator[Photograph]:
        """Yield new images one after the other, whole and with their own pixels.

        Where `data.size` scales the training images each is scaled alike, but not cut.

        Args:
            images: as for `prepare`.
        """
        for image in images:
            picture = picture_of(image, self.spec.channels == 1, self.spec.bits)
            scaled = picture
            if self.size is not None:
                ratios = self.size[0] / picture.height, self.size[1] / picture.width
                scale = min(ratios) if self.fit == "pad" else max(ratios)
                same = (max(1, round(picture.height * scale)), max(1, round(picture.width * scale)))
                scaled = fitted(picture, self.size if self.fit == "stretch" else same, "stretch")
            yield Photograph(self._ready([np.array(scaled)]), np.array(picture.convert("RGB")))

    def _ready(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """Pixels (H, W) or (H, W, 3) of one size as the model gets them: (N, C, H, W)."""
        pixels = np.stack(pictures)
        values = torch.from_numpy(pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)).float()
        self._normalise(values)
        return values.contiguous()

    def sample(self, split: str, count: int) -> tuple[Tensor, Tensor]:
        """Images and masks as the model would get them, training images augmented as in epoch 0's first batch."""
        size = len(self.by_split[split].pairs)
        if split == "train":
            picks: Any = next(iter(TrainSampler(size, min(count, size), self.seed)))
            fetched = self.dataset(split, augmented=True).__getitems__(picks)  # type: ignore[attr-defined]
        else:
            fetched = self.dataset(split).__getitems__(range(min(count, size)))  # type: ignore[attr-defined]
        return self.on_after_batch_transfer(self._sound(fetched), 0)[:2]

    def examples(self, split: str, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) and masks (N, H, W) of a split by their numbers, as for evaluation."""
        picks = Picks(np.asarray(indices, np.int64), self.seed, 0, 0, 0)
        fetched = self.dataset(split).__getitems__(picks)  # type: ignore[attr-defined]
        return self.on_after_batch_transfer(self._sound(fetched), 0)[:2]

    def names(self, split: str, indices: Sequence[int]) -> list[str]:
        """File names of some images of a split."""
        return [self.by_split[split].pairs[index].name for index in indices]

    # Inside.

    def _sound(self, batch: Any) -> Any:
        if isinstance(batch, UserError):
            raise batch
        return batch

    def _limited(self, pairs: list[Pair]) -> list[Pair]:
        assert self.limit is not None
        wanted = self.limit if isinstance(self.limit, int) else max(1, round(self.limit * len(pairs)))
        if wanted > len(pairs):
            raise UserError(f"data.limit={self.limit} is more than the {len(pairs)} training images; null takes all")
        kept = np.random.default_rng([self.split_seed, 1]).permutation(len(pairs))[:wanted]
        return [pairs[place] for place in sorted(kept)]

    def _index_of_background(self, classes: tuple[str, ...]) -> int:
        if self.background is None:
            return 0
        if self.background not in classes:
            raise UserError(
                f"data.background={self.background} is none of the classes: choose one of {', '.join(classes[:20])}"
            )
        return classes.index(self.background)

    def _example(self, split: str, place: int) -> Example:
        return self._reader.example(self.by_split[split].pairs[place], weighted=split == "train")

    def _plain(self, split: str, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (C, H, W) and mask (H, W) of one example, as stored or read."""
        stored = self.by_split[split].stored
        if stored is not None:
            return stored[0][place].numpy(), stored[1][place].numpy()
        image, mask, _ = self._reader.example(self.by_split[split].pairs[place], weighted=False)
        return image, mask

    def _normalisation_of(self, train: MaskSplit) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each channel; from disk, an estimate from up to 200 images spread over the split."""
        mean, std = self.mean, self.std
        if mean is None or std is None:
            if train.stored is None:
                places = np.linspace(0, len(train.pairs) - 1, min(ESTIMATE, len(train.pairs))).astype(int)
                some = torch.from_numpy(
                    np.stack([self._reader.example(train.pairs[place], False)[0] for place in places])
                )
            measured = channel_statistics(some if train.stored is None else train.stored[0])
            mean, std = mean or measured[0], std or measured[1]
        channels = 1 if self.grey else 3
        for key, values in (("mean", mean), ("std", std)):
            if len(values) != channels:
                raise UserError(
                    f"data.{key} has {len(values)} values and the images {channels} channels: give one a channel"
                )
        if min(std) <= 0:
            raise UserError(f"data.std={list(std)} must be above 0 in every channel: try null, for that of the images")
        return tuple(map(float, mean)), tuple(map(float, std))

    def _check_masks(self, by_split: Mapping[str, MaskSplit]) -> None:
        """Refuses masks without a pixel of any class, or of one alone, and says which classes training never sees."""
        size, stored = self.spec.num_classes, {split: masks[1] for split, (_, masks) in by_split.items() if masks}
        counts = {split: np.bincount(masks.reshape(-1), minlength=256)[:size] for split, masks in stored.items()}
        for split, pixels in counts.items():
            if not pixels.any():
                raise UserError(
                    f"{self.name}: every pixel of the {split} masks is ignored, so there is nothing to learn or measure: check the masks and data.ignore"
                )
        classes = np.flatnonzero(sum(counts.values()))
        if len(counts) == len(by_split) and len(classes) == 1:
            raise UserError(
                f"{self.name}: every pixel of all masks is of {self.spec.classes[classes[0]]}, so there is nothing to learn: "
                "give images with another class too"
            )
        if "train" in counts and not counts["train"].all():
            unseen = [self.spec.classes[place] for place in np.flatnonzero(counts["train"] == 0)]
            log.warning("%s: no training pixel is of %s", self.name, ", ".join(unseen[:10]))

    def _normalise(self, pixels: Tensor) -> None:
        """(B, C, H, W) float from 0 to 255, in place."""
        shift = pixels.new_tensor(self.spec.mean).view(-1, 1, 1) * 255
        scale = 1 / (pixels.new_tensor(self.spec.std).view(-1, 1, 1) * 255)
        pixels.sub_(shift).mul_(scale)

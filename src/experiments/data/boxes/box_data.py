"""Images with boxes: what every such dataset shares, from its annotations to a batch."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.config.value_rules import require_amount
from experiments.data.boxes.annotations import AnnotatedImage, Sieve, upright
from experiments.data.boxes.augment import BoxAugment
from experiments.data.boxes.photographs import Photographs, PixelsAlone, Target, scaled
from experiments.data.common.loading import BatchedData
from experiments.data.common.sampling import Picks, TrainSampler
from experiments.data.common.split_names import SPLITS, files_below, tell_shared
from experiments.data.common.splits import fingerprint, hold_out, keep
from experiments.data.images.image_files import bits_used, decode
from experiments.errors import UserError
from experiments.spec import DetectionSpec

log = logging.getLogger(__name__)


class BoxData(BatchedData):
    """Base of the images with boxes: a subclass says how to `read` its annotations.

    Images keep their sizes: a detector scales them itself. A batch is a list of images (3, H, W) from 0 to 1, and a list
    of what is in them: boxes (N, 4) as x1, y1, x2, y2 in pixels, labels (N,), areas (N,) and `iscrowd` (N,), and masks
    (N, H, W) where `targets` asks for them. Crowds are in validation and test alone.

    Args:
        batch_size: as in `BatchedData`.
        workers: as in `BatchedData`.
        seed: as in `BatchedData`, and of augmentation.
        root: folder where the data live.
        validation: share or count held out from the training images where there is no validation split.
        test: likewise; "val" makes the validation split the test split, and holds validation out instead.
        classes: names of those to keep, in this order; None: all.
        limit: train on so many images, or this share of them; None: all.
        bad_boxes: what to do about boxes that are empty, swapped or outside, and broken polygons: `refuse`, `drop`, or
            `clip` to cut to the image what reaches outside.
        exif: see `upright`.
        targets: what a batch has of each object: `boxes`, or masks too for `instances`.
        augment: see `BoxAugment`.
        split_seed: decides who is held out.

    Attributes:
        pictures: of each split, once `setup` has run.

    Raises:
        UserError: a value is out of range, a file is missing or damaged, or annotations and images do not match.
    """

    name = "boxes"

    def __init__(
        self,
        *,
        batch_size: int,
        workers: int,
        seed: int,
        validation: float,
        test: float | str,
        classes: Sequence[str | int] | None,
        limit: float | None,
        bad_boxes: str,
        exif: str,
        targets: str,
        augment: Mapping[str, Any] | None,
        root: str | None = None,
        split_seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        require_amount("data.validation", validation)
        require_amount("data.test", test, word="val")
        require_amount("data.limit", limit)
        for key, value, allowed in (
            ("bad_boxes", bad_boxes, ("refuse", "drop", "clip")),
            ("exif", exif, ("auto", "upright", "stored")),
            ("targets", targets, ("boxes", "instances")),
        ):
            if value not in allowed:
                raise UserError(f"data.{key}={value} is unknown: choose one of {', '.join(allowed)}")
        self.root, self.validation, self.test, self.limit = root, validation, test, limit
        self.chosen = None if classes is None else tuple(map(str, classes))
        self.bad_boxes, self.exif, self.targets, self.split_seed = bad_boxes, exif, targets, split_seed
        self.augment = BoxAugment.of(augment or {})
        self.pictures: dict[str, list[AnnotatedImage]] = {}
        self.spec: DetectionSpec

    # What a dataset defines.

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        """Class names, or None where the training images' own are meant; and the splits `train`, perhaps `validation` and `test`."""
        raise NotImplementedError

    # What Lightning calls.

    def setup(self, stage: str | None = None) -> None:
        """Read, check, split and limit, once."""
        if self.pictures:
            return
        names, by_split = self.read()
        by_split = self._split(by_split)
        classes = self._classes(names, by_split)
        sieve = Sieve(self.bad_boxes)
        for split, pictures in by_split.items():
            named = [self._known(picture, classes, names) for picture in pictures]
            by_split[split] = [sieve.good(upright(picture, self.exif)) for picture in named]
        sieve.finish()
        for split, pictures in by_split.items():
            if all(thing.crowd for picture in pictures for thing in picture.objects):
                besides = " that is no crowd or difficult one" if any(picture.objects for picture in pictures) else ""
                raise UserError(
                    f"data={self.name}: none of the {len(pictures)} images of the {split} split has an object{besides}: "
                    "give images with boxes"
                )
        if self.targets == "instances":
            self._need_masks(by_split)
        sides = np.array([picture.size for picture in by_split["train"]])
        height, width = (int(side) for side in np.median(sides, axis=0))
        bits = bits_used(
            [picture.source for picture in by_split["train"] if not isinstance(picture.source, np.ndarray)]
        )
        self.spec = DetectionSpec(height, width, classes, self.targets == "instances", bits)
        self.splits = {split: len(pictures) for split, pictures in by_split.items()}
        counts = {
            f"{split}_objects": sum(len(picture.objects) for picture in pictures)
            for split, pictures in by_split.items()
        }
        counts |= {"dropped_boxes": sieve.dropped, "clipped_boxes": sieve.clipped}
        self.splits |= {key: value for key, value in counts.items() if value}
        if sieve.bad:
            log.warning("%s. Boxes left out: %d, as data.bad_boxes says.", sieve.bad[0], sieve.dropped)
        self.splits["fingerprint"] = fingerprint(
            (split, np.frombuffer("\n".join(picture.where for picture in pictures).encode(), np.uint8))
            for split, pictures in by_split.items()
        )
        tell_shared(
            self.name, {split: [picture.source for picture in pictures] for split, pictures in by_split.items()}
        )
        self.pictures = by_split

    def dataset(self, split: str) -> Dataset:
        return Photographs(self.pictures[split], self.spec, self.augment if split == "train" else BoxAugment())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """To the device, where pixels become numbers from 0 to 1: bytes travel faster."""
        images, targets = super().transfer_batch_to_device(batch, device, dataloader_idx)
        if hasattr(images, "values"):  # what frozen stages have made of them
            return images, targets
        pixels = [scaled(image) for image in images]
        if self.trainer is not None:  # Lightning converts inputs before this hook, when images are still bytes
            pixels = self.trainer.precision_plugin.convert_input(pixels)
        return pixels, targets

    # For tasks, pictures and predictions.

    def prepare(self, images: Sequence[Any]) -> list[Tensor]:
        """Return new images as the model gets them: (3, H, W) from 0 to 1, each of its own size.

        Args:
            images: names of files, Pillow images, or uint8 arrays (H, W) or (H, W, C).

        Raises:
            UserError: one of them cannot be read.
        """
        return [scaled(torch.from_numpy(decode(image, None, False, bits=self.spec.bits))) for image in images]

    def sample(self, split: str, count: int) -> tuple[list[Tensor], list[Target]]:
        """Images and what is in them, as the model gets them; training images augmented as in epoch 0's first batch."""
        size = len(self.pictures[split])
        picks: Any = range(min(count, size))
        if split == "train":
            picks = next(iter(TrainSampler(size, min(count, size), self.seed)))
        fetched = self.dataset(split).__getitems__(picks)  # type: ignore[attr-defined]
        if isinstance(fetched, UserError):
            raise fetched
        return [scaled(image) for image in fetched[0]], fetched[1]

    # For features that are computed once.

    @property
    def changes(self) -> list[str]:
        """The augmentations that are on."""
        return [name for name, value in vars(self.augment).items() if value]

    def sizes(self, split: str) -> list[tuple[int, int]]:
        """Height and width of each image of a split."""
        return [picture.size for picture in self.pictures[split]]

    def beside(self, split: str, picks: Picks | range) -> tuple[list[tuple[int, int]], list[Target]]:
        """Return what a batch has beside its images, not augmented: their sizes, and what is in them."""
        dataset = Photographs(self.pictures[split], self.spec, BoxAugment())
        crowds = isinstance(picks, range)
        indices = picks if isinstance(picks, range) else picks.indices.tolist()
        return [self.pictures[split][i].size for i in indices], [dataset.target(i, crowds) for i in indices]

    def digest(self, split: str, augmented: bool) -> str:
        """Hexadecimal digits that differ when any image of a split does, in order; its boxes are no part of features."""
        digest = hashlib.sha256(f"{self.spec.bits} bits;".encode())  # which the training split says
        for picture in self.pictures[split]:
            if isinstance(picture.source, np.ndarray):
                digest.update(np.ascontiguousarray(picture.source).tobytes())
            else:
                state = os.stat(picture.source)
                digest.update(f"{picture.source}:{state.st_size}:{state.st_mtime_ns};".encode())
        return digest.hexdigest()

    def in_order(self, split: str, views: int, size: int) -> Any:
        """Return every image of a split in order, `size` at a time and not augmented, and its number."""
        count = len(self.pictures[split])
        ranges = [range(first, min(first + size, count)) for first in range(0, count, size)]
        return self._loader(PixelsAlone(self.pictures[split], self.spec, BoxAugment()), ranges, self.workers)

    def _split(self, by_split: dict[str, list[AnnotatedImage]]) -> dict[str, list[AnnotatedImage]]:
        """Return all three splits, what is missing held out, the training split limited."""
        by_split = dict(by_split)
        if self.test == "val":
            if "test" in by_split or "validation" not in by_split:
                raise UserError(
                    f"data.test=val needs a validation split and no test split, and data={self.name} has "
                    f"{' and '.join(by_split)}: give a share such as 0.2"
                )
            by_split["test"] = by_split.pop("validation")
        held = {"validation": self.validation, "test": self.test}
        for split, amount in held.items():
            if split not in by_split:
                everything = by_split["train"]
                nothing = np.zeros(len(everything), np.int64)
                rest, chosen = hold_out(nothing, amount, self.split_seed, f"data.{split}")  # type: ignore[arg-type]
                by_split["train"], by_split[split] = [everything[i] for i in rest], [everything[i] for i in chosen]
        if self.limit is not None:
            train = by_split["train"]
            members = keep(np.zeros(len(train), np.int64), self.limit, self.split_seed)
            by_split["train"] = [train[i] for i in members]
        for split in SPLITS:
            if not by_split[split]:
                raise UserError(f"data={self.name}: the {split} split has no image: give it some")
        return {split: by_split[split] for split in SPLITS}

    def _classes(self, names: tuple[str, ...] | None, by_split: dict[str, list[AnnotatedImage]]) -> tuple[str, ...]:
        names_there = sorted({thing.name for picture in by_split["train"] for thing in picture.objects})
        classes = names if names is not None else tuple(names_there)
        if self.chosen is None:
            if len(set(classes)) < len(classes):
                twice = next(name for name, count in Counter(classes).items() if count > 1)
                raise UserError(f"data={self.name} has two classes named {twice}: name each once")
            return classes
        for name in self.chosen:
            if name not in classes:
                raise UserError(
                    f"data.classes has {name}, which is none of {', '.join(classes[:20])}: name some of these"
                )
        if len(set(self.chosen)) < len(self.chosen):
            raise UserError(f"data.classes={list(self.chosen)} names a class twice: name each once")
        return self.chosen

    def _known(
        self, picture: AnnotatedImage, classes: tuple[str, ...], names: tuple[str, ...] | None
    ) -> AnnotatedImage:
        """Return the picture without objects of classes that were not chosen."""
        for thing in picture.objects:
            if thing.name not in classes and self.chosen is None:
                of = "the training split" if names is None else "the dataset"
                raise UserError(
                    f"{picture.where} has an object of {thing.name}, which is no class of {of} ({', '.join(classes[:20])}): "
                    "mend it, or name the classes to keep in data.classes"
                )
        return replace(picture, objects=tuple(box for box in picture.objects if box.name in classes))

    def _need_masks(self, by_split: dict[str, list[AnnotatedImage]]) -> None:
        objects = [
            (picture, thing) for pictures in by_split.values() for picture in pictures for thing in picture.objects
        ]
        bare = [picture for picture, thing in objects if thing.mask is None]
        if bare:
            raise UserError(
                f"data={self.name}: {len(bare)} of {len(objects)} objects have no mask, the first in {bare[0].where}: "
                "choose task=detection, which needs boxes alone"
            )


def images_in(folder: Path) -> list[Path]:
    """Return the image files in a folder and the folders in it, in order of their names."""
    from experiments.data.images import SUFFIXES

    return [path for path in files_below(folder) if path.suffix.lower() in SUFFIXES]


def matched(images: Sequence[Path], notes: Sequence[Path], kind: str, bare: str) -> list[tuple[Path, Path | None]]:
    """Images and their annotations, matched by the name without suffix.

    Args:
        images: files.
        notes: files of annotations.
        kind: what an annotation is called, for messages.
        bare: of an image without annotation: `refuse`, or `empty` where it holds no object.

    Raises:
        UserError: an annotation has no image, an image no annotation, or two have one name.
    """
    by_name: dict[str, Path] = {}
    for path in images:
        if path.stem in by_name:
            raise UserError(f"{by_name[path.stem]} and {path} have one name: rename one, and its {kind}")
        by_name[path.stem] = path
    by_stem = {note.stem: note for note in notes}
    lost = sorted(by_stem.keys() - by_name.keys())
    if lost:
        raise UserError(
            f"{by_stem[lost[0]]} has no image of its name{_more(lost)}: add the image, or remove the {kind}"
        )
    without = sorted(by_name.keys() - by_stem.keys())
    if without and bare == "refuse":
        raise UserError(
            f"{by_name[without[0]]} has no {kind}{_more(without)}: add it, or set data.unannotated=empty for images "
            "without objects"
        )
    return [(path, by_stem.get(name)) for name, path in sorted(by_name.items())]


def _more(names: Sequence[str]) -> str:
    return f", and so have {len(names) - 1} more" if len(names) > 1 else ""

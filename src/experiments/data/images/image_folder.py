"""Folders of image files, one folder a class: `train/<class>/*` with `val` and `test`, or the classes directly.

Sets that fit in memory after resizing are decoded once; larger ones are decoded by workers in every epoch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.config.value_rules import require_amount
from experiments.data.common.published_files import OFFLINE, data_root
from experiments.data.common.sampling import Picks
from experiments.data.common.split_names import hidden, split_folders, subfolders
from experiments.data.common.transforms import always, augmented
from experiments.data.images import SUFFIXES
from experiments.data.images import augment as changes
from experiments.data.images.augment import Augment
from experiments.data.images.image_data import NOTHING, ImageData
from experiments.data.images.image_files import INTERPOLATIONS, SizesDifferError, bits_used, check, decode
from experiments.data.images.image_store import Batch, ImageSplit, channel_statistics
from experiments.errors import UserError

log = logging.getLogger(__name__)
ESTIMATE = 1000  # images that mean and deviation are estimated from where the set is not in memory
T = TypeVar("T")


class ImageFolder(ImageData):
    """Images of any size and format, as (3, size, size), or (1, size, size) with `grey`.

    Args:
        grey: read the images as grey.
        resize: the shorter side's pixels before the middle of `size` is cut out; None takes the largest middle.
        interpolation: how images are brought to their size, one of `INTERPOLATIONS`; None: bilinear.
        test: share or count held out from the training images where there is no test folder; "val" makes the val
            folder the test split, and holds validation out instead.
        memory: megabytes that decoded images may take before they are read from disk in every epoch.
        skip_broken: leave out unreadable files with a warning, instead of an error.
        rest: the keys of `ImageData`.
    """

    name = "image_folder"
    in_memory = False

    def __init__(
        self,
        *,
        grey: bool,
        test: float | str,
        memory: float,
        skip_broken: bool,
        resize: int | None = None,
        interpolation: str | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if resize is not None and (self.size is None or resize < self.size):
            raise UserError(
                f"data.resize={resize} must be data.size={self.size} or more: try data.resize={self.size or 'null'}"
            )
        self.short = resize
        if interpolation not in (None, *INTERPOLATIONS):
            raise UserError(
                f"data.interpolation={interpolation} is not known: choose {', '.join(INTERPOLATIONS)}, or null"
            )
        self.interpolation = interpolation or self.interpolation
        require_amount("data.test", test, word="val")
        if memory < 0:
            raise UserError(f"data.memory={memory} is in megabytes and must be at least 0; 0 reads from disk always.")
        self.test, self.grey, self.skip_broken = test, grey, skip_broken
        self._memory = memory * 1e6
        self._decoded = self._shape = (0, 0, 0)  # before and after data.transform

    def fetch(self) -> None:
        folder = data_root(self.name, self.root)
        if not folder.is_dir():
            raise UserError(f"data.root={folder} is not a folder: it should hold train/<class>/* or class folders;"
                            f" {OFFLINE}.")  # fmt: skip

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        self.fetch()
        folders = split_folders(data_root(self.name, self.root))
        if self.test == "val":
            if "test" in folders or "validation" not in folders:
                raise UserError(f"data.test=val needs a val folder and no test folder in {self.root};"
                                " give a share such as 0.2.")  # fmt: skip
            folders["test"] = folders.pop("validation")
        classes = tuple(folder.name for folder in subfolders(folders["train"]))
        if len(classes) < 2:
            raise UserError(f"{folders['train']} holds {len(classes)} class folders; a classifier needs at least 2.")
        by_split = {split: list_images(folder, classes) for split, folder in folders.items()}
        # Where no size is asked for, all must have the first one's.
        height, width = (self.size, self.size) if self.size else check(by_split["train"].source[0])
        self._decoded = (1 if self.grey else 3, height, width)
        self._fetched = self._decoded[1:]
        self._shape = tuple(self._changed(np.zeros(self._decoded, np.uint8)).shape)  # type: ignore[assignment]
        self.bits = bits_used(by_split["train"].source)
        return classes, by_split

    def held_out(self) -> dict[str, float]:
        return {"validation": self.validation} | ({} if isinstance(self.test, str) else {"test": self.test})

    def load(self, split: ImageSplit, members: np.ndarray) -> ImageSplit:
        """Decode the images that fit into memory; of the others, read the headers."""
        paths, labels = [split.source[member] for member in members], split.labels[members]
        needed = len(paths) * int(np.prod(self._shape))
        if needed > self._memory:
            whole = self._whole(_in_threads(self._check, paths))
            return ImageSplit([path for path, ok in zip(paths, whole, strict=True) if ok], labels[whole])
        self._memory -= needed
        images = np.empty((len(paths), *self._shape), np.uint8)

        def fill(place: int) -> None:
            if self.size is None:
                self._check(paths[place])
            images[place] = self._decode(paths[place])

        whole = self._whole(_in_threads(fill, range(len(paths))))
        if not whole.all():
            images = images[whole]
        return ImageSplit(torch.from_numpy(images), labels[whole])

    def shape(self, split: ImageSplit) -> tuple[int, int, int]:
        return self._shape

    def statistics(self, split: ImageSplit) -> tuple[list[float], list[float]]:
        """Exact in memory; from disk, an estimate from up to 1,000 images spread over the split."""
        if isinstance(split.source, torch.Tensor):
            return channel_statistics(split.source)
        places = np.linspace(0, len(split.source) - 1, min(ESTIMATE, len(split.source))).astype(int)
        some = [split.source[place] for place in places]
        images = _in_threads(self._decode, some)
        self._whole(images)
        decoded = [image for image in images if isinstance(image, np.ndarray)]
        return channel_statistics(torch.from_numpy(np.stack(decoded)))

    def dataset(self, split: str, augment: Augment = NOTHING, on_device: bool = False) -> Dataset:
        source, labels = self.sets[split]
        if isinstance(source, torch.Tensor):
            return super().dataset(split, augment, on_device)
        targets = torch.from_numpy(labels)
        return Streamed(
            source, targets, self._decoded, augment, on_device, self.short, self.interpolation, self.bits, self._changed
        )

    @property
    def device_augment(self) -> Augment:
        if isinstance(self.sets["train"].source, torch.Tensor):
            return self.augment
        # `Streamed` has made it already, from the whole photograph.
        return dataclasses.replace(self.augment, resized_crop=0.0)

    def _decode(self, path: str) -> np.ndarray:
        pixels = decode(
            path, self._decoded[1:], self.grey, short=self.short, interpolation=self.interpolation, bits=self.bits
        )
        return self._changed(pixels)

    def _changed(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image after data.transform: (C, H, W) uint8 both."""
        return always(self.transforms, torch.from_numpy(pixels)[None], "data.transform")[0].numpy()

    def _check(self, path: str) -> None:
        size = check(path)
        if self.size is None and size != self._decoded[1:]:
            raise SizesDifferError(f"{path} has {size[0]} × {size[1]} pixels and others {self._decoded[1]} ×"
                               f" {self._decoded[2]}; set data.size, such as data.size=128.")  # fmt: skip

    def _whole(self, results: Sequence[object]) -> np.ndarray:
        """(N,) bool, false where reading failed; refuses these unless they may be left out."""
        broken = [result for result in results if isinstance(result, UserError)]
        for error in broken:
            if isinstance(error, SizesDifferError):
                raise error
        if broken:
            more = f" So are {len(broken) - 1} more files." if len(broken) > 1 else ""
            if not self.skip_broken:
                raise UserError(f"{broken[0]}{more} Mend or remove, or set data.skip_broken=true to leave out.")
            log.warning("%s%s Left out, as data.skip_broken says.", broken[0], more)
        return np.array([not isinstance(result, UserError) for result in results], bool)


class Streamed(Dataset):
    """Images decoded from their files, batch by batch.

    Args:
        paths: of the files.
        labels: (N,) int64.
        shape: channels, height and width that they are brought to.
        augment: what happens to them; nothing for evaluation.
        on_device: leave crop and flip to the device.
        short: see `decode`.
        interpolation: likewise.
        bits: likewise.
        changed: what data.transform makes of a decoded image.
    """

    def __init__(
        self,
        paths: list[str],
        labels: torch.Tensor,
        shape: tuple[int, int, int],
        augment: Augment,
        on_device: bool,
        short: int | None = None,
        interpolation: str = "bilinear",
        bits: int = 16,
        changed: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        self.bits, self.changed = bits, changed
        self.paths, self.labels, self.shape, self.augment, self.short = paths, labels, shape, augment, short
        self.interpolation = interpolation
        self.place_here = augment.places and not augment.on_device(on_device)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, picks: Picks | range) -> Batch | UserError:
        try:
            return self._batch(picks)
        except UserError as error:
            return error

    def _batch(self, picks: Picks | range) -> Batch:
        indices = np.asarray(picks if isinstance(picks, range) else picks.indices)
        windows: Sequence[tuple[float, ...] | None] = [None] * len(indices)
        bits = None
        if isinstance(picks, Picks) and self.augment.extra:
            extra = torch.from_numpy(changes.draw_extra(self.augment, picks))
            bits = extra.view(torch.int32)
            if self.augment.resized_crop:
                windows = torch.stack(changes.crop_window(self.augment, extra), dim=1).tolist()
        rows, grey = [], self.shape[0] == 1
        with _quiet():
            for index, window in zip(indices.tolist(), windows, strict=True):
                path = self.paths[index]
                pixels = decode(path, self.shape[1:], grey, window, self.short, self.interpolation, self.bits)
                rows.append(self.changed(pixels))
        images = torch.from_numpy(np.stack(rows))
        targets = self.labels[indices]
        if not isinstance(picks, Picks):
            return Batch(images, targets, None, bits)
        if not self.augment.places:
            return Batch(augmented(self.augment.transforms, images, picks), targets, None, bits)
        places = changes.draw_places(self.augment, picks)
        if not self.place_here:
            return Batch(images, targets, torch.from_numpy(places), bits)
        crop = self.augment.crop
        crops = changes.windows(changes.border(images, crop), crop)
        images = changes.gather_places(crops, np.arange(len(indices)), places)
        return Batch(augmented(self.augment.transforms, images, picks), targets, None, bits)


def list_images(folder: Path, classes: tuple[str, ...]) -> ImageSplit:
    """Return the image files of one split, sorted, with their labels.

    Raises:
        UserError: a folder is of no class, or has no image.
    """
    paths: list[str] = []
    labels: list[int] = []
    ignored: list[str] = []
    for name in (class_folder.name for class_folder in subfolders(folder)):
        if name not in classes:
            raise UserError(f"{folder / name} is of no class in train, which has {', '.join(classes[:10])}; rename it.")
        before = len(paths)
        for place, folders, files in os.walk(folder / name, followlinks=True):
            folders[:] = sorted(sub for sub in folders if not hidden(sub))
            for file in sorted(files):
                if not hidden(file):
                    fits = os.path.splitext(file)[1].lower() in SUFFIXES
                    (paths if fits else ignored).append(os.path.join(place, file))
        if len(paths) == before:
            raise UserError(f"{folder / name} holds no image ({', '.join(sorted(SUFFIXES))}); add some or remove it.")
        labels += [classes.index(name)] * (len(paths) - before)
    if ignored:
        log.warning("%s: ignored files that are no photographs: %d, such as %s", folder, len(ignored), ignored[0])
    return ImageSplit(paths, np.array(labels, np.int64))


def _in_threads(function: Callable[[T], object], items: Sequence[T]) -> list[object]:
    """Return what the function returns for each, or the UserError it raises. Decoding lets go of the interpreter's
    lock.
    """

    def attempt(item: T) -> object:
        try:
            return function(item)
        except UserError as error:
            return error

    with _quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(attempt, items))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings of odd metadata; around the threads, as switching them off is not safe within."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

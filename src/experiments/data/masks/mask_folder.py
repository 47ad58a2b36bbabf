"""Images in one folder and their masks in another, with the same names: `images` and `masks`, whole or a split each."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data.common.split_names import SPLITS, files_below, splits_in
from experiments.data.images import SUFFIXES
from experiments.data.masks.mask_contents import MaskContents
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import pair_of
from experiments.data.masks.mask_values import Meaning, packed, read_raw, require_distinct, understood
from experiments.errors import UserError

log = logging.getLogger(__name__)
IMAGES = ("images", "image", "imgs", "img", "JPEGImages")
MASKS = ("masks", "mask", "labels", "label", "annotations", "annot", "SegmentationClass")
ENDINGS = ("", "_mask", "-mask", "_label", "_labels", "_gt", "_seg", "_L", "_labelIds")
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
LOOKED_AT = 200  # training masks whose values decide what the classes are, where nothing says so


class MaskFolder(MaskData):
    """Images of any format beside masks of indices or of colours.

    Args:
        classes: names in the order of the indices, or which of `colours` to take; None: see `understood`.
        colours: of each class by name, three numbers or "#rrggbb"; None: what `class_dict.csv` says, if it is there.
        ignore: a value of the masks, or several, that are not looked at; None: 255 as a rule.
        rest: the keys of `MaskData`.
    """

    name = "mask_folder"

    def __init__(
        self,
        *,
        classes: Sequence[str] | None = None,
        colours: Mapping[str, Any] | None = None,
        ignore: int | str | Sequence[Any] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.classes = None if classes is None else tuple(map(str, classes))
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise UserError(f"data.classes={list(self.classes)} names a class twice: name each once")
        pairs = [(str(name), packed(colour, f"data.colours.{name}")) for name, colour in (colours or {}).items()]
        self.colours = None if colours is None else require_distinct(pairs, "data.colours")
        self.ignore = _ignored(ignore)

    def read(self) -> MaskContents:
        root = self._folder()
        files = {split: matched(*folders, self.skip_broken) for split, folders in split_folders(root).items()}
        meaning = self._meaning(root, [mask for _, mask in files["train"]])
        by_split = {
            split: [pair_of(image, mask, partial(classes_of, meaning)) for image, mask in pairs]
            for split, pairs in files.items()
        }
        return MaskContents(meaning.classes, meaning.colours, by_split)

    def _folder(self) -> Path:
        if not self.root:
            raise UserError(f"data={self.name} needs a folder with images and masks: set data.root")
        folder = Path(os.path.expanduser(self.root))
        if not folder.is_dir():
            raise UserError(f"data.root={folder} is no folder: name one that holds images/ and masks/")
        return folder

    def _meaning(self, root: Path, masks: list[Path]) -> Meaning:
        colours = self.colours
        if colours is None and (root / "class_dict.csv").is_file():
            colours = colours_of(root / "class_dict.csv")
        if colours is not None:
            return understood([], self.classes, colours, self.ignore)
        places = np.linspace(0, len(masks) - 1, min(LOOKED_AT, len(masks))).astype(int)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            raw = list(pool.map(_readable, [masks[place] for place in places]))
        masks_read = [result for result in raw if not isinstance(result, UserError)]
        if not masks_read:
            raise next(result for result in raw if isinstance(result, UserError))
        try:
            meaning = understood(masks_read, self.classes, None, self.ignore)
        except UserError as error:
            raise UserError(f"data={self.name}: {error}") from error
        lossy = next((mask for mask in masks if mask.suffix.lower() in LOSSY), None)
        if self.classes is None and lossy is not None and len(meaning.classes) > 2:
            raise UserError(
                f"{lossy} is saved with losses (JPEG), so that its {len(meaning.classes)} values are no classes: save masks as PNG "
                "with a value a class"
            )
        return meaning


def classes_of(meaning: Meaning, path: Path, size: tuple[int, int]) -> np.ndarray:
    """Return the classes of a mask file, (H, W) uint8; its image's size is not looked at."""
    return meaning.indices(read_raw(path), path)


def _readable(path: Path) -> Any:
    try:
        return read_raw(path)
    except UserError as error:
        return error


def _ignored(given: int | str | Sequence[Any] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    several = [given] if isinstance(given, int | str) else list(given)
    values = []
    for value in several:
        if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, int) and value < 0):
            raise UserError(
                f'data.ignore={given} must be values of the masks: try data.ignore=255, data.ignore=[0,255] or ["#000000"]'
            )
        values.append(packed(value, "data.ignore") if isinstance(value, str) else value)
    return tuple(values)


def split_folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """Folders of images and of masks of each split; without splits, all is training.

    `train/images` and `train/masks`, `images/train` and `masks/train`, or `images` and `masks`.

    Raises:
        UserError: there are none, or only one of the two.
    """
    pairs: dict[str, tuple[Path, Path]] = {}
    images, masks = _one(root, IMAGES), _one(root, MASKS)
    several = [splits_in(folder) if folder else {} for folder in (root, images, masks)]
    for split in SPLITS:
        inner, *apart = (folders.get(split) for folders in several)
        pair = (_one(inner, IMAGES), _one(inner, MASKS)) if inner else (None, None)
        if pair == (None, None) and images and masks:
            pair = (apart[0], apart[1])
        if pair[0] and pair[1]:
            pairs[split] = (pair[0], pair[1])
        elif pair[0] or pair[1]:
            there, missing = ("images", MASKS[0]) if pair[0] else ("masks", IMAGES[0])
            raise UserError(
                f"{pair[0] or pair[1]} holds {there}, and there is no folder {missing} beside it: add it, or remove this one"
            )
    if "train" not in pairs:
        if pairs:
            others = " and ".join(str(pair[0].parent.name) for pair in pairs.values())
            raise UserError(
                f"data.root={root} has {others} but no train: add it, or name a folder with images/ and masks/"
            )
        if not (images and masks):
            lacks = (
                f"no {MASKS[0]}/"
                if images
                else f"no {IMAGES[0]}/"
                if masks
                else f"neither {IMAGES[0]}/ and {MASKS[0]}/ nor train/ with these"
            )
            raise UserError(f"data.root={root} has {lacks}: images and masks of the same names belong into two folders")
        pairs["train"] = (images, masks)
    return pairs


def _one(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def files_in(folder: Path) -> list[Path]:
    """Image files of a folder and the folders in it, sorted."""
    return [path for path in files_below(folder) if path.suffix.lower() in SUFFIXES]


def matched(images: Path, masks: Path, skip: bool = False, endings: Sequence[str] = ENDINGS) -> list[tuple[Path, Path]]:
    """Return each image with the mask of the same name; the suffixes may differ.

    Args:
        images: folder of the images.
        masks: of the masks, whose names may end in `_mask` and the like.
        skip: leave out what has no partner, with a warning.
        endings: that a mask's name may have beyond its image's.

    Raises:
        UserError: an image has no mask or the reverse, two files have one name, or there is none at all.
    """
    by_name, marked = _by_name(images), _by_name(masks)
    pairs: list[tuple[Path, Path]] = []
    alone: list[Path] = []
    used: set[str] = set()
    for name, path in by_name.items():
        partner = next((f"{name}{ending}" for ending in endings if f"{name}{ending}" in marked), None)
        if partner is None:
            alone.append(path)
        else:
            used.add(partner)
            pairs.append((path, marked[partner]))
    left = [path for name, path in marked.items() if name not in used]
    for paths, what, where in ((alone, "mask", masks), (left, "image", images)):
        if not paths:
            continue
        more = f", and so have {len(paths) - 1} more" if len(paths) > 1 else ""
        if not skip:
            raise UserError(
                f"{paths[0]} has no {what} of its name in {where}{more}: add it, or set data.skip_broken=true to leave out"
            )
        log.warning("%s has no %s of its name in %s%s: left out, as data.skip_broken says", paths[0], what, where, more)
    if not pairs:
        raise UserError(f"{images} holds no image with a mask in {masks}: give files such as a.jpg and a.png")
    return pairs


def _by_name(folder: Path) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for path in files_in(folder):
        name = str(path.relative_to(folder).with_suffix(""))
        if name in by_name:
            raise UserError(f"{by_name[name]} and {path} have one name: keep one of them")
        by_name[name] = path
    return by_name


def colours_of(path: Path) -> dict[str, int]:
    """Colours by class from a CSV file with the columns name, r, g and b.

    Raises:
        UserError: it has no such columns, a value that is no colour, or one class or colour twice.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [{str(key).strip().lower(): value for key, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file in UTF-8 ({error}): save it again") from error
    if not rows or not {"name", "r", "g", "b"} <= rows[0].keys():
        raise UserError(f"{path} must have the columns name, r, g and b: mend it, or say the colours in data.colours")
    try:
        pairs = [(row["name"].strip(), packed([int(row[key]) for key in "rgb"], str(path))) for row in rows]
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path} has a row whose r, g and b are not whole numbers: mend it") from error
    return require_distinct(pairs, str(path))

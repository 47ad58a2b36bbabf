"""Files in COCO's form: where they lie, and their images, annotations and categories, each a list of objects with ids."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.data.common.coco_outlines import Outline, outline_of
from experiments.data.common.published_files import data_root
from experiments.data.common.split_names import SPLITS, split_of, splits_in
from experiments.data.images import SUFFIXES
from experiments.errors import UserError

log = logging.getLogger(__name__)
LISTS = ("images", "annotations", "categories")
INSTANCES = "instances"  # how the names of files with boxes begin, in the set itself
FOLDERS = ("coco", "coco_sample")  # that the root may hold
LOOKED_AT = 100  # images that tell which folder they lie in


class CocoNote(NamedTuple):
    """One object of an image.

    Attributes:
        where: it stands, for messages.
        name: of its category.
        crowd: whether it is a group of such objects.
        area: in pixels; 0 where nothing is said.
        bbox: as written.
        outline: to be asked for its fault; None where there is none.
    """

    where: str
    name: str
    crowd: bool
    area: float
    bbox: Any
    outline: Outline | None


class CocoImage(NamedTuple):
    """One image and its objects.

    Attributes:
        path: of its file.
        where: its entry stands, for messages.
        size: height and width as stated; 0 where they are not.
        notes: its objects.
    """

    path: Path
    where: str
    size: tuple[int, int]
    notes: list[CocoNote]


def read_splits(
    name: str, root: str | None, annotations: str | None, images: str | None
) -> tuple[tuple[str, ...], dict[str, list[CocoImage]]]:
    """Return the categories, in the order of their ids, and the images of each split; without splits, all is training.

    Args:
        name: the data option.
        root: folder of the set, or one that holds it.
        annotations: the JSON file with everything, by its path in the folder; None looks for it.
        images: folder of the images, likewise.

    Raises:
        UserError: a file is missing or damaged, or the splits have other categories.
    """
    folder = _folder_of_set(name, data_root(name, root), annotations)
    names: tuple[str, ...] | None = None
    by_split: dict[str, list[CocoImage]] = {}
    for split, file in _files(folder, annotations).items():
        here, by_split[split] = _content(file, folder, images)
        if names is not None and set(here) != set(names):
            raise UserError(f"{file} has other categories than the training split: give files of one dataset")
        names = names or here
    _tell_unlisted(name, {image.path for several in by_split.values() for image in several})
    return names or (), by_split


def _folder_of_set(name: str, root: Path, annotations: str | None) -> Path:
    """Return the root, or a folder of a usual name in it where the root itself holds no JSON file."""
    if not root.is_dir():
        raise UserError(f"data.root={root} is no folder: it should hold images and a JSON file in COCO's form")
    for folder in (root, *(root / inner for inner in FOLDERS)):
        if annotations is not None and (folder / annotations).is_file():
            return folder
        if annotations is None and folder.is_dir() and (_beside(folder) or _inside(folder)):
            return folder
    if annotations is not None:
        raise UserError(f"{root / annotations} does not exist: name the JSON file in data.annotations")
    raise UserError(
        f"data={name}: {root} holds no JSON file, and none in annotations/, train/ or {FOLDERS[0]}/: set data.root or "
        "data.annotations"
    )


def _beside(root: Path) -> list[Path]:
    """Return the JSON files of a set that lie in no folder of a split."""
    return [*sorted(root.glob("annotations/[!.]*.json")), *sorted(root.glob("[!.]*.json"))]


def _inside(root: Path) -> dict[str, Path]:
    """Return the first JSON file in the folder of each split."""
    files = {split: sorted(folder.glob("[!.]*.json")) for split, folder in splits_in(root).items()}
    return {split: several[0] for split, several in files.items() if several}


def _files(root: Path, annotations: str | None) -> dict[str, Path]:
    """Return the JSON file of each split, or of all as the training split."""
    if annotations is not None:
        return {"train": root / annotations}
    beside = _beside(root)
    files: dict[str, Path] = {}
    for file in sorted(beside, key=lambda file: not file.stem.startswith(INSTANCES)):
        split = _split_named(file)
        if split in files and files[split].stem.startswith(INSTANCES) == file.stem.startswith(INSTANCES):
            raise UserError(f"{root} has both {files[split].name} and {file.name}: name one in data.annotations")
        if split is not None:
            files.setdefault(split, file)
    for split, file in _inside(root).items():
        files.setdefault(split, file)
    if "train" in files:
        return {split: files[split] for split in SPLITS if split in files}
    whole = [file for file in beside if file.stem == INSTANCES] or beside
    if len(whole) != 1:
        some = whole or list(files.values())
        many = f"{len(some)} JSON file{'s' if len(some) > 1 else ''} ({', '.join(file.name for file in some[:3])})"
        raise UserError(f"{root} holds {many} and none for training: name the one with everything in data.annotations")
    return {"train": whole[0]}


def _split_named(file: Path) -> str | None:
    """Return the split that a JSON file is of, by its name; instances_train_small is of train."""
    name = file.stem.removeprefix(f"{INSTANCES}_")
    return split_of(name) or split_of(re.split(r"[^A-Za-z]", name)[0])


def _folder_of_images(file: Path, root: Path, files: Sequence[str], given: str | None) -> Path:
    """Return where the images of a JSON file lie: the folder in which one of them is found."""
    name = file.stem.removeprefix(f"{INSTANCES}_")
    split = _split_named(file) or ""
    named = [of_split for place in (root / "images", root) if (of_split := splits_in(place).get(split))]
    usual = [file.parent, root / "images" / name, root / name, *named, root / "images", root]
    places = [root / given] if given else usual
    holding = (place for place in places if any((place / name).is_file() for name in files))
    return next(holding, next((place for place in places[::-1][1:] if place.is_dir()), places[-1]))


def read_coco(file: Path) -> dict[str, Any]:
    """Return the content of a file.

    Raises:
        UserError: when it is not there, is no JSON, or has not the three lists.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file} does not exist: name the JSON file in data.annotations") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as JSON ({error}): mend it") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in LISTS):
        raise UserError(f"{file} is not in COCO's form: it needs lists of images, annotations and categories")
    return content


def _content(file: Path, root: Path, given: str | None) -> tuple[tuple[str, ...], list[CocoImage]]:
    content = read_coco(file)
    categories, rows, notes = (rows_by_id(content[key], key, file) for key in ("categories", "images", "annotations"))
    names = {number: _text(row, "name", f"{file}, category {number}") for number, row in categories.items()}
    if len(set(names.values())) < len(names):
        raise UserError(f"{file} has two categories of one name: give each its own")
    if not rows:
        raise UserError(f"{file} names no image: give it some")
    files = {number: _text(row, "file_name", f"{file}, image {number}") for number, row in rows.items()}
    folder = _folder_of_images(file, root, list(files.values())[:LOOKED_AT], given)
    images: dict[int | str, CocoImage] = {}
    listed: dict[str, int | str] = {}
    for number, row in rows.items():
        path = folder / files[number]
        if not path.is_file():
            raise UserError(f"{file} names {files[number]}, which is not in {folder}: add it, or set data.images")
        if files[number] in listed:
            both = f"{listed[files[number]]} and {number}"
            raise UserError(f"{file} names {files[number]} twice, as images {both}: give each image one entry")
        listed[files[number]] = number
        images[number] = CocoImage(path, f"{file}, image {number}", _size(row, f"{file}, image {number}"), [])
    for number, row in notes.items():
        where = f"{file}, annotation {number}"
        image, name = (_looked_up(row, key, rows) for key, rows in (("image_id", images), ("category_id", names)))
        if image is None:
            raise UserError(f"{where} is of image {row.get('image_id')}, which is not in the file: add or remove it")
        if name is None:
            raise UserError(f"{where} is of category {row.get('category_id')}, which is none of {len(names)}: mend it")
        area = _number(row, "area", where)
        outline = outline_of(row.get("segmentation"), image.size)
        image.notes.append(CocoNote(where, name, bool(_number(row, "iscrowd", where)), area, row.get("bbox"), outline))
    return tuple(names[number] for number in sorted(names, key=_numbers_first)), list(images.values())


def rows_by_id(rows: Sequence[Any], what: str, file: Path) -> dict[int | str, dict[str, Any]]:
    """Return the objects of a list by their ids.

    Args:
        rows: the list.
        what: its name, for errors.
        file: that it is of.

    Raises:
        UserError: when two have one id, or one has none that is a number or a word.
    """
    by_id: dict[int | str, dict[str, Any]] = {}
    for row in rows:
        number = row.get("id") if isinstance(row, dict) else None
        if not isinstance(number, int | str):
            raise UserError(f"{file} has an entry of {what} without an id: give each one of its own")
        if number in by_id:
            raise UserError(f"{file} has two {what} with the id {number}: give each one of its own")
        by_id[number] = row
    return by_id


def _looked_up(row: dict[str, Any], key: str, by_id: dict[int | str, Any]) -> Any:
    return by_id.get(row[key]) if isinstance(row.get(key), int | str) else None


def _numbers_first(number: int | str) -> tuple[bool, int, str]:
    return isinstance(number, str), number if isinstance(number, int) else 0, str(number)


def _text(row: dict[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | int) or value == "":
        raise UserError(f"{where} has no {key}: give it one")
    return str(value)


def _number(row: dict[str, Any], key: str, where: str) -> float:
    """Return a number that may be missing, which is 0."""
    try:
        return float(row.get(key) or 0)
    except (TypeError, ValueError):
        raise UserError(f"{where} has {key}={str(row[key])[:40]!r}, which is no number: mend it") from None


def _size(row: dict[str, Any], where: str) -> tuple[int, int]:
    """Return the stated height and width; 0 where they are not."""
    height, width = (_number(row, key, where) for key in ("height", "width"))
    return (int(height), int(width)) if height >= 1 and width >= 1 else (0, 0)


def _tell_unlisted(name: str, listed: set[Path]) -> None:
    """Says how many images lie beside those of the files and are in none: they may be of another file."""
    folders = sorted({path.parent for path in listed})
    others = [path for folder in folders for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    loose = sorted(path for path in others if path not in listed)
    if loose:
        more = f", nor are {len(loose) - 1} more" if len(loose) > 1 else ""
        log.warning("%s: no JSON file names %s, which is not used%s.", name, loose[0], more)

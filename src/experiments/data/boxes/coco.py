"""COCO's form (Lin et al., 2014): one JSON file a split, with boxes, polygons and run lengths."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData
from experiments.data.boxes.instance_masks import of_coco
from experiments.data.common.coco_files import read_coco, rows_by_id
from experiments.data.common.published_files import data_root
from experiments.data.common.split_names import SPLITS, split_of, splits_in
from experiments.data.images import SUFFIXES
from experiments.errors import UserError

log = logging.getLogger(__name__)
INSTANCES = "instances_"  # how the names of files with boxes begin, in the set itself


class COCO(BoxData):
    """Images with one JSON file a split, found in `annotations/` or in the folders of the splits; or one file for all.

    Category numbers may have gaps; classes are in their order. Crowds are not learned from, and no mistake if found.

    Args:
        annotations: the JSON file with everything, by its path in `root`; null looks for it.
        images: folder of the images, likewise.
        rest: the keys of `BoxData`.
    """

    name = "coco"

    def __init__(self, *, annotations: str | None, images: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.annotations, self.images = annotations, images

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        root = data_root(self.name, self.root)
        if not root.is_dir():
            raise UserError(f"data.root={root} is no folder: it should hold images and a JSON file in COCO's form")
        by_split: dict[str, list[AnnotatedImage]] = {}
        names: tuple[str, ...] | None = None
        for split, file in self._files(root).items():
            classes, by_split[split] = self._pictures(file, root)
            if names is not None and set(classes) != set(names):
                raise UserError(f"{file} has other categories than the training split: give files of one dataset")
            names = names or classes
        _tell_unlisted({Path(str(picture.source)) for pictures in by_split.values() for picture in pictures})
        return names, by_split

    def _files(self, root: Path) -> dict[str, Path]:
        """Return the JSON file of each split, or of all as the training split."""
        if self.annotations is not None:
            return {"train": root / self.annotations}
        beside = [*sorted(root.glob("annotations/[!.]*.json")), *sorted(root.glob("[!.]*.json"))]
        files: dict[str, Path] = {}
        for file in sorted(beside, key=lambda file: not file.stem.startswith(INSTANCES)):
            split = _split_named(file)
            if split in files and files[split].stem.startswith(INSTANCES) == file.stem.startswith(INSTANCES):
                raise UserError(f"{root} has both {files[split].name} and {file.name}: name one in data.annotations")
            if split is not None:
                files.setdefault(split, file)
        for split, folder in splits_in(root).items():
            inside = sorted(folder.glob("[!.]*.json"))
            if inside:
                files.setdefault(split, inside[0])
        if "train" in files:
            return {split: files[split] for split in SPLITS if split in files}
        if len(beside) != 1:
            many = (
                f"{len(beside)} JSON files ({', '.join(listed.name for listed in beside[:3])})"
                if beside
                else "no JSON file"
            )
            raise UserError(f"{root} holds {many}, where one was expected: name it in data.annotations")
        return {"train": beside[0]}

    def _folder(self, file: Path, root: Path, first: str) -> Path:
        """Where the images of a JSON file lie: the folder in which the first is found."""
        name = file.stem.removeprefix(INSTANCES)
        split = _split_named(file) or ""
        named = [
            place_of_images for place in (root / "images", root) if (place_of_images := splits_in(place).get(split))
        ]
        usual = [file.parent, root / "images" / name, root / name, *named, root / "images", root]
        places = [root / self.images] if self.images else usual
        return next((place for place in places if (place / first).is_file()), places[-1])

    def _pictures(self, file: Path, root: Path) -> tuple[tuple[str, ...], list[AnnotatedImage]]:
        content = read_coco(file)
        categories = rows_by_id(content["categories"], "categories", file)
        names = tuple(str(categories[number]["name"]) for number in sorted(categories))
        if len(set(names)) < len(names):
            raise UserError(f"{file} has two categories of one name: give each its own")
        images = rows_by_id(content["images"], "images", file)
        if not images:
            raise UserError(f"{file} names no image: give it some")
        notes = rows_by_id(content["annotations"], "annotations", file)
        of_image: dict[Any, list[Any]] = defaultdict(list)
        for number, note in notes.items():
            where = f"{file}, annotation {number}"
            if note.get("image_id") not in images:
                raise UserError(
                    f"{where} is of image {note.get('image_id')}, which the file does not have: add or remove it"
                )
            if note.get("category_id") not in categories:
                raise UserError(
                    f"{where} is of category {note.get('category_id')}, which is none of {len(names)}: mend it"
                )
            of_image[note["image_id"]].append(note)
        folder = self._folder(file, root, str(next(iter(images.values()))["file_name"]))
        pictures = []
        for number, image in images.items():
            path = folder / str(image["file_name"])
            if not path.is_file():
                raise UserError(
                    f"{file} names {image['file_name']}, which is not in {folder}: add it, or set data.images"
                )
            size = (int(image.get("height") or 0), int(image.get("width") or 0))
            objects = tuple(_object(note, categories, size, file) for note in of_image[number])
            pictures.append(AnnotatedImage(path, f"{file}, image {number}", objects, size if all(size) else None))
        return names, pictures


def _split_named(file: Path) -> str | None:
    """Return the split that a JSON file is of, by its name; instances_train_small is of train."""
    name = file.stem.removeprefix(INSTANCES)
    return split_of(name) or split_of(re.split(r"[^A-Za-z]", name)[0])


def _tell_unlisted(listed: set[Path]) -> None:
    """Says how many images lie beside those of the files and are in none: they may be of another file."""
    folders = sorted({path.parent for path in listed})
    others = [path for folder in folders for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    loose = sorted(path for path in others if path not in listed)
    if loose:
        log.warning("coco: no JSON file names %s, which is not used%s.", loose[0], _and_more(len(loose) - 1))


def _and_more(count: int) -> str:
    return f", nor are {count} more" if count else ""


def _object(note: Any, categories: dict[Any, Any], size: tuple[int, int], file: Path) -> Object:
    try:
        x, y, width, height = (float(value) for value in note["bbox"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}, annotation {note['id']}: bbox is not x, y, width and height: mend it") from error
    return Object(
        str(categories[note["category_id"]]["name"]),
        (x, y, x + width, y + height),
        bool(note.get("iscrowd")),
        float(note.get("area") or 0),
        of_coco(note.get("segmentation"), size),
    )

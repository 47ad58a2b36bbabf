"""YOLO's form: a text file an image, a line an object: class, middle and sides, as shares of the image's sides."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from experiments.config.value_rules import require_values
from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData, images_in, matched
from experiments.data.common.published_files import data_root
from experiments.data.common.split_names import files_below, require_train, splits_in
from experiments.errors import UserError, first_line
from experiments.system.yaml_of_configs import refusing_twice


class YOLO(BoxData):
    """`images/` and `labels/`, each with folders `train`, `val` and `test` or without; or `train/images` and so on.

    Class names are those of `data.yaml` or another YAML file with `names`, or of `classes.txt`; without either they are
    the numbers. Lines with more than five numbers are polygons, whose boxes are taken.

    Args:
        unannotated: of an image without text file: `empty`, as usual, or `refuse`.
        rest: the keys of `BoxData`.
    """

    name = "yolo"

    def __init__(self, *, unannotated: str, **rest: Any) -> None:
        super().__init__(**rest)
        require_values("boxes", unannotated=unannotated)
        self.unannotated = unannotated

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        root = data_root(self.name, self.root)
        if not root.is_dir():
            raise UserError(f"data.root={root} is no folder: it should hold images/ and labels/")
        names = class_names(root)
        folders = split_folders(root)
        require_train({split: images for split, (images, _) in folders.items()}, root)
        by_split = {split: self._pictures(*both, names) for split, both in folders.items()}
        if not by_split:
            images, labels = (root / name if (root / name).is_dir() else root for name in ("images", "labels"))
            by_split = {"train": self._pictures(images, labels, names)}
        if names is None:
            names_there = {
                thing.name for pictures in by_split.values() for picture in pictures for thing in picture.objects
            }
            names = {number: str(number) for number in range(max(map(int, names_there), default=-1) + 1)}
        return tuple(names.values()), by_split

    def _pictures(self, images: Path, labels: Path, names: dict[int, str] | None) -> list[AnnotatedImage]:
        texts = [path for path in files_below(labels, "*.txt") if path.name not in ("classes.txt", "obj.names")]
        pairs = matched(images_in(images), texts, "text file", self.unannotated)
        if not pairs:
            raise UserError(f"{images} holds no image: name the folder of a set in YOLO's form")
        return [
            AnnotatedImage(image, str(note or image), () if note is None else read_lines(note, names), relative=True)
            for image, note in pairs
        ]


def split_folders(root: Path) -> dict[str, tuple[Path, Path]]:
    """Return the folders of images and labels of each split: those that `data.yaml` names, else by their names; none where
    there are no splits.
    """
    stated = {}
    for key, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        value = _stated(root).get(key)
        inside = [part for part in str(value).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        places = [root.joinpath(*inside[at:]) for at in range(len(inside))] if isinstance(value, str) else []
        images = next((folder for folder in places if folder.is_dir()), None)
        if images is not None and images != root / "images":
            below = images.relative_to(root).parts
            at = max((place for place, name in enumerate(below) if name == "images"), default=None)
            labels = root.joinpath(*below[:at], "labels", *below[at + 1 :]) if at is not None else images / "labels"
            whole = at is not None or not (images / "images").is_dir()
            stated[split] = (images if whole else images / "images", labels if labels.is_dir() else images)
    inner, labels_of = splits_in(root / "images"), splits_in(root / "labels")
    if inner:
        named = {split: (images, labels_of.get(split, root / "labels")) for split, images in inner.items()}
    else:
        outer = {split: folder for split, folder in splits_in(root).items() if (folder / "images").is_dir()}
        named = {split: (folder / "images", folder / "labels") for split, folder in outer.items()}
    taken = {images for images, _ in stated.values()}
    if "train" not in stated or len(taken) < len(stated):
        return named
    return stated | {split: both for split, both in named.items() if split not in stated and both[0] not in taken}


def class_names(root: Path) -> dict[int, str] | None:
    """Return the class names that a folder states, by the numbers that stand for them; None where it states none.

    Raises:
        UserError: a file that should hold them cannot be read, or gives one number or name twice.
    """
    stated = _stated(root).get("names")
    if isinstance(stated, dict):
        wrong = [key for key in stated if not str(key).isdecimal()]
        if wrong:
            raise UserError(f"names of the YAML file in {root} has the number {wrong[0]!r}: count classes as 0, 1, 2")
        numbers = [int(key) for key in stated]
        twice = next((number for number in numbers if numbers.count(number) > 1), None)
        if twice is not None:
            raise UserError(f"names of the YAML file in {root} has the number {twice} twice: give each class its own")
        _require_count(len(stated), root)
        return _different({int(key): str(stated[key]) for key in sorted(stated, key=int)}, root)
    if isinstance(stated, list):
        _require_count(len(stated), root)
        return _different(dict(enumerate(map(str, stated))), root)
    if stated:
        raise UserError(f"names of the YAML file in {root} is {str(stated)[:40]!r}: give a list of class names")
    for name in ("classes.txt", "labels/classes.txt", "obj.names"):
        if (root / name).is_file():
            lines = [line.strip() for line in _text(root / name).rstrip().splitlines()]
            if "" in lines:  # what follows would have other numbers with it than without
                raise UserError(
                    f"{root / name}, line {lines.index('') + 1} is empty: name the class, or remove the line"
                )
            return _different(dict(enumerate(lines)), root)
    return None


def _require_count(names: int, root: Path) -> None:
    stated = _stated(root).get("nc")
    if stated and str(stated) != str(names):
        raise UserError(f"the YAML file in {root} states nc={stated} and {names} names: make them alike")


def _different(names: dict[int, str], root: Path) -> dict[int, str]:
    every = list(names.values())
    twice = next((name for name in every if every.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{root} names two classes {twice!r}: give each its own name")
    return names


def _stated(root: Path) -> dict[str, Any]:
    """Return what the YAML file with class names says."""
    import yaml

    for file in (*sorted(root.glob("[!.]*.yaml")), *sorted(root.glob("[!.]*.yml"))):
        try:
            text = file.read_text(encoding="utf-8")
            content = yaml.load(text, refusing_twice(yaml.BaseLoader))  # to which `no` and `1.0` are names
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise UserError(f"{file} cannot be read as YAML ({first_line(error)}): mend it") from error
        if isinstance(content, dict) and content.get("names"):
            return content
    return {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text in UTF-8 ({error}): save it again") from error


def _in_words(numbers: list[int]) -> str:
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]} to {numbers[-1]}" if whole else ", ".join(map(str, numbers[:20]))


def read_lines(note: Path, names: dict[int, str] | None) -> tuple[Object, ...]:
    """Return the objects of a text file, their boxes in shares of the image's sides.

    Raises:
        UserError: a line is not as it should be, or of an unknown class.
    """
    objects = []
    for number, line in enumerate(_text(note).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{note}, line {number}"
        try:
            label, *values = (float(word) for word in line.split())
        except ValueError:
            raise UserError(f"{where}: {line.strip()[:60]!r} is no row of numbers: mend it") from None
        if len(values) < 4 or (len(values) > 4 and (len(values) % 2 or len(values) < 6)):
            raise UserError(f"{where} has {len(values) + 1} numbers, and needs a class and four: mend it")
        if not math.isfinite(label) or label != int(label) or label < 0 or (names is not None and label not in names):
            allowed = _in_words(list(names)) if names else "a whole number"
            raise UserError(f"{where} is of class {label:g}, and classes are {allowed}: mend it, or name more classes")
        if len(values) == 4:
            x, y, width, height = values
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        else:
            box = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        name = names[int(label)] if names else str(int(label))
        objects.append(Object(name, box))
    return tuple(objects)

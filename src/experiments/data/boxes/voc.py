"""Pascal VOC's form (Everingham et al., 2010): an XML file an image. And BCCD, blood cells in that form."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from experiments.config.value_rules import require_values
from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData, images_in, matched
from experiments.data.common.published_files import data_root
from experiments.data.common.split_names import files_below, names_listed, require_train, splits_in
from experiments.errors import UserError

LISTS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


class VOC(BoxData):
    """Images with an XML file each: `Annotations/`, `JPEGImages/` and perhaps `ImageSets/Main/`; or both side by side.

    The splits are those of `ImageSets/Main` (`train`, `val`, `test`), or of folders `train`, `val` and `test`; what is
    missing is held out. Coordinates are taken as they stand.

    Args:
        difficult: keep objects that are marked as difficult, as crowds: not learned from, and no mistake if found.
        unannotated: of an image without XML file: `refuse`, or `empty` where it holds no object.
        rest: the keys of `BoxData`.
    """

    name = "voc"

    def __init__(self, *, difficult: bool, unannotated: str, **rest: Any) -> None:
        super().__init__(**rest)
        require_values("boxes", unannotated=unannotated)
        self.difficult, self.unannotated = difficult, unannotated

    def folder(self) -> Path:
        """Where the set lies."""
        root = data_root(self.name, self.root)
        if not root.is_dir():
            raise UserError(f"data.root={root} is no folder: it should hold images and their XML files")
        nested = sorted(folder.parent for folder in root.glob("VOCdevkit/*/Annotations"))
        return nested[-1] if nested else root

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        root = self.folder()
        folders = {} if (root / "Annotations").is_dir() else splits_in(root)
        require_train(folders, root)
        if folders:
            return None, {split: self._pictures(folder) for split, folder in folders.items()}
        everything = {_stem(path): path for path in self._pictures(root)}
        lists = {
            split: [root / "ImageSets" / "Main" / f"{name}.txt" for name in names] for split, names in LISTS.items()
        }
        by_split = {
            split: [everything[name] for name in _listed(file, everything)]
            for split, files in lists.items()
            for file in files
            if file.is_file()
        }
        return None, by_split if "train" in by_split else {"train": list(everything.values())}

    def _pictures(self, folder: Path) -> list[AnnotatedImage]:
        """Return the images of a folder with their objects."""
        notes = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
        images = next((folder / name for name in ("JPEGImages", "images") if (folder / name).is_dir()), folder)
        pairs = matched(images_in(images), files_below(notes, "*.xml"), "XML file", self.unannotated)
        if not pairs:
            raise UserError(f"{folder} holds no image with an XML file: name the folder of a set in Pascal VOC's form")
        return [
            AnnotatedImage(image, str(image), ()) if note is None else read_xml(image, note, self.difficult)
            for image, note in pairs
        ]


class BCCD(VOC):
    """Blood cells: 364 images of 640×480 with red cells, white cells and platelets, and the published split.

    Two boxes of it are empty, as distributed.
    """

    name = "bccd"

    def folder(self) -> Path:
        root = data_root(self.name, self.root)
        for place in (root / "bccd" / "BCCD", root / "BCCD", root / "BCCD_Dataset" / "BCCD", root):
            if (place / "Annotations").is_dir():
                return place
        raise UserError(
            f"data=bccd: {root} holds no BCCD/Annotations: get github.com/Shenggan/BCCD_Dataset and put it there "
            "(data.root or the variable EXPERIMENTS_DATA say where)"
        )


def read_xml(image: Path, note: Path, difficult: bool) -> AnnotatedImage:
    """Return an image with the objects of its XML file.

    Raises:
        UserError: the file is damaged, or a box is not four numbers.
    """
    try:
        root = ElementTree.parse(note).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise UserError(f"{note} cannot be read as XML ({error}): mend it, or remove it and its image") from error
    objects = []
    for node in root.iter("object"):
        name = (node.findtext("name") or "").strip()
        values = [node.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(value) for value in values if value is not None)
        except ValueError as error:
            raise UserError(f"{note}: an object of {name or 'no name'} has no box of four numbers: mend it") from error
        if not name:
            raise UserError(f"{note}: an object has no name: mend it")
        hard = (node.findtext("difficult") or "0").strip() == "1"
        objects.append(Object(name, (x1, y1, x2, y2), crowd=hard and difficult))
    try:
        stated_size = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    except ValueError:
        stated_size = (0, 0)
    return AnnotatedImage(image, str(note), tuple(objects), stated_size if all(stated_size) else None)


def _stem(picture: AnnotatedImage) -> str:
    return Path(str(picture.source)).stem


def _listed(file: Path, by_name: dict[str, AnnotatedImage]) -> list[str]:
    """Return the names in one of VOC's lists, all of which must be there."""
    names = names_listed(file)
    lost = [name for name in names if name not in by_name]
    if lost:
        raise UserError(
            f"{file} names {lost[0]}, which has no image and annotation: add them, or take it out of the list"
        )
    return names

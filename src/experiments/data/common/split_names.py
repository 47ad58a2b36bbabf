"""Which folder or file of a dataset is of which split, by its name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from experiments.errors import UserError
from experiments.system.outside_text import clean

log = logging.getLogger(__name__)
NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
SPLITS = tuple(NAMES)
# Words beside the split's own: train_images, TestSet, val2017.
_BESIDE = {"images", "image", "imgs", "img", "pictures", "photos", "audio", "sounds", "recordings", "clips", "wav", "wavs",
           "files", "data", "dataset", "set", "split", "folder"}  # fmt: skip


def split_of(name: str) -> str | None:
    """Return the split that a name stands for, in small or large letters; None where it stands for none."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    told = [word.removesuffix("set") or word for word in words if word not in _BESIDE]
    return next((split for split, names in NAMES.items() if len(told) == 1 and told[0] in names), None)


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split that there is; without one for training, the root itself is it.

    A folder that holds no folders is a class, whatever its name.

    Raises:
        UserError: a split has two folders, or there are splits but none for training.
    """
    folders = splits_in(root)
    if folders and not any(subfolders(folder) for folder in folders.values()):
        folders = {}  # classes that are called so
    if "train" not in folders:
        if folders:
            others = " and ".join(folder.name for folder in folders.values())
            raise UserError(f"{root} has {others} but no train folder; add one, or name a folder of class folders.")
        folders["train"] = root
        _tell_alike(root)
    elif rest := [inner.name for inner in subfolders(root) if inner not in folders.values()]:
        log.warning("%s: left out folders that are of no split: %s", root, clean(", ".join(rest)))
    return folders


def _tell_alike(root: Path) -> None:
    """Warn where all classes hold the same folders, as splits of another name do: trn and tst."""
    inside = {inner.name: [below.name for below in subfolders(inner)] for inner in subfolders(root)}
    first, *others = inside.values() or [[]]
    if others and len(first) > 1 and all(names == first for names in others):
        log.warning(
            "%s: took %s for classes, and all of them hold the folders %s: call the folders train, val and test if they are splits",
            root, clean(", ".join(inside)), clean(", ".join(first)),
        )  # fmt: skip


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name, hidden ones left out."""
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not hidden(inner.name))


def splits_in(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder that are named like a split, by the split.

    Raises:
        UserError: a split has two.
    """
    folders: dict[str, Path] = {}
    for inner in subfolders(folder) if folder.is_dir() else ():
        split = split_of(inner.name)
        if split in folders:
            raise UserError(f"{folder} has both {folders[split].name} and {inner.name}; keep one of them.")
        if split is not None:
            folders[split] = inner
    return folders


def require_train(by_split: Mapping[str, Path], root: Path) -> None:
    """Refuses splits without one for training.

    Raises:
        UserError: there are splits, but none for training.
    """
    if by_split and "train" not in by_split:
        others = " and ".join(folder.name for folder in by_split.values())
        raise UserError(f"{root} has {others} but no train folder: add one, or name a folder without splits")


def names_listed(file: Path) -> list[str]:
    """Return the names in a list of a split, one a line, as Pascal VOC has them; those of one class have a mark behind each.

    Raises:
        UserError: the file is no text, or names nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as text in UTF-8 ({error}): save it again") from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise UserError(f"{file} names no image: give it some, or remove it")
    return list(dict.fromkeys(names))


def tell_shared(name: str, sources: Mapping[str, Sequence[object]]) -> None:
    """Warn of files that are in more than one split: what is learned by heart would be measured.

    Args:
        name: the data option.
        sources: files of each split; what is no path is not looked at.
    """
    paths = {split: {each for each in several if isinstance(each, Path)} for split, several in sources.items()}
    for split, other in combinations(paths, 2):
        shared = sorted(paths[split] & paths[other])
        if shared:
            count = f"{len(shared)} image{'s are' if len(shared) > 1 else ' is'}"
            log.warning(
                "%s: %s in the %s split and in the %s split too, such as %s.", name, count, split, other, shared[0]
            )


def files_below(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in a folder and the folders in it, sorted; hidden ones, such as `._photo.jpg`, left out."""
    paths = (path for path in folder.rglob(pattern) if not any(map(hidden, path.relative_to(folder).parts)))
    return sorted(path for path in paths if path.is_file())


def hidden(name: str) -> bool:
    """Tell what systems and editors leave behind, by its name."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini")

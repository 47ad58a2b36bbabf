"""Which folder or split of a dataset is which part, by its name."""

from __future__ import annotations

import re
from pathlib import Path

from experiments.errors import UserError

NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
PARTS = tuple(NAMES)
# Words beside the part's own: train_images, TestSet, val2017.
_BESIDE = {"images", "image", "imgs", "img", "pictures", "photos", "audio", "sounds", "recordings", "clips", "wav", "wavs",
           "files", "data", "dataset", "set", "split", "folder"}  # fmt: skip


def part_of(name: str) -> str | None:
    """Return the part that a name stands for, in small or large letters; None where it stands for none."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    told = [word.removesuffix("set") or word for word in words if word not in _BESIDE]
    return next((part for part, names in NAMES.items() if len(told) == 1 and told[0] in names), None)


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each part that there is; without one for training, the root itself is it.

    A folder that holds no folders is a class, whatever its name.

    Raises:
        UserError: a part has two folders, or there are parts but none for training.
    """
    found: dict[str, Path] = {}
    for folder in subfolders(root):
        part = part_of(folder.name)
        if part in found:
            raise UserError(f"{root} has both {found[part].name} and {folder.name}; keep one of them.")
        if part is not None:
            found[part] = folder
    if found and not any(subfolders(folder) for folder in found.values()):
        found = {}  # classes that are called so
    if "train" not in found:
        if found:
            others = " and ".join(folder.name for folder in found.values())
            raise UserError(f"{root} has {others} but no train folder; add one, or name a folder of class folders.")
        found["train"] = root
    return found


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name, hidden ones left out."""
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))

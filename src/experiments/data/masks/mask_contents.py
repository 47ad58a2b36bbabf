"""What a dataset with masks is made of, and which folder it lies in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.data.masks.mask_files import Pair
from experiments.errors import UserError


class MaskContents(NamedTuple):
    """Holds the classes, colours and examples of a dataset.

    Attributes:
        classes: names; a pixel of a mask is an index into them.
        colours: of the classes, as "#rrggbb"; empty where any will do.
        by_split: examples of `train`, and of `validation` and `test` where there are some.
    """

    classes: tuple[str, ...]
    colours: tuple[str, ...]
    by_split: dict[str, list[Pair]]


def first_folder(root: str | None, name: str, choices: Sequence[str], holds: str) -> Path:
    """Return the folder of a dataset: `root` itself or a folder in it, whichever holds what it must.

    Raises:
        UserError: none does.
    """
    if not root:
        raise UserError(f"data={name} needs a folder: set data.root or the variable EXPERIMENTS_DATA")
    base = Path(os.path.expanduser(root))
    for folder in (base, *(base / choice for choice in choices)):
        if (folder / holds).exists():
            return folder
    raise UserError(
        f"data={name}: {base} has no {holds}, nor has a folder {' or '.join(choices)} in it: set data.root or the variable EXPERIMENTS_DATA"
    )

"""ISBI 2012's electron microscopy of a fly's neurons (Arganda-Carreras et al., 2015), the U-Net paper's set."""

from __future__ import annotations

from functools import partial

from experiments.data.masks.mask_contents import MaskContents, first_folder
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import pair_of
from experiments.data.masks.mask_folder import classes_of, matched
from experiments.data.masks.mask_values import Meaning

CLASSES = ("membrane", "cell")
COLOURS = ("#000000", "#f0f0f0")


class IsbiMembrane(MaskData):
    """30 grey images of 512 × 512 pixels; in the masks 0 is membrane and 255 the inside of a cell.

    All published masks are in one folder, so validation and test are held out of it, whole images at a time.

    Args:
        rest: the keys of `MaskData`.
    """

    name = "isbi_membrane"

    def read(self) -> MaskContents:
        root = first_folder(self.root, self.name, ("isbi_membrane", "membrane"), "train/image")
        meaning = Meaning(CLASSES, (0, 255), (), False, COLOURS)
        files = matched(root / "train" / "image", root / "train" / "label", self.skip_broken)
        pairs = [pair_of(image, mask, partial(classes_of, meaning)) for image, mask in files]
        return MaskContents(CLASSES, COLOURS, {"train": pairs})

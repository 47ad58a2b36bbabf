"""CamVid (Brostow, Fauqueur and Cipolla, 2009): street scenes from a car, as Badrinarayanan et al. (SegNet) lay them out."""

from __future__ import annotations

import logging
from functools import partial

from experiments.data.masks.mask_contents import MaskContents, first_folder
from experiments.data.masks.mask_data import MaskData
from experiments.data.masks.mask_files import Pair, pair_of
from experiments.data.masks.mask_folder import classes_of, matched
from experiments.data.masks.mask_values import Meaning
from experiments.errors import UserError

log = logging.getLogger(__name__)
CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
COLOURS = (
    "#808080",
    "#800000",
    "#c0c080",
    "#804080",
    "#3c28de",
    "#808000",
    "#c08080",
    "#404080",
    "#400080",
    "#404000",
    "#0080c0",
)
VOID = 11
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


class CamVid(MaskData):
    """Frames of four drives with eleven classes; value 11 is void and ignored.

    Without a test folder, val is the test split, and validation is held out of train. Neighbouring frames are alike, so what is
    held out is the end of each drive, not frames by chance.

    Args:
        rest: the keys of `MaskData`.
    """

    name = "camvid"

    def read(self) -> MaskContents:
        root = first_folder(self.root, self.name, ("camvid", "CamVid", "camvid_240x180"), "train")
        meaning = Meaning(CLASSES, tuple(range(len(CLASSES))), (VOID, 255), False, COLOURS)
        by_split: dict[str, list[Pair]] = {}
        for split, name in FOLDERS.items():
            images, masks = root / name, root / f"{name}annot"
            if images.is_dir() != masks.is_dir():
                there, missing = (images, masks) if images.is_dir() else (masks, images)
                raise UserError(
                    f"data=camvid: {there} is there and {missing.name} is not: add it, or remove {there.name}"
                )
            if images.is_dir():
                files = matched(images, masks, self.skip_broken)
                by_split[split] = [pair_of(image, mask, partial(classes_of, meaning)) for image, mask in files]
        if "train" not in by_split:
            raise UserError(
                f"data=camvid: {root} has no train and trainannot: set data.root to the folder that holds them"
            )
        if "test" not in by_split and "validation" in by_split:
            log.warning("camvid: there is no test folder: val is the test split, and validation is held out of train")
            by_split["test"] = by_split.pop("validation")
        return MaskContents(CLASSES, COLOURS, by_split)

    def hold_out(self, pairs: list[Pair], amount: float, key: str, of: int) -> tuple[list[Pair], list[Pair]]:
        """Holds out the last frames of every drive, in proportion."""
        wanted = amount if isinstance(amount, int) else max(1, round(amount * of))
        if wanted >= len(pairs):
            raise UserError(
                f"{key}={amount} would take all of the {len(pairs)} training images left: hold out fewer, or give more"
            )
        drives: dict[str, list[Pair]] = {}
        for pair in pairs:
            drives.setdefault(_drive(pair.name), []).append(pair)
        rest: list[Pair] = []
        held: list[Pair] = []
        seen = taken = 0
        for frames in drives.values():
            seen += len(frames)
            take = min(len(frames), round(wanted * seen / len(pairs)) - taken)
            taken += take
            rest += frames[: len(frames) - take]
            held += frames[len(frames) - take :]
        return rest, held


def _drive(name: str) -> str:
    """Return the name of the drive in that of a frame: 0001TP of 0001TP_006690.png."""
    return name.split("_")[0]

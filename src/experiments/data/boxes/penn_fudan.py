"""Penn-Fudan (Wang, Shi, Song and Shen, 2007): pedestrians with a mask each, in 170 photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.data.boxes.annotations import AnnotatedImage, Object
from experiments.data.boxes.box_data import BoxData, images_in, matched
from experiments.data.boxes.instance_masks import Painted, bounds, index_image
from experiments.data.common.published_files import data_root
from experiments.errors import UserError

FOLDERS = ("PennFudanPed", "penn_fudan", "penn_fudan_subset", "")
CLASS = "pedestrian"


class PennFudan(BoxData):
    """`PNGImages/` and `PedMasks/`, in which pedestrian n has the value n; boxes are those around the masks."""

    name = "penn_fudan"

    def read(self) -> tuple[tuple[str, ...] | None, dict[str, list[AnnotatedImage]]]:
        root = data_root(self.name, self.root)
        folder = next((root / name for name in FOLDERS if (root / name / "PedMasks").is_dir()), None)
        if folder is None:
            raise UserError(
                f"data=penn_fudan: {root} holds no PennFudanPed/PedMasks: get "
                "https://www.cis.upenn.edu/~jshi/ped_html/PennFudanPed.zip and unpack it there "
                "(data.root or the variable EXPERIMENTS_DATA say where)"
            )
        masks = {path.stem.removesuffix("_mask"): path for path in sorted((folder / "PedMasks").glob("*.png"))}
        notes = [path.with_stem(name) for name, path in masks.items()]
        pairs = matched(images_in(folder / "PNGImages"), notes, "mask", "refuse")
        return (CLASS,), {"train": [picture_of(image, masks[image.stem]) for image, _ in pairs]}


def picture_of(image: Path, mask: Path) -> AnnotatedImage:
    """Return an image with an object for each value of its mask but 0."""
    values = index_image(mask)
    objects = []
    for value in np.unique(values[values > 0]).tolist():
        inside = values == value
        objects.append(Object(CLASS, bounds(inside), False, float(inside.sum()), Painted(mask, value)))
    return AnnotatedImage(image, str(mask), tuple(objects), (values.shape[0], values.shape[1]))

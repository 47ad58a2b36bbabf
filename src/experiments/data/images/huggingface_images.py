"""Images with one label each from the `datasets` library: class folders, Parquet files, or a name on its hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from experiments.data.common.huggingface import LABELS, class_names, column, open_splits
from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.data.images.torchvision_sets import images_of
from experiments.errors import UserError


class HuggingfaceImages(ImageData):
    """Images in memory, (1, H, W) where the first is grey, else (3, H, W).

    Args:
        path: see `open_splits`.
        config: likewise.
        image: name of the column with the images; None: the first of that type.
        label: name of the column with the classes; None: the first of that type.
        test: share or count held out from the training images where the dataset has no test split.
        rest: the keys of `ImageData`.
    """

    name = "huggingface"

    def __init__(
        self, *, path: str, config: str | None, image: str | None, label: str | None, test: float, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.path, self.config, self.columns, self.test = path, config, (image, label), test

    def held_out(self) -> dict[str, float]:
        return {"validation": self.validation, "test": self.test}

    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        whole = open_splits(self.path, self.config)
        train = whole["train"]
        if self.columns[0] is None and "Image" not in {type(feature).__name__ for feature in train.features.values()}:
            raise UserError(
                f"data.path={self.path} has no column of images, only {', '.join(train.column_names)}: take "
                "data=huggingface_text for texts, or name a column with data.image"
            )
        image = column(train, "data.image", self.columns[0], ("Image",), "images")
        label = column(
            train, "data.label", self.columns[1], ("ClassLabel", "int64", "int32", "string"), "classes", LABELS
        )
        names = class_names(train, label) or sorted(
            {str(value) for value in train[label]}, key=lambda value: (len(value), value)
        )
        numbers = {name: number for number, name in enumerate(names)}
        indexed = class_names(train, label) is not None

        def examples(split: Any) -> Iterator[tuple[Any, int]]:
            for place, row in enumerate(split):
                value = row[label]
                if not indexed and str(value) not in numbers:
                    raise UserError(f"{self.name}: label {value} of example {place} is none of the training split")
                yield row[image], int(value) if indexed else numbers[str(value)]

        by_split = {}
        for split, data in whole.items():
            if label in data.column_names and not (indexed and min(data[label]) < 0):  # -1: labels that are kept secret
                by_split[split] = images_of(self.name, len(data), examples(data), self.size)
        return tuple(names), by_split

"""News in four classes: world, sport, business, science.

Zhang, Zhao and LeCun, "Character-level convolutional networks for text classification" (2015): 120,000 texts for training
and 7,600 for testing. Where there is no train.csv, the training split is what the file of the test split leaves.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts, text_of
from experiments.errors import UserError

CLASSES = ("world", "sport", "business", "science")


class AGNews(TextData):
    """Reads `ag_news_test/test.csv` below `root`, and `ag_news/train.csv` and `ag_news/test.csv` where they are."""

    name = "ag_news"

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        root = data_root(self.name, self.root)
        whole = {split: root / "ag_news" / f"{split}.csv" for split in ("train", "test")}
        files = whole if whole["train"].is_file() else {"train": root / "ag_news_test" / "test.csv"}
        folder = next(iter(files.values())).parent
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        return CLASSES, {split: _rows(path) for split, path in files.items()}


def _rows(path: Path) -> Texts:
    """Title and description of each row, with a blank between."""
    lines, labels, places = [], [], []
    reader = csv.reader(io.StringIO(text_of(path), newline=""))
    for fields in reader:
        place = f"{path}:{reader.line_num}"
        if len(fields) != 3 or fields[0] not in ("1", "2", "3", "4"):
            raise UserError(f"{place}: not a class from 1 to 4, a title and a text: mend the row")
        lines.append(" ".join(fields[1:]).replace("\\", " "))
        labels.append(int(fields[0]) - 1)
        places.append(place)
    return Texts(lines, np.array(labels, np.int64), places)

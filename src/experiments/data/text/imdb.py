"""Film reviews, half of them praise: Maas et al., "Learning word vectors for sentiment analysis" (2011)."""

from __future__ import annotations

import numpy as np

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts, text_of
from experiments.data.text.text_table import labelled, rows

CLASSES = ("negative", "positive")
TABLES = ("imdb.csv", "IMDB Dataset.csv")


class IMDB(TextData):
    """Reads `aclImdb/{train,test}/{neg,pos}/*.txt` below `root`, or a table `imdb.csv` with `review` and `sentiment`.

    The folder has its own test split of 25,000; from the table one is held out.
    """

    name = "imdb"

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        root = data_root(self.name, self.root)
        table = next((root / name for name in TABLES if (root / name).is_file()), None)
        if table is not None:
            content = rows(table, "review", "sentiment", "utf-8")
            return labelled({"train": [(_plain(str(text)), label, place) for text, label, place in content]})
        folders = [root / "aclImdb" / split / end for split in ("train", "test") for end in ("neg", "pos")]
        require(
            self.name,
            root,
            lambda: [str(missing.relative_to(root)) for missing in folders if not missing.is_dir()],
            None,
        )
        by_split: dict[str, list[Texts]] = {"train": [], "test": []}
        for folder in folders:
            files = sorted(folder.glob("*.txt"))
            lines = [_plain(text_of(path)) for path in files]
            label = CLASSES.index("positive" if folder.name == "pos" else "negative")
            by_split[folder.parent.name].append(
                Texts(lines, np.full(len(files), label), [f"{path}:1" for path in files])
            )
        return CLASSES, {split: Texts.join(several) for split, several in by_split.items()}


def _plain(text: str) -> str:
    """Without the line breaks of web pages that the reviews were taken from."""
    return text.replace("<br />", " ")

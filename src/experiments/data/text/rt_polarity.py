"""Sentences of film reviews, half of them praise.

Pang and Lee, "Seeing stars: exploiting class relationships for sentiment categorization with respect to rating scales"
(2005): 5,331 positive and 5,331 negative sentences, one a line, in latin-1. There is no test split of its own.
"""

from __future__ import annotations

import numpy as np

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts, lines_of

CLASSES = ("negative", "positive")


class RtPolarity(TextData):
    """Reads `rt_polarity/rt-polarity.{neg,pos}` below `root`."""

    name = "rt_polarity"

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        folder = data_root(self.name, self.root) / "rt_polarity"
        paths = [folder / f"rt-polarity.{end}" for end in ("neg", "pos")]
        require(self.name, folder, lambda: [path.name for path in paths if not path.is_file()], None)
        by_class = []
        for label, path in enumerate(paths):
            lines = lines_of(path, "latin-1")
            places = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
            by_class.append(Texts(lines, np.full(len(lines), label), places))
        return CLASSES, {"train": Texts.join(by_class)}

"""Pairs of sentences with a number from 0, nothing in common, to 5, the same: the STS benchmark.

Cer et al., "SemEval-2017 task 1: semantic textual similarity" (2017): 5,749 pairs for training and 1,500 for development,
which are the test split here: the test split in GLUE's form has no numbers.
"""

from __future__ import annotations

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts
from experiments.data.text.text_table import numbered, rows


class STSB(TextData):
    """Reads `glue/STS-B/train.tsv` and `dev.tsv` below `root`."""

    name = "stsb"
    paired = True

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        folder = data_root(self.name, self.root) / "glue" / "STS-B"
        files = {"train": folder / "train.tsv", "test": folder / "dev.tsv"}
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        return numbered(
            {split: rows(path, "sentence1", "score", "utf-8", "sentence2") for split, path in files.items()}
        )

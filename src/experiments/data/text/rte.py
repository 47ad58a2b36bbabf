"""Pairs of texts: does the second follow from the first? Recognising Textual Entailment, in the form GLUE gives it.

Wang et al., "GLUE: a multi-task benchmark and analysis platform for natural language understanding" (2019): 2,490 pairs
for training and 277 for development, which are the test split here: the published test split has no labels.
"""

from __future__ import annotations

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts
from experiments.data.text.text_table import labelled, rows


class RTE(TextData):
    """Reads `glue/RTE/train.tsv` and `dev.tsv` below `root`."""

    name = "rte"
    paired = True

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        folder = data_root(self.name, self.root) / "glue" / "RTE"
        files = {"train": folder / "train.tsv", "test": folder / "dev.tsv"}
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        return labelled(
            {split: rows(path, "sentence1", "label", "utf-8", "sentence2") for split, path in files.items()}
        )

"""The Stanford Sentiment Treebank with two classes, in the form GLUE gives it.

Socher et al., "Recursive deep models for semantic compositionality over a sentiment treebank" (2013). 67,349 phrases
for training and 872 sentences for development, which are the test split here: the published test split has no labels.
"""

from __future__ import annotations

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts
from experiments.data.text.text_table import labelled, rows


class SST2(TextData):
    """Reads `SST-2/train.tsv` and `SST-2/dev.tsv` below `root`; label 1 is praise."""

    name = "sst2"

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        folder = data_root(self.name, self.root) / "SST-2"
        files = {"train": folder / "train.tsv", "test": folder / "dev.tsv"}
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        names = {"0": "negative", "1": "positive"}
        by_split = {
            split: [(text, names.get(label, label), place) for text, label, place in rows(path, "sentence", "label", "utf-8")]
            for split, path in files.items()
        }  # fmt: skip
        return labelled(by_split)

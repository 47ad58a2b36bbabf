"""Pairs of sentences about pictures: does the second follow from the first, contradict it, or neither?

Bowman et al., "A large annotated corpus for learning natural language inference" (2015). Where there is only the file of
9,842 pairs for development, the other splits are held out from it.
"""

from __future__ import annotations

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts
from experiments.data.text.text_table import labelled, rows

CLASSES = {"0": "entailment", "1": "neutral", "2": "contradiction"}


class SNLI(TextData):
    """Reads `snli_validation/validation.tsv` below `root`, and `snli/{train,validation,test}.tsv` where they are."""

    name = "snli"
    paired = True

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        root = data_root(self.name, self.root)
        whole = {split: root / "snli" / f"{split}.tsv" for split in ("train", "validation", "test")}
        files = whole if whole["train"].is_file() else {"train": root / "snli_validation" / "validation.tsv"}
        folder = next(iter(files.values())).parent
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        return labelled(
            {
                split: [
                    (pair, CLASSES.get(label, label), place)
                    for pair, label, place in rows(path, "premise", "label", "utf-8", "hypothesis")
                ]
                for split, path in files.items()
            }
        )

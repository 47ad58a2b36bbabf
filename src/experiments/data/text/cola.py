"""Sentences of linguists' books, acceptable or not: the Corpus of Linguistic Acceptability.

Warstadt, Singh and Bowman, "Neural network acceptability judgments" (2019): 8,551 sentences for training and 1,043 for
development, which are the test split here: the published test split has no labels. The usual figure is Matthews' coefficient.
"""

from __future__ import annotations

from experiments.data.common.published_files import data_root, require
from experiments.data.text.text_data import TextData, Texts, lines_of
from experiments.data.text.text_table import Row, labelled
from experiments.errors import UserError

CLASSES = {"0": "unacceptable", "1": "acceptable"}


class CoLA(TextData):
    """Reads `glue/CoLA/train.tsv` and `dev.tsv` below `root`: source, label, mark and sentence, without a head."""

    name = "cola"

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        folder = data_root(self.name, self.root) / "glue" / "CoLA"
        files = {"train": folder / "train.tsv", "test": folder / "dev.tsv"}
        require(self.name, folder, lambda: [path.name for path in files.values() if not path.is_file()], None)
        rows: dict[str, list[Row]] = {}
        for split, path in files.items():
            rows[split] = []
            for number, line in enumerate(lines_of(path), 1):
                fields = line.split("\t")
                if len(fields) != 4 or fields[1] not in CLASSES:
                    raise UserError(f"{path}:{number}: not source, 0 or 1, mark and sentence: mend the row")
                rows[split].append((fields[3], CLASSES[fields[1]], f"{path}:{number}"))
        return labelled(rows)

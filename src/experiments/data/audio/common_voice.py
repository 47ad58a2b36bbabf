"""Common Voice: train.tsv, dev.tsv and test.tsv beside clips/NAME.mp3 (Ardila et al., "Common Voice", 2020)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.data.audio.transcribed import Transcribed, corpus_folder
from experiments.data.audio.transcripts import Utterance, read_manifest
from experiments.data.common.published_files import data_root
from experiments.errors import UserError

LISTS = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}


class CommonVoice(Transcribed):
    """The published splits; what has no list of its own is held out from train.tsv.

    Args:
        root: the folder of a language, with train.tsv and clips; or where it lies.
        rest: the keys of `Transcribed`.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    name = "common_voice"

    def __init__(self, *, root: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.root = root

    def read(self) -> dict[str, list[Utterance]]:
        root = data_root(self.name, self.root)
        folder = corpus_folder(self.name, root, "*.tsv", ("common_voice", "cv-corpus"))
        lists = {split: folder / name for split, name in LISTS.items() if (folder / name).is_file()}
        if isinstance(self.test, float) and self.test == 1:  # everything that there is a list of
            return {"train": [utterance for path in lists.values() for utterance in _listed(path)]}
        if "train" not in lists:
            raise UserError(f"data={self.name}: {folder / LISTS['train']} does not exist: fetch it")
        return {split: _listed(path) for split, path in lists.items()}


def _listed(path: Path) -> list[Utterance]:
    """Paths count from the folder `clips`."""
    return read_manifest(path, "path", "sentence", clips=str(path.parent / "clips"))

"""LibriSpeech: SPEAKER/CHAPTER/NAME.flac with their *.trans.txt (Panayotov et al., "LibriSpeech", 2015)."""

from __future__ import annotations

from typing import Any

from experiments.data.audio.transcribed import Transcribed, corpus_folder
from experiments.data.audio.transcripts import Utterance, read_manifest
from experiments.data.common.published_files import data_root


class LibriSpeech(Transcribed):
    """Everything below a folder; splits are held out at random.

    Args:
        root: a folder such as train-clean-100, or where LibriSpeech lies.
        rest: the keys of `Transcribed`.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    name = "librispeech"

    def __init__(self, *, root: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.root = root

    def read(self) -> dict[str, list[Utterance]]:
        root = data_root(self.name, self.root)
        folder = corpus_folder(self.name, root, "**/*.trans.txt", ("librispeech",))
        return {"train": read_manifest(folder, "", "")}

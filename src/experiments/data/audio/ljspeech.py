"""LJ Speech and other datasets with its layout: metadata.csv beside wavs/NAME.wav or .flac (keithito.com/LJ-Speech-Dataset)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.data.audio.transcribed import Transcribed, corpus_folder
from experiments.data.audio.transcripts import Utterance, content
from experiments.data.common.published_files import data_root
from experiments.errors import UserError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class LJSpeech(Transcribed):
    """One reader, 22.05 kHz: NAME|TEXT AS PRINTED|TEXT AS SPOKEN a line; the last column is taken.

    Args:
        root: the folder of metadata.csv, or where it lies.
        rest: the keys of `Transcribed`.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    name = "ljspeech"

    def __init__(self, *, root: str | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.root = root

    def read(self) -> dict[str, list[Utterance]]:
        root = data_root(self.name, self.root)
        return {"train": list(_listed(corpus_folder(self.name, root, "metadata.csv", ("ljspeech",))))}


def _listed(folder: Path) -> Iterator[Utterance]:
    path = folder / "metadata.csv"
    for line, row in enumerate(content(path).split("\n"), 1):
        if not row.strip():
            continue
        name, *texts = row.rstrip("\r").split("|")
        if not 1 <= len(texts) <= 2:
            raise UserError(f"{path}, line {line}: {len(texts) + 1} cells, where NAME|TEXT or NAME|TEXT|TEXT is wanted")
        files = [folder / "wavs" / f"{name}{suffix}" for suffix in (*SUFFIXES, "")]  # some lists have the ending
        recording = next((file for file in files if file.is_file()), None)
        if recording is None:
            raise UserError(f"{path}, line {line}: {files[0]} does not exist: fetch it, or take out the line")
        yield Utterance(recording, texts[-1], f"{path}, line {line}")

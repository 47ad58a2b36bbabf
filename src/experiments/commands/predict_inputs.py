"""What the words behind `experiments predict RUN` stand for: files, folders, texts or rows of numbers, by what the data give."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from experiments.data.common.split_names import files_below
from experiments.data.images import SUFFIXES
from experiments.errors import UserError, first_line
from experiments.system.outside_text import clean

TEXTS = (".txt", ".text", ".md", ".csv", ".tsv", ".jsonl")
AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3", ".m4a", ".aac", ".mp4", ".wma", ".webm")


def image_files(words: Sequence[str]) -> list[Path]:
    """Return the image files among some paths and in the folders among them.

    Raises:
        UserError: when a path does not exist, or there is no image.
    """
    paths: list[Path] = []
    for path in map(Path, words):
        if path.is_dir():
            paths += _inside(path, SUFFIXES | {".gif"}, "image")
        elif path.is_file():
            paths.append(path)
        else:
            raise UserError(f"{path} does not exist: name image files or folders of them")
    if not paths:
        raise UserError(f"{' '.join(words)} holds no image: name files such as photo.jpg")
    return paths


def texts(words: Sequence[str]) -> list[str]:
    """Texts as they are; for a word that names a file, its lines.

    Raises:
        UserError: when what looks like a path is no file, a file cannot be read as text, or there is nothing but empty lines.
    """
    prompts: list[str] = []
    for word in words:
        try:
            is_file = Path(word).is_file()
        except OSError:  # a text too long for a file name
            is_file = False
        if not is_file:
            if word.endswith(TEXTS) or (os.sep in word and len(word.split()) == 1):
                raise UserError(
                    f"{word} is no file: name one that is there, or write such a text into a file, one a line"
                )
            prompts.append(word)
            continue
        try:
            lines = Path(word).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{word} is no text in UTF-8 ({error}): convert it, or give the text itself") from error
        prompts += [line for line in lines if line.strip()]
    if not prompts:
        raise UserError(f"{' '.join(words)} holds no text: give texts, or files with one a line")
    return prompts


def audio_files(words: Sequence[str]) -> list[Path]:
    """Return the recordings among some paths and in the folders among them.

    Raises:
        UserError: when there is none.
    """
    paths: list[Path] = []
    for path in map(Path, words):
        paths += _inside(path, AUDIO, "recording") if path.is_dir() else [path]
    if not paths:
        raise UserError(f"{' '.join(words)} holds no recording: name files such as clip.wav")
    return paths


def observations(words: Sequence[str]) -> list[str]:
    """Observations as texts of numbers with commas; for a word that names a file, its lines, without a head of names.

    Raises:
        UserError: a file cannot be read, or there is none.
    """
    rows: list[str] = []
    for word in words:
        if not Path(word).is_file():
            if word.endswith((*TEXTS, ".npy")):
                raise UserError(f"{word} is no file: name one that is there, or give numbers with commas")
            rows.append(word.strip())
            continue
        if word.endswith(".npy"):
            rows += _rows(word)
            continue
        try:
            lines = [line for line in Path(word).read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{word} is no text in UTF-8 ({error}): write an observation a line, with commas"
            ) from error
        rows += lines[1:] if lines and re.search("[a-df-zA-DF-Z]", lines[0]) else lines
    if not rows:
        raise UserError(f"{' '.join(words)} holds no observation: write one a line, numbers with commas")
    return rows


def _inside(folder: Path, suffixes: Collection[str], kind: str) -> list[Path]:
    """Return the files with some endings below a folder, sorted; says which others are left out, hidden ones apart."""
    files = files_below(folder)
    others = [path for path in files if path.suffix.lower() not in suffixes]
    if others:
        endings = ", ".join(sorted({path.suffix.lower() or path.name for path in others})[:5])
        what = f"{len(others)} files that end" if len(others) > 1 else "1 file that ends"
        print(f"left out: {what} like no {kind} ({clean(endings)})", file=sys.stderr)
    return [path for path in files if path.suffix.lower() in suffixes]


def _rows(path: str) -> list[str]:
    """Rows of an array in NumPy's file, as texts; a single one where it has one dimension."""
    import numpy as np

    try:
        array = np.atleast_2d(np.load(path, allow_pickle=False).astype(float))
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise UserError(f"{path} is no array of numbers ({first_line(error)}): save one with numpy.save") from error
    if array.ndim != 2:
        raise UserError(f"{path} has shape {array.shape}, and an observation is a vector: save a row for each")
    return [",".join(map(repr, row)) for row in array.tolist()]


# What the words of the command line stand for, by what the run's data give; words of other kinds are taken as they are.
# Whatever a reader gives, the data module's `prepare` takes a list of it.
READERS: dict[str, Callable[[Sequence[str]], list[Any]]] = {
    "image": image_files,
    "boxes": image_files,
    "instances": image_files,
    "masks": image_files,
    "text": texts,
    "words": texts,
    "pair": texts,
    "question": texts,
    "audio": audio_files,
    "speech": audio_files,
    "control": observations,
    "demonstrations": observations,
}
OF_FILES = tuple(kind for kind, reader in READERS.items() if reader in (image_files, audio_files))
# The head of the column of inputs, where it is not the kind.
HEADS = {
    "masks": "image",
    "control": "observation",
    "demonstrations": "observation",
    "boxes": "image",
    "instances": "image",
}

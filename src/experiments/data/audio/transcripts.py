"""Lists of recordings with what is said in them: tables, JSON lines, and folders in LibriSpeech's layout."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from experiments.data.audio.audio_files import WHOLE, ClipSpan
from experiments.data.common.json_lines import read_object, text_in
from experiments.data.common.quoted_tabs import is_quoted
from experiments.data.common.split_names import files_below
from experiments.errors import UserError, unknown

_CLIPS = ("clips", "wavs", "wav", "audio")  # folders of recordings beside their list


class Utterance(NamedTuple):
    """One recording: its file, what is said, where that was read, for messages, and the part of the file."""

    audio: Path
    text: str
    where: str
    span: ClipSpan = WHOLE


def read_manifest(
    path: Path, audio: str, text: str, offset: str = "", duration: str = "", clips: str | None = None
) -> list[Utterance]:
    """Return the utterances of a file (.csv, .tsv, .jsonl) or of a folder with *.trans.txt files somewhere in it.

    Paths of recordings count from `clips`, or from the folder of the file; what is not there is looked for in the folders
    `clips` and `wavs` beside the file, as Common Voice and LJSpeech have it.

    Args:
        path: the file or folder.
        audio: column or key of the recordings' paths.
        text: column or key of the transcripts.
        offset: column or key of the seconds at which an utterance begins in its file, where there is one.
        duration: likewise of how many seconds it lasts.
        clips: folder of the recordings.

    Raises:
        UserError: with file and line, for what is missing or cannot be read.
    """
    if path.is_dir():
        return list(_librispeech(path))
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: name a .csv, .tsv or .jsonl file, or a folder in LibriSpeech's layout, with data.path"
        )
    utterances = []
    for line, row in _json_lines(path) if path.suffix in (".jsonl", ".json") else _table(path):
        for key, name in (("data.audio", audio), ("data.text", text)):
            if name not in row:
                raise UserError(unknown(f"{key}={name}", f"no column of {path}, line {line}", name, list(row)))
        for key, name in (("data.offset", offset), ("data.duration", duration)):
            if name and name not in row and (name != key[5:] or name.casefold() in map(str.casefold, row)):
                raise UserError(unknown(f"{key}={name}", f"no column of {path}, line {line}", name, list(row)))
        file, transcript = (text_in(row[name]) for name in (audio, text))
        if not file.strip():
            raise UserError(
                f"{path}, line {line}: {audio} is empty: give the path of the recording, or take out the line"
            )
        where = f"{path}, line {line}"
        begin, length = (_seconds(row, name, where) for name in (offset, duration))
        recording = _recording(path.parent, clips, file, where)
        utterances.append(Utterance(recording, transcript.strip(), where, ClipSpan(begin or 0.0, length)))
    if not utterances:
        raise UserError(f"{path} lists no recording: give it a line for each")
    return utterances


def _recording(folder: Path, clips: str | None, file: str, where: str) -> Path:
    """Where a recording lies that a list in a folder names.

    Raises:
        UserError: when it is nowhere.
    """
    places = [Path(clips).expanduser(), folder / clips] if clips else [folder, *(folder / name for name in _CLIPS)]
    for place in places:
        for name in (file, f"{file}.wav"):
            if (place / name).is_file():
                return place / name
    if clips is None:
        raise UserError(
            f"{where}: {folder / file} does not exist: name the folder of the recordings with data.clips=FOLDER, or mend the list"
        )
    raise UserError(f"{where}: {Path(clips) / file} does not exist: name the folder of the recordings with data.clips")


def _seconds(row: Mapping[str, object], name: str, where: str) -> float | None:
    """Return a number of seconds, 0 or more, of a line; None where it has none."""
    value = row.get(name)
    if value is None or not str(value).strip():
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{where}: {name}={value} is no number of seconds: give one of 0 or more, such as 1.5")
    return seconds


def content(path: Path) -> str:
    """Return a text file.

    Raises:
        UserError: naming the line that is not in UTF-8.
    """
    data = path.read_bytes()
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte {data[error.start]:#x} is not UTF-8: save the file in UTF-8"
        ) from error


def _table(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    text = content(path)
    head = text.partition("\n")[0]
    delimiter = max("\t,;", key=head.count)
    tabs = delimiter == "\t" and not is_quoted(text)  # such files are commonly written without quoting
    csv.field_size_limit(2**30)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )
    try:
        names = [name.strip() for name in next(reader, [])]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise UserError(f"{path}, line 1: two columns are called {twice}: give each a name of its own")
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(row)} cells, where the first line names {len(names)} columns:"
                    " mend the line"
                )
            yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}: mend the line") from error


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for line, written in enumerate(content(path).split("\n"), 1):
        if written.strip():
            yield line, read_object(written, f"{path}, line {line}")


def _librispeech(folder: Path) -> Iterator[Utterance]:
    """SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt, a line an utterance, `NAME TEXT`, beside NAME.flac."""
    lists = files_below(folder, "*.trans.txt")
    if not lists:
        raise UserError(
            f"{folder} holds no *.trans.txt: name a folder in LibriSpeech's layout, or a table of recordings"
        )
    for path in lists:
        for line, written in enumerate(content(path).split("\n"), 1):
            if not written.strip():
                continue
            name, _, text = written.strip().partition(" ")
            files = [path.parent / f"{name}{suffix}" for suffix in (".flac", ".wav")]
            recording = next((file for file in files if file.is_file()), None)
            if recording is None:
                raise UserError(
                    f"{path}, line {line}: {files[0].name} is not beside it: fetch it, or take out the line"
                )
            yield Utterance(recording, text.strip(), f"{path}, line {line}")

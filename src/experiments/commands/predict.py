"""`experiments predict`: what a run says of inputs that it has never seen, such as image files."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.run.folder import read_config
from experiments.system.files import atomic_path, write_text
from experiments.viz.tables import comma_separated, table

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
BATCH = 64


def image_files(words: Sequence[str]) -> list[Path]:
    """The image files among some paths and in the folders among them.

    Raises:
        UserError: when a path does not exist, or there is no image.
    """
    found: list[Path] = []
    for path in map(Path, words):
        if path.is_dir():
            found += sorted(one for one in path.rglob("*") if one.suffix.lower() in IMAGES and one.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path} does not exist: name image files or folders of them")
    if not found:
        raise UserError(f"{' '.join(words)} holds no image: name files such as photo.jpg")
    return found


TEXTS = (".txt", ".text", ".md", ".csv", ".tsv", ".jsonl")


def texts(words: Sequence[str]) -> list[str]:
    """Texts as they are; for a word that names a file, its lines.

    Raises:
        UserError: when what looks like a path is no file, a file cannot be read as text, or there is nothing but empty lines.
    """
    found: list[str] = []
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
            found.append(word)
            continue
        try:
            lines = Path(word).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{word} is no text in UTF-8 ({error}): convert it, or give the text itself") from error
        found += [line for line in lines if line.strip()]
    if not found:
        raise UserError(f"{' '.join(words)} holds no text: give texts, or files with one a line")
    return found


AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3")


def audio_files(words: Sequence[str]) -> list[Path]:
    """The recordings among some paths and in the folders among them.

    Raises:
        UserError: when there is none.
    """
    found: list[Path] = []
    for path in map(Path, words):
        inside = path.rglob("*") if path.is_dir() else [path]
        found += sorted(one for one in inside if one == path or one.suffix.lower() in AUDIO)
    if not found:
        raise UserError(f"{' '.join(words)} holds no recording: name files such as clip.wav")
    return found


# What the words of the command line stand for, by what the run's data give; words of other kinds are taken as they are.
# Whatever a reader gives, the data module's `prepare` takes a list of it.
READERS: dict[str, Callable[[Sequence[str]], list[Any]]] = {
    "image": image_files,
    "text": texts,
    "words": texts,
    "pair": texts,
    "audio": audio_files,
    "speech": audio_files,
}


def main(words: list[str]) -> int:
    """Prints what a run says of each input as a table, CSV or JSON, and writes the files that belong to it."""
    parser = argparse.ArgumentParser("experiments predict", description="What a run says of new inputs.")
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="of images and sound: files, or folders of them; of texts: the text, or files with one a line; of series: CSV files",
    )
    parser.add_argument(
        "--top",
        type=int,
        default=3,
        metavar="K",
        help="classes or translations an input (default: 3); the latter are at most task.search.beams",
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where files (pictures and the like) and predictions.csv go; by default RUN/predictions, if there are files",
    )
    options = parser.parse_args(words)
    if options.top < 1:
        raise UserError(f"--top {options.top} must be 1 or more: try --top 3")
    overrides = [options.run] if "=" in options.run and not Path(options.run).exists() else []
    if overrides:  # no run: published weights, whose networks read images
        overrides += [word for word in options.inputs if "=" in word and not Path(word).exists()]
        kind = "image"
    else:
        kind = (read_config(Path(options.run).absolute()).data.get("gives") or {}).get("kind", "input")
    inputs = READERS.get(kind, list)([word for word in options.inputs if word not in overrides])
    from experiments.run.loaded import load, load_published

    loaded = load_published(overrides) if overrides else load(options.run)
    answers: list[dict[str, Any]] = []
    for start in range(0, len(inputs), BATCH):
        some = inputs[start : start + BATCH]
        for one, answer in zip(some, loaded.answers(some, options.top), strict=True):
            answers.append({kind: str(one), **answer})
    folder = options.out or Path("." if overrides else options.run) / "predictions"
    wrote = save_attachments(answers, folder)
    head, rows, numeric = as_rows(answers)
    if wrote or options.out:
        write_text(folder / "predictions.csv", comma_separated(head, rows) + "\n")
    if options.format == "json":
        print(json.dumps(rounded(answers), indent=2, ensure_ascii=False))
    elif options.format == "csv":
        print(comma_separated(head, rows))
    else:  # where every row is a line
        print(table(head, [["⏎".join(cell.split("\n")) for cell in row] for row in rows], right=numeric))
    return 0


def save_attachments(answers: list[dict[str, Any]], folder: Path) -> int:
    """Writes every attachment among some answers to FOLDER/NAME_KEY.SUFFIX, and puts its path in its place; their number."""
    stems: dict[str, int] = {}
    count = 0
    for answer in answers:
        kinds = [key for key, value in answer.items() if type(value).__name__ == "Attachment"]
        if not kinds:
            continue
        stem = Path(str(next(iter(answer.values())))).stem[:80]
        stems[stem] = stems.get(stem, 0) + 1
        if stems[stem] > 1:  # files of one name from several folders
            stem = f"{stem}-{stems[stem]}"
        for key in kinds:
            suffix, content = answer[key]
            path = folder / f"{stem}_{key}{suffix}"
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            answer[key] = str(path)
            count += 1
    return count


def as_rows(answers: list[dict[str, Any]]) -> tuple[list[str], list[list[str]], list[int]]:
    """Head, rows of text and numbers of the columns that align right; a ranked list inside an answer takes a row an entry."""
    head: list[str] = []
    rows: list[list[Any]] = []
    for answer in answers:
        ranked = next((key for key, value in answer.items() if isinstance(value, list)), None)
        plain = {key: value for key, value in answer.items() if key != ranked}
        entries = [{"rank": place, **entry} for place, entry in enumerate(answer[ranked], 1)] if ranked else [{}]
        for entry in entries:
            head = head or [*plain, *entry]
            rows.append([*plain.values(), *entry.values()])
    numeric = [column for column in range(len(head)) if all(isinstance(row[column], int | float) for row in rows)]
    return head, [[_text(value) for value in row] for row in rows], numeric


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)


def rounded(value: Any) -> Any:
    """Plain Python with its real numbers to six decimals."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value

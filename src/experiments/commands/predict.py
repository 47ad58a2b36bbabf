"""`experiments predict`: what a run says of inputs that it has never seen, such as image files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.subtitles import FORMATS, write
from experiments.config.foreign_modules import is_foreign
from experiments.data.images import SUFFIXES
from experiments.errors import UserError, first_line
from experiments.run.folder import read_config
from experiments.system.arguments import Parser
from experiments.system.files import atomic_path, write_text
from experiments.system.outside_text import json_text
from experiments.system.terminal import waiting
from experiments.tasks.report import Attachment, report_of
from experiments.viz.tables import comma_separated, table

BATCH = 64


def image_files(words: Sequence[str]) -> list[Path]:
    """Return the image files among some paths and in the folders among them.

    Raises:
        UserError: when a path does not exist, or there is no image.
    """
    found: list[Path] = []
    for path in map(Path, words):
        if path.is_dir():
            found += _inside(path, SUFFIXES | {".gif"})
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"{path} does not exist: name image files or folders of them")
    if not found:
        raise UserError(f"{' '.join(words)} holds no image: name files such as photo.jpg")
    return found


def _inside(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files with some endings below a folder, sorted; nothing that is hidden, as in training."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


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


AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3", ".m4a", ".aac", ".mp4", ".wma", ".webm")


def audio_files(words: Sequence[str]) -> list[Path]:
    """Return the recordings among some paths and in the folders among them.

    Raises:
        UserError: when there is none.
    """
    found: list[Path] = []
    for path in map(Path, words):
        found += _inside(path, AUDIO) if path.is_dir() else [path]
    if not found:
        raise UserError(f"{' '.join(words)} holds no recording: name files such as clip.wav")
    return found


def observations(words: Sequence[str]) -> list[str]:
    """Observations as texts of numbers with commas; for a word that names a file, its lines, without a head of names.

    Raises:
        UserError: a file cannot be read, or there is none.
    """
    found: list[str] = []
    for word in words:
        if not Path(word).is_file():
            if word.endswith((*TEXTS, ".npy")):
                raise UserError(f"{word} is no file: name one that is there, or give numbers with commas")
            found.append(word.strip())
            continue
        if word.endswith(".npy"):
            found += _rows(word)
            continue
        try:
            lines = [line for line in Path(word).read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{word} is no text in UTF-8 ({error}): write an observation a line, with commas"
            ) from error
        found += lines[1:] if lines and re.search("[a-df-zA-DF-Z]", lines[0]) else lines
    if not found:
        raise UserError(f"{' '.join(words)} holds no observation: write one a line, numbers with commas")
    return found


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
# The head of the column of inputs, where it is not the kind.
HEADS = {
    "masks": "image",
    "control": "observation",
    "demonstrations": "observation",
    "boxes": "image",
    "instances": "image",
}


def main(words: list[str]) -> int:
    """Prints what a run says of each input as a table, CSV or JSON, and writes the files that belong to it."""
    parser = Parser("experiments predict", description="What a run says of new inputs.")
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or model=NAME weights=pretrained")
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="none where the run has a LightningModule of its own, which answers what its data's predict_dataloader gives; of images and sound: files, or folders of them; of texts: the text, or files with one a line; of series: CSV files; of control: observations as 0.1,0,-0.2,0, or files with one a line, or .npy files",
    )
    parser.add_argument(
        "--top",
        type=int,
        metavar="K",
        help="classes, translations or objects an input (default: 3; of objects 100); translations are at most task.search.beams",
    )
    parser.add_argument("--format", choices=("table", "csv", "json", *FORMATS), default="table")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where files (pictures and the like) and predictions.csv go; by default RUN/predictions, if there are files",
    )
    parser.add_argument(
        "--sample",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="how a language model writes, in place of task.sample: method=greedy, temperature=0.5, length=100, …",
    )
    parser.add_argument(
        "--labels",
        metavar="A,B,…",
        help="labels that the run has never seen: by entailment where it was trained on that, or by a language model",
    )
    parser.add_argument(
        "--template", default="This text is about {}.", metavar="TEXT", help="the sentence of such a label"
    )
    # -0.1,0 is an observation and no switch.
    options = parser.parse_args([f" {word}" if re.match(r"-[\d.]+,", word) else word for word in words])
    if options.top is not None and options.top < 1:
        raise UserError(f"--top {options.top} must be 1 or more: try --top 3")
    overrides = [options.run] if "=" in options.run and not Path(options.run).exists() else []
    if overrides:  # no run: published weights, whose networks read images or speech
        from experiments.run.published_speech import is_speech

        overrides += [word for word in options.inputs if "=" in word and not Path(word).exists()]
        kind = "speech" if is_speech(overrides) else "image"
    else:
        config = read_config(Path(options.run).absolute())
        if is_foreign(config):
            from experiments.commands.predict_loader import predict_loader

            given = {"--top": options.top, "--labels": options.labels, "--sample": options.sample}
            unused = [name for name, value in given.items() if value]
            if options.format in FORMATS:
                unused.append(f"--format {options.format}")
            if unused:
                raise UserError(f"{unused[0]} has no effect on a LightningModule of one's own: leave it out")
            return predict_loader(options.run, options.inputs, options.format, options.out)
        kind = (config.data.get("gives") or {}).get("kind", "input")
    if not options.inputs:
        raise UserError("experiments predict needs INPUT: see experiments predict --help")
    inputs = READERS.get(kind, list)([word for word in options.inputs if word not in overrides])
    with waiting("loading the network"):
        from experiments.run.loaded import load, load_published

        loaded = load_published(overrides) if overrides else load(options.run, "predict")
    report = report_of(loaded.task)
    top = options.top or report.top
    if options.format in ("json", *FORMATS) and hasattr(loaded.task, "hear_times"):
        loaded.task.hear_times()
    if options.sample:
        if not hasattr(loaded.task, "writing"):
            raise UserError(
                f"--sample {options.sample[0]} is of language models, and this run writes no text: leave it out"
            )
        loaded.task.writing = loaded.task.writing.changed(options.sample, "--sample")
    answers: list[dict[str, Any]] = []
    if options.labels:
        from experiments.commands.zero_shot import zero_shot

        labels = [one.strip() for one in options.labels.split(",") if one.strip()]
        judged = zero_shot(loaded, inputs, labels, options.template, top)
        answers = [{"text": text, **answer} for text, answer in zip(inputs, judged, strict=True)]
        inputs = []
    for start in range(0, len(inputs), BATCH):
        some = inputs[start : start + BATCH]
        pairs = _answered(loaded, some, top) if len(inputs) > 1 else zip(some, loaded.answers(some, top), strict=True)
        for one, answer in pairs:
            answers.append({HEADS.get(kind, kind): str(one), **answer})
    if not answers:
        raise UserError(f"none of the {len(inputs)} inputs can be read: see the lines above")
    folder = options.out or Path("." if overrides else options.run) / "predictions"
    if options.format in FORMATS:
        write(answers, options.format, options.out)
        return 0
    wrote = save_attachments(answers, folder)
    for name, content in report.together([str(next(iter(one.values()))) for one in answers]).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
        wrote += 1
    # What is said when stands in JSON and subtitles; a table has the whole transcript.
    head, rows, numeric = as_rows([{key: one[key] for key in one if key != "segments"} for one in answers])
    if wrote or options.out:
        write_text(folder / "predictions.csv", comma_separated(head, rows) + "\n")
    if options.format == "json":
        print(json_text(rounded(answers)))
    elif options.format == "csv":
        print(comma_separated(head, rows))
    else:  # where every row is a line
        print(table(head, [["⏎".join(cell.split("\n")) for cell in row] for row in rows], right=numeric))
    return 0


def _answered(loaded: Any, some: list[Any], top: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield some inputs and their answers; a file that cannot be read is named and left out, and the others are not."""
    try:
        yield from zip(some, loaded.answers(some, top), strict=True)
    except UserError:
        if not isinstance(some[0], Path):
            raise
        for one in some:
            try:
                yield one, loaded.answers([one], top)[0]
            except UserError as error:
                print(f"left out: {error}", file=sys.stderr)


def save_attachments(answers: list[dict[str, Any]], folder: Path) -> int:
    """Writes every attachment among some answers to FOLDER/NAME_KEY.SUFFIX, and puts its path in its place; their number."""
    stems: dict[str, int] = {}
    count = 0
    for answer in answers:
        kinds = [key for key, value in answer.items() if isinstance(value, Attachment)]
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
        for entry in entries or [{}]:  # an image without any object has a row too
            head = max(head, [*plain, *entry], key=len)
            rows.append([*plain.values(), *entry.values()])
    rows = [row + [None] * (len(head) - len(row)) for row in rows]
    numeric = [
        column for column in range(len(head)) if all(isinstance(row[column], int | float | None) for row in rows)
    ]
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

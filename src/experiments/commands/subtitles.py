"""Transcripts with times as subtitles: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.system.files import write_text

FORMATS = ("srt", "vtt")


def subtitles(segments: Sequence[Mapping[str, Any]], form: str) -> str:
    """Return the content of a file.

    Args:
        segments: each with `start` and `end` in seconds and `text`.
        form: srt or vtt.
    """
    blocks = ["WEBVTT"] if form == "vtt" else []
    for number, segment in enumerate(segments, 1):
        start = segment["start"]
        end = max(segment["end"], start + 0.001)  # a cue without length is none
        times = " --> ".join(clock(seconds, "." if form == "vtt" else ",") for seconds in (start, end))
        text = segment["text"].replace("-->", "→")
        blocks.append(f"{times}\n{text}" if form == "vtt" else f"{number}\n{times}\n{text}")
    return "\n\n".join(blocks) + "\n"


def clock(seconds: float, point: str) -> str:
    """01:02:03,456."""
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000:02}{point}{thousandths % 1000:03}"


def write(answers: Sequence[Mapping[str, Any]], form: str, folder: Path | None) -> None:
    """Prints the subtitles of one recording, or writes those of each to FOLDER/NAME.srt.

    Raises:
        UserError: when there are no times, or several recordings and no folder.
    """
    if any("segments" not in answer for answer in answers):
        raise UserError(f"--format {form} needs times, which this run does not give: use --format json")
    if folder is None:
        if len(answers) > 1:
            raise UserError(f"--format {form} of {len(answers)} recordings makes a file each: add --out FOLDER")
        print(subtitles(answers[0]["segments"], form), end="")
        return
    taken: dict[str, int] = {}
    for answer in answers:
        stem = Path(str(next(iter(answer.values())))).stem
        taken[stem] = taken.get(stem, 0) + 1
        name = stem if taken[stem] == 1 else f"{stem}-{taken[stem]}"
        path = folder / f"{name}.{form}"
        write_text(path, subtitles(answer["segments"], form))
        print(path)

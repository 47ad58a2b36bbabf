"""Answers of a run as rows of a table, as plain Python and as files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.system.files import atomic_path
from experiments.tasks.report import Attachment


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
    """Head, rows of text and numbers of the columns that align right; a ranked list of keys and values inside an answer takes a row
    an entry, and any other list stands in one cell."""
    head: list[str] = []
    rows: list[list[Any]] = []
    for answer in answers:
        ranked = next((key for key, value in answer.items() if _is_ranked(value)), None)
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


def _is_ranked(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)


def rounded(value: Any) -> Any:
    """Plain Python with its real numbers to six decimals."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value

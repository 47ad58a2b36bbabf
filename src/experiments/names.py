"""Names that are not known, names that are too long, and paths as they are typed."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


def unknown(what: str, rule: str, name: str, known: Sequence[str]) -> str:
    """A sentence for an unknown name: the nearest known ones, or all short ones where none is near."""
    near = difflib.get_close_matches(name, set(known), n=3, cutoff=0.6)
    short = sorted({one for one in known if "." not in one})
    cure = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(short)}"
    return f"{what} is {rule}: {cure}"


def shorten(name: str, length: int, among: Iterable[str] = ()) -> str:
    """A name that fits: its beginning and an ellipsis, or both its ends where another of the names begins alike."""
    if len(name) <= length:
        return name
    start = name[: length - 1]
    if any(other != name and other.startswith(start) for other in among):
        end = (length - 1) // 2
        return f"{name[: length - 1 - end].rstrip()}…{name[-end:].lstrip()}"
    return f"{start.rstrip()}…"


def near(path: Path) -> str:
    """A path as one would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)

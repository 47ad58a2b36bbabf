"""Names cut to fit a picture or a table."""

from __future__ import annotations

from collections.abc import Iterable


def shorten(name: str, length: int, among: Iterable[str] = ()) -> str:
    """Return a name that fits: its beginning and an ellipsis, or both its ends where another of the names begins alike."""
    if len(name) <= length:
        return name
    start = name[: length - 1]
    if any(other != name and other.startswith(start) for other in among):
        end = (length - 1) // 2
        return f"{name[: length - 1 - end].rstrip()}…{name[-end:].lstrip()}"
    return f"{start.rstrip()}…"

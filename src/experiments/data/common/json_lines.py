"""Rows of JSON lines, one object each: every line that is none is named."""

from __future__ import annotations

import json
from typing import Any

from experiments.errors import UserError


def read_object(line: str, place: str) -> dict[str, Any]:
    """Return the object of a line.

    Args:
        line: as it stands in the file.
        place: file and line, for messages.

    Raises:
        UserError: it is no JSON or no object, names a key twice, or lies too deep or holds too long a number to be read.
    """
    try:
        content = json.loads(line, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: no JSON ({error.msg}): write one object a line") from error
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    except RecursionError as error:
        raise UserError(f"{place}: its lists lie too deep in each other: write one object a line") from error
    except ValueError as error:  # a whole number of more digits than Python reads
        raise UserError(f"{place}: a number is too long to be read: mend it") from error
    if not isinstance(content, dict):
        raise UserError(f"{place}: {line.strip()[:40]} is no object: write one object a line")
    return content


def text_in(cell: Any) -> str:
    """Return a value of a row as text; a gap, which is null or NaN, is empty."""
    return "" if cell is None or cell != cell else str(cell)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys are all different, as JSON leaves open."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, _ in pairs if [key for key, _ in pairs].count(key) > 1)
        raise UserError(f"{twice} stands twice in one object: keep one of them")
    return content

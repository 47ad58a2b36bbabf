"""Files in COCO's form: images, annotations and categories, each a list of objects with ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError

LISTS = ("images", "annotations", "categories")


def read_coco(file: Path) -> dict[str, Any]:
    """Return the content of a file.

    Raises:
        UserError: when it is not there, is no JSON, or has not the three lists.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{file} does not exist: name the JSON file in data.annotations") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as JSON ({error}): mend it") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in LISTS):
        raise UserError(f"{file} is not in COCO's form: it needs lists of images, annotations and categories")
    return content


def rows_by_id(rows: Sequence[Any], what: str, file: Path) -> dict[Any, dict[str, Any]]:
    """Return the objects of a list by their ids.

    Args:
        rows: the list.
        what: its name, for errors.
        file: that it is of.

    Raises:
        UserError: when two have one id, or one has none.
    """
    by_id: dict[Any, dict[str, Any]] = {}
    for row in rows:
        number = row.get("id") if isinstance(row, dict) else None
        if number is None or number in by_id:
            problem = f"an entry of {what} without an id" if number is None else f"two {what} with the id {number}"
            raise UserError(f"{file} has {problem}: give each one of its own")
        by_id[number] = row
    return by_id

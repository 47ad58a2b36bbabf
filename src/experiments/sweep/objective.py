"""What the runs of a search are judged by, and where its study keeps that."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config.metric_names import split_of
from experiments.errors import UserError

STORAGE = "search.db"


@dataclass(frozen=True)
class Objective:
    """What a trial is judged by: `val/accuracy` of the best epoch, or a cost from the record, `cost.seconds`."""

    name: str
    lower: bool

    def of(self, record: dict[str, Any]) -> float | None:
        """Return the value in a record; None where it is not a number.

        Raises:
            UserError: when the record does not have it.
        """
        values, key = self._values(record)
        if key not in values:
            prefix = "cost." if self.name.startswith("cost.") else ""
            names = sorted(prefix + name for name in values if split_of(name) != "test")
            raise UserError(
                f"search.metric={self.name} is not in the records of these runs: choose from {', '.join(names)}"
            )
        return self.value_in(record)

    def value_in(self, record: dict[str, Any]) -> float | None:
        """Return the value in a record; None where there is none or it is not a number."""
        values, key = self._values(record)
        return None if values.get(key) is None else float(values[key])

    def _values(self, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the part of a record that has the value, and its key there."""
        group, _, key = self.name.partition(".") if self.name.startswith("cost.") else ("metrics", "", self.name)
        return record.get(group) or {}, key

    def __str__(self) -> str:
        return f"{'least' if self.lower else 'greatest'} {self.name}"


def objectives_of(folder: Path) -> tuple[Objective, ...] | None:
    """Return what the search in a folder judges its trials by; nothing where that cannot be read, None where there is
    no search.

    Read without Optuna, whose import takes longer than the rest of `experiments status`.
    """
    path = folder / STORAGE
    if not path.is_file():
        return None
    with contextlib.suppress(sqlite3.Error, ValueError, KeyError, TypeError):
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as storage:
            rows = storage.execute("SELECT key, value_json FROM study_user_attributes").fetchall()
        about = {key: json.loads(value) for key, value in rows}
        pairs = zip(about["search.metric"], about["search.direction"], strict=True)
        return tuple(Objective(name, direction == "min") for name, direction in pairs)
    return ()

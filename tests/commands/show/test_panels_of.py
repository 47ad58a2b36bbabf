"""Each task's panels are found where the table says, and read what the record of a run holds."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.commands.show.panel import Look, NotShown, Wanted
from experiments.commands.show.run import PANELS_OF
from experiments.spec import ImageSpec, from_plain, to_plain


def test_modules_of_the_table_exist() -> None:
    names = {name for several in PANELS_OF.values() for name in several}
    assert not [name for name in names if find_spec(f"experiments.commands.show.{name}") is None]


@pytest.mark.parametrize(
    ("record", "keys", "shape", "read"),
    [
        ({"confusion": [[1, 0], [0, 2]]}, ("confusion",), (2, 2), [[1, 0], [0, 2]]),
        ({}, ("confusion",), (2, 2), None),
        ({"confusion": [[1, []], [0, 2]]}, ("confusion",), (2, 2), "damaged"),
        ({"confusion": [[1, 0]]}, ("confusion",), (2, 2), "damaged"),
        ({"confusion": [[1, float("nan")], [0, 2]]}, ("confusion",), (2, 2), "diverged"),
        ({"per_step": {"mse": [1, 2]}}, ("per_step", "mse"), None, [1, 2]),
        ({"per_step": None}, ("per_step", "mse"), None, None),
        ({"per_step": [3]}, ("per_step", "mse"), None, "damaged"),
        ({"per_step": {"mse": {"a": 1}}}, ("per_step", "mse"), None, "damaged"),
    ],
)
def test_numbers_of_a_record_are_read_or_said_to_be_damaged(
    record: dict[str, Any], keys: tuple[str, ...], shape: tuple[int, ...] | None, read: Any
) -> None:
    look = Look(SimpleNamespace(record=record), Wanted(), Path(), {})  # type: ignore[arg-type]
    if isinstance(read, str):
        with pytest.raises(NotShown, match="of its record is") as refusal:
            look.recorded(*keys, shape=shape)
        assert read in str(refusal.value)
    else:
        table = look.recorded(*keys, shape=shape)
        assert table is None if read is None else table.tolist() == read


@pytest.mark.parametrize(
    "wrong", [{"classes": ["a", True]}, {"mean": ["x"]}, {"height": 8.5}, {"std": 1}, {"channels": None}]
)
def test_a_spec_with_values_of_other_types_is_no_spec(wrong: dict[str, Any]) -> None:
    plain = to_plain(ImageSpec(1, 8, 8, ("a", "b"), (0.5,), (1,)))
    assert from_plain(plain).classes == ("a", "b")
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} is no"):
        from_plain(plain | wrong)

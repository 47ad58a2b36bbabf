"""Each task's panels are found where the table says."""

from __future__ import annotations

from importlib.util import find_spec

from experiments.commands.show.run import PANELS_OF


def test_modules_of_the_table_exist() -> None:
    names = {name for several in PANELS_OF.values() for name in several}
    assert not [name for name in names if find_spec(f"experiments.commands.show.{name}") is None]

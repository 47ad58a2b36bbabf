"""Which runs are the same: by what can change the result, wherever their folders lie."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.run.identity import identity, settings


def config(folder: str, file: str) -> dict[str, Any]:
    return {"run": {"dir": folder, "choices": {}}, "data": {"name": "digits"}, "model": {"file": file}, "callbacks": {}}


@pytest.mark.parametrize("end", ["", "/best.ckpt", ".txt", "_losses.csv"])
def test_what_begins_with_the_folder_counts_from_it(end: str) -> None:
    first, second = config("/runs/a", f"/runs/a{end}"), config('/नमूने/"b"', f'/नमूने/"b"{end}')
    assert identity(first) == identity(second)
    assert settings(first)["model.file"] == end


def test_another_folder_counts_whole() -> None:
    other = "/runs/0_seed=10/best.ckpt"
    assert settings(config("/runs/0_seed=1", other))["model.file"] == other
    assert identity(config("/runs/0_seed=1", other)) == identity(config("/runs/0_seed=2", other))

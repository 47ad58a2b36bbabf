"""Which runs are the same: by what can change the result, wherever their folders lie."""

from __future__ import annotations

from typing import Any

from experiments.run.identity import identity, settings


def config(folder: str, file: str) -> dict[str, Any]:
    return {"run": {"dir": folder, "choices": {}}, "data": {"name": "digits"}, "model": {"file": file}, "callbacks": {}}


def test_a_path_into_the_folder_counts_from_it() -> None:
    first, second = config("/runs/a", "/runs/a/best.ckpt"), config('/नमूने/"b"', '/नमूने/"b"/best.ckpt')
    assert identity(first) == identity(second)
    assert settings(first)["model.file"] == "/best.ckpt"


def test_a_path_beside_the_folder_counts_whole() -> None:
    assert settings(config("/runs/0_seed=1", "/runs/0_seed=10/best.ckpt"))["model.file"] == "/runs/0_seed=10/best.ckpt"
    assert identity(config("/runs/0_seed=1", "/runs/0_seed=10/x")) != identity(
        config("/runs/0_seed=10", "/runs/0_seed=10/x")
    )

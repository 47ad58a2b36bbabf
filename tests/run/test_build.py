"""Weights of an earlier run: its record is read and left as it is."""

from __future__ import annotations

from pathlib import Path

from experiments.run.build import _recorded
from experiments.run.rebuilt_record import require_unchanged


def test_a_record_beside_weights_is_only_read(tmp_path: Path) -> None:
    assert _recorded(tmp_path) == {}
    (tmp_path / "record.json").write_text("{damaged", encoding="utf-8")
    assert _recorded(tmp_path) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_checkpoint_that_is_gone_is_not_called_another_file(tmp_path: Path) -> None:
    require_unchanged(tmp_path, tmp_path / "checkpoints" / "best.ckpt", {"checkpoints": {"best.ckpt": "0" * 64}})

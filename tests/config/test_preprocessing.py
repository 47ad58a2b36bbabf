"""What weights and models of sound expect fills in what the data leave open, and nothing that somebody wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.config.compose import compose


@pytest.mark.parametrize("data", ["data=ljspeech", "data=speech_manifest data.path=."])
def test_weights_that_write_every_character_keep_unknown_ones(tmp_path: Path, data: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "strict.yaml").write_text("# @package _global_\ndata:\n  unknown: drop\n")
    words = ["model=whisper_tiny", *data.split()]
    folders = [str(tmp_path / "conf")]
    assert compose(words).data.unknown is None
    words.append(f"weights={tmp_path}")
    assert compose(words).data.unknown == "keep"
    assert compose([*words, "data.unknown=error"]).data.unknown == "error"
    assert compose([*words, "experiment=strict"], folders).data.unknown == "drop"

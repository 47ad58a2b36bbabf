"""The benchmark runs and writes every row; how fast anything is, no test asks."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_benchmark_measures_every_row(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = [sys.executable, str(SCRIPT), "--quick", "--json", str(out)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content["quick"] is True
    assert content["machine"]["cpu"]
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["versions"]["torch"]
    real = Path(os.environ.get("EXPERIMENTS_DATA", "data"))
    # Rows that need bf16 arithmetic, or accelerate for transformers' Trainer, are not everywhere.
    everywhere = [row for row in content["rows"] if row["side"] != "auto" and "' Trainer" not in row["against"]]
    names = [row["name"] for row in everywhere]
    assert sorted(names) == sorted(
        4 * ["commands"]
        + ["two_steps", "comparison"]
        + 2 * ["lenet", "mlp"]
        + ["autoencoder", "conv_autoencoder"]
        + 5 * ["features"]
        + ["resnet18_64", "resnet18_128", "vgg11_64", "vgg11_128"]
        + 2 * ["uniform_lengths"]
        + ["long_tail", "recurrent_step"]
        + 2 * ["lstm_inference"]
        + ["beam_search"]
        + (["control"] if find_spec("stable_baselines3") and find_spec("gymnasium") else [])
        + (2 * ["bert"] + 4 * ["frozen_bert"] if (real / "rt_polarity").is_dir() else [])
        + (["frozen_sound"] if (real / "fsdd").is_dir() else [])
        + (["character_gpt", "answers"] if (real / "tinyshakespeare").is_dir() else [])
        + (3 * ["wav2vec2"] if (real / "ljspeech_lj001").is_dir() else [])
        + ["unet", "lraspp", "detection", "average_precision"]
        + 2 * ["step"]
        + 2 * ["augmentation"]
        + 5 * ["sweep"]
        + 2 * ["long_sweep"]
    )
    for row in content["rows"]:
        numbers = [*row["ours"]["repeats"], *row["other"]["repeats"]]
        if row["kind"] == "ratio":  # a difference of two noisy numbers may be anything
            numbers += row["value"].values()
        assert all(math.isfinite(number) and number > 0 for number in numbers), row
        assert all(math.isfinite(number) for number in row["value"].values()), row
        assert row["what"] in done.stdout
    assert list(tmp_path.iterdir()) == [out]  # nothing else is left behind

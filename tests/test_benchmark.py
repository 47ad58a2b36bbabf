"""The benchmark runs and writes every row; how fast anything is, no test asks."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark.py"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_quick_benchmark_measures_every_row(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--json", str(out)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content["quick"] is True
    assert content["machine"]["cpu"]
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["versions"]["torch"]
    rows = content["rows"]
    assert {row["name"] for row in rows} == {"commands", "two_steps", "lenet", "mlp", "step", "augmentation"}
    for row in rows:
        numbers = [row["ours_median"], row["against_median"], *(row["value"][key] for key in ("median", "low", "high"))]
        assert all(math.isfinite(number) and number > 0 for number in numbers), row
        assert row["what"] in done.stdout
    assert list(tmp_path.iterdir()) == [out]  # nothing else is left behind

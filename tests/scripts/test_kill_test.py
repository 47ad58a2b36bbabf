"""Runs that are killed and resumed end as those that were never killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_test.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_runs_resume_to_the_same_end(tmp_path: Path) -> None:
    words = ["--kills", "4", "--seed", "1", "--kinds", "perceptron,saved every 3 steps"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills of 2 kinds" in done.stdout and "0 of" in done.stdout.splitlines()[-1]

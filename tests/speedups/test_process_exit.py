"""The end of a process: nothing of it is lost, and its exit code stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _not_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPERIMENTS_PLAIN", raising=False)


def leaving(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs some lines and then leaves with exit code 3."""
    whole = f"import atexit, sys, threading, time\nfrom experiments.speedups.process_exit import leave\n{code}\nleave(3)\nprint('after')"
    return subprocess.run([sys.executable, "-c", whole], cwd=folder, capture_output=True, text=True, timeout=180)


def test_what_was_registered_for_the_end_is_called(tmp_path: Path) -> None:
    ended = leaving("atexit.register(print, 'closed')\nprint('last words')", tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "last words\nclosed\n", "")


def test_a_thread_at_work_is_waited_for(tmp_path: Path) -> None:
    ended = leaving("threading.Thread(target=lambda: (time.sleep(0.5), print('written'))).start()", tmp_path)
    assert (ended.returncode, ended.stdout) == (3, "written\n")


@pytest.mark.slow
def test_a_profiler_has_its_say(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "cProfile", "-o", "profile", "-m", "experiments", "list", "precisions"]
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=180).returncode == 0
    assert (tmp_path / "profile").stat().st_size > 1000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands in for a full disk")
def test_output_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    code = "from experiments.speedups.process_exit import leave\nprint('unheard')\nleave(0)"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=180,
            env=os.environ | {"PYTHONUNBUFFERED": ""},
        )
    assert ended.returncode == 1
    assert ended.stderr == "failed: what was printed could not be written: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_stream_that_was_closed_does_not_matter(tmp_path: Path, closed: str) -> None:
    words = f"'{sys.executable}' -m experiments list precisions {closed}"
    assert subprocess.run(words, shell=True, cwd=tmp_path, capture_output=True, timeout=180).returncode == 0


def test_a_python_without_the_private_name_ends_as_ever_and_says_so(tmp_path: Path) -> None:
    ended = leaving("atexit.register(print, 'closed')\ndel atexit._run_exitfuncs", tmp_path)
    assert (ended.returncode, ended.stdout) == (3, "closed\n")
    assert ended.stderr.startswith("the speed-up process_exit is off") and ended.stderr.count("\n") == 1

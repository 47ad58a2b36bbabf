"""Modules of the package in fresh processes, beside a folder of the user's that has its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.system.fresh_python import look_here_last, python_module

SOURCES = Path(__file__).parents[2] / "src" / "experiments"


def test_a_folder_called_experiments_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise SystemExit('the user\\'s own')")
    done = subprocess.run(python_module("experiments.errors"), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_this_folder_is_looked_at_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/first"])
    look_here_last()
    look_here_last()
    assert sys.path == ["/first", str(tmp_path)]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="other systems name files in text")
def test_names_in_any_script_are_read_where_the_system_knows_ascii_alone(tmp_path: Path) -> None:
    """A word that Hydra quotes back shows that it was read as text, printed in the encoding that was asked for."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    command = [*python_module("experiments"), "check", "data=image_folder", "data.root=चित्र"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
    assert done.returncode == 2 and "चित्र" in done.stderr.decode() + done.stdout.decode()


@pytest.mark.skipif(os.name != "posix", reason="other systems keep the folder of a process")
def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    words = 'import os; os.rmdir(os.getcwd()); from experiments.cli import entry; entry("check")'
    done = subprocess.run([sys.executable, "-P", "-c", words], cwd=tmp_path / "gone", capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "is gone: change to" in done.stderr


def test_all_start_so() -> None:
    """No module of this package is started with the current folder first."""
    for path in SOURCES.rglob("*.py"):
        assert (
            not re.search(r"\"-m\",\s*\"experiments", path.read_text(encoding="utf-8")) or path.stem == "fresh_python"
        )

"""Folders that are no run: every command says so in the same words, before it imports what it needs for a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.errors import UserError
from experiments.run.not_a_run import require_run

_CODE = """\
import sys
from experiments.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "lightning", "gradio", "fastapi", "uvicorn", "matplotlib", "PIL", "numpy"} & set(sys.modules)
print(code, sorted(heavy))
"""


@pytest.mark.parametrize(
    "words",
    ["serve", "demo", "show", "predict nowhere x", "export nowhere --format onnx", "evaluate", "lr", "profile", "draw"],
)
def test_refused_before_heavy_imports(words: str, tmp_path: Path) -> None:
    command = words.split() if " " in words else [words, "nowhere"]
    done = subprocess.run([sys.executable, "-c", _CODE, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.startswith("error: nowhere does not exist: name the folder of a run")
    assert done.stdout == "2 []\n"


def test_which_run_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^nowhere does not exist: name the folder of a run, or model=NAME$"):
        require_run("nowhere", ", or model=NAME")
    with pytest.raises(UserError, match=r"^\. holds no config.yaml: name the folder of a run$"):
        require_run(".")
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "config.yaml").touch()
    require_run("runs/first")
    with pytest.raises(UserError, match=r"^runs holds runs and is none: name one of them, as in runs/first$"):
        require_run("runs")

"""Folders that are no run: every command says so in the same words, before it imports what it needs for a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["demo", "run", "--port", "99999"], "--port 99999 must be from 1 to 65535: try --port 7860"),
        (["demo", "run", "--examples", "-1"], "--examples -1 must be 0 or more: try --examples 6"),
        (
            ["train", "runs/mine"],
            "runs/mine is the folder of a run and no key=value: write resume=runs/mine to resume the run",
        ),
    ],
)
def test_the_words_beside_a_run(
    experiments: Callable[..., tuple[int, str, str]], tmp_path: Path, words: list[str], sentence: str
) -> None:
    for folder in (tmp_path / "run", tmp_path / "runs" / "mine"):
        folder.mkdir(parents=True)
        (folder / "config.yaml").touch()
    assert experiments(*words) == (2, "", f"error: {sentence}\n")


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

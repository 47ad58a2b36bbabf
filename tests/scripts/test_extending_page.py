"""The classes and commands of docs/extending.md, as a reader pastes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.mark.slow
def test_the_page_runs_as_it_stands(
    experiments: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = PAGE.read_text().partition("\n## ")[0]  # up to modules that a reader already has
    commands = []
    for block in re.findall(r"```\w*\n(.*?)```", own, re.DOTALL):
        if named := re.match(r"# (\S+\.(?:py|yaml))\n", block):
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
        else:
            commands += [line.split()[1:] for line in block.splitlines()]
    monkeypatch.syspath_prepend(str(tmp_path))
    _forget()  # a package that another test has
    assert len(commands) == 3
    try:
        for number, (command, *words) in enumerate(commands):
            small = ("trainer.max_epochs=1", f"hydra.run.dir=run{number}", "callbacks.figures=null")
            code, output, errors = experiments(command, *words, *small)
            assert code == 0 and "test/accuracy" in output, errors
        from PIL import Image

        Image.new("L", (8, 8)).save(tmp_path / "a.png")
        code, output, errors = experiments("predict", "run2", "a.png", "--format", "csv")
        assert code == 0 and len(output.splitlines()) == 2, errors
        head, row = output.splitlines()
        assert head == "image,logits" and len(row.split(",")[1].split()) == 10  # one cell: the list holds no ranks
    finally:
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]

"""A lesson as a notebook: its idea, its commands with their pictures, a training in Python, and its questions."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MORE = "more = []  # words for the training, as trainer.max_epochs=3"
_BEGIN = f"""\
import sys

from IPython.display import Image

import experiments

{MORE}"""
_METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},  # jupytext keeps a script beside it, where it is installed
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Notebook:
    """Cells in order, without outputs: the reader runs them."""

    cells: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Adds a cell of Markdown."""
        self._add("markdown", text, {})

    def code(self, text: str) -> None:
        """Adds a cell of Python."""
        self._add("code", text, {"execution_count": None, "outputs": []})

    def _add(self, kind: str, text: str, more: dict[str, Any]) -> None:
        cell = {"cell_type": kind, "id": f"cell-{len(self.cells) + 1}", "metadata": {}}
        self.cells.append(cell | {"source": text.splitlines(keepends=True)} | more)

    def write(self, path: Path) -> None:
        """Writes the file in the notebook format 4.5."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"cells": self.cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def notebook(lesson: dict[str, Any]) -> Notebook:
    """The notebook of a lesson."""
    book = Notebook()
    book.say(f"# {int(lesson['name'][:2])} · {lesson['title']['en']}\n\n{lesson['idea']['en'].strip()}")
    book.code(_BEGIN)
    for step in lesson["see"]:
        book.code(_typed(step["run"]))
        if "picture" in step:
            book.code(f'Image("{step["picture"]}")')
    book.say("## Train it")
    if "first" in lesson:
        book.code(f"experiments.train({_words(lesson['first'])}, *more)")
    book.code(f"run = experiments.load(experiments.train({_words(lesson['train'])}, *more))\nrun")
    book.code("run.history.tail()")
    book.say("## Questions")
    for question in lesson["questions"]:
        book.say(question["en"])
        book.code(_typed(question["run"]))
        book.say(question["answer"]["en"])
    return book


def _words(command: str) -> str:
    """The words of a training as arguments of Python."""
    return ", ".join(json.dumps(word, ensure_ascii=False) for word in shlex.split(command)[2:])


def _typed(command: str) -> str:
    """A command as a cell: by the Python of the notebook, whatever is on the path."""
    return "!{sys.executable} -m " + command

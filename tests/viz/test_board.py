"""Boards of numbers that stay within a terminal."""

from __future__ import annotations

from experiments.viz.board import Board, Step, as_text
from experiments.viz.tables import columns


def test_sums_of_a_board_are_broken_within_a_terminal() -> None:
    sums = ["c = f·c before + i·g: old memory that stays, and new, and more words"]
    board = Board("Title", "", [Step("First", [], sums)])
    lines = as_text(board, 40).splitlines()
    assert max(map(columns, lines)) <= 40 and lines[-1].startswith("     ")
    assert max(map(columns, as_text(board).splitlines())) > 40

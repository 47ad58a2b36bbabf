"""Boards of numbers that stay within a terminal."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from experiments.viz.board import Board, Step, as_text
from experiments.viz.board_picture import board_picture
from experiments.viz.tables import columns


def test_sums_of_a_board_are_broken_within_a_terminal() -> None:
    sums = ["c = f·c before + i·g: old memory that stays, and new, and more words"]
    board = Board("Title", "", [Step("First", [], sums)])
    lines = as_text(board, 40).splitlines()
    assert max(map(columns, lines)) <= 40 and lines[-1].startswith("     ")
    assert max(map(columns, as_text(board).splitlines())) > 40


def test_a_long_title_stays_within_the_picture() -> None:
    title = "Add the maps: one filter gives one map, however many channels it reads, and more words than any picture is wide"
    fig = board_picture(Board("Title", "", [Step(title, [], [])]))
    drawn = FigureCanvasAgg(fig)
    drawn.draw()
    (text,) = (text for text in fig.findobj(Text) if text.get_text() == f"1. {title}")
    assert text.get_window_extent().x1 < fig.bbox.x1

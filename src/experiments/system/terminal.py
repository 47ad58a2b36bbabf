"""How much is said, and whether where it is said can have colours and lines drawn anew. Imports rich only to draw."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"
_LEVEL = "EXPERIMENTS_OUTPUT"  # of this process and those it starts
_WORDS = {"-q": QUIET, "--quiet": QUIET, "-v": VERBOSE, "--verbose": VERBOSE}
_PROSE = 100  # columns of a paragraph, at most
_ROOM = 30  # columns that a text needs beside what stands before it
LABEL = 13  # columns of the word before a line such as "TensorBoard  …"
_waiting: list[TextIO] = []  # streams whose last line says what is waited for


def level() -> str:
    """Tell how much this process says: quiet, normal or verbose."""
    return os.environ.get(_LEVEL, NORMAL)


def quiet() -> bool:
    """Tell whether only warnings, errors and the result are wanted."""
    return level() == QUIET


def verbose() -> bool:
    """Tell whether everything is wanted."""
    return level() == VERBOSE


def split_level(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return what -q or -v among some words asks for, and the other words."""
    asked = [_WORDS[word] for word in words if word in _WORDS]
    return (asked[-1] if asked else None), [word for word in words if word not in _WORDS]


@contextlib.contextmanager
def speaking(asked: str | None) -> Iterator[None]:
    """Says as much as was asked for, in this process and those it starts meanwhile; None leaves it as it is."""
    before = os.environ.get(_LEVEL)
    if asked is not None:
        os.environ[_LEVEL] = asked
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_LEVEL, None)
        else:
            os.environ[_LEVEL] = before


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal; it may be closed, or not be there."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def redraws(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal on which a line may be written over: not in CI, with TERM=dumb."""
    in_ci = os.environ.get("CI", "") not in ("", "0", "false")
    return is_terminal(stream) and not in_ci and os.environ.get("TERM") != "dumb"


def fancy(stream: TextIO | None) -> bool:
    """Tell whether a stream is such a terminal that may have colours, too: not with NO_COLOR."""
    return redraws(stream) and not os.environ.get("NO_COLOR")


def in_notebook() -> bool:
    """Tell whether a kernel of Jupyter runs this process; imports nothing that is not there."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def terminal_width() -> int | None:
    """Columns of the terminal that standard output goes to; None where it is none, and nothing is folded."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Fold the lines of a text in columns to the terminal's width, each under its last column; a stream that is no terminal folds nothing."""
    if not is_terminal(stream or sys.stdout):
        return text
    return "\n".join(_folded(line, shutil.get_terminal_size().columns) for line in text.split("\n"))


def filled(text: str) -> str:
    """Fill the paragraphs of a text to the width of a command's help; lines that begin with blanks, as those of a list, stay lines."""
    wide = min(shutil.get_terminal_size().columns, _PROSE) - 2  # argparse leaves two columns, too
    lines = re.sub(r"(?<=\S)\n(?=\S)", " ", text.strip("\n")).split("\n")
    return "\n".join(_folded(line, wide) for line in lines)


def _folded(line: str, wide: int) -> str:
    if len(line) <= wide:
        return line
    gaps = list(re.finditer(r"(?<=\S)  +(# )?(?=\S)", line))
    indent = len(line) - len(line.lstrip())
    start = column = gaps[-1].end() if gaps else indent
    first = line[:column]
    if gaps and wide - column < _ROOM:
        column = indent + 4
        first = f"{line[: gaps[-1].start()]}\n{' ' * column}{gaps[-1][1] or ''}"
    elif not gaps and re.match(r"\s*[\w/]+: ", line):
        column = indent + 2  # names, below the name of their group
    if wide - column < _ROOM:  # narrower than any sentence: the terminal folds it
        return line
    parts = textwrap.wrap(line[start:], wide - column, break_long_words=False, break_on_hyphens=False)
    return first + f"\n{' ' * column}".join(parts)


def waiting_for(what: str) -> None:
    """Shows what the user waits for, on a terminal, until something else is shown."""
    if quiet() or not redraws(sys.stderr):
        return
    done_waiting()
    _put(sys.stderr, f"\x1b[2m{what} …\x1b[0m" if fancy(sys.stderr) else f"{what} …")
    _waiting.append(sys.stderr)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Shows what the user waits for, while it lasts."""
    waiting_for(what)
    try:
        yield
    finally:
        done_waiting()


def done_waiting() -> None:
    """Takes away what `waiting_for` shows."""
    while _waiting:
        _put(_waiting.pop(), "\r\x1b[2K")


def labelled(rows: Sequence[tuple[str, str]], stream: TextIO, title: str = "") -> None:
    """Prints a line for each label and text, under a title where the stream is a terminal; a long text is never cut."""
    done_waiting()
    if not fancy(stream):
        for label, text in rows:
            print(f"{label:<{LABEL}}{text}", file=stream)
        stream.flush()
        return
    from rich.text import Text

    console = _console(stream)
    if title:
        console.rule(Text(title, style="bold"), align="left", style="cyan")
    for label, text in rows:
        console.print(Text.assemble((f"{label:<{LABEL}}", "cyan"), text), soft_wrap=True)


def show_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], stream: TextIO, bold: Sequence[int] = ()
) -> None:
    """Prints a small table; on a terminal long cells are folded so that it fits.

    Args:
        head: names of the columns.
        rows: one text a column.
        right: numbers of the columns that align right.
        stream: where to.
        bold: numbers of the rows that stand out.
    """
    done_waiting()
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold cyan")
    for column, name in enumerate(head):
        side: Any = "right" if column in right else "left"
        drawn.add_column(Text(name), justify=side, overflow="fold", no_wrap=column in right)
    for number, row in enumerate(rows):
        drawn.add_row(*(Text(cell) for cell in row), style="bold green" if number in bold else None)
    _console(stream).print(drawn)


def _console(stream: TextIO) -> Any:
    from rich.console import Console

    return Console(file=stream, highlight=False, force_jupyter=False)


def _put(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()

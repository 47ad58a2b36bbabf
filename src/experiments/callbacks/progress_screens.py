"""Where progress is shown: a terminal with a bar, plain lines elsewhere, a table in a notebook."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Protocol, TextIO

from experiments.system.terminal import done_waiting, fancy, in_notebook

_GREEN, _DIM, _END = "\x1b[32m", "\x1b[2m", "\x1b[0m"


class Screen(Protocol):
    """Shows a line that is drawn anew, and lines that stay."""

    @property
    def live(self) -> bool:
        """Tells whether what `draw` shows is seen."""

    def draw(self, parts: Sequence[str]) -> None:
        """Replaces the line that is drawn anew; of its parts the last are left out where it would be too long."""

    def keep(self, epoch: str, metrics: Mapping[str, float], seconds: str, speed: str, best: bool) -> None:
        """Adds the line of an epoch, whole."""

    def clear(self) -> None:
        """Takes away the line that is drawn anew."""


def screen_for(stream: TextIO | None) -> Screen:
    """Return the screen that suits a stream; None is standard error, or the page where a notebook runs this."""
    if stream is None and in_notebook():
        return Notebook()
    return Lines(stream)


def speed_figure(speed: float) -> str:
    """Return a number of examples a second; a slow one never as 0."""
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"


def speed_in_words(speed: float) -> str:
    """Return examples a second, with their unit."""
    return f"{speed_figure(speed)} examples/s"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines:
    """A terminal, or a file or pipe, which gets a plain line for each epoch."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._drawn = False

    @property
    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    @property
    def live(self) -> bool:
        return fancy(self._out)

    def draw(self, parts: Sequence[str]) -> None:
        room = shutil.get_terminal_size().columns - 1
        kept = [part for part in parts if part]
        while len(kept) > 1 and len("  ".join(kept)) > room:
            kept.pop()
        done_waiting()
        self._put(f"\r\x1b[2K{'  '.join(kept)[:room]}")
        self._drawn = True

    def keep(self, epoch: str, metrics: Mapping[str, float], seconds: str, speed: str, best: bool) -> None:
        values = [
            f"{name} {value:.4g}" if not self.live else f"{name} {value:<7.4g}" for name, value in metrics.items()
        ]
        if not self.live:
            self._put("  ".join([epoch, seconds, speed, *values, *(["best"] if best else [])]) + "\n")
            return
        room = shutil.get_terminal_size().columns - 1
        words, mark = [epoch, *values], "best" if best else ""
        least = sum(len(word) + 2 for word in words) + 4
        more = [
            extra for extra, wide in ((seconds, 0), (speed, len(seconds) + 2)) if least + wide + len(extra) + 2 <= room
        ]
        text = "  ".join(
            words + ([f"{_GREEN}{mark:<4}{_END}"] if best else ["    "]) + [f"{_DIM}{word}{_END}" for word in more]
        )
        self.clear()
        self._put(text.rstrip() + "\n")

    def clear(self) -> None:
        if self._drawn:
            self._put("\r\x1b[2K")
        self._drawn = False

    def _put(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            if error.errno != errno.EIO:  # the terminal was closed: SIGHUP says so, and the run is to save
                raise


class Notebook:
    """The output of a notebook's cell: a bar and a table, in place."""

    live = True

    def __init__(self) -> None:
        self._rows: list[tuple[str, dict[str, float], str, str, bool]] = []
        self._line = ""
        self._handle: Any = None

    def draw(self, parts: Sequence[str]) -> None:
        self._line = "  ".join(part for part in parts if part)
        self._show()

    def keep(self, epoch: str, metrics: Mapping[str, float], seconds: str, speed: str, best: bool) -> None:
        self._rows.append((epoch.removeprefix("epoch "), dict(metrics), seconds, speed, best))
        self._line = ""
        self._show()

    def clear(self) -> None:
        if self._line:
            self._line = ""
            self._show()

    def _show(self) -> None:
        from IPython.display import HTML, display

        page = HTML(self.html())
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)

    def html(self) -> str:
        """Return the table so far and the bar below it."""
        names = list(dict.fromkeys(name for _, metrics, *_ in self._rows for name in metrics))
        head = "".join(f"<th>{escape(name)}</th>" for name in ("epoch", *names, "time", "speed", ""))
        body = ""
        for epoch, metrics, seconds, speed, best in self._rows:
            cells = [epoch, *(f"{metrics[name]:.4g}" if name in metrics else "" for name in names), seconds, speed]
            body += f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}<td>{'best' if best else ''}</td></tr>"
        line = f"<pre style='margin:0'>{escape(self._line)}</pre>" if self._line else ""
        return (f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if self._rows else "") + line

"""`experiments list`: what there is to choose from in a group, as wide as the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

from experiments.config.broken_options import descriptions
from experiments.config.command_words import option, split_words
from experiments.config.compose import GROUPS
from experiments.errors import UserError, unknown
from experiments.system.terminal import terminal_width
from experiments.viz.tables import table

_NARROWEST = 24  # columns of what stands beside a name
Row = tuple[str, dict[str, Any]]


def main(words: list[str]) -> int:
    """`experiments list GROUP [WORD…] [--reads KIND]`."""
    reads, words = option("--reads", words)
    names, folders, switches = split_words(words)
    if switches:
        raise UserError(
            f"experiments list does not know {switches[0]}: give a group, words to look for, or --reads KIND"
        )
    list_options(names, folders, reads)
    return 0


def list_options(names: Sequence[str], folders: Sequence[str], reads: str | None = None) -> None:
    """Prints the options of a group.

    Args:
        names: the group, then words that each option shown has in its name or description.
        folders: further folders of configs.
        reads: only models that read this kind of input.

    Raises:
        UserError: for an unknown group or kind, and where nothing fits.
    """
    if not names:
        raise UserError(f"list needs one group: {', '.join(GROUPS)}")
    group = next((known_group for known_group in GROUPS if names[0] in (known_group, f"{known_group}s")), None)
    if group is None:
        raise UserError(unknown(names[0], "no group", names[0], GROUPS))
    rows = list(descriptions(group, folders).items())
    if reads is not None:
        rows = _reading(rows, group, reads)
    rows = [row for row in rows if all(_has(row, word) for word in names[1:])]
    if not rows:
        raise UserError(f"no option of {group} has {' and '.join(names[1:])}: see experiments list {names[0]}")
    print(_models(rows) if group == "model" else _others(rows))


def _reading(rows: list[Row], group: str, reads: str) -> list[Row]:
    if group != "model":
        raise UserError(f"--reads is of models, and {group} has none: experiments list models --reads {reads}")
    kinds = sorted({kind for _, about in rows for kind in about.get("reads") or ()})
    if reads not in kinds:
        raise UserError(unknown(f"--reads {reads}", "no kind of input", reads, kinds))
    return [row for row in rows if reads in (row[1].get("reads") or [reads])]


def _has(row: Row, word: str) -> bool:
    name, about = row
    text = " ".join([name, *(str(value) for value in about.values())])
    return word.lower() in text.lower()


def _wide() -> int | None:
    """Columns of the terminal; None where there is none, and nothing is cut."""
    return terminal_width()


def _models(rows: list[Row]) -> str:
    rows.sort(key=lambda row: _family(*row))
    kinds = [" ".join(about.get("reads") or ["anything"]) for _, about in rows]
    head = ["reads", "model", "parameters", "year", "what", "paper"]
    cells = [
        [
            kind if place == 0 or kind != kinds[place - 1] else "",
            name,
            f"{about['parameters']:,}" if about.get("parameters") else "",
            str(about.get("year") or ""),
            about["title"],
            about.get("paper") or "",
        ]
        for place, (kind, (name, about)) in enumerate(zip(kinds, rows, strict=True))
    ]
    wide = _wide()
    if wide is None:
        return table(head, cells, right=(2,))
    for dropped in ("paper", "reads", "year"):  # the least wanted first
        taken = sum(2 + max(len(row[at]) for row in [head, *cells]) for at, name in enumerate(head) if name != "what")
        longest = max(len(row[head.index("what")]) for row in cells)
        if taken + (longest if dropped == "paper" else _NARROWEST) <= wide:
            break
        at = head.index(dropped)
        head, cells = head[:at] + head[at + 1 :], [row[:at] + row[at + 1 :] for row in cells]
    what = head.index("what")
    taken = sum(2 + max(len(row[at]) for row in [head, *cells]) for at in range(len(head)) if at != what)
    room = max(_NARROWEST, wide - taken - 1)
    lines = []
    for row in cells:
        for number, part in enumerate(textwrap.wrap(row[what], room) or [""]):
            lines.append([part if at == what else "" if number else cell for at, cell in enumerate(row)])
    return table(head, lines, right=(head.index("parameters"),))


def _others(rows: list[Row]) -> str:
    first = max(len(name) for name, _ in rows)
    wide = _wide()
    if wide is None:
        return "\n".join(f"{name:<{first}}  {about['title']}" for name, about in rows)
    room = max(_NARROWEST, wide - first - 3)
    lines = []
    for name, about in rows:
        for number, part in enumerate(textwrap.wrap(about["title"], room) or [""]):
            lines.append(f"{'' if number else name:<{first}}  {part}".rstrip())
    return "\n".join(lines)


def _family(name: str, about: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts models: by what they read, images first, then by family, then by name with numbers as numbers."""
    kinds = about.get("reads") or ["~"]
    parts = [part if not part.isdigit() else part.zfill(9) for part in re.split(r"(\d+)", name)]
    return kinds[0] != "image", kinds, about.get("family") or "~", parts

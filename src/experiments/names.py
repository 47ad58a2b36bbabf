"""Sentences about names that are not known."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unknown(what: str, rule: str, name: str, known: Sequence[str]) -> str:
    """A sentence for an unknown name: the nearest known ones, or all short ones where none is near."""
    near = difflib.get_close_matches(name, set(known), n=3, cutoff=0.6)
    short = sorted({one for one in known if "." not in one})
    cure = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(short)}"
    return f"{what} is {rule}: {cure}"

"""Texts in quotes, as Hydra's grammar reads them."""

from __future__ import annotations

import re


def quoted(text: str) -> str:
    """Return a text quoted as one value of Hydra's grammar, in which a backslash counts only before a quote."""
    escaped = re.sub(r"(\\*)('|$)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{escaped}'"

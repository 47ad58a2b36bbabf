"""How well an answer agrees with the right ones: SQuAD's exact match and F1 (Rajpurkar et al., 2016), as torchmetrics has them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence


def plain(text: str) -> str:
    """Without capitals, punctuation, articles and further spaces."""
    lowered = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones, else 0; no right one means that there is no answer."""
    return float(any(plain(answer) == plain(truth) for truth in right or [""]))


def overlap(answer: str, right: Sequence[str]) -> float:
    """Return the best F1 of the answer's words with those of a right one."""
    return max(_overlap(plain(answer).split(), plain(truth).split()) for truth in right or [""])


def _overlap(answer: list[str], truth: list[str]) -> float:
    if not answer or not truth:  # no answer agrees with no answer alone
        return float(answer == truth)
    same = sum((Counter(answer) & Counter(truth)).values())
    return 2 * same / (len(answer) + len(truth))

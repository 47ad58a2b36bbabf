"""Generated: short reviews put together from a list of words, half of them praise. No file is read.

Each names one to three things and says something of each; `not` turns a word round, and the last thing decides. So
order matters, and a bag of words is not enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.text.text_data import TextData, Texts
from experiments.errors import UserError

CLASSES = ("negative", "positive")
THINGS = ("plot", "cast", "music", "ending", "script", "camera", "villain", "opening", "dialogue", "pace", "costumes")
GOOD = ("good", "brilliant", "warm", "clever", "fresh", "moving", "funny", "bright", "superb", "honest")
BAD = ("bad", "dull", "cold", "silly", "stale", "tedious", "clumsy", "grey", "awful", "false")
VERBS = ("is", "seems", "was", "feels", "remains")


class GeneratedReviews(TextData):
    """Generated reviews; always the same ones.

    Args:
        count: training texts, validation included; the test split has a quarter as many.
        rest: the keys of `TextData`.
    """

    name = "generated_reviews"

    def __init__(self, *, count: int, **rest: Any) -> None:
        if count < 20:
            raise UserError(f"data.count={count} must be 20 or more: try data.count=2000")
        super().__init__(test=None, **rest)
        self.count = count

    def read(self) -> tuple[tuple[str, ...], dict[str, Texts]]:
        return CLASSES, {"train": write(self.count, 0), "test": write(max(10, self.count // 4), 1)}


def write(count: int, seed: int) -> Texts:
    """`count` reviews, the classes taking turns."""
    random = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        clauses = []
        for place in range(int(random.integers(1, 4)), 0, -1):
            praise = bool(number % 2) if place == 1 else bool(random.integers(2))
            turned = bool(random.random() < 0.3)
            word = random.choice(GOOD if praise != turned else BAD)
            clauses.append(f"the {random.choice(THINGS)} {random.choice(VERBS)} {'not ' if turned else ''}{word}")
        lines.append(" but ".join(clauses) + ".")
    return Texts(lines, np.arange(count) % 2, [f"generated review {number}" for number in range(1, count + 1)])

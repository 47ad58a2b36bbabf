"""Generated sentences with words of two meanings, told by a word that stands before or after them."""

from __future__ import annotations

import random
from typing import Any

from experiments.data.text.word_data import OUTSIDE, Sentences, WordData

WORDS = ("bank", "spring", "bat", "crane", "match", "seal")
CUES = {"nature": ("river", "wild", "muddy", "green"), "made": ("steel", "costly", "wooden", "repaired")}
FILLERS = ("the", "a", "we", "saw", "today", "there", "was", "near", "it", "and", "old", "very")


def write(count: int, seed: int, after: float) -> Sentences:
    """Return some sentences: a word of two meanings and, in this share of them behind it, a word that tells which."""
    draw = random.Random(seed)
    sentences = Sentences([], [], [])
    for number in range(count):
        meaning = draw.choice(sorted(CUES))
        pair = [draw.choice(WORDS), draw.choice(CUES[meaning])]
        tags = [f"B-{meaning}", OUTSIDE]
        between = [draw.choice(FILLERS) for _ in range(draw.randrange(3))]
        words, marks = [pair[0], *between, pair[1]], [tags[0], *[OUTSIDE] * len(between), tags[1]]
        if draw.random() >= after:
            words.reverse()
            marks.reverse()
        ends = [[draw.choice(FILLERS) for _ in range(draw.randrange(1, 4))] for _ in range(2)]
        sentences.words.append([*ends[0], *words, *ends[1]])
        sentences.tags.append([*[OUTSIDE] * len(ends[0]), *marks, *[OUTSIDE] * len(ends[1])])
        sentences.places.append(f"sentence {number + 1}")
    return sentences


class GeneratedHomographs(WordData):
    """Generated sentences, always the same ones. No file is read.

    Args:
        count: of the training split, validation included; the test split has a quarter as many.
        after: share of sentences in which the word that tells the meaning comes later.
        rest: the keys of `WordData`.
    """

    name = "generated_homographs"

    def __init__(self, *, count: int, after: float, **rest: Any) -> None:
        super().__init__(**rest)
        self.count, self.after = count, after

    def read_sentences(self) -> dict[str, Sentences]:
        return {"train": write(self.count, 0, self.after), "test": write(max(1, self.count // 4), 1, self.after)}

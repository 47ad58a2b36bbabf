"""Generated sentences, in English and Hindi, whose words are persons, places, firms, or nothing."""

from __future__ import annotations

import random
from typing import Any

from experiments.data.text.word_data import Sentences, WordData

NAMES = {
    "person": ("Asha Rao", "Ravi", "Meera Devi Singh", "John Smith", "आशा राव", "रवि", "मीरा"),
    "place": ("Delhi", "New York", "Pune", "दिल्ली", "नई टिहरी", "पुणे"),
    "firm": ("Acme", "Tata Steel", "Bharat Gas", "टाटा स्टील"),
}
PATTERNS = (
    "{person} lives in {place} .",
    "{person} works for {firm} in {place} .",
    "The office of {firm} was closed today .",
    "{person} and {person} met in {place} .",
    "It rained all day .",
    "{person} {place} में रहते हैं ।",
    "{person} {firm} में काम करते हैं ।",
    "आज बारिश हुई ।",
)


def write(count: int, seed: int) -> Sentences:
    """Return some sentences; equal arguments give equal ones."""
    draw = random.Random(seed)
    sentences = Sentences([], [], [])
    for number in range(count):
        words, tags = [], []
        for part in draw.choice(PATTERNS).split():
            kind = part.strip("{}")
            name = draw.choice(NAMES[kind]).split() if part.startswith("{") else [part]
            words += name
            tags += [f"{'I' if place else 'B'}-{kind}" for place in range(len(name))] if kind != part else ["O"]
        sentences.words.append(words)
        sentences.tags.append(tags)
        sentences.places.append(f"sentence {number + 1}")
    return sentences


class GeneratedEntities(WordData):
    """Generated sentences, always the same ones. No file is read.

    Args:
        count: of the training split, validation included; the test split has a quarter as many.
        rest: the keys of `WordData`.
    """

    name = "generated_entities"

    def __init__(self, *, count: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.count = count

    def read_sentences(self) -> dict[str, Sentences]:
        return {"train": write(self.count, 0), "test": write(max(1, self.count // 4), 1)}

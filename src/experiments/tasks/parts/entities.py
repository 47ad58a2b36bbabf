"""Entities in labelled words, and how many of them were found: precision, recall and F1 as seqeval and conlleval count them.

Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 shared task: chunking" (2000): an entity is right where its
type and both its ends are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torchmetrics import Metric

OUTSIDE = "O"
PREFIXES = ("B", "I", "E", "S")  # beginning, inside, end, single
Entity = tuple[str, int, int]  # type, first word, the word behind the last


def is_scheme(classes: Iterable[str]) -> bool:
    """Tell whether labels mark entities: `O`, and `B-type`, `I-type` and the like."""
    return all(
        label == OUTSIDE or (label[:2] in [f"{prefix}-" for prefix in PREFIXES] and len(label) > 2) for label in classes
    )


def types(classes: Iterable[str]) -> tuple[str, ...]:
    """Return the types of entities that labels mark, sorted."""
    return tuple(sorted({label[2:] for label in classes if label != OUTSIDE}))


def entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sentence in order; a type that begins with `I` begins one, as in conlleval."""
    spans: list[Entity] = []
    before, kind, start = OUTSIDE, "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, _, type_ = tag.partition("-") if tag != OUTSIDE else (OUTSIDE, "", "")
        if before != OUTSIDE and (before in "ES" or prefix in ("B", "S", OUTSIDE) or type_ != kind):
            spans.append((kind, start, place))
            before = OUTSIDE
        if prefix != OUTSIDE and before == OUTSIDE:
            start = place
        before, kind = prefix, type_
    return spans


class EntityScore(Metric):
    """Of all entities in all sentences together: precision, recall or F1.

    Args:
        classes: the labels.
        which: precision, recall or f1.

    Attributes:
        counts: (3, types): right, found and true entities of each type.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, classes: Sequence[str], which: str) -> None:
        super().__init__()
        self.classes, self.which, self.types = tuple(classes), which, types(classes)
        self.add_state("counts", torch.zeros(3, len(self.types), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, target: Tensor, starts: Tensor) -> None:
        """(n, classes) and (n,) of the words of some sentences, and (n,) bool where a sentence begins."""
        guessed, true = logits.argmax(1).tolist(), target.tolist()
        firsts = [*torch.nonzero(starts)[:, 0].tolist(), len(true)]
        number = {name: place for place, name in enumerate(self.types)}
        counts = torch.zeros(3, len(self.types), dtype=torch.int64)
        for first, end in pairwise(firsts):
            guessed_entities, there = (
                set(entities([self.classes[label] for label in row[first:end]])) for row in (guessed, true)
            )
            for line, some in enumerate((guessed_entities & there, guessed_entities, there)):
                for kind, _, _ in some:
                    counts[line, number[kind]] += 1
        self.counts += counts.to(self.counts.device)

    def compute(self) -> Tensor:
        return scores(self.counts.sum(1))[self.which].float()


def scores(counts: Tensor) -> dict[str, Tensor]:
    """Precision, recall and F1 of counts (3,) or (3, types) of what is right, found and true; 0 where nothing was there."""
    right, guessed, true = counts.double()
    return {
        "precision": right / guessed.clamp(min=1),
        "recall": right / true.clamp(min=1),
        "f1": 2 * right / (guessed + true).clamp(min=1),
    }

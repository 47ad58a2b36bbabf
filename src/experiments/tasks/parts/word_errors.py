"""Word and character error rates, with what was inserted, left out and confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

KINDS = ("insertions", "deletions", "substitutions")
CONFUSIONS = 10  # pairs that the record names


def align(spoken: Sequence[str], heard: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Pairs of what was said and heard, at the smallest number of errors; None where one has nothing.

    Of several such alignments the one that confuses rather than inserts and leaves out.
    """
    numbers = {word: number for number, word in enumerate(dict.fromkeys([*spoken, *heard]))}
    a, b = (np.array([numbers[word] for word in some], np.int64) for some in (spoken, heard))
    steps = np.arange(len(b) + 1)
    costs = np.empty((len(a) + 1, len(b) + 1), np.int64)
    costs[0] = steps
    for row in range(1, len(a) + 1):
        above = costs[row - 1]
        best = above + 1  # left out
        best[1:] = np.minimum(best[1:], above[:-1] + (b != a[row - 1]))
        costs[row] = np.minimum.accumulate(best - steps) + steps  # inserted, any number
    pairs: list[tuple[str | None, str | None]] = []
    row, column = len(a), len(b)
    while row or column:
        here = costs[row, column]
        if row and column and here == costs[row - 1, column - 1] + (a[row - 1] != b[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((spoken[row], heard[column]))
        elif row and here == costs[row - 1, column] + 1:
            row -= 1
            pairs.append((spoken[row], None))
        else:
            column -= 1
            pairs.append((None, heard[column]))
    return pairs[::-1]


class WordErrors(Metric):
    """`wer` and `cer`: errors for each word and character said; and the shares of `insertions`, `deletions`, `substitutions`.

    Args:
        write: how texts are written before they are compared.
    """

    full_state_update = False
    names = ("wer", "cer", *KINDS)
    words: Tensor
    characters: Tensor

    def __init__(self, write: Callable[[str], str]) -> None:
        super().__init__()
        self.write = write
        # Of words and of characters: said, and errors by kind.
        for name in ("words", "characters"):
            self.add_state(name, torch.zeros(1 + len(KINDS), dtype=torch.long), dist_reduce_fx="sum")
        self.confused: Counter[tuple[str, str]] = Counter()

    def update(self, heard: Sequence[str], spoken: Sequence[str]) -> None:
        for text, other in zip(heard, spoken, strict=True):
            truth, written = self.write(other), self.write(text)
            pairs = align(truth.split(), written.split())
            self.words += self._counts(pairs)
            self.characters += self._counts(align(truth, written))
            self.confused.update((a, b) for a, b in pairs if a is not None and b is not None and a != b)

    def _counts(self, pairs: Sequence[tuple[str | None, str | None]]) -> Tensor:
        words_said = sum(a is not None for a, _ in pairs)
        inserted, left_out = sum(a is None for a, _ in pairs), sum(b is None for _, b in pairs)
        confused = sum(a is not None and b is not None and a != b for a, b in pairs)
        return torch.tensor([words_said, inserted, left_out, confused], device=self.words.device)

    def compute(self) -> dict[str, Tensor]:
        words_said, errors = self.words[0].clamp(min=1), self.words[1:]
        letters, wrong = self.characters[0].clamp(min=1), self.characters[1:]
        rates = {"wer": errors.sum() / words_said, "cer": wrong.sum() / letters}
        return rates | {kind: errors[place] / words_said for place, kind in enumerate(KINDS)}

    def reset(self) -> None:
        super().reset()
        self.confused = Counter()

    def details(self, confused: Counter[tuple[str, str]]) -> dict[str, Any]:
        """Counts of words and characters, and the commonest of some confusions; for the record."""
        words, characters = (
            dict(zip(("said", *KINDS), counts.tolist(), strict=True)) for counts in (self.words, self.characters)
        )
        common = sorted(confused.items(), key=lambda pair: (-pair[1], pair[0]))[:CONFUSIONS]
        return {
            "words": words,
            "characters": characters,
            "confusions": [{"said": a, "heard": b, "count": count} for (a, b), count in common],
        }

"""Pairs of sentences as they stand in files, and how they are parted so that no sentence is in two parts."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from experiments.data.common.split_names import SPLITS
from experiments.errors import UserError


class PairTexts(NamedTuple):
    """Sentence pairs of one file or part.

    Attributes:
        source: the sentences.
        target: their translations.
        places: `file:line` of each, for messages.
    """

    source: list[str]
    target: list[str]
    places: list[str]

    def take(self, members: Iterable[int]) -> PairTexts:
        """Return some of them."""
        some = list(members)
        return PairTexts(*([column[row] for row in some] for column in self))

    @classmethod
    def join(cls, several: Sequence[PairTexts]) -> PairTexts:
        """Return all of several."""
        return cls(*([value for column in columns for value in column] for columns in zip(*several, strict=True)))


def without_repeats(by_split: dict[str, PairTexts]) -> int:
    """Takes from the training split what shares a sentence with a later split, and from the validation split what shares
    one with the test split; the number of pairs taken."""
    seen: set[tuple[int, str]] = set()
    taken = 0
    for split in reversed(SPLITS):
        whole = by_split[split]
        sides = [[(number, same(text)) for text in side] for number, side in enumerate(whole[:2])]
        stay = [row for row, pair in enumerate(zip(*sides, strict=True)) if seen.isdisjoint(pair)]
        taken += len(whole.source) - len(stay)
        if len(stay) < len(whole.source):
            by_split[split] = whole.take(stay)
        seen.update(*sides)
    return taken


def same(text: str) -> str:
    """Return what is equal for sentences that are the same but for capitals, spaces, signs at the ends and forms of
    letters.
    """
    words = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    start, end = 0, len(words)
    while start < end and _sign(words[start]):
        start += 1
    while end > start and _sign(words[end - 1]):
        end -= 1
    return words[start:end] or words


def _sign(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PSZ"


def hold_out_pairs(texts: PairTexts, amount: float, seed: int, key: str) -> tuple[PairTexts, PairTexts]:
    """Splits pairs in two so that no sentence is on both sides: the rest, and `amount` (count or share) of them.

    Pairs that share a sentence, directly or by others, stay together; the part held out is at most as large as asked
    for, and has one pair at least.

    Raises:
        UserError: when that would leave nothing.
    """
    count = len(texts.source)
    wanted = max(1, amount if isinstance(amount, int) else round(amount * count))
    if wanted >= count:
        raise UserError(f"{key}={amount} would take all of the {count} pairs: hold out fewer.")
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[tuple[int, str], int] = {}
    for row, pair in enumerate(zip(*texts[:2], strict=True)):
        for side, text in enumerate(pair):
            other = first.setdefault((side, same(text)), row)
            parent[root(row)] = root(other)
    groups: dict[int, list[int]] = {}
    for row in range(count):
        groups.setdefault(root(row), []).append(row)
    order = np.random.default_rng([seed, zlib.crc32(key.encode())]).permutation(len(groups))
    listed = list(groups.values())
    held: set[int] = set()
    for place in order.tolist():
        if len(held) + len(listed[place]) <= wanted:
            held.update(listed[place])
        if len(held) == wanted:
            break
    if not held:
        least = min(map(len, listed))
        cure = "give pairs of other sentences" if least == count else f"hold out {least} or more"
        raise UserError(f"{key}={amount}: every group of pairs that share a sentence is larger than {wanted}: {cure}.")
    return texts.take(row for row in range(count) if row not in held), texts.take(sorted(held))

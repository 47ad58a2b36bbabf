"""Generated sequences that show what a network can remember; no file is read, and `length` says how hard they are.

Hochreiter and Schmidhuber, "Long short-term memory" (1997), for adding and delayed recall; Arjovsky, Shah and Bengio,
"Unitary evolution recurrent neural networks" (2016), for copying.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.batches import IGNORED
from experiments.data.common.loading import whole
from experiments.data.common.sequence_data import SequenceData, Store
from experiments.data.common.splits import fingerprint
from experiments.errors import UserError
from experiments.spec import SequenceSpec, TextSpec
from experiments.system.memory import require_memory

BLANK, GO, FIRST = 1, 2, 3  # tokens: nothing happens, answer now, and the first symbol; 0 is padding


class Generated(SequenceData):
    """Base of the generated sequences: a subclass draws some.

    The validation and test splits are drawn apart from the training split; all are the same in every run.

    Args:
        length: how far what matters lies from where it is asked; see the datasets.
        count: training sequences; validation and test have a quarter as many each.
        batch_size: as in `SequenceData`, and so are the others.
        workers: as there.
        seed: of shuffling.

    Raises:
        UserError: when length or count is too small.
    """

    least = 1  # the shortest length that makes sense

    def __init__(self, *, length: int, count: int, batch_size: int, workers: int, seed: int) -> None:
        super().__init__(batch_size=batch_size, max_tokens=None, bucket=False, workers=workers, seed=seed)
        for key, value, least in (("length", length, self.least), ("count", count, 40)):
            whole(f"data.{key}", value, least)
        require_memory(48 * count * length, f"data.count={count} with data.length={length}", "take less of either")
        self.length, self.count = length, count

    def draw(self, random: np.random.Generator, count: int) -> Store:
        """`count` sequences and their targets."""
        raise NotImplementedError

    def describe(self, store: Store) -> Any:
        """Return the spec."""
        raise NotImplementedError

    def prepare(self, inputs: Sequence[str]) -> Any:
        """There is nothing to prepare: what these data are made of cannot be written on a command line.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"data={self.name} generates its sequences and takes no inputs: test the run again with experiments evaluate RUN"
        )

    def load(self) -> None:
        sizes = {"train": self.count, "validation": self.count // 4, "test": self.count // 4}
        for number, (split, size) in enumerate(sizes.items()):
            self.sets[split] = self.draw(np.random.default_rng([number, self.length]), size)
        self.spec = self.describe(self.sets["train"])
        self.splits = {split: len(store.lengths) for split, store in self.sets.items()}
        names = {split: f"{self.name} {self.length} {split}" for split in sizes}
        self.splits["fingerprint"] = fingerprint((names[split], np.arange(size)) for split, size in sizes.items())


def tokens(values: np.ndarray, targets: np.ndarray, every_step: bool = False) -> Store:
    """Return a store of sequences of one length: (N, T) tokens; targets (N,), or (N, T) where there is one a step."""
    lengths = np.full(len(values), values.shape[1], np.int64)
    wanted = targets.reshape(-1) if every_step else targets
    return Store(values.reshape(-1).astype(np.int64), lengths, wanted.astype(np.int64), every_step)


class GeneratedTokens(Generated):
    """Generated sequences of tokens with classes."""

    classes: tuple[str, ...] = tuple("01234567")

    def describe(self, store: Store) -> TextSpec:
        longest = int(store.lengths.max())
        return TextSpec(FIRST + len(self.classes), longest, longest, self.classes, special=())


class DelayedRecall(GeneratedTokens):
    """A symbol, then `length` blanks, then a sign to answer: which symbol was it? Eight classes; chance is 1/8."""

    name = "delayed_recall"

    def draw(self, random: np.random.Generator, count: int) -> Store:
        labels = random.integers(len(self.classes), size=count)
        values = np.full((count, self.length + 2), BLANK)
        values[:, 0], values[:, -1] = FIRST + labels, GO
        return tokens(values, labels)


class CopyMemory(GeneratedTokens):
    """Ten symbols, `length` blanks, a sign, and then the ten symbols again, one a step; only these are judged.

    Eight symbols; chance is 1/8. After the sign come blanks, so nothing but memory helps.
    """

    name = "copy_memory"
    symbols = 10

    def draw(self, random: np.random.Generator, count: int) -> Store:
        labels = random.integers(len(self.classes), size=(count, self.symbols))
        values = np.full((count, self.length + 2 * self.symbols), BLANK)
        values[:, : self.symbols], values[:, -self.symbols] = FIRST + labels, GO
        targets = np.full_like(values, IGNORED)
        targets[:, -self.symbols :] = labels
        return tokens(values, targets, every_step=True)


class Sorting(GeneratedTokens):
    """`length` symbols, a sign, and then the symbols in their order, one a step; only these are judged. Chance is 1/8."""

    name = "sorting"
    least = 2

    def draw(self, random: np.random.Generator, count: int) -> Store:
        labels = random.integers(len(self.classes), size=(count, self.length))
        values = np.full((count, 2 * self.length), BLANK)
        values[:, : self.length], values[:, self.length] = FIRST + labels, GO
        targets = np.full_like(values, IGNORED)
        targets[:, self.length :] = np.sort(labels, axis=1)
        return tokens(values, targets, every_step=True)


class Parity(GeneratedTokens):
    """Bits, from half of `length` to all of it: is the number of ones even or odd? Chance is 1/2."""

    name = "parity"
    classes = ("even", "odd")
    least = 2

    def draw(self, random: np.random.Generator, count: int) -> Store:
        bits = random.integers(2, size=(count, self.length))
        lengths = random.integers(self.length // 2, self.length + 1, size=count)
        inside = np.arange(self.length) < lengths[:, None]
        labels = (bits * inside).sum(1) % 2
        return Store((FIRST + bits)[inside].astype(np.int64), lengths, labels)


class Adding(Generated):
    """`length` numbers from 0 to 1, one marked in each half: the sum of the two marked ones.

    Vectors (number, mark). Always saying 1 gives a mean squared error of 1/6.
    """

    name = "adding"
    least = 2

    def draw(self, random: np.random.Generator, count: int) -> Store:
        numbers = random.random((count, self.length), dtype=np.float32)
        marks = np.zeros_like(numbers)
        half, rows = self.length // 2, np.arange(count)
        places = random.integers(half, size=count), half + random.integers(self.length - half, size=count)
        for place in places:
            marks[rows, place] = 1
        sums = sum(numbers[rows, place] for place in places)
        values = np.stack([numbers, marks], axis=2).reshape(-1, 2)
        return Store(values, np.full(count, self.length, np.int64), np.asarray(sums, np.float32)[:, None])

    def describe(self, store: Store) -> SequenceSpec:
        return SequenceSpec(features=2, length=self.length, longest=self.length, values=1)

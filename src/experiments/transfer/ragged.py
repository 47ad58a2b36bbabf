"""Rows of unequal length, laid end to end: read back as padded batches, written as they come."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

from experiments.batches import IGNORED, Sequences


class Ragged(NamedTuple):
    """Rows of unequal length.

    Attributes:
        flat: (total, …), the steps of all rows, those of one row together.
        starts: (N,) int64, where each row begins.
        lengths: (N,) int64.
    """

    flat: Tensor
    starts: Tensor
    lengths: Tensor

    def padded(self, rows: Tensor, fill: int = 0) -> Sequences:
        """Return some rows, (B, T, …), filled up to the longest of them."""
        lengths = self.lengths[rows]
        values = self.flat.new_full((len(rows), int(lengths.max()), *self.flat.shape[1:]), fill)
        for row, start, length in zip(values, self.starts[rows].tolist(), lengths.tolist(), strict=True):
            row[:length] = self.flat[start : start + length]  # a slice each: no index of every step is made
        return Sequences(values, lengths)


class RaggedWriter:
    """Writes sequences into a file one behind the other, and remembers where each begins, and its target.

    Args:
        count: of all sequences.
        file: open for writing.

    Attributes:
        done: sequences written so far.
        total: their steps.
        shape: of one step.
        dtype: of the values.
    """

    def __init__(self, count: int, file: BinaryIO) -> None:
        self.file, self.done, self.total = file, 0, 0
        self.shape: tuple[int, ...] = ()
        self.dtype = torch.float32
        self._starts, self._lengths = torch.zeros(2, count, dtype=torch.int64)
        self._targets: list[Tensor | None] = [None] * count
        self._several = False

    def add(self, places: Tensor, values: Sequences, targets: Tensor) -> None:
        """Write a batch.

        Args:
            places: (B,) int64, the sequences' numbers.
            values: (B, T, …).
            targets: (B,) or (B, K); or (B, S) int64 filled up with IGNORED.
        """
        flat = values.values[values.mask()]
        self.shape, self.dtype = tuple(flat.shape[1:]), flat.dtype
        self.file.write(flat.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        self._lengths[places] = values.lengths
        self._starts[places] = self.total + values.lengths.cumsum(0) - values.lengths
        self._several = targets.ndim == 2 and not targets.is_floating_point()
        ends = _ends(targets, values) if self._several else None
        for number, place in enumerate(places.tolist()):
            target = targets[number] if ends is None else targets[number, : ends[number]]
            self._targets[place] = target.clone()  # not the whole batch
        self.done += len(places)
        self.total += len(flat)

    def finish(self) -> tuple[bool, list[Tensor]]:
        """Tell whether the targets are rows of unequal length too; and give what stands behind the values in the file:
        where each row begins and its length, and the same of the targets behind their values.
        """
        targets = [target for target in self._targets if target is not None]
        where = [self._starts, self._lengths]
        if not self._several:
            return False, [*where, torch.stack(targets)]
        lengths = torch.tensor([len(target) for target in targets])
        return True, [*where, torch.cat(targets), lengths.cumsum(0) - lengths, lengths]


def _ends(targets: Tensor, values: Sequences) -> list[int]:
    """Where each row of targets (B, S) ends: with its sequence where there is one a step, else behind its last one."""
    steps = torch.arange(1, targets.shape[1] + 1)
    ends = torch.where(targets != IGNORED, steps, 0).amax(1) if targets.shape[1] else steps.new_zeros(len(targets))
    # Of transcripts that happen to be as long as the sound, a few more IGNORED are kept, which count for nothing.
    if targets.shape[1] == values.values.shape[1] and bool((ends <= values.lengths).all()):
        ends = values.lengths
    return ends.tolist()

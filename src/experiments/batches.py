"""A batch of sequences of unequal length: what passes between data, the stages of a model, and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Indices that every vocabulary keeps: what fills up, what it does not know, where a sentence begins and where it ends.
PADDING, UNKNOWN, START, END = range(4)
IGNORED = -100  # a step's label that counts for nothing


class Sequences(NamedTuple):
    """Padded sequences. What stands beyond a length has no meaning and never changes a result.

    Attributes:
        values: (B, T) int64 tokens, or (B, T, D) vectors; T is the longest length, or more.
        lengths: (B,) int64 on the same device, each from 1 to T.
    """

    values: Tensor
    lengths: Tensor

    def mask(self) -> Tensor:
        """(B, T) bool: true where there is something."""
        return torch.arange(self.values.shape[1], device=self.values.device) < self.lengths[:, None]

    def reversed(self) -> Sequences:
        """Return each sequence back to front within its own length; its padding stays behind it."""
        steps = torch.arange(self.values.shape[1], device=self.values.device)
        order = torch.where(steps < self.lengths[:, None], self.lengths[:, None] - 1 - steps, steps)
        if self.values.ndim == 3:
            return Sequences(self.values.gather(1, order[..., None].expand_as(self.values)), self.lengths)
        return Sequences(self.values.gather(1, order), self.lengths)


class Joined(NamedTuple):
    """Padded sequences of two texts each, such as a question and its passage; else as `Sequences`.

    Attributes:
        values: (B, T) int64 tokens.
        lengths: (B,) int64.
        segments: (B, T) int64, 0 for tokens of the first text and 1 for those of the second.
    """

    values: Tensor
    lengths: Tensor
    segments: Tensor

    def mask(self) -> Tensor:
        """(B, T) bool: true where there is something."""
        return torch.arange(self.values.shape[1], device=self.values.device) < self.lengths[:, None]


def pad(items: Sequence[Any], length: int | None = None) -> Sequences:
    """Tensors (T_i,) or (T_i, D) -> one batch, filled up with zeros to the longest, or to `length`."""
    tensors = [torch.as_tensor(item) for item in items]
    lengths = torch.tensor([len(tensor) for tensor in tensors])
    values = tensors[0].new_zeros(len(tensors), max(int(lengths.max()), length or 0), *tensors[0].shape[1:])
    for row, tensor in zip(values, tensors, strict=True):
        row[: len(tensor)] = tensor
    return Sequences(values, lengths)


class Words(NamedTuple):
    """Padded tokens of sentences, with their words; else as `Sequences`.

    Attributes:
        values: (B, T) int64 tokens.
        lengths: (B,) int64.
        firsts: where each word's first token stands in its row.
        words: of each sentence.
    """

    values: Tensor
    lengths: Tensor
    firsts: list[list[int]]
    words: list[list[str]]


class Tokens(tuple[int, ...]):
    """Tokens in a task's answer; the run's data turn them back into text."""


class Encoded(NamedTuple):
    """In place of source sentences: what an encoder's first stages would have made of them; else as `Sequences`.

    Attributes:
        values: (B, S, D).
        lengths: (B,) int64.
        start: the number of the stage that reads them.
    """

    values: Tensor
    lengths: Tensor
    start: int

    def mask(self) -> Tensor:
        """(B, S) bool: true where there is something."""
        return Sequences(self.values, self.lengths).mask()


class Pairs(NamedTuple):
    """Source sentences, and of their translations what a decoder reads: `START`, and all tokens but the end."""

    source: Sequences | Encoded
    target: Sequences


class Labels(NamedTuple):
    """What a decoder is to say at each step.

    Attributes:
        values: (B, T) int64, the tokens with `END` behind them, and `IGNORED` beyond.
        rows: (B,) int64, the examples' numbers in their split.
    """

    values: Tensor
    rows: Tensor


class KeyValues:
    """Keys and values of the tokens so far in one layer of attention, with room for further ones.

    A further token is written where there is room, without a copy of those before it. Of two texts that go on from the
    same state, the second gets a copy of its own.

    Args:
        key: (B, heads, t, size).
        value: (B, heads, t, size).
    """

    def __init__(self, key: Tensor, value: Tensor) -> None:
        self._room, self.length = _Room(key, value, key.shape[2]), key.shape[2]

    @property
    def key(self) -> Tensor:
        """(B, heads, t, size)."""
        return self._room.keys[:, :, : self.length]

    @property
    def value(self) -> Tensor:
        """(B, heads, t, size)."""
        return self._room.values[:, :, : self.length]

    def and_then(self, key: Tensor, value: Tensor) -> KeyValues:
        """Return these with further tokens (B, heads, n, size) behind them; these stay as they are."""
        length = self.length + key.shape[2]
        after = copy(self)
        if self._room.written != self.length or length > self._room.keys.shape[2]:
            after._room = _Room(_with_room(self.key, length), _with_room(self.value, length), length)
        room, after.length = after._room, length
        room.keys[:, :, self.length : length], room.values[:, :, self.length : length] = key, value
        room.written = length
        return after

    def __getitem__(self, rows: Tensor) -> KeyValues:
        """Return those of some rows, any number of times each."""
        some = copy(self)
        some._room = _Room(
            _with_room(self.key[rows], self.length), _with_room(self.value[rows], self.length), self.length
        )
        return some


@dataclass
class _Room:
    """Tensors with room for more tokens than are written, shared by all `KeyValues` that begin alike."""

    keys: Tensor
    values: Tensor
    written: int  # tokens


def _with_room(tensor: Tensor, length: int) -> Tensor:
    """Copy (B, heads, t, size) into a tensor that has room for `length` tokens and half as many again."""
    count, heads, tokens, size = tensor.shape
    room = tensor.new_empty(count, heads, length + max(32, length // 2), size)
    room[:, :, :tokens] = tensor
    return room


class Decoding(NamedTuple):
    """Hold where a decoder stands in its sentences: tensors, and keys and values, that have a row a sentence.

    Attributes:
        fixed: what stays, such as the encoded source.
        moving: what each step changes, such as a recurrent state or the keys of the words so far.
    """

    fixed: tuple[Tensor, ...]
    moving: tuple[Any, ...]

    def take(self, rows: Tensor) -> Decoding:
        """Return the state of some rows, any number of times each."""
        return Decoding(tuple(tensor[rows] for tensor in self.fixed), tuple(tensor[rows] for tensor in self.moving))

    def follow(self, rows: Tensor) -> Decoding:
        """Let each row go on from another one of the same source sentence."""
        return self._replace(moving=tuple(tensor[rows] for tensor in self.moving))


class Observations(NamedTuple):
    """What a policy with memory reads: one step each of several episodes, or several steps.

    Attributes:
        values: (B, F) of one step, or (B, T, F).
        state: (B, M), what is remembered before the first of them; zeros at the beginning of an episode.
    """

    values: Tensor
    state: Tensor


class Decisions(NamedTuple):
    """What a policy makes of observations.

    Attributes:
        action: (…, A) logits of the choices; or (…, 2·A), the means of a continuous action's entries and the
            logarithms of their standard deviations.
        value: (…,) the return that is expected from here.
        state: (B, M), what is remembered after the last step; (B, 0) without memory.
    """

    action: Tensor
    value: Tensor
    state: Tensor

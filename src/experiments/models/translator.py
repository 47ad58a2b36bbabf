"""What encoder-decoders share: stages over pairs, and how a decoder is asked word by word.

The stages are `embedding`, `encoder1`, `encoder2`, …, for the transformer `norm`, then `decoder` and `head`. Those before the
decoder turn `Pairs` into `Pairs` and touch the source alone; the decoder gives a vector for each target step, and the
head scores of the target's tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, cast

import torch
from torch import Tensor, nn

from experiments.batches import Decoding, Encoded, Pairs, Sequences

SHARING = ("none", "target", "all")


class OnSource(nn.Module):
    """A stage for `Sequences`, applied to the source of `Pairs`; the target passes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Pairs) -> Pairs:
        return Pairs(self.layer(x.source), x.target)


class TranslatorDecoder(nn.Module):
    """What a decoder can do besides the teacher-forced `forward`: `Pairs` with an encoded source -> (B, T, outputs)."""

    def begin(self, source: Sequences) -> Decoding:
        """Return the state before the first word, from the encoded source; a row a sentence."""
        raise NotImplementedError

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return the words (N,) that were said last -> (N, outputs), and the state behind them."""
        raise NotImplementedError

    def weights(self, pairs: Pairs) -> Tensor | None:
        """(B, T, S): how each target step attends to the encoded source; None where nothing attends."""
        raise NotImplementedError


class Translator(nn.Sequential):
    """An encoder-decoder in stages: `Pairs` -> (B, T, target_vocabulary), the scores of each next token.

    A source that is `Encoded` goes on from the stage that reads it.

    Args:
        stages: in forward order; the last two are `decoder` and `head`.

    Attributes:
        encoder_stages: how many of them read the source alone.
    """

    def __init__(self, stages: OrderedDict[str, nn.Module]) -> None:
        super().__init__(stages)
        self.encoder_stages = len(stages) - 2

    def forward(self, x: Pairs) -> Tensor:
        """Target words, given the source -> (B, T, target_vocabulary)."""
        out: Any = Pairs(self.encode(x.source), x.target)
        for stage in list(self)[-2:]:
            out = stage(out)
        return out

    def encode(self, source: Sequences | Encoded) -> Sequences:
        """Source tokens (B, S) -> vectors (B, S, D)."""
        start = source.start if isinstance(source, Encoded) else 0
        given = Sequences(source.values, source.lengths)
        pairs: Any = Pairs(given, given)
        for stage in list(self)[start:-2]:
            pairs = stage(pairs)
        return pairs.source

    def begin(self, source: Sequences | Encoded) -> Decoding:
        """Return the state before the first word; source tokens (B, S)."""
        return cast(TranslatorDecoder, self.decoder).begin(self.encode(source))

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return the words (N,) said last -> scores of the next (N, target_vocabulary), and the state behind them."""
        out, state = cast(TranslatorDecoder, self.decoder).advance(words, state)
        return cast(nn.Module, self.head)(out), state

    def attention(self, pairs: Pairs) -> Tensor | None:
        """(B, T, S): where each target step looks in the source; None where nothing attends."""
        return cast(TranslatorDecoder, self.decoder).weights(Pairs(self.encode(pairs.source), pairs.target))


def shared_head(size: int, vocabulary: int, table: nn.Embedding | None) -> nn.Linear:
    """(…, size) -> (…, vocabulary); its weights are those of `table` where one is given (Press and Wolf, 2017)."""
    head = nn.Linear(size, vocabulary)
    if table is not None:
        head.weight = table.weight
        nn.init.zeros_(head.bias)
    return head


def check_sharing(share: str, one_vocabulary: bool) -> None:
    """Refuses what cannot be shared.

    Raises:
        ValueError: the value is unknown, or asks one table for two vocabularies.
    """
    if share not in SHARING:
        raise ValueError(f"model.share={share} is unknown: use none, target or all")
    if share == "all" and not one_vocabulary:
        raise ValueError("model.share=all needs one vocabulary for both languages: set data.tokenizers.shared=true")


def from_mask(lengths: Tensor, steps: int) -> Tensor:
    """(B, steps) bool: true where there is something."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]

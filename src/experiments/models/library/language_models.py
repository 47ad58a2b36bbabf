"""Any encoder, decoder or encoder-decoder of `transformers`, by the name of its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from experiments.batches import END, PADDING, START, UNKNOWN
from experiments.models.library.language_decoders import DECODERS, Decoder
from experiments.models.library.language_encoders import Encoder
from experiments.models.library.language_translators import LIKE_BART, LIKE_T5, EncoderDecoder


def language_model(
    vocabulary: int,
    num_classes: int = 2,
    target_vocabulary: int | None = None,
    one_vocabulary: bool = False,
    *,
    every_step: bool = False,
    masked: bool = False,
    marks: Sequence[int] = (PADDING, UNKNOWN, START, END),
    name: str | None,
    size: int | None,
    layers: int | None,
    heads: int | None,
    inner: int | None,
    positions: int | None,
    dropout: float | None,
    pooling: str,
    settings: Mapping[str, Any],
) -> nn.Module:
    """Return an `EncoderDecoder` for pairs, a `Decoder` where the family is one of those, else an `Encoder`; the keys are
    theirs.

    Raises:
        ValueError: as these do, when a decoder is asked for masked words, and when an encoder-decoder is asked for labels.
    """
    if target_vocabulary is not None:
        return EncoderDecoder(
            vocabulary, target_vocabulary, one_vocabulary, name=str(name), size=size, layers=layers, heads=heads, inner=inner,
            positions=positions, dropout=dropout, settings=settings,
        )  # fmt: skip
    if name in (*LIKE_T5, *LIKE_BART):
        raise ValueError(f"model.name={name} turns texts into texts: take data=pairs, or model.name=bert for labels")
    common: dict[str, Any] = {
        "every_step": every_step,
        "marks": marks,
        "name": name,
        "size": size,
        "layers": layers,
        "heads": heads,
        "inner": inner,
        "positions": positions,
        "dropout": dropout,
        "settings": settings,
    }
    if name not in DECODERS:
        return Encoder(vocabulary, num_classes, masked=masked, pooling=pooling, **common)
    if masked:
        raise ValueError(f"model.name={name} sees no later words, so it cannot tell masked ones: take model.name=bert")
    return Decoder(vocabulary, num_classes, **common)

"""`experiments show` for a translation: where each word of it looks in the source sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch

from experiments.commands.predict_inputs import texts
from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import device_of

SHOWN = 6  # test sentences, where none are named


def attention(look: Look) -> Iterator[Picture]:
    """Attention of the best translation of some sentences."""
    task: Any = look.run.task
    if look.wanted.inputs:
        chosen = texts(look.wanted.inputs)
    else:
        source = look.run.data.texts["test"].source
        chosen = source[:: max(1, len(source) // SHOWN)][:SHOWN]
    sentences = look.run.prepare(chosen)
    with torch.inference_mode():
        where = sentences.source._replace(
            values=sentences.source.values.to(device_of(look)), lengths=sentences.source.lengths.to(device_of(look))
        )
        written = [best[0].tokens for best in task.translate(where)]
        figure = task.draw_attention(sentences, written)
    if figure is None:
        raise NotShown("this network has no attention")
    kind = cast(str, look.run.config.model.get("attention", "dot product"))
    caption = (
        f"A row for each word of the translation, dark where it looks in the source ({kind}); ⏎ is the end. "
        + "; ".join(f"{original} → {other}" for original, other in zip(chosen, sentences.decode(written), strict=True))
    )
    yield Picture("attention", "Attention", caption, figure)


PANELS = (Panel("attention", "Where each word of a translation looks", attention),)

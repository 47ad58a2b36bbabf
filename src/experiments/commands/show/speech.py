"""Panels of a speech recogniser: what it hears when."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.commands.show.panel import Look, Panel, Picture

RECORDINGS = 4


def alignment(look: Look) -> Iterator[Picture]:
    """Yield the symbols' probabilities below the spectrogram, of files or of test recordings."""
    import torch

    task = look.run.task
    if look.wanted.inputs:
        inputs, texts = look.run.prepare(list(look.wanted.inputs)), None
    else:
        dataset = look.run.data.dataset("test")
        inputs, labels = dataset.__getitems__(range(min(RECORDINGS, len(dataset))))
        texts = task.texts_of(labels)
    with torch.inference_mode():
        drawn = task.draw(inputs, texts)
    caption = (
        "Each symbol is named where it is the most probable one. Between symbols the network says nothing (the blank, in"
        " grey), so what counts is their order, not how long they last."
    )
    yield Picture("alignment", "Spectrogram and alignment", caption, drawn)


PANELS = (Panel("alignment", "Spectrogram and alignment", alignment),)

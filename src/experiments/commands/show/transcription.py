"""Panels of a network that writes what it hears: where each token looks in the sound."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.commands.show.panel import Look, Panel, Picture

RECORDINGS = 3


def attention(look: Look) -> Iterator[Picture]:
    """Where the decoder looks, of files or of test recordings."""
    import torch

    from experiments.tasks.reports.transcription import TranscriptionReport

    if look.wanted.inputs:
        inputs = look.run.prepare(list(look.wanted.inputs))
    else:
        dataset = look.run.data.dataset("test")
        inputs, _ = dataset.__getitems__(range(min(RECORDINGS, len(dataset))))
    clips = [row[: int(length)] for row, length in zip(inputs.values, inputs.lengths, strict=True)]
    with torch.inference_mode():
        drawn = TranscriptionReport(look.run.task).draw(clips[:RECORDINGS])
    caption = (
        "A row a token, in the order in which they are said; the darker a place, the more the decoder looks at it."
    )
    yield Picture("attention", "Where each token looks in the sound", caption, drawn)


PANELS = (Panel("attention", "Where each token looks in the sound", attention),)

"""Examples of the test split for the page of `experiments demo`."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.contracts import OneLongText
from experiments.errors import UserError

AMONG = 64  # the first of the split, over which examples are spread
MOST_FIELDS = 24  # observations with a field each; more of them are written into one
BEGINNING = 40  # tokens of a text that is to be continued


def examples_of_test(answerer: Any, count: int) -> list[list[Any]]:
    """Return some inputs of the test split as the page's components take them; none where the data are not here any more.

    Args:
        answerer: the run.
        count: how many.
    """
    from experiments.commands.answering import IMAGES, OBSERVATIONS, SOUNDS

    if count < 1:
        return []
    try:
        data = answerer.loaded.data
        data.setup("test")
        if answerer.kind in IMAGES:
            return _images(answerer, data, count)
        if answerer.kind in SOUNDS:
            return _sounds(answerer, data, count)
        if answerer.kind == "series":
            return _series(answerer, data, count)
        if answerer.kind in OBSERVATIONS:
            return _observations(answerer, data, count)
        return _texts(answerer, data, count)
    except (UserError, OSError):
        return []


def _spread(several: Sequence[Any], count: int) -> list[Any]:
    return list(several[:: max(1, len(several) // count)][:count])


def _images(answerer: Any, data: Any, count: int) -> list[list[Any]]:
    import numpy as np
    from PIL import Image

    from experiments.viz.images import to_pixels

    spec, examples = answerer.loaded.spec, []
    for values in _spread(data.sample("test", AMONG if answerer.kind == "image" else count)[0], count):
        mean, std = getattr(spec, "mean", (0.0,) * len(values)), getattr(spec, "std", (1.0,) * len(values))
        pixels = np.asarray(to_pixels(values[None], mean, std))[0]
        examples.append([Image.fromarray((pixels * (255 if pixels.max() <= 1.5 else 1)).squeeze().astype("uint8"))])
    return examples


def _sounds(answerer: Any, data: Any, count: int) -> list[list[Any]]:
    import soundfile

    folder = Path(tempfile.mkdtemp(prefix="experiments-"))  # Gradio copies from it while the page is made and opened
    sounds, examples = data.sample("test", AMONG)[0], []
    for number in _spread(range(len(sounds.values)), count):
        path = folder / f"test_{number + 1}.wav"
        soundfile.write(path, sounds.values[number, : sounds.lengths[number]].numpy(), answerer.loaded.spec.rate)
        examples.append([str(path)])
    return examples


def _series(answerer: Any, data: Any, count: int) -> list[list[Any]]:
    """Return tables of the past before some windows of the test split, where a table in CSV reads as the run's own do."""
    table, spec = data.table, answerer.loaded.spec
    folder, examples = Path(tempfile.mkdtemp(prefix="experiments-")), []
    for start in _spread(data.starts["test"].tolist(), count):
        times = [table.times.text(row) for row in range(start, start + spec.history)]
        rows = [",".join([time, *map(repr, row)]) for time, row in zip(times, table.values[start : start + spec.history].tolist(), strict=True)]  # fmt: skip
        path = folder / f"before_{start + spec.history}.csv"
        path.write_text("\n".join([",".join([getattr(data, "time", None) or "time", *spec.columns]), *rows]) + "\n")
        answerer.loaded.prepare([path])
        examples.append([str(path)])
    return examples


def _observations(answerer: Any, data: Any, count: int) -> list[list[Any]]:
    seen = data.play(answerer.loaded.task, "test", [0]).trace[0]
    rows = [[round(float(value), 4) for value in row] for row in _spread(seen, count)]
    return rows if len(answerer.fields) <= MOST_FIELDS else [[", ".join(map(str, row))] for row in rows]


def _with_gap(text: str) -> str:
    """Return a text with the word in its middle hidden."""
    words = text.split()
    words[len(words) // 2 : len(words) // 2 + 1] = ["[MASK]"]
    return " ".join(words)


def _texts(answerer: Any, data: Any, count: int) -> list[list[Any]]:
    if answerer.kind == "question":
        return [[question.question, question.passage] for question in _spread(data.questions["test"][:AMONG], count)]
    if isinstance(data, OneLongText):  # one long text
        tokens = data.ids["test"]
        starts = _spread(range(0, max(1, len(tokens) - BEGINNING)), count)
        texts = [data.decode([tokens[start : start + BEGINNING]])[0] for start in starts]
        return [[_with_gap(text) if hasattr(answerer.loaded.task, "is_word") else text] for text in texts]
    if answerer.kind == "words":
        dataset = data.dataset("test")
        rows, lengths = dataset.__getitems__(range(min(AMONG, len(dataset))))[0][:2]
        several = [row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]
        return [[text] for text in _spread(data.decode(several), count)]
    texts = data.texts["test"]
    lines = texts.source if answerer.kind == "pair" else texts.lines
    several = _spread(lines[:AMONG], count)
    if answerer.fields:
        return [list(text) if not isinstance(text, str) else text.split("\t") for text in several]
    return [[text] for text in several]

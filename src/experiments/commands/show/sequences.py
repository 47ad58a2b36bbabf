"""Panels of classifiers of texts: the states of a recurrent network over a sentence, and what each word does."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from experiments.batches import UNKNOWN, Sequences
from experiments.commands.predict_inputs import texts as texts_of
from experiments.commands.show.panel import Look, NotShown, OtherKind, Panel, Picture
from experiments.spec import TextSpec

EXAMPLES, UNITS, LONGEST = 3, 24, 60  # texts that are drawn; units of a heat map; tokens of a text


def _texts(look: Look) -> list[str]:
    """Return the texts asked for, or the first of the test split.

    Raises:
        NotShown: the run reads no text, or its data has none to show.
    """
    if not isinstance(look.run.spec, TextSpec) or not hasattr(look.run.reader, "pieces"):
        raise OtherKind("this run does not read texts")
    if look.wanted.inputs:
        return texts_of(look.wanted.inputs)
    return list(look.once("texts", lambda: look.run.data.texts["test"].lines[:EXAMPLES]))


def _prepared(look: Look, text: str) -> tuple[Sequences, list[str]]:
    """Return one text as the model reads it, cut to what can be drawn, and its tokens."""
    values = look.run.prepare([text]).values[:, :LONGEST]
    device = next(look.run.model.parameters()).device
    lengths = torch.tensor([values.shape[1]], device=device)
    return Sequences(values.to(device), lengths), look.run.reader.pieces(values[0].tolist())


def _answer(look: Look, inputs: Sequences) -> tuple[int, float, str]:
    """Return the likeliest class, its probability, and both in words."""
    chances = look.run.task.report.predict(inputs)[0]
    best = int(chances.argmax())
    return best, float(chances[best]), f"{look.run.spec.classes[best]}, {float(chances[best]):.0%}"


@torch.no_grad()
def gates(look: Look) -> Iterator[Picture]:
    """Yield the last recurrent layer, read forwards, unrolled over a sentence: hidden state and every gate."""
    from experiments.models.recurrent_cells import unroll
    from experiments.models.recurrent_layer import RecurrentLayer
    from experiments.viz.sequence import gates as draw

    texts = _texts(look)
    stages = list(look.run.model.children())
    last = max((n for n, stage in enumerate(stages) if isinstance(stage, RecurrentLayer)), default=None)
    if last is None:
        raise NotShown("the model has no recurrent layer")
    for number, text in enumerate(texts, 1):
        inputs, pieces = _prepared(look, text)
        values = inputs
        for stage in stages[:last]:
            values = stage(values)
        states = unroll(stages[last].directions[0], values.values)  # type: ignore[union-attr, index]
        units = _busiest(states["hidden"][0])
        order = ["hidden", *(name for name in states if name != "hidden")]
        drawn = draw(
            pieces,
            {name: states[name][0][:, units].cpu().numpy() for name in order},
            title="Unrolled over the sentence",
            note=_answer(look, inputs)[2],
        )
        caption = (
            f"“{text.strip()[:200]}”: a column is a token, a row one of the {len(units)} units of the last layer whose state "
            "changes most. Gates run from 0 (closed) to 1 (open)."
        )
        yield Picture(f"gates_{number}", f"States and gates, text {number}", caption, drawn)


def _busiest(hidden: Tensor) -> Tensor:
    """Return the units of (T, units) that change most, in their own order."""
    spread = hidden.std(dim=0, correction=0)
    return spread.topk(min(UNITS, len(spread))).indices.sort().values


@torch.no_grad()
def importance(look: Look) -> Iterator[Picture]:
    """Yield what the log-probability of the answer loses when a word is replaced by the unknown word."""
    from experiments.viz.sequence import importance as draw

    if not look.run.spec.num_classes if isinstance(look.run.spec, TextSpec) else True:
        raise OtherKind("this run does not classify texts")
    for number, text in enumerate(_texts(look), 1):
        inputs, pieces = _prepared(look, text)
        best, _, words = _answer(look, inputs)
        values, marks = inputs.values, look.run.spec.marks
        # What stands around a text for its sake is no word of it.
        places = [at for at, token in enumerate(values[0].tolist()) if token not in marks[2:4]]
        without = values.repeat(len(places), 1)
        without[range(len(places)), places] = marks[1] if marks else UNKNOWN
        every = Sequences(torch.cat([values, without]), inputs.lengths.repeat(len(places) + 1))
        scores = look.run.task.report.predict(every).float().clamp(min=1e-12).log()[:, best]
        named = [pieces[at].strip("▁Ġ") or "␣" for at in places]
        drawn = draw(named, (scores[0] - scores[1:]).tolist(), title=f"Words for {words}")
        caption = f"“{text.strip()[:200]}”: each word in turn is replaced by the unknown one. Blue speaks for the answer, orange against."
        yield Picture(f"importance_{number}", f"Importance of words, text {number}", caption, drawn)


PANELS = (
    Panel("gates", "States and gates over a sentence", gates),
    Panel("importance", "Importance of words", importance),
)

"""Panels of language models: where tokens look, what may stand in a gap, and what a text that is written might have been."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from experiments.batches import Sequences
from experiments.commands.predict_inputs import texts as texts_of
from experiments.commands.show.panel import Look, NotShown, OtherKind, Panel, Picture
from experiments.commands.show.recorded_attention import attention_weights
from experiments.commands.show.survey import device_of
from experiments.contracts import ContinuesTexts, OneLongText, positions_of

EXAMPLES, LONGEST, CANDIDATES, WRITTEN = (
    2,
    40,
    5,
    30,
)  # texts; tokens of a text; likeliest tokens; tokens that are written


def texts(look: Look) -> list[str]:
    """Return the texts asked for, or the beginning of the test split.

    Raises:
        NotShown: the run reads no text.
    """
    if not hasattr(look.run.reader, "pieces"):
        raise OtherKind("this run does not read texts")
    if look.wanted.inputs:
        return texts_of(look.wanted.inputs)

    def first() -> list[str]:
        data = look.run.data
        if hasattr(data, "questions"):
            return [f"{question.question} ||| {question.passage}" for question in data.questions["test"][:EXAMPLES]]
        if isinstance(data, OneLongText):  # one long text
            return data.decode([data.ids["test"][:LONGEST]])
        return [line if isinstance(line, str) else "\t".join(line) for line in data.texts["test"].lines[:EXAMPLES]]

    return list(look.once("words", first))


def prepared(look: Look, text: str) -> tuple[Sequences, list[str]]:
    """Return one text as the model reads it, cut to what can be drawn, and its tokens."""
    inputs = look.run.prepare([text])
    values = (
        getattr(inputs, "inputs", inputs).values[:1, :LONGEST].to(device_of(look))
    )  # of a question, its first window
    return Sequences(values, torch.tensor([values.shape[1]], device=values.device)), pieces(look, values[0])


def pieces(look: Look, tokens: Tensor) -> list[str]:
    """Tokens as they are drawn: without the sign that stands for a space before a word."""
    names = look.run.reader.pieces(tokens.tolist())
    return [name.strip("▁Ġ") or "␣" if name and name[0] in "▁Ġ" else name for name in names]


def attention(look: Look) -> Iterator[Picture]:
    """Yield a map for each layer and head."""
    from experiments.viz.attention_heads import attention_heads

    for number, text in enumerate(texts(look), 1):
        inputs, names = prepared(look, text)
        weights = attention_weights(partial(look.run.model, inputs))
        if not weights:
            raise NotShown("the model has no attention")
        maps = [weight[0] for weight in weights]
        drawn = attention_heads(maps, names, names, title="Attention", note="a row looks, a column is looked at")
        caption = (
            f"“{shown(text)}”: a row of maps a layer, from the first on top; a column a head. In a map, the token of a row looks "
            "at those of the columns, dark where it looks most."
        )
        yield Picture(f"attention_{number}", f"Attention by layer and head, text {number}", caption, drawn)


@torch.no_grad()
def masked(look: Look) -> Iterator[Picture]:
    """Yield each token hidden in turn, or the masks of a text: what might stand there."""
    from experiments.viz.token_choices import token_choices

    task: Any = look.run.task
    if not hasattr(task, "is_word"):
        raise OtherKind("this run fills no masks")
    for number, text in enumerate(texts(look), 1):
        inputs, names = prepared(look, text)
        values = inputs.values[0]
        asked = values == task.spec.mask
        given = bool(asked.any())
        places = (asked if given else task.is_word[values]).nonzero()[:, 0]
        rows = values.repeat(len(places), 1)
        at = torch.arange(len(places), device=values.device)
        rows[at, places] = task.spec.mask
        hidden = torch.zeros_like(rows, dtype=torch.bool)
        hidden[at, places] = True
        if given:  # all masks of the text at once
            rows = values.repeat(len(places), 1)
        if not len(places):
            raise NotShown("the text has no word to hide")
        chances = task.scores(Sequences(rows, inputs.lengths.repeat(len(rows))), hidden).float().softmax(1)
        truth = None if given else values[places]
        lines = choices(look, chances, truth, [names[place] for place in places.tolist()])
        drawn = token_choices(lines, title="Masked words", note="what the model would say there, the likeliest first")
        what = "the masks of the text" if given else "each word in turn is hidden; framed where the model finds it"
        yield Picture(f"masked_{number}", f"Masked words, text {number}", f"“{shown(text)}”: {what}.", drawn)


@torch.no_grad()
def written(look: Look) -> Iterator[Picture]:
    """Yield the path of a text that the model writes, with what it might have written instead."""
    from experiments.viz.token_choices import token_choices

    task: Any = look.run.task
    if not isinstance(task, ContinuesTexts):
        raise OtherKind("this run writes no text")
    for number, text in enumerate(texts(look), 1):
        begin, _ = prepared(look, text if look.wanted.inputs else text[: max(1, len(text) // 2)])
        tokens = torch.tensor(task.generate(begin)[0][:WRITTEN], device=begin.values.device)
        if not len(tokens):
            raise NotShown("the model ends the text at once")
        whole = torch.cat([begin.values[0], tokens])[None]
        sees = positions_of(look.run.model) or whole.shape[1]
        seen = whole[:, -sees:]
        scores = look.run.model(Sequences(seen, torch.tensor([seen.shape[1]], device=seen.device)))[0]
        chances = scores[-1 - len(tokens) : -1].float().softmax(1)[-len(tokens) :]
        lines = choices(look, chances, tokens[-len(chances) :], pieces(look, tokens[-len(chances) :]))
        how = task.writing
        note = f"{how.method}, temperature {how.temperature:g}" if how.method == "sample" else how.method
        drawn = token_choices(lines, title="Written token by token", note=note)
        caption = f"“{shown(text)}” and on: a line a token, its probability, and the likeliest at that place; the chosen one is framed."
        yield Picture(f"written_{number}", f"A text and its alternatives, {number}", caption, drawn)


def choices(look: Look, chances: Tensor, truth: Tensor | None, names: list[str]) -> list[Any]:
    """Places with their likeliest tokens, of probabilities (n, vocabulary)."""
    from experiments.viz.token_choices import Place

    best, tokens = chances.topk(min(CANDIDATES, chances.shape[1]))
    lines = []
    for row, name in enumerate(names):
        candidates = list(zip(pieces(look, tokens[row]), best[row].tolist(), strict=True))
        lines.append(Place(name, None if truth is None else float(chances[row, truth[row]]), candidates))
    return lines


def shown(text: str) -> str:
    """Return the beginning of a text, for a caption."""
    return text.strip()[:200]


PANELS = (
    Panel("attention", "Where tokens look", attention),
    Panel("masked", "Masked words and their candidates", masked),
    Panel("written", "The path of a text, with its alternatives", written),
)

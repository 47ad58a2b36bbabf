"""Beam search, for all sentences and beams at once; with one beam it is greedy.

Sentences that are done leave the batch, and how one ends does not depend on its company. Hypotheses are compared by
their log-probability over ((5 + length) / 6) to the power of `penalty` (Wu et al., "Google's neural machine translation
system", 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.batches import END, PADDING, START, UNKNOWN, Encoded, Sequences

NEVER = (PADDING, UNKNOWN, START)  # tokens that no translation has


class Hypothesis(NamedTuple):
    """A finished translation: its tokens, without the end, and the score it was chosen by."""

    tokens: list[int]
    score: float


def normalised(log_probability: Tensor, length: int, penalty: float) -> Tensor:
    """Log-probabilities as hypotheses of so many tokens, their end included, are compared by."""
    return log_probability / ((5 + length) / 6) ** penalty


@torch.no_grad()
def beam_search(
    model: Any,
    source: Sequences | Encoded,
    *,
    beams: int,
    penalty: float,
    longest: Tensor,
    best: int = 1,
    never: tuple[int, ...] = NEVER,
    start: int = START,
    end: int = END,
    first: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """Return the best translations of each sentence, best first.

    A search ends when as many hypotheses of a sentence are finished as it has beams, or at its longest length, where
    what is unfinished counts as it stands.

    Args:
        model: with `begin` and `advance` as of `models.translator.Translator`, in evaluation mode.
        source: (B, S) tokens, or what is encoded of them.
        beams: hypotheses kept a sentence.
        penalty: 0 compares bare log-probabilities and prefers short ones.
        longest: (B,) int64, tokens that a translation has at most, without its end; 1 or more.
        best: how many are wanted, at most `beams`.
        never: tokens that are not said.
        start: the token that a model reads first.
        end: the token that ends a sentence; -1 where none does.
        first: tokens that every translation begins with; they stand in none of those returned.
    """
    count, device = len(source.values), source.values.device
    finished: list[list[Hypothesis]] = [[] for _ in range(count)]
    alive = list(range(count))  # the sentences still searched, in the order of the rows below
    state = model.begin(source)
    for token in (start, *first)[:-1]:
        _, state = model.advance(torch.full((count,), token, device=device), state)
    state = state.take(torch.arange(count, device=device).repeat_interleave(beams))
    # At first all beams of a sentence are the same, so one alone counts.
    scores = torch.full((count, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0
    words = torch.full((count * beams,), (start, *first)[-1], device=device)
    written = torch.zeros(count, beams, 0, dtype=torch.long, device=device)
    limits = longest.tolist()
    unsaid = torch.tensor(never, dtype=torch.long, device=device)
    while alive:
        logits, state = model.advance(words, state)
        chances = logits.float().log_softmax(1).index_fill(1, unsaid, -torch.inf)
        vocabulary = chances.shape[1]
        total = (scores[:, :, None] + chances.view(len(alive), beams, vocabulary)).flatten(1)
        # Twice as many as are kept: even if every beam's best word is the end, enough go on.
        top, places = total.topk(min(2 * beams, total.shape[1]), dim=1)
        rows, tokens = places // vocabulary, places % vocabulary
        ends = tokens == end
        length = written.shape[2] + 1
        # Of the ends, only those among the best `beams` are finished hypotheses.
        for at, rank in (ends & top.isfinite())[:, :beams].nonzero().tolist():
            if len(finished[alive[at]]) < beams:
                score = float(normalised(top[at, rank], length, penalty))
                finished[alive[at]].append(Hypothesis(written[at, rows[at, rank]].tolist(), score))
        going = (ends.long() * top.shape[1] + torch.arange(top.shape[1], device=device)).argsort(1)[:, :beams]
        scores, rows, tokens = (tensor.gather(1, going) for tensor in (top.masked_fill(ends, -torch.inf), rows, tokens))
        written = torch.cat([written.gather(1, rows[:, :, None].expand(-1, -1, length - 1)), tokens[:, :, None]], dim=2)
        stay = []
        for at, sentence in enumerate(alive):
            if len(finished[sentence]) >= beams:
                continue
            if length < limits[sentence]:
                stay.append(at)
                continue
            values = normalised(scores[at], length, penalty).tolist()
            finished[sentence] += [
                Hypothesis(row, value)
                for row, value in zip(written[at].tolist(), values, strict=True)
                if value > -torch.inf
            ]
        flat = (torch.arange(len(alive), device=device)[:, None] * beams + rows).flatten()
        if len(stay) == len(alive):
            state = state.follow(flat)
        else:
            kept = torch.tensor(stay, dtype=torch.long, device=device)
            scores, tokens, written = scores[kept], tokens[kept], written[kept]
            state = state.take(flat.view(-1, beams)[kept].flatten())
            alive = [alive[at] for at in stay]
        words = tokens.flatten()
    return [sorted(hypotheses, key=lambda each: -each.score)[:best] for hypotheses in finished]

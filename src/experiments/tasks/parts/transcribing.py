"""Tokens from sound, for all recordings of a batch at once: greedy or by beam, with the rules for times.

Rules and their order are those of transformers' `generate`, so that greedy transcripts are the same.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.batches import Decoding

STEP = 0.02  # seconds from one time token to the next


class Heard(NamedTuple):
    """Tokens behind the prompt, without the end, and their mean log-probability, the end's included."""

    tokens: list[int]
    score: float


class Segment(NamedTuple):
    """Some seconds of a recording, and the tokens said there."""

    start: float
    end: float
    tokens: list[int]


PHRASE = 16  # letters that come twice in a loop, and hardly in what is said in some seconds


def repeats_itself(text: str, seconds: float) -> bool:
    """Tell whether a transcript looks like a loop.

    It does when 16 letters in a row come twice, when it is over 2.4 times as long as it is compressed (Whisper's own rule), or
    when it has over 40 letters a second, which nobody says.
    """
    letters = "".join(letter for letter in text.lower() if letter.isalnum())
    phrases = [letters[place : place + PHRASE] for place in range(len(letters) - PHRASE + 1)]
    written = text.encode()
    return (
        len(set(phrases)) < len(phrases)
        or len(written) > 2.4 * len(zlib.compress(written))
        or len(text) > 40 * max(seconds, 1.0)
    )


@torch.no_grad()
def transcribe(
    model: Any, state: Decoding, prompts: Tensor, *, times: bool, beams: int, penalty: float, longest: int
) -> list[Heard]:
    """Return the best transcript of each recording that a search finds.

    Args:
        model: with `advance` and `words` as of `models.library.whisper.Whisper`, in evaluation mode.
        state: what its `listen` makes of the sounds, a row each.
        prompts: (B, P), what a transcript begins with.
        times: whether times are wanted among the tokens.
        beams: hypotheses kept a recording; 1 is greedy.
        penalty: sums of log-probabilities are compared over the number of tokens to this power.
        longest: tokens behind the prompt at most.
    """
    words, device, count = model.words, prompts.device, len(prompts)
    finished: list[list[tuple[float, Heard]]] = [[] for _ in range(count)]
    alive = list(range(count))
    logits, state = model.advance(prompts, state)
    rows = torch.arange(count, device=device).repeat_interleave(beams)
    logits, state = logits[rows], state.follow(rows)
    scores = torch.full((count, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0  # at first all beams of a recording are the same
    written = torch.zeros(count * beams, 0, dtype=torch.long, device=device)
    for length in range(1, longest + 1):
        allowed = _allowed(words, written, logits.float(), times)
        chances = allowed.log_softmax(1).view(len(alive), beams, -1)
        vocabulary = chances.shape[2]
        if beams == 1:  # of the scores themselves, as sums round
            places = allowed.argmax(1, keepdim=True)
            top = scores + chances[:, 0].gather(1, places)
        else:
            top, places = (scores[:, :, None] + chances).flatten(1).topk(2 * beams, dim=1)
        going_scores, going_rows, going_tokens = [], [], []
        stay = []
        for at, recording in enumerate(alive):
            kept: list[tuple[float, int, int]] = []
            for score, place in zip(top[at].tolist(), places[at].tolist(), strict=True):
                row, token = at * beams + place // vocabulary, place % vocabulary
                if token == words.end or length == longest:
                    own = [] if token == words.end else [token]
                    heard = Heard(written[row].tolist() + own, score / length)
                    finished[recording].append((score / length**penalty, heard))
                else:
                    kept.append((score, row, token))
                if len(kept) == beams or len(finished[recording]) >= beams:
                    break
            if len(finished[recording]) >= beams or not kept:
                continue
            kept += [(-torch.inf, kept[0][1], kept[0][2])] * (beams - len(kept))
            stay.append(at)
            going_scores.append([candidate[0] for candidate in kept])
            going_rows += [candidate[1] for candidate in kept]
            going_tokens += [candidate[2] for candidate in kept]
        if not stay:
            break
        followed = torch.tensor(going_rows, device=device)
        tokens = torch.tensor(going_tokens, device=device)
        scores = torch.tensor(going_scores, device=device)
        written = torch.cat([written[followed], tokens[:, None]], 1)
        if len(stay) < len(alive):
            kept_rows = torch.tensor(stay, device=device)
            state = state._replace(fixed=tuple(tensor[kept_rows] for tensor in state.fixed)).follow(followed)
            alive = [alive[at] for at in stay]
        elif beams > 1:
            state = state.follow(followed)
        logits, state = model.advance(tokens[:, None], state)
    return [max(hypotheses, key=lambda each: each[0])[1] if hypotheses else Heard([], 0.0) for hypotheses in finished]


def _allowed(words: Any, written: Tensor, logits: Tensor, times: bool) -> Tensor:
    """Scores (R, tokens) with what may not come next at minus infinity."""
    scores = logits.clone()
    scores[:, words.suppressed] = -torch.inf
    if not written.shape[1]:
        scores[:, words.suppressed_first] = -torch.inf
    return _times(words, written, scores) if times else scores


def _times(words: Any, written: Tensor, scores: Tensor) -> Tensor:
    """Times come in pairs, never go back, and come where they are more probable together than any word."""
    first = words.first_time
    scores[:, words.no_times] = -torch.inf
    begun = written.shape[1]
    for row, before in enumerate(written.tolist()):
        last = begun >= 1 and before[-1] >= first
        pair = begun < 2 or before[-2] >= first
        if last and pair:
            scores[row, first:] = -torch.inf
        elif last:
            scores[row, : words.end] = -torch.inf
        times = [token for token in before if token >= first]
        if times:  # a segment may begin where the last one ended, but none ends where it begins
            scores[row, first : times[-1] if last and not pair else times[-1] + 1] = -torch.inf
    if not begun:
        scores[:, :first] = -torch.inf
        if words.latest_start is not None:
            scores[:, first + words.latest_start + 1 :] = -torch.inf
    chances = scores.log_softmax(1)
    timely = chances[:, first:].logsumexp(1) > chances[:, :first].amax(1)
    scores[:, :first] = scores[:, :first].masked_fill(timely[:, None], -torch.inf)
    return scores


def segments(tokens: list[int], first_time: int | None, offset: float, seconds: float) -> tuple[list[Segment], float]:
    """Return what was said in a window by its times, and how many seconds to go on by.

    Args:
        tokens: behind the prompt.
        first_time: the token of 0.00 seconds; None: there are no times.
        offset: seconds before the window.
        seconds: of sound in the window.
    """
    first = len(tokens) + 10**9 if first_time is None else first_time
    stamps = [token >= first for token in tokens]
    ends = [place + 1 for place in range(len(tokens) - 1) if stamps[place] and stamps[place + 1]]
    if not ends:
        times = [token for token in tokens if token >= first and token != first]
        end = (times[-1] - first) * STEP if times else seconds
        return [Segment(offset, offset + end, [token for token in tokens if token < first])], seconds
    alone = stamps[-2:] == [False, True]
    if alone:
        ends.append(len(tokens))
    heard, begin = [], 0
    for end in ends:
        part = tokens[begin:end]
        start, stop = ((token - first) * STEP for token in (part[0], part[-1]))
        heard.append(Segment(offset + start, offset + stop, [token for token in part if token < first]))
        begin = end
    # Behind a time that stands alone nothing is said; what is cut off in the middle is heard again in the next window.
    forward = seconds if alone else (tokens[begin - 1] - first) * STEP
    return heard, forward if forward > 0 else seconds

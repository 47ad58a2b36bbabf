"""Reading symbols off the scores of a network trained with CTC (Graves et al., 2006): greedily, or with a beam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

BLANK = 0


def greedy(log_probabilities: Tensor) -> list[list[int]]:
    """Return the best symbol at each step, repeats joined and blanks left out.

    Args:
        log_probabilities: (B, T, symbols); steps beyond a recording's end say blank.
    """
    best = log_probabilities.argmax(2)
    before = torch.nn.functional.pad(best[:, :-1], (1, 0), value=BLANK)
    kept = (best != before) & (best != BLANK)
    return [row[mask].tolist() for row, mask in zip(best.cpu(), kept.cpu(), strict=True)]


def prefix_beam(log_probabilities: Tensor, beam: int) -> list[list[int]]:
    """Return the most probable sequence of symbols, summed over all alignments, of those that a beam keeps.

    Prefix search as in Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs" (2014), for all recordings at once: a prefix is kept with the probabilities that it ends in a blank
    and that it ends in its last symbol. Prefixes are told apart by a hash of their symbols.

    Args:
        log_probabilities: (B, T, symbols); steps beyond a recording's end say blank.
        beam: prefixes kept.
    """
    log_probabilities = log_probabilities.float()
    device, (batch, steps, symbols) = log_probabilities.device, log_probabilities.shape
    never = float("-inf")
    ends_blank = torch.full((batch, beam), never, device=device)
    ends_blank[:, 0] = 0.0
    ends_symbol = torch.full((batch, beam), never, device=device)
    last = torch.zeros(batch, beam, dtype=torch.long, device=device)  # BLANK: the prefix is empty
    # Empty places of the beam need hashes that equal no prefix's.
    hashes = torch.arange(beam, device=device).neg().expand(batch, beam).clone()
    history: list[tuple[Tensor, Tensor]] = []
    letters = torch.arange(1, symbols, device=device)
    for step in range(steps):
        now = log_probabilities[:, step]
        total = torch.logaddexp(ends_blank, ends_symbol)
        stay_blank = total + now[:, BLANK, None]
        repeated = torch.where(last > 0, now.gather(1, last), never)
        stay_symbol = ends_symbol + repeated
        # One more symbol: the same one again needs a blank in between.
        same = last[..., None] == letters
        grown = torch.where(same, ends_blank[..., None], total[..., None]) + now[:, None, 1:]  # (B, beam, letters)
        grown_hashes = hashes[..., None] * 1_000_003 + letters
        # A prefix that grows into one that is kept already adds to it.
        equal = hashes[:, :, None, None] == grown_hashes[:, None]  # (B, kept, grown from, letters)
        joined = torch.where(equal, grown[:, None], never).flatten(2).logsumexp(2)
        stay_symbol = torch.logaddexp(stay_symbol, joined)
        grown = grown.masked_fill(equal.any(1), never)
        scores = torch.cat([torch.logaddexp(stay_blank, stay_symbol), grown.flatten(1)], dim=1)
        chosen = scores.topk(beam, dim=1).indices
        grows = chosen >= beam
        parent = torch.where(grows, (chosen - beam) // (symbols - 1), chosen)
        letter = torch.where(grows, (chosen - beam) % (symbols - 1) + 1, BLANK)
        ends_blank = torch.where(grows, never, stay_blank.gather(1, parent))
        kept_symbol = stay_symbol.gather(1, parent)
        ends_symbol = torch.where(grows, grown.flatten(1).gather(1, (chosen - beam).clamp(min=0)), kept_symbol)
        last = torch.where(grows, letter, last.gather(1, parent))
        parents = hashes.gather(1, parent)
        hashes = torch.where(grows, parents * 1_000_003 + letter, parents)
        history.append((parent.cpu(), letter.cpu()))
    best = torch.logaddexp(ends_blank, ends_symbol).argmax(1).tolist()
    return [_trace(history, row, place) for row, place in enumerate(best)]


def _trace(history: list[tuple[Tensor, Tensor]], row: int, place: int) -> list[int]:
    """Return the symbols of one prefix, from its last step back to the first."""
    symbols = []
    for parent, letter in reversed(history):
        if symbol := int(letter[row, place]):
            symbols.append(symbol)
        place = int(parent[row, place])
    return symbols[::-1]


def word_times(log_probabilities: Tensor, symbols: Sequence[str], seconds: float) -> list[tuple[float, float, str]]:
    """Start, end and text of each word that the best path says, in seconds.

    Args:
        log_probabilities: (T, symbols) of one recording.
        symbols: characters, the n-th of them symbol n + 1; a blank between words is one of them.
        seconds: that the steps last together.
    """
    best = log_probabilities.argmax(1).tolist()
    words: list[tuple[float, float, str]] = []
    text, start, end, before = "", 0, 0, BLANK
    for step, symbol in enumerate([*best, BLANK]):
        letter = symbols[symbol - 1] if symbol != BLANK and symbol != before else ""
        if letter.strip():
            start, text, end = (step, letter, step + 1) if not text else (start, text + letter, step + 1)
        elif symbol == before and symbol != BLANK and symbols[symbol - 1].strip():
            end = step + 1
        if text and (letter.isspace() or step == len(best)):
            scale = seconds / len(best)
            words.append((start * scale, end * scale, text))
            text = ""
        before = symbol
    return words


def lines_of(words: Sequence[tuple[float, float, str]], pause: float = 0.7, most: float = 7.0) -> list[dict[str, Any]]:
    """Words as segments of up to `most` seconds, parted where nothing is said for `pause`."""
    lines: list[dict[str, Any]] = []
    for start, end, text in words:
        if lines and start - lines[-1]["end"] < pause and end - lines[-1]["start"] <= most:
            lines[-1] |= {"end": end, "text": f"{lines[-1]['text']} {text}"}
        else:
            lines.append({"start": start, "end": end, "text": text})
    return [{"start": round(line["start"], 2), "end": round(line["end"], 2), "text": line["text"]} for line in lines]

"""Writing with a language model: sampling, greedy and by beam search, for all prompts at once.

Prompts may be of unequal length, and what is written after one does not depend on its company: every prompt gets the
same random numbers, so it goes on alone as it does among others. Models keep what they have computed (`start` and
`advance`), so a step computes one token. Where a text outgrows what the model can see, its last half is read anew.

Temperature, top-k and nucleus sampling: Fan et al. (2018), Holtzman et al., "The curious case of neural text
degeneration" (2020); repetition penalty: Keskar et al., "CTRL" (2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from experiments.batches import Decoding, Sequences, pad
from experiments.contracts import positions_of
from experiments.errors import UserError
from experiments.tasks.parts.beam_search import beam_search

METHODS = ("sample", "greedy", "beam")


@dataclass(frozen=True)
class Writing:
    """How a text is written.

    Attributes:
        method: sample, greedy (the likeliest token each time) or beam.
        length: tokens at most.
        temperature: of sampling; above 1 more daring, towards 0 always the likeliest token.
        top_k: of sampling: only so many of the likeliest tokens; None: all.
        top_p: of sampling: only the likeliest tokens that together have this probability; None: all.
        repetition_penalty: divides the score of tokens that were there already; 1: nothing. Not of beam search.
        beams: of beam search.
        length_penalty: of beam search: 0 compares bare log-probabilities.
    """

    method: str = "sample"
    length: int = 200
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    beams: int = 4
    length_penalty: float = 0.0

    @classmethod
    def of(cls, keys: Mapping[str, Any], name: str = "task.sample") -> Writing:
        """From the keys of a config.

        Raises:
            UserError: when a key is unknown or a value is out of its range.
        """
        fields = cls.__dataclass_fields__
        for key in keys:
            if key not in fields:
                raise UserError(f"{name}.{key} is unknown: choose from {', '.join(fields)}")
        return cls(**keys).checked(name)

    def checked(self, name: str) -> Writing:
        """Itself.

        Raises:
            UserError: when a value is out of its range.
        """
        rules: dict[str, tuple[bool, str]] = {
            "method": (self.method in METHODS, f"must be {', '.join(METHODS)}: try {name}.method=sample"),
            "length": (_whole(self.length), f"must be a whole number, 1 or more: try {name}.length=200"),
            "temperature": (_number(self.temperature), f"must be above 0: try {name}.temperature=0.8"),
            "top_k": (self.top_k is None or _whole(self.top_k), f"must be a whole number, 1 or more, or null: try {name}.top_k=40"),
            "top_p": (self.top_p is None or (_number(self.top_p) and self.top_p <= 1),
                      f"must lie above 0 and not above 1, or be null: try {name}.top_p=0.9"),
            "repetition_penalty": (_number(self.repetition_penalty), f"must be above 0: try {name}.repetition_penalty=1.2"),
            "beams": (_whole(self.beams), f"must be a whole number, 1 or more: try {name}.beams=4"),
            "length_penalty": (self.length_penalty == 0 or _number(self.length_penalty),
                               f"must be 0 or more: try {name}.length_penalty=0.6"),
        }  # fmt: skip
        for key, (holds, rule) in rules.items():
            if not holds:
                raise UserError(f"{name}.{key}={getattr(self, key)} {rule}")
        if self.method == "beam" and self.repetition_penalty != 1:
            raise UserError(
                f"{name}.repetition_penalty={self.repetition_penalty} is not of beam search: set {name}.method=sample or "
                f"greedy, or {name}.repetition_penalty=1.0"
            )
        if self.method != "sample" and (self.top_k is not None or self.top_p is not None):
            raise UserError(f"{name}.top_k and top_p are of sampling: set {name}.method=sample, or both to null")
        return self

    def changed(self, words: Sequence[str], name: str) -> Writing:
        """With some `key=value` in place of its own.

        Raises:
            UserError: when a key is unknown or a value is none of its kind.
        """
        given: dict[str, Any] = {}
        for word in words:
            key, _, value = word.partition("=")
            if key not in self.__dataclass_fields__ or not value:
                raise UserError(
                    f"{name} {word}: write {' or '.join(f'{field}=…' for field in self.__dataclass_fields__)}"
                )
            given[key] = _parsed(value)
        return replace(self, **given).checked(name)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _parsed(value: str) -> Any:
    if value in ("null", "None"):
        return None
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


@torch.no_grad()
def write(
    model: Any, prompts: Sequences, how: Writing, never: Sequence[int] = (), end: int | None = None
) -> list[list[int]]:
    """Return what a model writes after each prompt: tokens, without the end.

    Args:
        model: with `start` and `advance`, in evaluation mode; `positions` where it sees only so many tokens.
        prompts: (B, T) tokens, filled up behind.
        how: to write.
        never: tokens that are not written.
        end: the token that ends a text, or None.
    """
    sees = positions_of(model)
    texts = [row[:length] for row, length in zip(prompts.values.tolist(), prompts.lengths.tolist(), strict=True)]
    if how.method == "beam":
        return _by_beams(model, texts, how, never, end, sees, prompts.values.device)
    device, begun = prompts.values.device, [len(text) for text in texts]
    random = torch.Generator().manual_seed(0)  # nothing is drawn from the stream that training uses
    rows = list(range(len(texts)))  # the prompts that still go on
    logits, state = model.start(_seen(texts, sees, device))
    there = torch.zeros(len(rows), logits.shape[1], device=device)
    there = there.scatter_add_(1, prompts.values, prompts.mask().float()) > 0
    for step in range(how.length):
        chosen = choose(logits.float(), there, how, never, float(torch.rand((), generator=random)))
        tokens = chosen.tolist()
        stay = [at for at, token in enumerate(tokens) if token != end]
        for at in stay:
            texts[rows[at]].append(tokens[at])
        if step == how.length - 1 or not stay:
            break
        if len(stay) < len(rows):
            some = torch.tensor(stay, device=device)
            rows, chosen, there, state = [rows[at] for at in stay], chosen[some], there[some], state.take(some)
        there.scatter_(1, chosen[:, None], True)
        if sees is not None and any(_begins_anew(len(texts[row]), sees) for row in rows):
            logits, state = model.start(_seen([texts[row] for row in rows], sees, device))
        else:
            logits, state = model.advance(chosen, state)
    return [text[length:] for text, length in zip(texts, begun, strict=True)]


def choose(logits: Tensor, there: Tensor, how: Writing, never: Sequence[int], chance: float) -> Tensor:
    """Return one token a row: (B, V) scores -> (B,).

    Args:
        logits: of the next token.
        there: (B, V) bool, tokens that the text has already.
        how: to write.
        never: tokens that are not written.
        chance: from 0 to 1, where among the tokens in the order of their probability the choice falls.
    """
    if how.repetition_penalty != 1:
        punished = torch.where(logits > 0, logits / how.repetition_penalty, logits * how.repetition_penalty)
        logits = torch.where(there, punished, logits)
    logits = logits.index_fill(1, torch.tensor(list(never), dtype=torch.long, device=logits.device), -torch.inf)
    if how.method == "greedy":
        return logits.argmax(1)
    ordered, tokens = logits.sort(stable=True, dim=1, descending=True)
    if how.top_k is not None:
        ordered = ordered[:, : how.top_k]
    chances = (ordered.double() / how.temperature).softmax(1)
    reached = chances.cumsum(1)
    if how.top_p is not None:
        chances = chances.masked_fill(reached - chances >= how.top_p, 0.0)
        reached = chances.cumsum(1)
    place = (reached <= chance * reached[:, -1:]).sum(1).clamp(max=reached.shape[1] - 1)
    return tokens.gather(1, place[:, None])[:, 0]


def longer_than(prompts: Sequences, model: Any) -> int:
    """Tell how many prompts are longer than what the model sees at once, so that only their end is read."""
    sees = positions_of(model)
    return 0 if sees is None else int((prompts.lengths > sees).sum())


def _begins_anew(length: int, sees: int) -> bool:
    """Tell whether a text of this length is the first that what has been read so far has no room for."""
    return length > sees and (length - sees - 1) % (sees - sees // 2 + 1) == 0


def _window(length: int, sees: int | None) -> int:
    """Tell how many tokens of the end of a text are looked at: all, and when they have become too many the last half of
    them.
    """
    if sees is None or length <= sees:
        return length
    return max(1, sees // 2 + (length - sees - 1) % (sees - sees // 2 + 1))


def _seen(texts: Sequence[Sequence[int]], sees: int | None, device: torch.device) -> Sequences:
    batch = pad([torch.tensor(text[-_window(len(text), sees) :]) for text in texts])
    return Sequences(batch.values.to(device), batch.lengths.to(device))


class _AfterPrompts:
    """A language model in the form that `beam_search` asks: its first scores are those after the prompts."""

    def __init__(self, model: Any) -> None:
        self.model, self.first = model, True

    def begin(self, prompts: Sequences) -> Decoding:
        logits, state = self.model.start(prompts)
        return state._replace(moving=(logits, *state.moving))

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        if self.first:
            self.first = False
            return state.moving[0], state._replace(moving=state.moving[1:])
        return self.model.advance(words, state)


def _by_beams(
    model: Any,
    texts: list[list[int]],
    how: Writing,
    never: Sequence[int],
    end: int | None,
    sees: int | None,
    device: Any,
) -> list[list[int]]:
    """Return the likeliest texts that a beam search finds; they end where the model's sight does."""
    prompts = _seen([text[-(sees - 1) :] if sees else text for text in texts], sees, device)
    longest = torch.full_like(prompts.lengths, how.length)
    if sees:
        longest = longest.minimum(sees - prompts.lengths + 1)
    hypotheses = beam_search(
        _AfterPrompts(model), prompts, beams=how.beams, penalty=how.length_penalty, longest=longest,
        never=tuple(never), end=-1 if end is None else end,
    )  # fmt: skip
    return [best[0].tokens for best in hypotheses]

"""Questions and passages as tokens: long passages in windows that overlap, and where in each the answer stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.errors import UserError


class Window(NamedTuple):
    """A question and as much of its passage as a model reads at once.

    Attributes:
        tokens: of both, with what the tokenizer puts around and between.
        begins: number of the passage's first token.
        spans: where in the passage each of its tokens in the window stands: from and up to which letter.
        answer: numbers of the answer's first and last token; (0, 0) where it is not in the window.
        row: number of the question.
    """

    tokens: list[int]
    begins: int
    spans: list[tuple[int, int]]
    answer: tuple[int, int]
    row: int


class Frame(NamedTuple):
    """Tokens before, between and behind a question and a passage."""

    before: list[int]
    between: list[int]
    behind: list[int]


def frame_of(tokenizer: Any) -> Frame:
    """Return what a tokenizer puts around a pair of texts.

    Raises:
        UserError: when it puts nothing before or between them.
    """
    # A pair whose texts are one token each at least, whatever the vocabulary: an unknown one is one too.
    both = tokenizer.encode("a", "a")
    sides = both.sequence_ids
    if 0 not in sides or 1 not in sides:
        raise UserError("the tokenizer makes nothing of the letter a: take another for questions")
    first, second = sides.index(0), sides.index(1)
    last = len(sides) - 1 - sides[::-1].index(1)
    inner = len(sides[:second]) - sides[:second][::-1].index(0)
    frame = Frame(both.ids[:first], both.ids[inner:second], both.ids[last + 1 :])
    if not frame.before or not frame.between:
        raise UserError(
            "task=question_answering needs a tokenizer that puts a token before a question and one behind it, such as "
            "[CLS] and [SEP]: take an encoder such as bert_tiny, or data.tokenizer.ends=true"
        )
    return frame


def windows_of(
    tokenizer: Any,
    questions: Sequence[str],
    passages: Sequence[str],
    answers: Sequence[tuple[int, int] | None],
    *,
    longest: int,
    stride: int,
    question_length: int,
) -> tuple[list[Window], int]:
    """Return all windows of some questions, and how many questions were cut.

    Args:
        tokenizer: that puts tokens around a pair.
        questions: N texts.
        passages: N texts.
        answers: N times from and up to which letter of the passage the answer stands; None: there is none.
        longest: tokens of a window.
        stride: tokens that a window shares with the one before.
        question_length: tokens that a question is cut to.

    Raises:
        UserError: when a window has no room for a passage.
    """
    frame = frame_of(tokenizer)
    tokenizer.encode_special_tokens = True
    asked = tokenizer.encode_batch(list(questions), add_special_tokens=False)
    distinct = list(dict.fromkeys(passages))
    read = dict(zip(distinct, tokenizer.encode_batch(distinct, add_special_tokens=False), strict=True))
    around = sum(map(len, frame))
    windows: list[Window] = []
    cut = 0
    for row, (question, passage, answer) in enumerate(zip(asked, passages, answers, strict=True)):
        head = question.ids[:question_length]
        cut += len(question.ids) > question_length
        room = longest - around - len(head)
        if room <= stride:
            raise UserError(
                f"data.max_length={longest} leaves {room} tokens for a passage beside a question of {len(head)}, and "
                f"data.stride={stride} must be less: take a longer window, a smaller stride or a smaller data.question_length"
            )
        ids, offsets = read[passage].ids, read[passage].offsets
        begins = len(frame.before) + len(head) + len(frame.between)
        start = 0
        while True:
            spans = offsets[start : start + room]
            tokens = [*frame.before, *head, *frame.between, *ids[start : start + room], *frame.behind]
            windows.append(Window(tokens, begins, spans, _found(spans, answer, begins), row))
            if start + room >= len(ids):
                break
            start += room - stride
    return windows, cut


def _found(spans: Sequence[tuple[int, int]], answer: tuple[int, int] | None, begins: int) -> tuple[int, int]:
    """First and last token of an answer in a window; (0, 0) where it is not wholly in it."""
    if answer is None or not spans or spans[0][0] > answer[0] or spans[-1][1] < answer[1]:
        return 0, 0
    first = next((place for place, (_, end) in enumerate(spans) if end > answer[0]), None)
    last = next((place for place in range(len(spans) - 1, -1, -1) if spans[place][0] < answer[1]), None)
    if first is None or last is None or last < first:
        return 0, 0
    return begins + first, begins + last

"""`experiments show` for questions: the answer in its passage, darker where the model looks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from experiments.commands.predict_inputs import texts
from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import device_of

SHOWN, SPANS, WORDS = 3, 20, 400  # test questions, where none are named; answers that are weighed; words of a passage


@torch.no_grad()
def answers(look: Look) -> Iterator[Picture]:
    """Yield the passage of each question with its likely answers marked."""
    from experiments.tasks.parts.spans import best_spans
    from experiments.viz.marked_text import Word, marked_text

    task: Any = look.run.task
    right: list[list[str]] = []
    if look.wanted.inputs:
        asked = texts(look.wanted.inputs)
    else:
        questions = look.run.data.questions["test"]
        some = questions[:: max(1, len(questions) // SHOWN)][:SHOWN]
        asked = [f"{question.question} ||| {question.passage}".replace("\t", " ") for question in some]
        right = [[text for text, _ in question.answers] for question in some]
    if not asked:
        raise NotShown("there is no question to show")
    prepared = look.run.prepare(asked)
    answered = task.report.answers(prepared, 1)
    device = device_of(look)
    inputs = prepared.inputs._replace(values=prepared.inputs.values.to(device), lengths=prepared.inputs.lengths.to(device))  # fmt: skip
    scores, firsts, lasts = best_spans(task.scores(inputs, prepared.places[:, 0].to(device)), task.answer_length, SPANS)
    drawn = []
    for row, (text, passage) in enumerate(zip(asked, prepared.passages, strict=True)):
        of = [number for number, window in enumerate(prepared.windows) if window.row == row]
        chances = scores[of].flatten().softmax(0).view(len(of), -1).cpu()
        weight = [0.0] * len(passage)
        for place, number in enumerate(of):
            window = prepared.windows[number]
            for chance, first, last in zip(chances[place].tolist(), firsts[number].tolist(), lasts[number].tolist(), strict=True):  # fmt: skip
                if not chance:  # a short passage has fewer answers
                    continue
                start, end = window.spans[first - window.begins][0], window.spans[last - window.begins][1]
                for letter in range(start, end):
                    weight[letter] += chance
        answer = answered[row]["answers"][0]
        spot = passage.find(answer["answer"]) if answer["answer"] else -1
        words, at = [], 0
        for number, word in enumerate(passage.split()[:WORDS]):
            start = passage.index(word, at)
            at = start + len(word)
            inside = spot <= start < spot + len(answer["answer"]) if spot >= 0 else False
            words.append(Word(word, max(weight[start:at]), inside, number > 0))
        answer_text = answer["answer"] or "no answer"
        remark = f"→ {answer_text} ({answer['probability']:.0%})"
        if right:
            remark += f"; right: {' or '.join(dict.fromkeys(right[row])) or 'no answer'}"
        drawn.append((text.replace("\t", "|||").split("|||")[0].strip(), words, remark))
    figure = marked_text(drawn, title="Answers in their passages", note="marked where an answer is looked for, underlined the best")  # fmt: skip
    caption = "Each word is as dark as it is likely to be in the answer; the best answer is underlined."
    yield Picture("answers", "Answers in their passages", caption, figure)


PANELS = (Panel("answers", "The answer in its passage", answers),)

"""Question answering: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from experiments.tasks.parts.spans import AnswerSpan, best_spans, text_of
from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.question_answering import QuestionAnswering


class QuestionAnsweringReport(Report):
    """Tells of a run of `QuestionAnswering`."""

    task: QuestionAnswering

    def details(self) -> dict[str, Any]:
        """Return some questions of the last test: what was answered, and what is right."""
        return {"answers": self.task.shown} if self.task.shown else {}

    def predict(self, inputs: Any) -> list[str]:
        """Return the best answer to each question; nothing where it has none."""
        return [answer["answers"][0]["answer"] for answer in self.answers(inputs, 1)]

    @torch.no_grad()
    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the best answers to each question with their probabilities among the answers of all its windows."""
        on = self.task.device
        scores = self.task.scores(inputs.inputs._replace(values=inputs.inputs.values.to(on), lengths=inputs.inputs.lengths.to(on)),
                             inputs.places[:, 0].to(on))  # fmt: skip
        best, firsts, lasts = best_spans(scores, self.task.answer_length, top + 4)
        rows = inputs.places[:, 1].tolist()
        by_passage: list[dict[str, float]] = [{} for _ in inputs.passages]
        for number, row in enumerate(rows):
            for score, first, last in zip(
                best[number].tolist(), firsts[number].tolist(), lasts[number].tolist(), strict=True
            ):
                if score > -float("inf"):
                    text = text_of(AnswerSpan(score, number, first, last), inputs.windows, inputs.passages[row])
                    by_passage[row][text] = max(score, by_passage[row].get(text, -float("inf")))
        if self.task.spec.unanswerable:
            for row, by_text in enumerate(by_passage):
                none = [float(scores[n, 0].sum()) for n, of in enumerate(rows) if of == row]
                by_text[""] = min(none) - self.task.no_answer
        answers = []
        for by_text in by_passage:
            ordered = sorted(by_text.items(), key=lambda pair: -pair[1])
            chances = torch.tensor([score for _, score in ordered]).softmax(0).tolist()
            listed = [
                {"answer": text, "probability": chance}
                for (text, _), chance in zip(ordered[:top], chances, strict=False)
            ]
            answers.append({"answers": listed or [{"answer": "", "probability": 1.0}]})
        return answers

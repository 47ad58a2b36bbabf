"""Question answering: where in a passage does the answer stand, if it has one?

Devlin et al., "BERT" (2019): each token of the passage gets a score for being the first of the answer and one for being the
last; the first token of all stands for "no answer". Long passages come in windows that overlap: the best answer of all
windows counts, and none where every window says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.errors import UserError
from experiments.spec import QuestionSpec
from experiments.tasks.base import Task
from experiments.tasks.parts.answer_scores import exact_match, overlap
from experiments.tasks.parts.spans import AnswerSpan, best_spans, text_of
from experiments.tasks.report import Report
from experiments.tasks.reports.question_answering import QuestionAnsweringReport

SAMPLES = 8  # test questions in the record


class QuestionAnswering(Task):
    """Cross-entropy of the first and the last token of the answer; exact match and F1, from 0 to 100, of whole answers.

    Args:
        model: gives two scores a token, `Sequences` -> (B, T, 2).
        spec: a `QuestionSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        answer_length: tokens of an answer, at most.
        no_answer: how much better "no answer" must be than the best answer to be said, where some questions have none.

    Raises:
        UserError: when the data asks no questions, or an answer may have no token.
    """

    report_class: type[Report] = QuestionAnsweringReport
    test_keys: tuple[str, ...] = ("answer_length", "no_answer")

    monitor = ("val/f1", "max")
    cacheable = True  # beside what the model makes of them, windows are asked for their lengths alone

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, answer_length: int, no_answer: float
    ) -> None:
        if not isinstance(spec, QuestionSpec):
            raise UserError("task=question_answering needs questions with passages: take data=squad")
        if isinstance(answer_length, bool) or not isinstance(answer_length, int) or answer_length < 1:
            raise UserError(f"task.answer_length={answer_length} must be 1 or more: try task.answer_length=30")
        super().__init__(model, spec, optimizer, scheduler)
        self.answer_length, self.no_answer = answer_length, no_answer
        self._spans: dict[int, list[AnswerSpan]] = {}  # of each question of the split that is evaluated
        self._none: dict[int, float] = {}  # likewise the least score of "no answer"
        self.shown: list[dict[str, Any]] = []

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": 2, "every_step": True}

    def metric_names(self, split: str) -> list[str]:
        return [f"{split}/{name}" for name in ("loss", "exact_match", "f1")]

    def scores(self, inputs: Any, begins: Tensor) -> Tensor:
        """(B, T, 2) scores of first and last token; minus infinity for all but the passage and the first token of all.

        Args:
            inputs: (B, T) tokens.
            begins: (B,) number of the passage's first token.
        """
        scores = self.model(inputs).float()
        places = torch.arange(scores.shape[1], device=begins.device)
        end = inputs.lengths - 1  # what a tokenizer puts behind a passage is one token
        inside = (places >= begins[:, None]) & (places < end[:, None])
        inside[:, 0] = True
        return scores.masked_fill(~inside[..., None], -torch.inf)

    def step(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Windows, and (B, 5) int64: the answer's first and last token, the passage's first, the question and the window."""
        inputs, target = batch
        scores = self.scores(inputs, target[:, 2])
        loss = F.cross_entropy(scores[..., 0], target[:, 0]) + F.cross_entropy(scores[..., 1], target[:, 1])
        return loss / 2, scores, target

    def _evaluate(self, split: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        loss, scores, target = self.step(batch)
        self.sums[split].add(len(target), loss=loss)
        self._collect(scores, target[:, 3].tolist(), target[:, 4].tolist())
        return loss, scores, target

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return {"loss": super().test_step(batch, batch_idx)["loss"]}

    def _collect(self, scores: Tensor, rows: Sequence[int], windows: Sequence[int]) -> None:
        best, firsts, lasts = best_spans(scores, self.answer_length, 1)
        none = (scores[:, 0, 0] + scores[:, 0, 1]).tolist()
        for place, row in enumerate(rows):
            span = AnswerSpan(float(best[place, 0]), windows[place], int(firsts[place, 0]), int(lasts[place, 0]))
            self._spans.setdefault(row, []).append(span)
            self._none[row] = min(self._none.get(row, none[place]), none[place])

    def on_validation_epoch_start(self) -> None:
        self._begin()

    def on_test_epoch_start(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._spans, self._none = {}, {}

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log_dict({f"val/{name}": value for name, value in self._judge("validation").items()})

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        self.log_dict({f"test/{name}": value for name, value in self._judge("test").items()})

    def _judge(self, split: str) -> dict[str, float]:
        """Exact match and F1, from 0 to 100, over the questions that all processes have seen."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        spans, none = self._spans, self._none
        if self.trainer.world_size > 1:
            gathered: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, (spans, none))
            spans, none = {}, {}
            for spans_by_row, other in gathered:
                for row, row_spans in spans_by_row.items():
                    spans.setdefault(row, []).extend(row_spans)
                    none[row] = min(none.get(row, other[row]), other[row])
        if not spans:
            return {"exact_match": 0.0, "f1": 0.0}
        questions, windows = data.questions[split], data.windows[split]
        answers_given = {
            row: self._answer(spans[row], none[row], windows, questions[row].passage) for row in sorted(spans)
        }
        right = {row: [text for text, _ in questions[row].answers] for row in answers_given}
        if split == "test":
            rows = list(answers_given)
            shown = rows[:: max(1, len(rows) // SAMPLES)][:SAMPLES]
            self.shown = [
                {
                    "question": questions[row].question,
                    "answer": answers_given[row],
                    "right": list(dict.fromkeys(right[row])),
                }
                for row in shown
            ]
        count = len(answers_given)
        return {
            "exact_match": 100 * sum(exact_match(answers_given[row], right[row]) for row in answers_given) / count,
            "f1": 100 * sum(overlap(answers_given[row], right[row]) for row in answers_given) / count,
        }

    def _answer(self, spans: Iterable[AnswerSpan], none: float, windows: Sequence[Any], passage: str) -> str:
        best = max(spans, key=lambda span: span.score)
        if self.spec.unanswerable and none > best.score + self.no_answer:
            return ""
        return text_of(best, windows, passage)

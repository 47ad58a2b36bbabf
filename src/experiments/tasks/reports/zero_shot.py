"""Zero-shot classification: as of classification, and the sentences that labels were judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.errors import UserError
from experiments.tasks.reports.classification import ClassificationReport

if TYPE_CHECKING:
    from experiments.tasks.zero_shot import ZeroShot


class ZeroShotReport(ClassificationReport):
    """Tells of a run of `ZeroShot`."""

    task: ZeroShot

    def predict(self, inputs: Any) -> Tensor:
        """Probabilities of the labels, (B, num_classes)."""
        return self.task.scores(inputs).softmax(1)

    def details(self) -> dict[str, Any]:
        """As of classification, and the sentences with their tokens."""
        settings = {"by": self.task.by, "sentences": self.task.sentences, "tokens": self.task.tails}
        return super().details() | {"zero_shot": settings}

    def recall(self, record: Mapping[str, Any]) -> None:
        """Takes the tokens of the sentences from the record of a finished run.

        Raises:
            UserError: they are no lists of numbers.
        """
        kept = record.get("zero_shot") or {}
        tails = kept.get("tokens", []) if isinstance(kept, dict) else [kept]
        if not isinstance(tails, list) or not all(
            isinstance(tokens, list) and all(type(token) is int and token >= 0 for token in tokens) for tokens in tails
        ):
            raise UserError("zero_shot.tokens of record.json are damaged: restore it from a copy, or train again")
        self.task.tails = [list(tokens) for tokens in tails]

"""Zero-shot classification: as of classification, and the sentences that labels were judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

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
        """Takes the tokens of the sentences from the record of a finished run."""
        self.task.tails = [list(tokens) for tokens in (record.get("zero_shot") or {}).get("tokens", [])]

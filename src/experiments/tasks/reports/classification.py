"""Classification: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.classification import Classification


class ClassificationReport(Report):
    """Tells of a run of `Classification`."""

    task: Classification

    def predict(self, inputs: Any) -> Tensor:
        """Class probabilities (B, num_classes)."""
        return self.task.model(inputs).softmax(1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the most probable classes of each input."""
        names = self.task.spec.classes
        probabilities, order = self.predict(inputs).float().topk(min(top, len(names)), dim=1)
        return [
            {"classes": [{"class": names[i], "probability": p} for p, i in zip(best, indices, strict=True)]}
            for best, indices in zip(probabilities.tolist(), order.tolist(), strict=True)
        ]

    def details(self) -> dict[str, Any]:
        """Per class: precision, recall, F1 and the number of test examples; and the confusion matrix."""
        if self.task.confusion is None:
            return {}
        counts = self.task.confusion.double()
        right, true, guessed = counts.diag(), counts.sum(1), counts.sum(0)
        columns = {
            "precision": right / guessed.clamp(min=1),
            "recall": right / true.clamp(min=1),
            "f1": 2 * right / (true + guessed).clamp(min=1),
        }
        per_class = {
            name: {key: round(column[index].item(), 6) for key, column in columns.items()}
            | {"examples": int(true[index])}
            for index, name in enumerate(self.task.spec.classes)
        }
        return {"per_class": per_class, "confusion": self.task.confusion.tolist()}

"""Similarity: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.report import Report

if TYPE_CHECKING:
    from experiments.tasks.similarity import Similarity


class SimilarityReport(Report):
    """Tells of a run of `Similarity`."""

    task: Similarity

    def predict(self, inputs: Any) -> Tensor:
        """Cosines (B,) of pairs."""
        vectors = self.task.vectors(inputs)
        return (vectors[:, 0] * vectors[:, 1]).sum(1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the cosine of each pair, and the number it stands for."""
        cosines = self.predict(inputs).float().tolist()
        graded = [{"number": cosine * self.task.highest} if self.task.graded else {} for cosine in cosines]
        return [{"cosine": cosine, **more} for cosine, more in zip(cosines, graded, strict=True)]

"""Similarity of texts: one vector a text, compared by its cosine.

Reimers and Gurevych, "Sentence-BERT: sentence embeddings using siamese BERT-networks" (2019); for pairs without a number,
each text is to find its partner among those of the batch (Henderson et al., "Efficient natural language response
suggestion for smart reply", 2017).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.batches import Sequences
from experiments.errors import UserError
from experiments.spec import TextSpec
from experiments.tasks.base import Task
from experiments.tasks.parts.correlation import Correlation, Retrieval
from experiments.tasks.report import Report
from experiments.tasks.reports.similarity import SimilarityReport


class Similarity(Task):
    """Squared error of the cosine; Pearson's and Spearman's coefficients. Without numbers: cross-entropy of the partner
    among the batch, and `retrieval`, the share of texts whose partner is the nearest of the whole part.

    Args:
        model: gives vectors, `Sequences` -> (B, D).
        spec: a spec of pairs that come apart.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        highest: the number of two texts that say the same.
        temperature: the cosines are divided by it before the cross-entropy.

    Raises:
        UserError: when the data gives no pairs, or a value is out of its range.
    """

    report_class: type[Report] = SimilarityReport
    test_keys: tuple[str, ...] = ("highest", "temperature")
    cacheable = True

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, highest: float, temperature: float
    ) -> None:
        if not (isinstance(spec, TextSpec) and spec.apart):
            raise UserError(
                "task=similarity compares two texts and the data gives one: take data=stsb or sentence_pairs"
            )
        for key, value in (("highest", highest), ("temperature", temperature)):
            if value <= 0:
                raise UserError(f"task.{key}={value} must be above 0: try task.{key}={5 if key == 'highest' else 0.05}")
        self.graded = bool(spec.values)
        super().__init__(model, spec, optimizer, scheduler)
        self.highest, self.temperature = highest, temperature
        self.monitor = ("val/spearman", "max") if self.graded else ("val/retrieval", "max")

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": 0}

    def make_metrics(self) -> MetricCollection:
        if self.graded:
            return MetricCollection(
                {"pearson": Correlation(False), "spearman": Correlation(True)}, compute_groups=False
            )
        return MetricCollection({"retrieval": Retrieval()})

    def step(self, batch: tuple[Sequences, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """`Sequences` of all first texts and then all second ones (2B, T), and numbers (B, 1), which may be unused."""
        inputs, target = batch
        vectors = self.vectors(inputs)  # (B, 2, D)
        if self.graded:
            cosine = (vectors[:, 0] * vectors[:, 1]).sum(1, keepdim=True)  # (B, 1)
            return F.mse_loss(cosine, target.to(cosine.dtype) / self.highest), cosine, target
        scores = vectors[:, 0] @ vectors[:, 1].T / self.temperature  # (B, B)
        partner = torch.arange(len(scores), device=scores.device)
        loss = (F.cross_entropy(scores, partner) + F.cross_entropy(scores.T, partner)) / 2
        return loss, vectors, partner

    def vectors(self, inputs: Sequences) -> Tensor:
        """Unit vectors of both texts of each pair: (2B, T) -> (B, 2, D)."""
        unit = F.normalize(self.model(inputs), dim=1)
        return torch.stack(unit.chunk(2), dim=1)

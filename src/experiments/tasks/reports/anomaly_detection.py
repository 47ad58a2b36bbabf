"""Anomaly detection: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from experiments.errors import UserError
from experiments.tasks.parts.image_similarity import mse
from experiments.tasks.parts.media import error_map, picture
from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from experiments.tasks.anomaly_detection import AnomalyDetection


class AnomalyDetectionReport(AutoencodingReport):
    """Tells of a run of `AnomalyDetection`."""

    task: AnomalyDetection

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Return the score of each image, whether it lies above the threshold of the run's test, where that was
        reached, the reconstruction, and its distance from the image, 0 to 1, as a heat map.
        """
        clean, restored = self.task.pixels(inputs), self.predict(inputs)
        threshold = self.task.examined.get("threshold")
        answers: list[dict[str, Any]] = []
        for score, rebuilt, heat in zip(
            mse(restored, clean).tolist(), restored, heated(error_map(restored, clean)), strict=True
        ):
            told = {} if threshold is None else {"threshold": threshold, "anomalous": score > threshold}
            answers.append({"score": score, **told, "reconstruction": picture(rebuilt), "heat": picture(heat)})
        return answers

    def recall(self, record: Mapping[str, Any]) -> None:
        """Takes the threshold from the record of a finished run.

        Raises:
            UserError: it is no number.
        """
        threshold = record.get("threshold", 0.0)
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
            raise UserError("threshold of record.json is damaged: restore it from a copy, or train again")
        self.task.examined = {key: record[key] for key in ("threshold",) if key in record}


def heated(values: Tensor) -> Tensor:
    """Values from 0 to 1 as colours from black over red to yellow: (B, 1, H, W) -> (B, 3, H, W)."""
    return torch.cat([(3 * values).clamp(0, 1), (3 * values - 1).clamp(0, 1), (3 * values - 2).clamp(0, 1)], dim=1)

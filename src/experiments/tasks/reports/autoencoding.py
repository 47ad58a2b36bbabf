"""Autoencoding: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.tasks.autoencoding import Autoencoding


class AutoencodingReport(Report):
    """Tells of a run of `Autoencoding`."""

    task: Autoencoding

    def embedding(self) -> tuple[Tensor, list[str], Tensor | None] | None:
        test = self.task.sample("test", 1000) if self.task.medium.classes else None
        if test is None:
            return None
        return (
            self.task.codes(test.inputs),
            [self.task.spec.classes[label] for label in test.labels.tolist()],
            test.pixels,
        )

    def details(self) -> dict[str, Any]:
        return dict(self.task.examined)

    def figures(self) -> dict[str, Callable[[], Figure | None]]:
        return dict(self.task.drawn)

    def predict(self, inputs: Any) -> Tensor:
        """Pixels from 0 to 1, (B, C, H, W), or windows (B, history, C) in the units of the data."""
        return self.task.medium.outputs(self.task.model(self.task.medium.inputs(inputs)))

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Errors of each image and its reconstruction as a picture; of windows as a table besides."""
        return self.task.medium.answers(self.task.pixels(self.task.medium.inputs(inputs)), self.predict(inputs))

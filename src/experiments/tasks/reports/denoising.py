"""Denoising: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.tasks.parts.image_similarity import mse
from experiments.tasks.parts.media import picture
from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from experiments.tasks.denoising import Denoising


class DenoisingReport(AutoencodingReport):
    """Tells of a run of `Denoising`."""

    task: Denoising

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Images are taken to be noisy already: what the model makes of them, and how much it changed."""
        noisy, restored = self.task.pixels(inputs), self.predict(inputs)
        changes = mse(restored, noisy).sqrt().tolist()
        return [{"change": change, "denoised": picture(image)} for change, image in zip(changes, restored, strict=True)]

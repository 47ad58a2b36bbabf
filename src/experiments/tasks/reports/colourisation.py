"""Colourisation: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from experiments.tasks.parts.image_similarity import colourfulness
from experiments.tasks.parts.media import picture
from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from experiments.tasks.colourisation import Colourisation


class ColourisationReport(AutoencodingReport):
    """Tells of a run of `Colourisation`."""

    task: Colourisation

    def predict(self, inputs: Tensor) -> Tensor:
        """Colours for the brightness of images, pixels from 0 to 1, (B, 3, H, W)."""
        return self.task.colours(inputs)[0].clamp(0, 1)

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """Tell how colourful each image has become, and the picture."""
        done = self.predict(inputs)
        return [{"colourfulness": colourfulness(image[None]), "coloured": picture(image)} for image in done]

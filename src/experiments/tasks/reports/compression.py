"""Compression: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from experiments.tasks.compression import Compression


class CompressionReport(AutoencodingReport):
    """Tells of a run of `Compression`."""

    task: Compression

    def predict(self, inputs: Tensor) -> Tensor:
        """Pixels from 0 to 1 out of quantised codes, (B, C, H, W)."""
        return self.task.model.decoder(self.task.quantised(self.task.encode(inputs)[0], self.task.width))

"""Variational: details for the record, pictures of the test, and answers for single inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.tasks.parts.normal_distributions import divergence
from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from experiments.tasks.variational import Variational


class VariationalReport(AutoencodingReport):
    """Tells of a run of `Variational`."""

    task: Variational

    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        """As in `Autoencoding`, with the divergence of each image's posterior, in nats."""
        rows = super().answers(inputs, top)
        mean, log_variance = self.task.model.latent.posterior(self.task.model.encoder(inputs))
        return [{"kl": kl, **row} for kl, row in zip(divergence(mean, log_variance).sum(1).tolist(), rows, strict=True)]

"""Learning from what an expert did: behaviour cloning (Pomerleau, 1991, "Efficient training of artificial neural networks
for autonomous navigation")."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchmetrics import MeanAbsoluteError, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from experiments.contracts import LetsPlay, MeasuresMoments
from experiments.tasks.base import Task
from experiments.tasks.parts.control import Acting


class Imitation(Acting):
    """The probability of the expert's actions is raised; where there is an environment, the policy is tried in it.

    Reports the loss, the accuracy of choices or the mean absolute error of continuous actions, and the return of
    episodes that the policy plays by itself. What it sees there differs from what the expert saw as soon as it errs, so
    that a low loss alone says little. The value is not learned.
    """

    monitor = ("val/loss", "min")

    def setup(self, stage: str) -> None:
        data = self.attached_data
        if isinstance(data, LetsPlay):
            data.attend(self)

    def on_fit_start(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.normalise is not None and not self.normalise.observed.count and isinstance(data, MeasuresMoments):
            count, mean, var = data.moments()
            self.normalise.observed.update(count, mean.to(self.device), var.to(self.device))

    def make_metrics(self) -> MetricCollection:
        if self.spec.discrete:
            choices = max(2, len(self.spec.actions))
            return MetricCollection({"accuracy": MulticlassAccuracy(choices, average="micro", validate_args=False)})
        return MetricCollection({"error": MeanAbsoluteError()})

    def metric_names(self, split: str) -> list[str]:
        played = super().metric_names(split) if self.spec.environment else []
        return [*Task.metric_names(self, split), *played]

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Observations (B, F) and actions (B,) or (B, A); of whole episodes (B, T, …), with a mask (B, T)."""
        observations, target, *mask = batch
        decisions = self.decide(observations, observations.new_zeros(len(observations), self.memory))
        parameters, value = decisions.action, decisions.value
        if mask:
            parameters, value, target = parameters[mask[0]], value[mask[0]], target[mask[0]]
        loss = -self.distribution.log_prob(parameters, self.distribution.own(target)).mean()
        loss = loss + 0.0 * value.sum()  # processes that learn together want a gradient of everything
        if self.spec.discrete:
            return loss, parameters, target
        chosen = self.distribution.taken(self.distribution.choose(parameters, None)).to(target.device)
        return loss, chosen, target

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        if self.spec.discrete:
            return {"accuracy": prediction.argmax(-1).eq(target).sum()}
        return {"error": (prediction - target).abs().mean(-1).sum()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        if isinstance(batch, Tensor):
            super().validation_step(batch, batch_idx)
        else:
            self._evaluate("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        if isinstance(batch, Tensor):
            return super().test_step(batch, batch_idx)
        loss, prediction, target = self._evaluate("test", batch)
        return {"loss": loss, "prediction": prediction, "target": target}

"""Learning from one's own actions: proximal policy optimisation (Schulman et al., 2017)."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from experiments.contracts import LetsPlay
from experiments.errors import UserError
from experiments.tasks.parts.control import Acting
from experiments.tasks.report import Report
from experiments.tasks.reports.policy_gradient import PolicyGradientReport


class PolicyGradient(Acting):
    """PPO: the clipped objective, generalised advantages (Schulman et al., 2016), a value loss, and entropy.

    Observations are normalised by what has been seen so far, rewards are divided by the deviation of the discounted
    return; both travel with the model. An epoch is as many rollouts as the data say. `train/return` is that of the last
    episodes, with random actions; `val/return` and `test/return` are of the best actions.

    Args:
        model: gives `Decisions` of observations.
        spec: a `ControlSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        distribution: as in `Acting`.
        passes: over each rollout.
        discount: of rewards that come a step later.
        trace: lambda of the advantages: 0 trusts the values, 1 the rewards.
        clip: how far the chance of an action may move before its gradient stops, as a share.
        entropy: weight of the policy's entropy, which keeps it trying.
        value_weight: of the value loss.
        max_gradient: norm to which gradients are clipped where the Trainer does not say; None never.

    Raises:
        UserError: when a value is out of range.
    """

    report_class: type[Report] = PolicyGradientReport

    monitor = ("val/return", "max")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        distribution: str | None,
        passes: int,
        discount: float,
        trace: float,
        clip: float,
        entropy: float,
        value_weight: float,
        max_gradient: float | None,
    ) -> None:
        super().__init__(model, spec, optimizer, scheduler, distribution=distribution)
        if passes < 1:
            raise UserError(f"task.passes={passes} must be 1 or more: try task.passes=10")
        for key, value in (("discount", discount), ("trace", trace)):
            if not 0 <= value <= 1:
                raise UserError(f"task.{key}={value} must lie between 0 and 1: try task.{key}=0.95")
        if clip <= 0:
            raise UserError(f"task.clip={clip} must be above 0: try task.clip=0.2")
        self.passes, self.discount, self.trace, self.clip = passes, discount, trace, clip
        self.entropy, self.value_weight, self.max_gradient = entropy, value_weight, max_gradient
        self._moments: list[Tensor] = []  # of the rollout that is learned from, not yet part of the model's
        self.history: list[dict[str, float]] = []  # a row an epoch: steps, and the returns
        self.seconds = 0.0
        self._since: float | None = None

    def setup(self, stage: str) -> None:
        if stage == "fit":
            data = self.attached_data
            if not isinstance(data, LetsPlay):
                raise UserError("task=policy_gradient learns from what it does: choose data=control")
            data.attend(self)

    # Before learning from a rollout

    @torch.no_grad()
    def study(self, rollout: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log-probabilities, advantages, targets and values of a rollout, (T, N) each, on the CPU."""
        steps, count = rollout.rewards.shape
        statistics = self.normalise
        self._moments = self._moments_of(rollout.observations.flatten(0, 1))
        if statistics is not None and statistics.training and not statistics.observed.count:
            # Nothing was known when these actions were chosen, and the first policy chooses almost evenly anyway.
            self._settle()
        decisions = self._decide_all(rollout.observations.flatten(0, 1), rollout.states.flatten(0, 1))
        log_prob = self.distribution.log_prob(decisions.action.float().cpu(), rollout.actions.flatten(0, 1))
        value = decisions.value.float().cpu().view(steps, count)
        beyond = self._decide_all(rollout.beyond, rollout.beyond_states).value.float().cpu()
        following = torch.cat([value[1:], beyond[None, len(beyond) - count :]])
        following[rollout.ended] = 0.0
        following.view(-1)[rollout.cut] = beyond[: len(rollout.cut)]
        rewards = rollout.rewards / self._scale(rollout)
        errors = rewards + self.discount * following - value
        goes_on = (~rollout.ended).float() * (self.discount * self.trace)
        advantage = torch.empty_like(errors)
        last = torch.zeros(count)
        for step in range(steps - 1, -1, -1):
            last = errors[step] + goes_on[step] * last
            advantage[step] = last
        return log_prob.view(steps, count), advantage, advantage + value, value

    def _decide_all(self, observations: Tensor, states: Tensor) -> Any:
        return self.decide(observations.to(self.device), states.to(self.device))

    def _scale(self, rollout: Any) -> float:
        """Return the deviation of the discounted return, that of this rollout included."""
        returns = torch.empty_like(rollout.rewards)
        running = torch.zeros(rollout.rewards.shape[1])
        for step, (reward, ended) in enumerate(zip(rollout.rewards, rollout.ended, strict=True)):
            running = running * self.discount + reward
            returns[step] = running
            running = running.masked_fill(ended, 0.0)
        statistics = self.normalise
        if statistics is None:
            return 1.0
        if statistics.training:
            statistics.returns.update(*self._moments_of(returns.view(-1, 1)))
        return float(statistics.returns.var.clamp(min=1e-8).sqrt())

    def _moments_of(self, rows: Tensor) -> Any:
        """Count, mean and variance of rows (R, F) of all processes."""
        rows = rows.to(self.device)
        sums = torch.cat([rows.new_tensor([len(rows)]).double(), rows.double().sum(0), rows.double().square().sum(0)])
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(sums)
        mean, square = (sums[1:] / sums[0]).chunk(2)
        return [float(sums[0]), mean.float(), (square - mean.square()).clamp(min=0).float()]

    def _settle(self) -> None:
        """Makes what the last rollout showed part of what observations are normalised by."""
        statistics = self.normalise
        if self._moments and statistics is not None and statistics.training:
            statistics.observed.update(*self._moments)
        self._moments = []

    # Learning from it

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor | None:
        observations, actions, log_prob, advantage, target, _, state, mask = batch
        if self.memory:
            decisions = self.decide(observations, state)
            parameters, value = decisions.action[mask], decisions.value[mask]
            actions, log_prob, advantage, target = (tensor[mask] for tensor in (actions, log_prob, advantage, target))
        else:
            parameters, value, _ = self.decide(observations, state)
        now, entropy = self.distribution.log_prob_and_entropy(parameters, actions)
        if len(advantage) > 1:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        change = now - log_prob
        ratio = change.exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage).mean()
        value_loss = 0.5 * (value - target).square().mean()
        entropy = entropy.mean()
        loss = self.value_weight * value_loss - gain - self.entropy * entropy
        count = len(advantage)
        with torch.no_grad():
            kl = (ratio - 1 - change).mean()  # Schulman's estimate, which is never negative
            self.sums["train"].add(
                count, loss.detach(), policy_loss=-gain * count, value_loss=value_loss * count,
                entropy=entropy * count, kl=kl * count,
            )  # fmt: skip
        return loss if self.learns else None

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        a_rollout = self._collected().batches * self.passes
        if (batch_idx + 1) % a_rollout == 0:
            self._settle()

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        if gradient_clip_val is None and self.max_gradient is not None:
            groups = optimizer.param_groups  # in place of a walk through all modules
            nn.utils.clip_grad_norm_(
                [parameter for group in groups for parameter in group["params"]], self.max_gradient
            )
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _collected(self) -> Any:
        return self.trainer.datamodule.collected  # type: ignore[attr-defined]

    def on_train_epoch_start(self) -> None:
        self._since = time.perf_counter()

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self._rest()

    def on_validation_end(self) -> None:
        super().on_validation_end()
        self._since = time.perf_counter()

    def _rest(self) -> None:
        """Stops the clock of training."""
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
        self._since = None

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self._rest()
        recent = torch.tensor(list(self._collected().recent), dtype=torch.float64, device=self.device)
        sums = torch.stack([recent.sum(), recent.new_tensor(len(recent))])
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(sums)
        row = {"steps": float(self.steps)}
        if sums[1]:
            row["train"] = float(sums[0] / sums[1])
            self.log("train/return", torch.tensor(row["train"]))
        if "val/return" in self.trainer.callback_metrics:
            row["val"] = float(self.trainer.callback_metrics["val/return"])
        self.history.append(row)

    @property
    def steps(self) -> int:
        """Steps of all environments so far."""
        collected = self._collected()
        if collected is None:
            return 0
        return collected.done * collected.steps * collected.simulation.count * self.trainer.world_size

    # What a run reports

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["policy_gradient"] = {"history": self.history, "seconds": self.seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        kept = checkpoint.get("policy_gradient", {})
        self.history, self.seconds = list(kept.get("history", [])), kept.get("seconds", 0.0)

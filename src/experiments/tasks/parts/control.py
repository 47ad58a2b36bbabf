"""What every task with a policy shares: acting, what its actions mean, and the episodes of validation and test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from experiments.batches import Decisions, Observations
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.report import Report
from experiments.tasks.reports.control import ActingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_LOG_STD, MOST_LOG_STD = -5.0, 2.0
_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_GRID = 81  # points a side of the picture of a policy


class Acted(NamedTuple):
    """What a policy did: `action` in its own units, `taken` as the environment takes it, and the `state` it is in now."""

    action: Tensor
    taken: np.ndarray
    state: Tensor


class Categorical:
    """One of several choices, from logits (…, A)."""

    def choose(self, parameters: Tensor, noise: Tensor | None) -> Tensor:
        """Map (N, A) -> (N,): the likeliest, or with Gumbel noise (N, A) a random one by its probability."""
        return (parameters if noise is None else parameters + noise).argmax(-1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        return parameters.log_softmax(-1).gather(-1, action[..., None])[..., 0]

    def log_prob_and_entropy(self, parameters: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        chances = parameters.log_softmax(-1)
        return chances.gather(-1, action[..., None])[..., 0], -(chances.exp() * chances).sum(-1)

    def taken(self, action: Tensor) -> Tensor:
        return action

    def own(self, taken: Tensor) -> Tensor:
        return taken


class Gaussian:
    """A vector of independent entries, from means and logarithms of deviations (…, 2·A).

    The policy's own units are those in which -1 and 1 are the limits of an entry; without limits, the environment's.

    Args:
        low: limits as the environment has them; empty without.
        high: likewise.
    """

    def __init__(self, low: tuple[float, ...], high: tuple[float, ...]) -> None:
        self.limits = (torch.tensor(low), torch.tensor(high)) if low else None

    def choose(self, parameters: Tensor, noise: Tensor | None) -> Tensor:
        """Map (N, 2·A) -> (N, A): the mean, or with normal noise (N, A) a random action."""
        mean, log_std = parameters.chunk(2, -1)
        return mean if noise is None else mean + noise * log_std.clamp(LEAST_LOG_STD, MOST_LOG_STD).exp()

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        mean, log_std = parameters.chunk(2, -1)
        log_std = log_std.clamp(LEAST_LOG_STD, MOST_LOG_STD)
        return (-0.5 * ((action - mean) * (-log_std).exp()).square() - log_std - _HALF_LOG_TAU).sum(-1)

    def log_prob_and_entropy(self, parameters: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        log_std = parameters.chunk(2, -1)[1].clamp(LEAST_LOG_STD, MOST_LOG_STD)
        return self.log_prob(parameters, action), (log_std + 0.5 + _HALF_LOG_TAU).sum(-1)

    def taken(self, action: Tensor) -> Tensor:
        if self.limits is None:
            return action
        low, high = self.limits
        return low + (action.cpu().clamp(-1, 1) + 1) / 2 * (high - low)

    def own(self, taken: Tensor) -> Tensor:
        if self.limits is None:
            return taken
        low, high = (bound.to(taken.device) for bound in self.limits)
        return ((taken - low) / (high - low) * 2 - 1).clamp(-1, 1)


class EpisodeResults:
    """Returns, lengths and successes of whole episodes; processes may have unequally many, and one of them none."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, float, float]] = []

    def add(self, numbers: Tensor, played: Any) -> None:
        """Adds episodes by their numbers."""
        columns = (played.returns, played.lengths, played.successes)
        self._rows += list(zip(numbers.tolist(), *(column.tolist() for column in columns), strict=True))

    def take(self, world: int) -> dict[str, Tensor]:
        """Return those of all processes, in the order of their numbers, (E,) each; nothing is kept."""
        several: list[Any] = [self._rows]
        if world > 1:
            several = [None] * world
            torch.distributed.all_gather_object(several, self._rows)
        self._rows = []
        rows = sorted(row for some in several for row in some)
        columns = torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).unbind(1)
        return dict(zip(("numbers", "returns", "lengths", "successes"), columns, strict=True))


def half_interval(values: Tensor) -> float:
    """Half the width of the 95 % interval of a mean, by Student's t."""
    if len(values) < 2:
        return math.nan
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 0.975) * values.std() / len(values) ** 0.5)


class Acting(Task):
    """Base of tasks with a policy: a batch of validation or test is numbers of episodes, which the data have it play.

    Args:
        model: gives `Decisions` of observations.
        spec: a `ControlSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        distribution: of the actions: `categorical`, `gaussian`, or None for what the environment asks for.

    Raises:
        UserError: when the distribution does not fit the actions.
    """

    report_class: type[Report] = ActingReport

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Any, scheduler: Any, *, distribution: str | None
    ) -> None:
        if misfit := spec.misfit(distribution):
            raise UserError(misfit)
        super().__init__(model, spec, optimizer, scheduler)
        self.distribution: Categorical | Gaussian = Categorical() if spec.discrete else Gaussian(spec.low, spec.high)
        self.memory = int(getattr(model, "memory", 0))
        self.episodes = {split: EpisodeResults() for split in ("val", "test")}
        self.tested: dict[str, Any] = {}
        self.episode: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_actions": len(spec.actions), "continuous": not spec.discrete}

    def metric_names(self, split: str) -> list[str]:
        return [f"{split}/return", f"{split}/return_interval", f"{split}/length"]

    @property
    def normalise(self) -> Any:
        """The model's stage that knows the moments of observations and returns; None where a model has none."""
        return getattr(self.model, "normalise", None)

    def decide(self, observations: Tensor, state: Tensor) -> Decisions:
        """(B, F) or (B, T, F), and the memory before (B, M)."""
        return self.model(Observations(observations, state) if self.memory else observations)

    @torch.no_grad()
    def act(self, observations: Tensor, state: Tensor, noise: Tensor | None) -> Acted:
        """Acts on (N, F), with the memory (N, M) from before; without noise (N, A), by the best action."""
        observations = observations.to(self.device)
        if not self.memory and hasattr(self.model, "act"):  # nobody asks for the value yet
            parameters = self.model.act(observations)  # type: ignore[operator]
        else:
            parameters, _, state = self.decide(observations, state.to(self.device))
            state = state.float().cpu()
        action = self.distribution.choose(parameters.float().cpu(), noise)
        return Acted(action, self.distribution.taken(action).numpy(), state)

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._play("val", batch)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:  # type: ignore[override]
        self._play("test", batch)

    def _play(self, split: str, numbers: Tensor) -> None:
        if not len(numbers):
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        played = data.play(self, {"val": "validation"}.get(split, split), numbers.tolist())
        self.episodes[split].add(numbers, played)
        if split == "test" and 0 in numbers.tolist():
            self.episode = played.trace

    def _report(self, split: str) -> None:
        super()._report(split)
        if split == "train" or not self.spec.environment:
            return
        results = self.episodes[split].take(self.trainer.world_size)
        if not len(results["returns"]):
            return
        returns = results["returns"]
        values = {"return": returns.mean(), "length": results["lengths"].mean()}
        if len(returns) > 1:
            values["return_interval"] = torch.tensor(half_interval(returns))
        if not results["successes"].isnan().any():
            values["success"] = results["successes"].mean()
        self.log_dict({f"{split}/{name}": value.float() for name, value in values.items()})
        if split == "test":
            self.tested = {"returns": returns.tolist(), "lengths": [int(length) for length in results["lengths"]]}

    def draw_episode(self, trace: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Figure:
        """Observations (T, F), actions and rewards over the steps of an episode."""
        from experiments.viz.control import episode

        return episode(*trace, self.spec.observations, self.spec.actions, self.spec.discrete)

    def draw_policy(self, observations: np.ndarray) -> Figure:
        """Return what the policy does over two observations, the others as in the middle of an episode (T, F)."""
        from experiments.viz.control import policy

        spread = observations.std(0)
        if self.normalise is not None:
            spread = spread * self.normalise.observed.scale.cpu().numpy()
        first, second = sorted(np.argsort(-spread)[:2].tolist())
        ends: list[tuple[float, float]] = []
        for axis in (first, second):
            low, high = float(observations[:, axis].min()), float(observations[:, axis].max())
            ends.append((low - 0.25 * (high - low) - 1e-3, high + 0.25 * (high - low) + 1e-3))
        across, up = (np.linspace(low, high, _GRID) for low, high in ends)
        grid = np.tile(np.median(observations, 0), (_GRID * _GRID, 1)).astype(np.float32)
        grid[:, first], grid[:, second] = np.tile(across, _GRID), np.repeat(up, _GRID)
        with torch.no_grad():
            state = torch.zeros(len(grid), self.memory, device=self.device)
            parameters = self.decide(torch.from_numpy(grid).to(self.device), state).action.float().cpu()
        if self.spec.discrete:
            shown = parameters.softmax(-1).numpy()
        else:
            shown = self.distribution.taken(self.distribution.choose(parameters, None))[:, :1].numpy()
        names = [self.spec.observations[number] for number in (first, second)]
        values = shown.reshape(_GRID, _GRID, -1)
        return policy(
            values, (ends[0], ends[1]), names, self.spec.actions, self.spec.discrete, observations[:, [first, second]]
        )

"""Policies for control: what to do, and what return to expect, from what is observed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from experiments.batches import Decisions, Observations

FAR = 10.0  # deviations from the mean beyond which an observation is cut off


class Halves(NamedTuple):
    """What passes through a policy: features (…, H) for the action, and features (…, H) for the value."""

    actor: Tensor
    critic: Tensor


class Moments(nn.Module):
    """Running mean and variance of numbers, merged by count (Chan et al., 1979)."""

    count: Tensor
    mean: Tensor
    var: Tensor
    scale: Tensor  # one over the deviation: asked in each step, and changed seldom

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("var", torch.ones(features))
        self.register_buffer("scale", torch.ones(features))

    def update(self, count: float, mean: Tensor, var: Tensor) -> None:
        """Adds what is known of `count` more rows: their mean and variance, (F,) each."""
        total = self.count + count
        apart = mean - self.mean
        spread = self.var * self.count + var * count + apart.square() * self.count * count / total
        self.mean.add_(apart * count / total)
        self.var.copy_(spread / total)
        self.scale.copy_((self.var + 1e-8).rsqrt())
        self.count.copy_(total)


class Normalise(nn.Module):
    """Observations less their running mean, over their running deviation, and cut off beyond ten of these.

    Both kinds of moments change where `PolicyGradient` updates them, never in `forward`; a frozen stage keeps them.

    Attributes:
        observed: moments of the observations.
        returns: moments of discounted returns, whose deviation scales the rewards that the values are learned from.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.observed = Moments(features)
        self.returns = Moments(1)

    def forward(self, x: Tensor | Observations) -> Tensor | Observations:
        """(…, F) -> (…, F)."""
        if isinstance(x, Observations):
            return x._replace(values=self._scaled(x.values))
        return self._scaled(x)

    def act(self, x: Tensor) -> Tensor:
        return self._scaled(x)

    def _scaled(self, values: Tensor) -> Tensor:
        statistics = self.observed
        return ((values - statistics.mean) * statistics.scale).clamp_(-FAR, FAR)


class TwinLayer(nn.Module):
    """A layer of tanh units for the action and another one for the value."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.actor, self.critic = _linear(inputs, units), _linear(inputs, units)

    def forward(self, x: Tensor | Observations | Halves) -> Halves:
        """(…, inputs), or two of them -> two (…, units)."""
        if isinstance(x, Observations):
            x = x.values
        actor, critic = (x.actor, x.critic) if isinstance(x, Halves) else (x, x)
        return Halves(torch.tanh(self.actor(actor)), torch.tanh(self.critic(critic)))

    def act(self, x: Tensor) -> Tensor:
        return torch.tanh(self.actor(x))


class SharedLayer(nn.Module):
    """A layer of tanh units that action and value share."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.linear = _linear(inputs, units)

    def forward(self, x: Tensor | Observations | Halves) -> Halves:
        """(…, inputs) -> (…, units), twice the same."""
        values = x.actor if isinstance(x, Halves) else x.values if isinstance(x, Observations) else x
        out = torch.tanh(self.linear(values))
        return Halves(out, out)

    def act(self, x: Tensor) -> Tensor:
        return torch.tanh(self.linear(x))


class PolicyEncoder(nn.Module):
    """A layer of tanh units before the memory."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.linear = _linear(inputs, units)

    def forward(self, x: Observations) -> Observations:
        """(…, inputs) -> (…, units); the state passes."""
        return x._replace(values=torch.tanh(self.linear(x.values)))


class Memory(nn.Module):
    """A gated recurrent unit over the steps (Cho et al., 2014)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, units, batch_first=True)

    def forward(self, x: Observations) -> Observations:
        """Map (B, inputs) or (B, T, inputs) -> (B, units) or (B, T, units), and the state after the last step."""
        single = x.values.ndim == 2
        out, state = self.gru(x.values[:, None] if single else x.values, x.state[None].contiguous())
        return Observations(out[:, 0] if single else out, state[0])


class ActorCritic(nn.Module):
    """The head: logits of the choices, or means and deviations of a continuous action; and the value.

    The deviations of a continuous action are parameters and do not depend on what is observed, as usual with PPO.
    """

    def __init__(self, inputs: int, num_actions: int, continuous: bool) -> None:
        super().__init__()
        self.actor, self.critic = _linear(inputs, num_actions, 0.01), _linear(inputs, 1, 1.0)
        self.log_std = nn.Parameter(torch.zeros(num_actions)) if continuous else None

    def forward(self, x: Halves | Observations) -> Decisions:
        """Features (…, H) -> (…, A) or (…, 2·A), and (…,)."""
        if isinstance(x, Observations):
            actor = critic = x.values
            state = x.state
        else:
            actor, critic = x
            state = actor.new_zeros(len(actor), 0)
        return Decisions(self.act(actor), self.critic(critic)[..., 0], state)

    def act(self, x: Tensor) -> Tensor:
        action = self.actor(x)
        return action if self.log_std is None else torch.cat([action, self.log_std.expand_as(action)], dim=-1)


class PolicyMLP(nn.Sequential):
    """Layers of tanh units, by default one network for the action and one for the value (Schulman et al., 2017).

    Args:
        features: numbers that are observed.
        num_actions: choices, or entries of a continuous action.
        continuous: whether the action is continuous.
        hidden: units of the layers, one stage each.
        shared: whether action and value share the layers.

    Raises:
        ValueError: when a layer has no unit.
    """

    memory = 0  # numbers that it remembers from step to step

    def __init__(
        self, features: int = 4, num_actions: int = 2, continuous: bool = False, *, hidden: Sequence[int], shared: bool
    ) -> None:
        if not hidden or any(units < 1 for units in hidden):
            raise ValueError(f"model.hidden={list(hidden)} needs one layer or more of one unit or more: try [64,64]")
        layer = SharedLayer if shared else TwinLayer
        stages: dict[str, nn.Module] = {"normalise": Normalise(features)}  # (B, features)
        for number, (before, after) in enumerate(pairwise([features, *hidden]), 1):
            stages[f"layer{number}"] = layer(before, after)  # (B, after), twice
        stages["head"] = ActorCritic(hidden[-1], num_actions, continuous)  # (B, num_actions or twice that), (B,)
        super().__init__(OrderedDict(stages))

    def act(self, x: Tensor) -> Tensor:
        """Map (B, features) -> (B, num_actions or twice that): the same as `forward` gives, without the value."""
        for stage in self:
            x = stage.act(x)  # type: ignore[operator]
        return x


class PolicyGRU(nn.Sequential):
    """A policy that remembers: an encoder, a gated recurrent unit, and the head.

    What physics it moves in, no single observation shows; from several steps it can be told (Peng et al.,
    "Sim-to-real transfer of robotic control with dynamics randomization", 2018).

    Args:
        features: numbers that are observed.
        num_actions: choices, or entries of a continuous action.
        continuous: whether the action is continuous.
        hidden: units of the encoder.
        memory: units of the recurrent layer.

    Raises:
        ValueError: when a layer has no unit.
    """

    def __init__(
        self, features: int = 4, num_actions: int = 2, continuous: bool = False, *, hidden: int, memory: int
    ) -> None:
        for key, units in (("hidden", hidden), ("memory", memory)):
            if units < 1:
                raise ValueError(f"model.{key}={units} must be 1 or more: try model.{key}=64")
        super().__init__(
            OrderedDict(
                normalise=Normalise(features),  # (B, T, features)
                encoder=PolicyEncoder(features, hidden),  # (B, T, hidden)
                recurrent=Memory(hidden, memory),  # (B, T, memory)
                head=ActorCritic(memory, num_actions, continuous),  # (B, T, num_actions or twice that), (B, T)
            )
        )
        self.memory = memory

    def forward(self, x: Tensor | Observations) -> Decisions:
        """(B, F) or (B, T, F), with the memory before; without one, it begins empty."""
        if not isinstance(x, Observations):
            x = Observations(x, x.new_zeros(len(x), self.memory))
        return super().forward(x)


def _linear(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """Return a linear layer with orthogonal first weights and no bias at first, as PPO is usually given."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer

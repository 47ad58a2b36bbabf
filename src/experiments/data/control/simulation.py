"""Environments that are stepped together. An episode's seed and its actions determine it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from experiments.data.control.environments import gymnasium, make

TRAIN, VALIDATION, TEST = range(3)  # whose episodes; no two splits share seeds


class PolicyStep(NamedTuple):
    """What a policy did in one step of N environments.

    Attributes:
        action: (N,) choices, or (N, A) in the policy's own units.
        taken: the same as the environments take it.
        state: (N, M), what the policy remembers.
    """

    action: Tensor
    taken: np.ndarray
    state: Tensor


class Player(Protocol):
    """Who acts: a task with a policy."""

    memory: int  # numbers that the policy remembers from step to step

    def act(self, observations: Tensor, state: Tensor, noise: Tensor | None) -> PolicyStep:
        """Acts on (N, F), with (N, M) from before; `noise` (N, A) makes it random, without it is the best action."""
        ...


class Played(NamedTuple):
    """Whole episodes.

    Attributes:
        returns: (E,) sums of rewards.
        lengths: (E,) steps.
        successes: (E,) whether the environment, or its threshold, calls it a success; NaN where nobody says.
        trace: of the first episode: observations (T, F), actions as taken (T,) or (T, A), rewards (T,).
    """

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray
    trace: tuple[np.ndarray, np.ndarray, np.ndarray]


def seed_of(split: int, *numbers: int) -> int:
    """Return the seed of an episode: of one split, and a run's seed, a place and a number, or a number alone."""
    return int(np.random.SeedSequence([split, *numbers]).generate_state(1)[0])


class Simulation:
    """Some environments of one kind.

    Args:
        name: in gymnasium's registry.
        options: keyword arguments of its class.
        count: environments.
        physics: of every episode.
        ranges: from which the physics of each episode are drawn.
        workers: 0 steps them here; more steps each in a process of its own.

    Attributes:
        seen: (N, F) float32, what is observed now.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        count: int,
        physics: Mapping[str, float],
        ranges: Mapping[str, tuple[float, float]],
        workers: int,
    ) -> None:
        library = gymnasium()

        def environment() -> Any:
            env = make(name, options)
            env.fixed, env.ranges = physics, ranges
            return env

        kind = library.vector.AsyncVectorEnv if workers else library.vector.SyncVectorEnv
        self.envs = kind([environment] * count, copy=False, autoreset_mode=library.vector.AutoresetMode.DISABLED)
        self.count = count
        self.seen = np.zeros((count, self.envs.single_observation_space.shape[0]), np.float32)

    def begin(self, seeds: Sequence[int], which: np.ndarray | None = None, replay: Sequence[Any] = ()) -> None:
        """Begins an episode with each seed, or in `which` (N,) bool alone, and plays some actions of it."""
        options: dict[str, Any] = {"replay": replay} if len(replay) else {}
        if which is not None:
            options["reset_mask"] = which
        seen, _ = self.envs.reset(seed=list(seeds), options=options or None)
        self.seen = np.asarray(seen, np.float32).copy()

    def step(self, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Acts in all; rewards, terminated, truncated (N,) each, and what the environments say besides."""
        seen, rewards, terminated, truncated, info = self.envs.step(taken)
        self.seen = np.asarray(seen, np.float32).copy()
        return rewards, terminated, truncated, info

    def play(self, player: Player, seeds: Sequence[int], threshold: float | None) -> Played:
        """Return one episode with each seed, by the best actions; as many seeds as there are environments, or fewer."""
        wanted, filled = len(seeds), [*seeds, *[seeds[0]] * (self.count - len(seeds))]
        self.begin(filled)
        state = torch.zeros(self.count, player.memory)
        over = np.arange(self.count) >= wanted
        returns, lengths = np.zeros(self.count), np.zeros(self.count, np.int64)
        successes = np.full(self.count, np.nan)
        trace: list[tuple[np.ndarray, np.ndarray, float]] = []
        while not over.all():
            acted = player.act(torch.from_numpy(self.seen), state, None)
            state, before = acted.state, self.seen[0]
            rewards, terminated, truncated, info = self.step(acted.taken)
            returns += np.where(over, 0.0, rewards)
            lengths += ~over
            if not over[0]:
                trace.append((before, acted.taken[0], float(rewards[0])))
            ended = terminated | truncated
            if ended.any():
                if "is_success" in info:
                    successes = np.where(ended & ~over, np.asarray(info["is_success"], float), successes)
                over |= ended
                if not over.all():
                    self.begin(filled, which=ended)  # those that are done play on, unseen
        if threshold is not None and np.isnan(successes).all():
            successes = (returns >= threshold).astype(float)
        observed, done, earned = zip(*trace, strict=True)
        first = np.stack(observed), np.stack(done), np.array(earned)
        return Played(returns[:wanted], lengths[:wanted], successes[:wanted], first)

    def close(self) -> None:
        self.envs.close()

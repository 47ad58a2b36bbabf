"""Rollouts: steps that the policy of this moment has taken, cut into batches, several passes over them, and the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from experiments.data.control.simulation import TRAIN, Player, Simulation, seed_of

RECENT = 20  # episodes over which the return in training is averaged
WINDOW = 64  # steps at most over which a gradient flows back through a memory


class Rollout(NamedTuple):
    """T steps of N environments; all tensors are on the CPU.

    Attributes:
        observations: (T, N, F) float32.
        states: (T, N, M), what the policy remembered before each step; M is 0 without memory.
        actions: (T, N) int64, or (T, N, A) float32 in the policy's own units.
        rewards: (T, N) float32.
        ended: (T, N) bool, whether an episode ended with this step.
        cut: (K,) int64, places in T·N of the steps after which an episode was cut off, with more to come.
        beyond: (K + N, F) what was observed after those steps, and then after the last step of each environment.
        beyond_states: (K + N, M), likewise.
    """

    observations: Tensor
    states: Tensor
    actions: Tensor
    rewards: Tensor
    ended: Tensor
    cut: Tensor
    beyond: Tensor
    beyond_states: Tensor


class Learner(Player, Protocol):
    """A player that learns from its rollouts."""

    passes: int  # over each rollout

    def study(self, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what it makes of a rollout before it learns from it, (T, N) float32 each: the log-probability of each
        action, how much better than expected it went, what the value should have been, and what it was.
        """
        ...


class Rollouts:
    """Batches of one process, epoch after epoch: tuples (observations, actions, log_prob, advantage, target, value, state,
    mask). A row is a step where the policy has no memory, and the last two are empty; with memory, a row is a stretch of
    steps with the state before it, and the mask (B, T) says where there are any.

    A function of seed, place and number of the rollout; the episodes that an epoch leaves unfinished go on in the next.

    Args:
        simulation: of this process.
        learner: acts and studies.
        rollouts: in an epoch.
        steps: of each environment in a rollout.
        batches: that a rollout is cut into.
        discrete: whether actions are chosen, and thereby what noise they need.
        choices: of the actions, or their entries.
        seed: of the run.
        rank: of this process.
    """

    def __init__(
        self,
        simulation: Simulation,
        learner: Learner,
        *,
        rollouts: int,
        steps: int,
        batches: int,
        discrete: bool,
        choices: int,
        seed: int,
        rank: int,
    ) -> None:
        self.simulation, self.learner = simulation, learner
        self.rollouts, self.steps, self.batches = rollouts, steps, batches
        self.discrete, self.choices, self.seed, self.rank = discrete, choices, seed, rank
        self.done = 0  # rollouts so far
        self.seconds = 0.0  # spent in collecting, by this process
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.episodes = 0  # finished so far
        count = simulation.count
        self._state = torch.zeros(count, learner.memory)
        self._numbers = [0] * count  # of the episode that each environment plays
        self._played: list[list[Any]] = [[] for _ in range(count)]  # actions of these episodes so far
        self._returns = np.zeros(count)
        self._begun = False

    def __len__(self) -> int:
        return self.rollouts * self.learner.passes * self.batches

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for _ in range(self.rollouts):
            random = np.random.default_rng([self.seed, self.rank, self.done])
            rollout = self.collect(random)
            studied = self.learner.study(rollout)
            self.done += 1
            for _ in range(self.learner.passes):
                yield from self._cut(rollout, studied, random)

    def collect(self, random: np.random.Generator) -> Rollout:
        """Plays the next steps."""
        began = time.perf_counter()
        simulation, count, steps = self.simulation, self.simulation.count, self.steps
        if not self._begun:
            simulation.begin([self._seed(place) for place in range(count)])
            self._begun = True
        shape = (steps, count, self.choices)
        noise = torch.from_numpy((random.gumbel if self.discrete else random.normal)(size=shape).astype(np.float32))
        observations = np.empty((steps, *simulation.seen.shape), np.float32)
        states = torch.empty(steps, *self._state.shape)
        rewards, ended = np.empty((steps, count), np.float32), np.empty((steps, count), bool)
        actions, cut, beyond, beyond_states = [], [], [], []
        for step in range(steps):
            observations[step], states[step] = simulation.seen, self._state
            acted = self.learner.act(torch.from_numpy(simulation.seen), self._state, noise[step])
            actions.append(acted.action)
            self._state = acted.state
            rewards[step], terminated, truncated, _ = simulation.step(acted.taken)
            for played, taken in zip(self._played, acted.taken, strict=True):
                played.append(taken)
            self._returns += rewards[step]
            ended[step] = terminated | truncated
            if ended[step].any():
                for place in np.flatnonzero(truncated & ~terminated):
                    cut.append(step * count + int(place))
                    beyond.append(simulation.seen[place])
                    beyond_states.append(self._state[place])
                self._go_on(ended[step])
        self.seconds += time.perf_counter() - began
        return Rollout(
            observations=torch.from_numpy(observations),
            states=states,
            actions=torch.stack(actions),
            rewards=torch.from_numpy(rewards),
            ended=torch.from_numpy(ended),
            cut=torch.tensor(cut, dtype=torch.int64),
            beyond=torch.from_numpy(np.stack([*beyond, *simulation.seen])),
            beyond_states=torch.stack([*beyond_states, *self._state]),
        )

    def _seed(self, place: int) -> int:
        return seed_of(TRAIN, self.seed, self.rank * self.simulation.count + place, self._numbers[place])

    def _go_on(self, ended: np.ndarray) -> None:
        """Notes the episodes that ended, and begins the next ones."""
        for place in np.flatnonzero(ended):
            self.recent.append(float(self._returns[place]))
            self.episodes += 1
            self._returns[place] = 0.0
            self._played[place] = []
            self._numbers[place] += 1
        self._state = self._state.masked_fill(torch.from_numpy(ended)[:, None], 0.0)
        self.simulation.begin([self._seed(place) if over else 0 for place, over in enumerate(ended)], which=ended)

    def _cut(
        self, rollout: Rollout, studied: tuple[Tensor, ...], random: np.random.Generator
    ) -> Iterator[tuple[Tensor, ...]]:
        """Yield one pass over a rollout in a new order."""
        columns = [tensor.flatten(0, 1) for tensor in (rollout.observations, rollout.actions, *studied)]
        if not self.learner.memory:
            shuffled, empty = torch.from_numpy(random.permutation(len(columns[0]))), torch.empty(0)
            for batch in zip(*(column[shuffled].tensor_split(self.batches) for column in columns), strict=True):
                yield (*batch, empty, empty)
            return
        states = rollout.states.flatten(0, 1)
        longest = min(WINDOW, len(columns[0]) // self.batches)
        places, mask = stretches(rollout.ended.numpy(), longest)
        order = random.permutation(len(places))
        lengths = mask[order].sum(1)
        middles = (lengths.cumsum() - lengths / 2) * self.batches / lengths.sum()
        for number in range(self.batches):  # about equally many steps in each
            rows = order[(middles >= number) & (middles < number + 1)]
            inside = mask[rows][:, : int(mask[rows].sum(1).max())]
            chosen = torch.from_numpy(places[rows][:, : inside.shape[1]])
            yield (*(column[chosen] for column in columns), states[chosen[:, 0]], torch.from_numpy(inside))

    # What an unfinished epoch would need is not kept: runs are taken up at the end of one.

    def state_dict(self) -> dict[str, Any]:
        """Plain Python and tensors, from which the environments are brought back by playing their actions again."""
        return {
            "done": self.done,
            "episodes": self.episodes,
            "recent": list(self.recent),
            "returns": self._returns.tolist(),
            "numbers": list(self._numbers),
            "played": [torch.from_numpy(np.array(played)) for played in self._played],
            "state": self._state.clone(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""
        self.done, self.episodes, self.seconds = state["done"], state["episodes"], state["seconds"]
        self.recent = deque(state["recent"], maxlen=RECENT)
        self._returns, self._numbers = np.array(state["returns"]), list(state["numbers"])
        self._state = state["state"].clone()
        self._played = [list(played.numpy()) for played in state["played"]]
        self._begun = True
        seeds = [self._seed(place) for place in range(len(self._played))]
        self.simulation.begin(seeds)
        for place, played in enumerate(self._played):
            self.simulation.begin(seeds, which=np.arange(len(seeds)) == place, replay=played)


def stretches(ended: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps (T, N) cut where episodes end, and into pieces of at most `longest`.

    Returns:
        places (S, L) in T·N, and a mask (S, L) of where there is a step.
    """
    steps, count = ended.shape
    pieces = []
    for place in range(count):
        ends = [*(np.flatnonzero(ended[:, place]) + 1).tolist(), steps]
        begin = 0
        for end in ends:
            for start in range(begin, end, longest):
                pieces.append((place, start, min(longest, end - start)))
            begin = end
    lengths = np.array([length for *_, length in pieces])
    mask = np.arange(lengths.max()) < lengths[:, None]
    starts = np.array([start * count + place for place, start, _ in pieces])
    places = np.where(mask, starts[:, None] + np.arange(lengths.max()) * count, starts[:, None])
    return places, mask

"""Environments as data: training batches are rollouts of the policy that learns, tests are episodes that it plays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from experiments.config.devices import shared_environments
from experiments.data.common.loading import whole
from experiments.data.control.environments import examine, make
from experiments.data.control.rollouts import Learner, Rollouts
from experiments.data.control.simulation import TEST, VALIDATION, Played, Player, Simulation, seed_of
from experiments.errors import UserError
from experiments.spec import ControlSpec

SPLITS = {"validation": VALIDATION, "test": TEST}


class Episodes:
    """Numbers of the episodes that a process is to play, some at a time.

    A process without any gets one batch of none: Lightning would leave out its validation, for which the others wait.
    """

    def __init__(self, count: int, at_once: int, rank: int, world: int) -> None:
        self._batches = torch.arange(count)[rank::world].split(at_once)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._batches)


class PlaysEpisodes(LightningDataModule):
    """Base: an environment in which a task plays the episodes of validation and test.

    An episode is a function of its number alone, so that every run faces the same. Those of validation have the physics
    of training, drawn ones too; those of the test have `physics`, with what `test_physics` says in its place.

    Args:
        env: name in gymnasium's registry.
        options: keyword arguments of the environment's class.
        environments: that are stepped side by side, over all processes together.
        validation_episodes: after each epoch.
        test_episodes: of the test.
        physics: changes of the system.
        test_physics: further changes, of the test alone.
        randomise: what is drawn anew for each episode.
        workers: 0 steps the environments in this process, more each in one of its own.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        *,
        env: str | None,
        options: Mapping[str, Any] | None,
        environments: int,
        validation_episodes: int,
        test_episodes: int,
        physics: Mapping[str, Any] | None,
        test_physics: Mapping[str, Any] | None,
        randomise: Any,
        workers: int,
    ) -> None:
        super().__init__()
        whole("data.environments", environments, 1)
        whole("data.validation_episodes", validation_episodes, 1)
        whole("data.test_episodes", test_episodes, 1)
        whole("data.workers", workers, 0)
        self.env, self.options, self.environments, self.workers = env, dict(options or {}), environments, workers
        self.counts = {"validation": validation_episodes, "test": test_episodes}
        self.physics: Mapping[str, Any] = physics or {}
        self.test_physics: Mapping[str, Any] = test_physics or {}
        self.randomise = randomise
        self.ranges: dict[str, tuple[float, float]] = {}
        self.spec: Any = None
        self.splits: dict[str, Any] = {}
        self._simulations: dict[tuple[str, int], Simulation] = {}

    def examine(self) -> ControlSpec:
        """Return the spec of the environment; its physics are checked.

        Raises:
            UserError: for whatever cannot be.
        """
        spec, self.physics, self.test_physics, self.ranges = examine(
            str(self.env), self.options, self.physics, self.test_physics, self.randomise
        )
        return spec

    def play(self, player: Player, split: str, numbers: Sequence[int]) -> Played:
        """Episodes of `validation` or `test`, by their numbers; as many as `environments` at once."""
        count = min(self.share, self.counts[split])
        if (split, count) not in self._simulations:
            self._simulations[split, count] = self.simulation(split, count)
        seeds = [seed_of(SPLITS[split], int(number)) for number in numbers]
        return self._simulations[split, count].play(player, seeds, self.spec.threshold)

    def simulation(self, split: str, count: int) -> Simulation:
        """Environments with the physics of `train`, `validation` or `test`."""
        test = split == "test"
        physics = {**self.physics, **self.test_physics} if test else self.physics
        ranges = {} if test else self.ranges
        return Simulation(str(self.env), self.options, count, physics, ranges, self.workers)

    def filmed(self, player: Player, number: int, frames: int) -> tuple[list[np.ndarray], float, float]:
        """Pictures (H, W, 3) of one test episode, at most so many, evenly; frames a second as it happened; its return."""
        env = make(str(self.env), self.options, render=True)
        env.fixed = {**self.physics, **self.test_physics}
        try:
            seen, _ = env.reset(seed=seed_of(TEST, number))
            state, total, over, pictures = torch.zeros(1, player.memory), 0.0, False, [env.render()]
            while not over:
                acted = player.act(torch.from_numpy(np.asarray(seen, np.float32)[None]), state, None)
                state = acted.state
                seen, reward, terminated, truncated, _ = env.step(acted.taken[0])
                total, over = total + float(reward), terminated or truncated
                pictures.append(env.render())
            every = -(-len(pictures) // frames)
            return pictures[::every], env.metadata.get("render_fps", 30) / every, total
        finally:
            env.close()

    def val_dataloader(self) -> Any:
        return self._episodes("validation")

    def test_dataloader(self) -> Any:
        return self._episodes("test")

    def _episodes(self, split: str) -> Episodes:
        return Episodes(self.counts[split], self.share, *self.place)

    @property
    def place(self) -> tuple[int, int]:
        """Rank and number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def share(self) -> int:
        """Environments of a process."""
        _, world = self.place
        if self.environments % world:
            raise UserError(shared_environments(self.environments, world))
        return self.environments // world

    def prepare(self, inputs: Sequence[Any]) -> Tensor:
        """Observations (N, F), each given as a text of numbers with commas, or as numbers.

        Raises:
            UserError: what is no observation of this environment.
        """
        names, rows = self.spec.observations, []
        for item in inputs:
            try:
                numbers = item.strip("[ ]").split(",") if isinstance(item, str) else item
                row = [float(number) for number in numbers]
            except (TypeError, ValueError) as error:
                raise UserError(f"{item} is no observation: give {len(names)} numbers with commas") from error
            if len(row) != len(names):
                raise UserError(f"{item} has {len(row)} numbers and an observation {len(names)}: {', '.join(names)}")
            if not all(map(math.isfinite, row)):
                raise UserError(f"{item} has numbers that are not finite: give what is observed")
            rows.append(row)
        return torch.tensor(rows, dtype=torch.float32)

    def teardown(self, stage: str) -> None:
        for simulation in self._simulations.values():
            simulation.close()
        self._simulations = {}


class Control(PlaysEpisodes):
    """Rollouts of the policy that learns: an epoch is some of them, each cut into batches that are read several times.

    Args:
        steps: of each environment in a rollout.
        rollouts: in an epoch.
        batch_size: steps in a batch, over all processes together; rollouts are cut into about this.
        seed: of actions, episodes and order.

    The others are as in `PlaysEpisodes`.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        *,
        env: str,
        options: Mapping[str, Any] | None,
        environments: int,
        steps: int,
        rollouts: int,
        batch_size: int,
        validation_episodes: int,
        test_episodes: int,
        physics: Mapping[str, Any] | None,
        test_physics: Mapping[str, Any] | None,
        randomise: Any,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__(
            env=env,
            options=options,
            environments=environments,
            validation_episodes=validation_episodes,
            test_episodes=test_episodes,
            physics=physics,
            test_physics=test_physics,
            randomise=randomise,
            workers=workers,
        )
        whole("data.steps", steps, 1)
        whole("data.rollouts", rollouts, 1)
        whole("data.batch_size", batch_size, 1)
        self.steps, self.rollouts, self.batch_size, self.seed = steps, rollouts, batch_size, seed
        self._learner: Learner | None = None
        self._loader: Rollouts | None = None
        self._kept: list[dict[str, Any]] | None = None

    def setup(self, stage: str | None = None) -> None:
        if self.spec is None:
            self.spec = self.examine()
            self.splits = {
                "train": self.environments * self.steps * self.rollouts,
                **self.counts,
                "unit": "steps of an epoch, episodes",
            }

    def attend(self, learner: Learner) -> None:
        """Says whose policy acts in training, before the training loader is made."""
        self._learner = learner

    @property
    def collected(self) -> Rollouts | None:
        """The training loader, once there is one."""
        return self._loader

    def train_dataloader(self) -> Rollouts:
        if self._learner is None:
            raise UserError(
                "data=control has no batches before a policy acts: train with task=policy_gradient, whose speed the "
                "record of a run says"
            )
        if self._loader is None:
            total = self.environments * self.steps
            self._loader = Rollouts(
                self.simulation("train", self.share),
                self._learner,
                rollouts=self.rollouts,
                steps=self.steps,
                batches=max(1, round(total / self.batch_size)),
                discrete=self.spec.discrete,
                choices=len(self.spec.actions),
                seed=self.seed,
                rank=self.place[0],
            )
            if self._kept is not None:
                self._loader.load_state_dict(self._kept[self.place[0]])
        return self._loader

    # Every process keeps its own episodes, and the checkpoint has them all.

    def state_dict(self) -> dict[str, Any]:
        mine: Any = self._loader.state_dict() if self._loader else None
        states = [mine]
        if self.place[1] > 1:
            states = [None] * self.place[1]
            torch.distributed.all_gather_object(states, mine)
        return {"processes": states} if all(states) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        kept = state_dict.get("processes")
        if kept and len(kept) != self.place[1]:
            raise UserError(
                f"the run was trained by {len(kept)} processes, whose episodes {self.place[1]} cannot share: "
                f"set trainer.devices={len(kept)}"
            )
        self._kept = kept
        if self._loader is not None and kept:
            self._loader.load_state_dict(kept[self.place[0]])

    def teardown(self, stage: str) -> None:
        super().teardown(stage)
        if stage == "fit" and self._loader is not None:
            self._loader.simulation.close()

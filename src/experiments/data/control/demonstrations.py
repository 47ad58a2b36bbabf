"""Demonstrations: the observations and actions of an expert, and the environment for validation and test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from experiments.config.value_rules import require_amount
from experiments.data.common.loading import batch_loader, share_of, whole
from experiments.data.common.sampling import EvalSampler, Picks, TrainSampler
from experiments.data.control.control_data import PlaysEpisodes
from experiments.data.control.demonstration_files import Episode, check_shapes, read
from experiments.data.control.experts import demonstrate
from experiments.errors import UserError
from experiments.spec import ControlSpec


class Steps(Dataset):
    """Steps of some episodes, each by itself: observations (B, F) and actions (B,) or (B, A)."""

    def __init__(self, episodes: list[Episode]) -> None:
        self.observations = torch.from_numpy(np.concatenate([seen for seen, _ in episodes]))
        self.actions = torch.from_numpy(np.concatenate([actions for _, actions in episodes]))

    def __len__(self) -> int:
        return len(self.actions)

    def __getitems__(self, picks: Picks | range) -> tuple[Tensor, ...]:
        rows = torch.as_tensor(np.asarray(picks.indices if isinstance(picks, Picks) else picks))
        return self.observations[rows], self.actions[rows]


class WholeEpisodes(Dataset):
    """Episodes for a policy with memory: observations (B, T, F), actions (B, T) or (B, T, A), and a mask (B, T)."""

    def __init__(self, episodes: list[Episode]) -> None:
        self.episodes = episodes

    def __len__(self) -> int:
        return len(self.episodes)

    def __getitems__(self, picks: Picks | range) -> tuple[Tensor, ...]:
        some = [self.episodes[place] for place in (picks.indices if isinstance(picks, Picks) else picks)]
        padded = [
            torch.nn.utils.rnn.pad_sequence([torch.from_numpy(episode[side]) for episode in some], batch_first=True)
            for side in (0, 1)  # observations, actions
        ]
        lengths = torch.tensor([len(actions) for actions, _ in some])
        return *padded, torch.arange(padded[0].shape[1]) < lengths[:, None]


class OneAfterAnother:
    """Batches of one loader, then those of the next."""

    def __init__(self, *loaders: Any) -> None:
        self.loaders = loaders

    def __len__(self) -> int:
        return sum(map(len, self.loaders))

    def __iter__(self) -> Iterator[Any]:
        for loader in self.loaders:
            yield from loader


class Demonstrations(PlaysEpisodes):
    """Steps of an expert, from a file or played here; split by episodes. The environment is for validation and test.

    Args:
        path: an .npz file or a folder of Minari; None: the expert that is written here plays.
        demonstrations: episodes that this expert plays; of a file, so many from its beginning, None for all.
        validation: share of the episodes.
        test: likewise.
        limit: training episodes: a count or a share.
        batch_size: steps in a batch, over all processes together; with a memory, about as many in whole episodes.
        seed: of the order.

    The others are as in `PlaysEpisodes`; without `env` nothing is played.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        *,
        path: str | None,
        demonstrations: int | None,
        validation: float,
        test: float,
        limit: float | None,
        batch_size: int,
        env: str | None,
        options: Mapping[str, Any] | None,
        environments: int,
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
        whole("data.batch_size", batch_size, 1)
        if path is None and env is None:
            raise UserError("data=demonstrations needs data.path, or data.env whose expert plays: add one of them")
        for key, share in (("validation", validation), ("test", test)):
            if not 0 < share < 1:
                raise UserError(f"data.{key}={share} must be a share of the episodes: try data.{key}=0.1")
        if path is None:
            whole("data.demonstrations", demonstrations, 3)
        require_amount("data.limit", limit)
        self.path = None if path is None else Path(path).expanduser()
        self.demonstrations, self.shares, self.limit = demonstrations, (validation, test), limit
        self.batch_size, self.seed = batch_size, seed
        self.by_split: dict[str, list[Episode]] = {}
        self._memory = 0

    def setup(self, stage: str | None = None) -> None:
        if self.by_split:
            return
        if self.env is not None:
            self.spec = self.examine()
        if self.path is None:
            episodes = demonstrate(str(self.env), self.options, dict(self.physics), int(self.demonstrations or 0))
        else:
            episodes = read(self.path)[: self.demonstrations]
        if self.spec is None:
            self.spec = _spec_of(episodes)
        check_shapes(self.path, episodes, self.spec)
        count = len(episodes)
        sizes = [max(1, round(share * count)) for share in self.shares]
        train = count - sum(sizes)
        if train < 1:
            raise UserError(
                f"{count} episodes are too few for three splits: record more, or set data.validation and data.test"
            )
        if self.limit is not None:
            limit = self.limit if isinstance(self.limit, int) else max(1, round(self.limit * train))
            if limit > train:
                raise UserError(f"data.limit={limit} is more than the {train} training episodes: take {train} or less")
        else:
            limit = train
        ends = (train, train + sizes[0])
        self.by_split = {
            "train": episodes[:limit],
            "validation": episodes[ends[0] : ends[1]],
            "test": episodes[ends[1] :],
        }
        self.splits = {split: sum(len(taken) for taken, _ in some) for split, some in self.by_split.items()}

    def attend(self, player: Any) -> None:
        """Says whose policy learns, before a loader is made: whether it wants single steps or whole episodes."""
        self._memory = player.memory

    def moments(self) -> tuple[float, Tensor, Tensor]:
        """Count, mean and variance of the training split's observations."""
        rows = torch.from_numpy(np.concatenate([observations for observations, _ in self.by_split["train"]])).double()
        return float(len(rows)), rows.mean(0).float(), rows.var(0, correction=0).float()

    def dataset(self, split: str) -> Any:
        return WholeEpisodes(self.by_split[split]) if self._memory else Steps(self.by_split[split])

    def train_dataloader(self) -> Any:
        dataset, (rank, world) = self.dataset("train"), self.place
        return batch_loader(dataset, TrainSampler(len(dataset), self._rows("train"), self.seed, rank, world), self.seed)

    def val_dataloader(self) -> Any:
        return self._with_episodes("validation")

    def test_dataloader(self) -> Any:
        return self._with_episodes("test")

    def _with_episodes(self, split: str) -> Any:
        dataset = self.dataset(split)
        steps = batch_loader(dataset, EvalSampler(len(dataset), self._rows(split), *self.place), self.seed)
        return OneAfterAnother(steps, self._episodes(split)) if self.env is not None else steps

    def _rows(self, split: str) -> int:
        """Of a batch and process: steps, or as many episodes as have about so many."""
        _, world = self.place
        share = share_of(self.batch_size, world)
        length = self.splits[split] / len(self.by_split[split])
        return max(1, round(share / length)) if self._memory else share


def _spec_of(episodes: list[Episode]) -> ControlSpec:
    """Return the spec of demonstrations without an environment."""
    observations, actions = episodes[0]
    discrete = actions.ndim == 1
    count = 1 + max(int(taken.max()) for _, taken in episodes) if discrete else actions.shape[1]
    limits = np.concatenate([taken for _, taken in episodes]) if not discrete else None
    return ControlSpec(
        environment="",
        observations=tuple(f"observation {n}" for n in range(observations.shape[1])),
        actions=tuple(str(n) for n in range(count)),
        discrete=discrete,
        low=() if limits is None else tuple(float(number) for number in limits.min(0)),
        high=() if limits is None else tuple(float(number) for number in limits.max(0)),
        longest=max(len(taken) for taken, _ in episodes),
    )

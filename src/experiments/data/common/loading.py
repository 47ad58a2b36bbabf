"""Data that is fetched a whole batch at a time: loaders for training and evaluation on one process or several."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from experiments.data.common.sampling import EvalSampler, LazyLoader, TrainSampler, as_is
from experiments.errors import UserError


class BatchedData(LightningDataModule):
    """Base: a subclass sets `spec` and `splits` in `setup`, and gives the `dataset` of a part.

    Args:
        batch_size: examples a step, over all processes together.
        workers: processes that fetch batches; 0 is fastest for what is in memory.
        seed: of shuffling, and of whatever else is drawn in training.

    Raises:
        UserError: a value is out of range.
    """

    # Fewer examples than processes leave a process without any; that is no mistake.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(self, *, batch_size: int, workers: int, seed: int) -> None:
        super().__init__()
        whole("data.batch_size", batch_size, 1)
        whole("data.workers", workers, 0)
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.spec: Any = None
        self.splits: dict[str, Any] = {}

    def dataset(self, part: str) -> Dataset:
        """One of `train`, `validation`, `test`: has a length, and `__getitems__` that takes `Picks` or a range."""
        raise NotImplementedError

    def train_dataloader(self) -> Any:
        rank, world, share = self._share()
        dataset = self.dataset("train")
        return self._loader(dataset, self.train_sampler(dataset, share, rank, world))

    def val_dataloader(self) -> Any:
        return self._evaluation("validation")

    def test_dataloader(self) -> Any:
        return self._evaluation("test")

    def train_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        """Which examples make up which batch."""
        return TrainSampler(len(dataset), share, self.seed, rank, world)

    def eval_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        """The same of validation and test, where every example comes once."""
        return EvalSampler(len(dataset), share, rank, world)

    def _evaluation(self, part: str) -> Any:
        rank, world, share = self._share()
        dataset = self.dataset(part)
        return self._loader(dataset, self.eval_sampler(dataset, share, rank, world))

    def _share(self) -> tuple[int, int, int]:
        """Rank, processes, and examples a process and batch."""
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if self.batch_size % world:
            raise UserError(
                f"data.batch_size={self.batch_size} is the total over all processes and must divide by {world}:"
                f" take {max(1, self.batch_size // world) * world}"
            )
        return rank, world, self.batch_size // world

    def _loader(self, dataset: Dataset, sampler: Any) -> Any:
        on_device = self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"
        return LazyLoader(
            dataset,
            batch_sampler=sampler,
            collate_fn=as_is,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=on_device,
            # Without one of its own a loader draws from the global generator, and shifts everybody else's numbers.
            generator=torch.Generator().manual_seed(self.seed),
        )


def whole(key: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        UserError: naming the key, the value and the rule.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{key}={value!r} must be a whole number, {least} or more: try {key}={max(least, 1)}")

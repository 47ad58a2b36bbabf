"""Data that is fetched a whole batch at a time: loaders for training and evaluation on one process or several."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import Dataset

from experiments.data.common.sampling import EvalSampler, LazyLoader, TrainSampler, as_is
from experiments.errors import UserError
from experiments.system.processes import end_worker_with_parent


class BatchedData(LightningDataModule):
    """Base: a subclass sets `spec` and `splits` in `setup`, and gives the `dataset` of a split.

    Args:
        batch_size: examples a step, over all processes together.
        workers: processes that fetch batches; 0 is fastest for what is in memory.
        seed: of shuffling, and of whatever else is drawn in training.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(self, *, batch_size: int, workers: int, seed: int) -> None:
        super().__init__()
        whole("data.batch_size", batch_size, 1)
        whole("data.workers", workers, 0)
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.spec: Any = None
        self.splits: dict[str, Any] = {}

    def dataset(self, split: str) -> Dataset:
        """Return one of `train`, `validation`, `test`: has a length, and `__getitems__` that takes `Picks` or a range."""
        raise NotImplementedError

    def train_dataset(self) -> Dataset:
        """Return the training split as it is learned from, augmented where it is."""
        return self.dataset("train")

    def train_dataloader(self) -> Any:
        rank, world, share = self._share()
        dataset = self.train_dataset()
        return self._loader(dataset, self.train_sampler(dataset, share, rank, world), self.workers)

    def val_dataloader(self) -> Any:
        return self._evaluation("validation")

    def test_dataloader(self) -> Any:
        return self._evaluation("test")

    def train_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        """Tell which examples make up which batch."""
        return TrainSampler(len(dataset), share, self.seed, rank, world)

    def eval_sampler(self, dataset: Any, share: int, rank: int, world: int) -> Any:
        """Return the same of validation and test, where every example comes once."""
        require_enough(len(dataset), world)
        return EvalSampler(len(dataset), share, rank, world)

    def _evaluation(self, split: str) -> Any:
        rank, world, share = self._share()
        dataset = self.dataset(split)
        sampler = self.eval_sampler(dataset, share, rank, world)
        return self._loader(dataset, sampler, self.eval_workers(dataset))

    def eval_workers(self, dataset: Dataset) -> int:
        """Processes that fetch validation and test."""
        return self.workers

    def _share(self) -> tuple[int, int, int]:
        """Rank, processes, and examples a process and batch."""
        rank, world = self._place()
        return rank, world, share_of(self.batch_size, world)

    def _place(self) -> tuple[int, int]:
        """Rank and number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    @property
    def _on_device(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"

    def _loader(self, dataset: Dataset, sampler: Any, workers: int = 0) -> LazyLoader:
        return batch_loader(dataset, sampler, self.seed, workers, self._on_device)


def batch_loader(dataset: Dataset, sampler: Any, seed: int, workers: int = 0, on_device: bool = False) -> LazyLoader:
    """Make a loader that fetches a batch at a time, and draws from a generator of its own.

    Without one it would draw from the global generator, and shift everybody else's numbers.
    """
    return LazyLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=as_is,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=on_device,
        generator=torch.Generator().manual_seed(seed),
        worker_init_fn=end_worker_with_parent,
    )


def require_enough(count: int, world: int) -> None:
    """Refuse a split with fewer examples than processes: one of them would have none, and the others wait for it for ever.

    Raises:
        UserError: naming both numbers.
    """
    if 0 < count < world:
        raise UserError(
            f"a part of the data has {count} example{'s' * (count != 1)} and the run {world} processes: give it more, or take"
            f" fewer processes with trainer.devices={count}"
        )


def share_of(batch_size: int, world: int) -> int:
    """Give the examples of a batch that each of so many processes gets.

    Raises:
        UserError: when they are not equally many.
    """
    if batch_size % world:
        raise UserError(
            f"data.batch_size={batch_size} is the total over all processes and must divide by {world}:"
            f" take {max(1, batch_size // world) * world}"
        )
    return batch_size // world


def whole(key: str, value: object, least: int) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        UserError: naming the key, the value and the rule.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        shown = "null" if value is None else repr(value)
        raise UserError(f"{key}={shown} must be a whole number, {least} or more: try {key}={max(least, 1)}")

"""Builds everything that a run builds before its first batch, for `check`, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.devices import processes_here
from experiments.config.foreign_modules import has_own_network
from experiments.run.folder import moved


def rehearse(config: DictConfig) -> None:
    """Does what `experiments train` does with a checked config, up to the first batch; with a user-defined network, through it.

    Raises:
        UserError: with the sentence that the run would end with.
    """
    with tempfile.TemporaryDirectory() as top, _silent():
        _up_to_the_first_batch(_elsewhere(config, Path(top)))


def _elsewhere(config: DictConfig, folder: Path) -> DictConfig:
    """Return the config of a run of one process that writes into another folder and keeps no features."""
    plain: Any = OmegaConf.to_container(config)
    plain = moved(plain, str(config.run.dir), str(folder))
    if processes_here(config) > 1:
        plain["trainer"] |= {"devices": 1, "strategy": "auto"}
    plain["features"]["cache"] = plain["features"]["cache"] and bool(plain["freezing"].get("views"))
    if plain["data"].get("workers"):
        plain["data"]["workers"] = 0
    return OmegaConf.create(plain)


def _up_to_the_first_batch(config: DictConfig) -> None:
    from experiments.callbacks.gradient_reach import GradientReach
    from experiments.run.build import build_callbacks, build_data, build_task, prepare_process
    from experiments.run.build_errors import before_the_first_batch, in_words, require_monitors
    from experiments.run.foreign import build_foreign_task, is_ours, lightning_in_words, shares_batches
    from experiments.run.loaded import earlier_run
    from experiments.run.trainer import build_trainer

    with in_words(config):
        prepare_process(config)
        ours = is_ours(config.task)
        data = build_data(config, ours)
        task = (
            build_task(config, data.spec, data, earlier_run=earlier_run) if ours else build_foreign_task(config, data)
        )
        trainer = build_trainer(config, shares=shares_batches(data))
        require_monitors(config, task)
        if any(isinstance(callback, GradientReach) for callback in trainer.callbacks):
            GradientReach.require_recurrent(task)
        trainer.callbacks[:] = [
            _halt(has_own_network(config)),
            *(build_callbacks(config, task.freezing) if ours else []),
        ]
        trainer.loggers = []
        if ours:
            from experiments.run.layer_table import layer_table

            task.require_output(layer_table(task.model, data.spec).output)
    with lightning_in_words(), before_the_first_batch(config, trainer), contextlib.suppress(_ReachedError):
        trainer.fit(task, datamodule=data)


class _ReachedError(Exception):
    """Training has come to its first batch, or through it."""


def _halt(with_batch: bool) -> Any:
    from lightning.pytorch import Callback

    class Halt(Callback):
        """Ends a fit before its first batch, or after it."""

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            if not with_batch:
                raise _ReachedError

        def on_train_batch_end(self, trainer: Any, *batch: Any) -> None:
            raise _ReachedError

    return Halt()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Leaves out what a run says while it is built: only whether it can begin was asked."""
    before = logging.root.manager.disable
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(before)

"""Early stopping of the runs of a search that fall behind the others."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from experiments.errors import Pruned, first_line

log = logging.getLogger(__name__)


class Pruning(Callback):
    """Reports a metric of each validated epoch to the search, and stops the run between two epochs when the search says so.

    The epoch before is saved and logged by then, so that a pruned run can still be finished by itself. Outside its search
    (the storage is gone, or the trial is over there) the callback does nothing.

    Args:
        dir: the run's folder; the search's storage lies beside it.
        trial: its number in the search.
        metric: what is reported, as it is logged.
        pruner: "median" (Golovin et al., 2017) or "hyperband" (Li et al., 2018), as Optuna has them.
        startup: trials that the median needs before it decides.
        warmup: epochs that it lets every run have.
        epochs: that a run may take, which Hyperband shares out; None lets it find out.
    """

    def __init__(
        self, dir: str, trial: int, metric: str, pruner: str, startup: int, warmup: int, epochs: int | None = None
    ) -> None:
        self.storage = Path(dir).parent / "search.db"
        self.number, self.metric = trial, metric
        self.pruner, self.startup, self.warmup, self.epochs = pruner, startup, warmup, epochs
        self._trial: Any = None
        self._validated = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self.storage.is_file():
            try:
                self._trial = self._open()
            except Exception as error:  # the run is worth more than its end
                self._give_up(error)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        value = trainer.callback_metrics.get(self.metric)
        if self._trial is None or not self._validated or value is None:
            return
        self._validated = False
        try:
            self._trial.report(float(value), trainer.current_epoch + 1)
        except Exception as error:
            self._give_up(error)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        prune = False
        if self._trial is not None:
            try:
                prune = self._trial.should_prune()
            except Exception as error:
                self._give_up(error)
        if trainer.world_size > 1:
            prune = trainer.strategy.broadcast(prune)
        if prune:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            raise Pruned(f"pruned after epoch {trainer.current_epoch}", metrics)

    def _open(self) -> Any:
        """Return the trial in the search's storage; None when it is over."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", module="optuna")
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{self.storage}",
            engine_kwargs={"connect_args": {"timeout": 60}},
            skip_compatibility_check=True,
            skip_table_creation=True,
        )
        study = optuna.load_study(study_name="search", storage=storage, pruner=self._pruner())
        trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, self.number)
        if storage.get_trial(trial_id).state.is_finished():
            return None
        return optuna.trial.Trial(study, trial_id)

    def _pruner(self) -> Any:
        import optuna

        if self.pruner == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=self.startup, n_warmup_steps=self.warmup + 1)
        return optuna.pruners.HyperbandPruner(max_resource=self.epochs or "auto")

    def _give_up(self, error: Exception) -> None:
        self._trial = None
        log.warning(
            "process %d reports to its search no longer (%s): the run goes on unpruned", os.getpid(), first_line(error)
        )

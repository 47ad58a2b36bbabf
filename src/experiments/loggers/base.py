"""Where the numbers of a run go: TensorBoard and a CSV file, both directly in the run folder.

Both are written as they come and stay whole when a run is killed and resumed: what the earlier attempt
wrote at or after the point of return is dropped when the resumed run logs for the first time. They belong
to a run that fits; evaluate and predict run without them.

The horizontal axis in TensorBoard is always the optimizer step, counted from 0: it is the one axis that
step-wise learning rates, epoch ends and validations in mid-epoch share. metrics.csv has a row an epoch, and
the step beside it.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from experiments.config.metric_names import split_of
from experiments.loggers.trackers import finish, hyperparameters, log_text


class RunLogger(Logger):
    """A logger that owns nothing but a file in the run folder.

    Attributes:
        epoch: in which the run is, for what is logged by step and names no epoch.
        told: hyperparameters that a module or a callback logged itself, flat; the record keeps them.
    """

    epoch = 0

    def __init__(self, dir: str) -> None:
        super().__init__()
        self._dir = Path(dir)
        self.told: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._dir)

    @property
    def log_dir(self) -> str:
        return str(self._dir)

    @property
    def experiment(self) -> Any:
        """Return what `self.logger.experiment` of a LightningModule is: where it logs, as `log_metrics`."""
        return self

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Keeps hyperparameters for the record, as `save_hyperparameters()` and `self.logger.log_hyperparams(…)` give them."""
        self.told |= flat(params)

    def announce(self, choices: Mapping[str, Any], metrics: Sequence[str], texts: Mapping[str, str]) -> None:
        """Takes what `announce` says of the run; here nothing, as config.yaml and record.json hold it."""

    def finalize(self, status: str) -> None:
        """Lightning says this after fit and again after test, so nothing is closed here."""

    def close(self, status: str) -> None:
        """The run is over."""


_LONGEST = 200  # letters of a hyperparameter that is no plain value


def flat(params: Any, prefix: str = "") -> dict[str, Any]:
    """Return hyperparameters by names such as `net/width`; what is no number, text, truth or None as text."""
    flattened: dict[str, Any] = {}
    for name, value in (params if isinstance(params, Mapping) else vars(params)).items():
        if isinstance(value, (Mapping, Namespace)):
            flattened |= flat(value, f"{prefix}{name}/")
        else:
            number = isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value))
            flattened[f"{prefix}{name}"] = value if number or value is None else str(value)[:_LONGEST]
    return flattened


def told(loggers: Iterable[Any]) -> dict[str, Any]:
    """Return the hyperparameters that a module or a callback gave any of our loggers."""
    by_name: dict[str, Any] = {}
    for logger in loggers:
        by_name |= logger.told if isinstance(logger, RunLogger) else {}
    return by_name


def announce(
    loggers: Iterable[Any],
    choices: Mapping[str, Any],
    metrics: Sequence[str],
    texts: Mapping[str, str],
    folder: Path,
) -> None:
    """Once, before fit: what was chosen, which final metrics to expect, and texts (Markdown) to show.

    Args:
        loggers: the trainer's; those that show none of it are passed over.
        choices: flat; strings, numbers, booleans or None.
        metrics: names of the scalars that say how the run ended, such as `test/accuracy`.
        texts: name to Markdown.
        folder: of the run, for those that are told all of its config.
    """
    for logger in loggers:
        if isinstance(logger, RunLogger):
            logger.announce(choices, metrics, texts)
        elif isinstance(logger, Logger):
            logger.log_hyperparams(hyperparameters(logger, choices, folder))
            for name, text in texts.items():
                log_text([logger], name, text, 0)


def close(loggers: Iterable[Any], status: str) -> None:
    """Once, at the very end: `finished`, or anything else for a run that did not."""
    for logger in loggers:
        if isinstance(logger, RunLogger):
            logger.close(status)
        else:
            finish(logger, status == "finished")


def log_epoch(trainer: Any) -> None:
    """Log an epoch's training metrics now; for whoever saves a checkpoint in `on_train_epoch_end`, before
    saving.

    Lightning logs them after that hook. A run that stops in between (a signal is answered just there) would
    resume behind the epoch, and its row would lack them for good. Lightning's own call repeats the same
    values and changes nothing. To be called by all processes.
    """
    metrics = {k: float(v) for k, v in trainer.logged_metrics.items() if split_of(k) not in ("val", "test")}
    step = trainer.global_step - 1  # the step that Lightning will name
    for logger in trainer.loggers:
        if metrics and isinstance(logger, RunLogger):
            logger.log_metrics(metrics | {"epoch": trainer.current_epoch}, step)

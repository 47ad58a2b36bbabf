"""Says in one sentence what classes refuse of the values that a run was given, before its first batch."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.signatures import targets_of
from experiments.config.view import KNOWN_PACKAGES
from experiments.errors import UserError, in_short
from experiments.run.instantiate import locate

_INSTEAD = {  # what our tasks have in place of callbacks that ask for attributes of theirs
    "LearningRateFinder": ", and measure rates with experiments lr",
    "BackboneFinetuning": ", and choose freezing=gradual or another option of freezing",
}


@contextmanager
def in_words(config: DictConfig) -> Iterator[None]:
    """Turns the error of a class of this package or a known library into a sentence with the values that were given.

    The errors of user-defined classes stay what they are: whoever writes them wants to see where.

    Raises:
        UserError: in place of any other error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        given = given_values(config)
        if not given or not all(
            target.startswith(KNOWN_PACKAGES) for target in targets_of(OmegaConf.to_container(config))
        ):
            raise
        asked = re.search(r"allocate memory.*?allocate (\d+) bytes", str(error), re.DOTALL)
        why = (
            f"one tensor needs {int(asked[1]) / 1e9:,.1f} GB at once, more than there is" if asked else in_short(error)
        )
        raise UserError(f"{why}: check {', '.join(given)}") from error


def given_values(config: DictConfig) -> list[str]:
    """Words of the command line that set a value of what a run is built of."""
    return [
        word.lstrip("+")
        for word in config.run.overrides
        if "." in word.partition("=")[0] and not word.startswith("hydra.")
    ]


@contextmanager
def before_the_first_batch(config: DictConfig, trainer: Any) -> Iterator[None]:
    """As `in_words`, for what a fit does before its first batch; and says which callback of Lightning does not fit a run."""
    try:
        yield
    except Exception as error:
        if trainer.fit_loop.epoch_loop.batch_progress.total.ready:
            raise
        if sentence := _of_a_callback(error, config):
            raise UserError(sentence) from error
        with in_words(config):
            raise error


def _of_a_callback(error: Exception, config: DictConfig) -> str | None:
    """Return the sentence for what a callback of Lightning does not find in a run; None for any other error."""
    if isinstance(error, (UserError, OSError)):
        return None
    kind, module = None, ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("lightning.pytorch.callbacks."):
            kind = type(frame.f_locals.get("self")).__name__
        elif module.startswith("lightning.pytorch.loops."):  # it trains meanwhile, and that failed
            kind = None
    nodes = {name: str((node or {}).get("_target_")) for name, node in (config.callbacks or {}).items()}
    key = next((name for name, target in nodes.items() if target.rpartition(".")[2] == kind), None)
    if key is None or not module.startswith(("lightning.", "torch.")):
        return None
    instead = _INSTEAD.get(str(kind), "")
    return f"callbacks.{key} ({kind}) does not fit this run ({in_short(error).rstrip('.')}): leave it out{instead}"


def require_monitors(config: DictConfig, task: Any) -> None:
    """Refuses to watch a metric that a task of this package does not report, or to name a checkpoint after one, for which
    Lightning would write 0.

    Raises:
        UserError: with the metrics that there are.
    """
    if not type(task).__module__.startswith("experiments."):
        return
    names = task.metric_names("val")
    nodes = {f"callbacks.{name}": node for name, node in (config.callbacks or {}).items()}
    for key, node in (nodes | {"scheduler": config.scheduler}).items():
        monitor = node.get("monitor") if isinstance(node, DictConfig) else None
        if isinstance(monitor, str) and monitor not in names and not monitor.startswith("train/"):
            raise UserError(
                f"{key}.monitor={monitor} is no metric of this run: choose one of {', '.join(sorted(names))}"
            )
        for name in _named_in(node):
            if name not in names and not name.startswith("train/"):
                raise UserError(
                    f"{key}.filename names {name}, which is no metric of this run: choose one of {', '.join(sorted(names))}, "
                    f"with {key}.auto_insert_metric_name=false, as a slash would begin a folder"
                )


def _named_in(node: Any) -> list[str]:
    """Return the metrics in the file name of a ModelCheckpoint of Lightning, `{epoch}-{val/loss:.2f}`; none of any other
    callback, whose `filename` may mean anything.
    """
    filename = node.get("filename") if isinstance(node, DictConfig) else None
    if not isinstance(filename, str) or "_target_" not in node:
        return []
    from lightning.pytorch.callbacks import ModelCheckpoint

    kind = locate(str(node["_target_"]))
    if not (isinstance(kind, type) and issubclass(kind, ModelCheckpoint)):
        return []
    fields = re.findall(r"\{(.*?)[:}]", filename)
    return [name for name in fields if name not in ("epoch", "step")]

"""The Trainer of a run: Lightning's, with what the config says and what every run has."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.devices import processes_here
from experiments.config.metric_direction import direction, stops_early
from experiments.errors import UserError
from experiments.run.instantiate import bound, call, locate, make

_NOT_OF_LIGHTNING = ("threads", "memory_format", "compile")
_OF_TRAINING = (
    "profiler",
    "fast_dev_run",
    "max_time",
    "overfit_batches",
    "enable_model_summary",
    "enable_progress_bar",
)
_REPORTING = ("callbacks", "profilers", "tuner", "loggers")  # folders of Lightning whose messages somebody asked for


def quiet() -> None:
    """Leaves out Lightning's advice, which is for those who write a Trainer themselves; what a callback, a profiler or a
    logger reports is shown."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for name in _REPORTING:
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.INFO)
    shared = logging.getLogger("lightning.pytorch.utilities.rank_zero")  # through which all of Lightning speaks
    shared.setLevel(logging.INFO)
    if not any(getattr(known_filter, "__name__", "") == _reports.__name__ for known_filter in shared.filters):
        shared.addFilter(_reports)
    warnings.filterwarnings("ignore", module=rf"lightning\.(?!pytorch\.({'|'.join(_REPORTING)})\b)")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # of a resumed run
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings(
        "ignore", message="Support for mismatched key_padding_mask"
    )  # which transformers gives WavLM


def _reports(record: logging.LogRecord) -> bool:
    """Tell whether a message comes from a callback and its like, or from a class that is not Lightning's."""
    parts = Path(record.pathname).parts
    if "lightning" not in parts or record.levelno >= logging.ERROR:
        return True
    return parts[-2] in _REPORTING


def several(nodes: Any) -> list[Any]:
    """Return what the nodes of a group make; null makes nothing."""
    return [make(node) for node in (nodes or {}).values() if node]


def _of_kind(group: str, nodes: Any, kind: type) -> list[Any]:
    """Return what the nodes of a group make.

    Raises:
        UserError: when one of them is of another kind.
    """
    named = {name: node for name, node in (nodes or {}).items() if node}
    made = several(named)
    for (name, node), part in zip(named.items(), made, strict=True):
        if not isinstance(part, kind):
            raise UserError(
                f"{group}.{name} ({node['_target_']}) makes no {kind.__name__} of Lightning: leave it out, or name a subclass of "
                f"{kind.__module__.rpartition('.')[0]}.{kind.__name__}"
            )
    return made


def callbacks_of(nodes: Any) -> list[Any]:
    """Return a config's callbacks."""
    from lightning.pytorch.callbacks import Callback

    return _of_kind("callbacks", {name: _with_mode(name, node) for name, node in (nodes or {}).items()}, Callback)


def _with_mode(name: str, node: Any) -> Any:
    """Return a callback's node, in which early stopping without a mode has that of the metric that it watches."""
    if OmegaConf.is_dict(node) and node.get("mode", "") is None and _stops_early(name, node):
        return OmegaConf.merge(node, {"mode": direction(str(node.get("monitor")), f"callbacks.{name}")})
    return node


def _stops_early(name: str, node: Any) -> bool:
    """Tell whether the node of a callback is early stopping: by its class, which the run imports anyway."""
    from lightning.pytorch.callbacks import EarlyStopping

    target = locate(str(node["_target_"]))
    return issubclass(target, EarlyStopping) if isinstance(target, type) else stops_early(name, node)


def build_trainer(config: DictConfig, callbacks: bool = True, shares: bool = True) -> Any:
    """Return the Trainer with callbacks and loggers, its lean loop and its atomic checkpoints.

    Args:
        config: of the run.
        callbacks: False leaves out callbacks, loggers and what is of training alone, and takes one process: no figure of a test
            depends on how many there are.
        shares: whether the data themselves share each batch among the processes of a run.

    Raises:
        UserError: when Lightning refuses a key.
    """
    from lightning.pytorch.callbacks import Checkpoint, ProgressBar
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.plugins import Precision
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from experiments.speedups.training_loop import install

    own = bound(config.trainer, _NOT_OF_LIGHTNING)
    given = {key: value for key, value in own.keywords.items() if callbacks or key not in _OF_TRAINING}
    if not callbacks and str(given.get("strategy", "auto")).startswith(("auto", "ddp")) and processes_here(config) > 1:
        # Lightning would start what the user typed once more for each further process, a notebook's kernel among it.
        given |= {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    built, bar = _arranged(callbacks_of(config.callbacks) if callbacks else [], given, ProgressBar)
    checkpoints, sampler = given.get("enable_checkpointing"), given.get("use_distributed_sampler")
    if checkpoints is None:  # else Lightning adds its own
        checkpoints = any(isinstance(callback, Checkpoint) for callback in built)
    defaults = {"enable_model_summary": False, "num_sanity_val_steps": 0, "default_root_dir": config.run.dir}
    plugins = _plugins(given.get("plugins"))
    by_plugin = config.precision.name == "32-true" and any(isinstance(plugin, Precision) for plugin in plugins)
    fixed = {
        "precision": None if by_plugin else config.precision.name,
        "callbacks": built,
        "logger": _of_kind("logger", config.logger, Logger) if callbacks else False,
        "plugins": plugins,
        "enable_checkpointing": checkpoints if callbacks else False,
        "enable_progress_bar": bar,
        "use_distributed_sampler": not shares if sampler is None else sampler,
    }
    try:
        trainer = call(partial(own.func, *own.args, **(defaults | given | fixed)), str(config.trainer["_target_"]))
    except MisconfigurationException as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    install(trainer)
    return trainer


def _arranged(built: list[Any], given: dict[str, Any], bars: type) -> tuple[list[Any], bool]:
    """Return the callbacks that stay beside what the Trainer's own keys ask for, and whether a bar of Lightning's is
    shown.
    """
    from experiments.callbacks.checkpoint import Checkpoints
    from experiments.callbacks.progress import Progress
    from experiments.callbacks.random_states import WithinAnEpoch
    from experiments.callbacks.same_batches import SameBatches

    wanted = given.get("enable_progress_bar")
    theirs = wanted is not False and (bool(wanted) or any(isinstance(callback, bars) for callback in built))
    if theirs or wanted is False:
        built = [callback for callback in built if not isinstance(callback, Progress)]
    if given.get("overfit_batches"):
        built = [*built, SameBatches()]
    if given.get("enable_checkpointing") is False:
        built = [callback for callback in built if not isinstance(callback, Checkpoints)]
    elif not any(isinstance(callback, Checkpoints) for callback in built):
        built = [WithinAnEpoch(), *built]
    return built, theirs


def _plugins(given: Any) -> list[Any]:
    """Return the user's plugins, and checkpoints that are whole or absent where none of the plugins writes checkpoints by itself."""
    from lightning.fabric.plugins import CheckpointIO
    from lightning.pytorch.plugins.io import AsyncCheckpointIO

    from experiments.callbacks.checkpoint_files import AtomicCheckpointIO

    listed: Sequence[Any] = given if isinstance(given, (list, tuple)) else [given]
    plugins = [plugin for plugin in listed if plugin is not None]
    for plugin in plugins:
        if isinstance(plugin, AsyncCheckpointIO):
            plugin.checkpoint_io = AtomicCheckpointIO()  # which it takes where it has none yet
    return plugins if any(isinstance(saver, CheckpointIO) for saver in plugins) else [*plugins, AtomicCheckpointIO()]

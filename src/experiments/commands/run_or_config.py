"""What `lr`, `profile` and `batch_size` begin with: the config of a run, or one from words, checked before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from experiments.run.not_a_run import require_run
from experiments.system.terminal import waiting


def config_of(words: Sequence[str]) -> tuple[Any, Path | None]:
    """Return a checked config, and the folder of the run that it is of; words after a run change it.

    Raises:
        UserError: for what is neither a run nor a config that can run.
    """
    from experiments.config.check import require
    from experiments.config.compose import compose

    runs = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if not runs:
        config = compose(overrides)
        require(config)
        return config, None
    folder = Path(runs[0])
    if len(runs) > 1:
        raise UserError(f"{runs[1]} is one run too many: give one run, or group=option and key=value")
    require_run(folder, ", or give model=… data=…")
    from experiments.config.compose import to_plain_config
    from experiments.run.folder import read_config
    from experiments.run.trust import require_trust, words_to_compose

    config = read_config(folder.absolute())
    require_trust(to_plain_config(config), folder.absolute())
    if overrides:
        own, config_dirs = words_to_compose(config, folder.absolute())
        config = compose([*own, *overrides], config_dirs, recorded=True)
        require_trust(to_plain_config(config), folder.absolute())
    require(config)
    return config, folder


def bare_trainer(config: Any, callbacks: Sequence[Any], **keys: Any) -> Any:
    """Lightning's Trainer for one process, on the device and in the precision of a config, which writes nothing."""
    from lightning.pytorch import Trainer

    fixed: dict[str, Any] = {
        "accelerator": config.trainer.get("accelerator", "auto"),
        "devices": 1,
        "precision": config.precision.name,
        "callbacks": list(callbacks),
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
    }
    return Trainer(**(fixed | keys))


def built(config: Any) -> tuple[Any, Any, list[Any]]:
    """Data, task and the callbacks that freeze, of a config.

    Raises:
        UserError: when they cannot be made.
    """
    with waiting("importing PyTorch, reading the data, building the model"):
        return _built(config)


def _built(config: Any) -> tuple[Any, Any, list[Any]]:
    from experiments.callbacks.use_cached_features import FrozenFeatures
    from experiments.run.build import build_callbacks, build_data, build_task, prepare_process, seed_everything
    from experiments.run.foreign import build_foreign_task, is_ours
    from experiments.run.loaded import earlier_run

    prepare_process(config)
    ours = is_ours(config.task)
    data = build_data(config, ours)
    seed_everything(config.seed)
    if not ours:
        return data, build_foreign_task(config, data), []
    task = build_task(config, data.spec, data, earlier_run=earlier_run)
    callbacks = build_callbacks(config, task.freezing)
    return (
        data,
        task,
        [callback for callback in callbacks if not isinstance(callback, FrozenFeatures)],
    )  # each step computes all

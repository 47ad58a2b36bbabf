"""Deep-learning experiments with Lightning and Hydra.

`train` and `load` do in Python what `experiments train` and `experiments predict` do in a shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.run.loaded import Loaded

__all__ = ["load", "train"]


def train(*overrides: str, config_dir: str | None = None, **choices: Any) -> dict[str, Any]:
    """Trains, tests and records one run; returns its record, with its folder under `dir`.

    Args:
        overrides: as on the command line, `"trainer.max_epochs=5"`.
        config_dir: a further folder of configs.
        choices: groups and keys without dots, `data="mnist", seed=3`.

    Raises:
        UserError: when the config cannot run.
    """
    from experiments.config.compose import compose
    from experiments.run.execute import run
    from experiments.run.folder import opened

    words = [*overrides, *(f"{key}={'null' if value is None else value}" for key, value in choices.items())]
    with opened(compose(words, [config_dir] if config_dir else [])) as folder:
        return run(folder) | {"dir": str(folder)}


def load(run: str) -> Loaded:
    """A finished run, with its best weights: `.model`, `.task`, `.data`, `.config`, `.record` and `.predict(images)`.

    Raises:
        UserError: when the folder holds no run, or one without a checkpoint.
    """
    from experiments.run.loaded import load as load_run

    return load_run(run)

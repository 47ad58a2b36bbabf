"""Where Hydra looks for plugins: the sweeper behind `hydra/sweeper=optuna`."""

from __future__ import annotations

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Chooses the values of the next run by what the earlier ones gave.

    Args:
        params: overrides of a named search, which those of the command line replace.
        resume: the folder of a search; it is the sweep's folder too.
    """

    def __init__(self, params: Any = None, resume: str | None = None) -> None:
        self.params, self.resume = params, resume

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        from experiments.config.refusals import refuse_filled_in
        from experiments.search.launch import check_only, search
        from experiments.sweep.expand import overrides_of

        go = check_only if self.config.launcher.only_check else search
        refuse_filled_in(arguments, "hydra.sweep.dir")
        words = [*overrides_of(self.params), *arguments]
        return go(self.config, words, self.hydra_context.config_loader)

"""Where Hydra looks for plugins: `hydra/launcher=processes`, the launcher behind `experiments train -m`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """Runs each job of a sweep in a process of its own; `launcher.jobs` of them at a time."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from experiments.sweeps.launcher import launch

        def compose(overrides: Sequence[str]) -> DictConfig:
            return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

        records = launch(self.config, job_overrides, initial_job_idx, compose)
        returns = []
        for overrides, record in zip(job_overrides, records, strict=True):
            job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
            job.return_value = record
            returns.append(job)
        return returns



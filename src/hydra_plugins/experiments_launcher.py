"""Where Hydra looks for plugins: the sweeper and the launchers behind `experiments train -m` and `experiments check -m`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class RunSweeper(Sweeper):
    """Products, pairs and lists of overrides, or the runs of an earlier sweep; all runs go to the launcher at once.

    Args:
        params: overrides of a named sweep, which those of the command line replace.
        zip: keys whose values are paired instead of combined.
        lists: lists of overrides whose sweeps follow one another.
        resume: the folder of a sweep whose runs to take.
    """

    def __init__(self, params: Any = None, zip: Any = None, lists: Any = None, resume: str | None = None) -> None:
        self.params, self.zip, self.lists, self.resume = params, zip, lists, resume
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from experiments.config.refusals import refuse_filled_in
        from experiments.sweep.expand import expand, overrides_of

        assert self.launcher is not None
        refuse_filled_in(arguments, "hydra.sweep.dir")
        if self.resume:
            from pathlib import Path

            from experiments.sweep.folder import EXCLUDED, read_sweep

            lists = [entry.words for entry in read_sweep(Path(self.resume)).entries if entry.plan != EXCLUDED]
            runs = [run for words in lists for run in expand([*words, *arguments])]
        else:
            words = [*overrides_of(self.params), *arguments]
            runs = expand(words, self.zip, self.lists, self.hydra_context.config_loader)  # type: ignore[union-attr]
        if not hasattr(self.launcher, "cluster"):  # Hydra may import this module twice: not told by the class
            self.launcher = OtherLauncher(self.launcher, self.config, self.hydra_context)
        return [self.launcher.launch(runs, initial_job_idx=0)]


class JobLauncher(Launcher):
    """What our launchers share: all runs are composed, checked and run by one function, wherever the jobs run."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def cluster(self) -> Any:
        """Where the jobs run; None is this machine."""
        return None

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from experiments.sweep.launch import launch

        records = launch(self.config, job_overrides, self.hydra_context.config_loader, self.cluster())
        returns = []
        for record in records:
            job = JobReturn(overrides=record.get("overrides"), status=JobStatus.COMPLETED)
            job.return_value = record
            returns.append(job)
        return returns


class ProcessLauncher(JobLauncher):
    """Runs each job of a sweep in a process of its own; `launcher.jobs` of them at a time."""


class OtherLauncher(JobLauncher):
    """Hands the jobs of a sweep to a launcher that is not ours.

    Args:
        launcher: of Hydra, set up.
        config: of the sweep, with Hydra's part.
        hydra_context: of the sweep.
    """

    def __init__(self, launcher: Launcher, config: DictConfig, hydra_context: HydraContext) -> None:
        self.launcher, self.config, self.hydra_context = launcher, config, hydra_context

    def cluster(self) -> Any:
        from experiments.sweep.backends.hydra_launcher import HydraLauncher

        return HydraLauncher(self.launcher, self.config)

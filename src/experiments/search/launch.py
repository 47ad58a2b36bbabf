"""Hyper-parameter search: a sweep whose next run is chosen by what the earlier ones gave.

Optuna proposes and is told (ask and tell); the jobs, their folders, records and failures are those of any sweep. What the
search knows lies in `search.db` in the sweep's folder, so that it can be resumed after whatever ended it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config.devices import accelerator
from experiments.config.view import View
from experiments.errors import RunFailed, UserError, first_line
from experiments.search.settings import check_words, headline, read_search
from experiments.search.space import read_space
from experiments.search.study import import_package, open_study
from experiments.search.trial_planner import TrialPlanner, invalid_ends, refuse_invalid
from experiments.search.trials import Trials
from experiments.sweep.job_loop import JobLoop
from experiments.sweep.launch import engine_here
from experiments.sweep.objective import STORAGE
from experiments.sweep.prepare import claimed, open_sweep, read_settings, sweep_folder_of, write_sweep
from experiments.sweep.resources import jobs_at_a_time

# Imported once for all jobs that prune, and what Optuna imports only when it opens its storage.
_COMPANIONS = (
    "optuna", "optuna.pruners", "optuna.storages._rdb.storage", "optuna.storages._rdb.models",
    "alembic.command", "alembic.migration", "sqlalchemy.dialects.sqlite",
)  # fmt: skip

PROCESSES = "hydra_plugins.experiments_launcher.ProcessLauncher"


def search(config: DictConfig, words: Sequence[str], loader: Any) -> list[dict[str, Any]]:
    """Runs trials until there are enough, and gives the records of all that ran.

    Args:
        config: of the sweep, with Hydra's part.
        words: all overrides; what has several values is searched.
        loader: Hydra's, to compose with.

    Raises:
        UserError: when the settings, the space or the folder do not fit; nothing has been run then.
        RunFailed: after all trials, when some failed.
        Interrupted: when a signal stopped the search.
    """
    if config.hydra.launcher._target_ != PROCESSES:
        raise UserError("a search runs its trials on this machine: leave hydra/launcher at processes")
    jobs_settings = read_settings(config)
    space = read_space(words, loader)
    optuna = import_package("optuna")
    if config.search.sampler == "cmaes":
        import_package("cmaes")
    check_words(config.search, space)  # before a process is started
    folder = sweep_folder_of(config)
    prunes = config.search.pruner != "none"
    jobs_settings["preload"] = [*(jobs_settings.get("preload") or ()), *(_COMPANIONS if prunes else ())]
    engine = engine_here(config, jobs_settings)
    try:
        with claimed(folder):
            settings = read_search(config, space)
            sweep = open_sweep(config, folder)
            sweep.settings = [*sweep.settings, *(word for word in words if not word.startswith("launcher."))]
            planner = TrialPlanner(config, space, loader, sweep)
            if jobs_settings["on_invalid"] == "stop":
                refuse_invalid(planner)
            else:  # an exclusion by a key that no trial has is refused all the same
                invalid_ends(planner)
            study = open_study(optuna, folder, settings, space)
            sample = planner.plan(next(space.corners()))
            on_gpus = sample.config is not None and accelerator(View(sample.config).trainer) == "gpu"
            sweep.jobs = jobs_settings["jobs"] = jobs_at_a_time(jobs_settings, on_gpus)
            write_sweep(sweep)
            trials = Trials(planner, study, settings, sweep.jobs)
            return JobLoop(trials, jobs_settings, engine).run()
    except optuna.exceptions.StorageInternalError as error:
        raise RunFailed(
            f"{folder / STORAGE} cannot be written to ({first_line(error)}): make room, and resume with the same command and hydra.sweep.dir={folder}"
        ) from error
    finally:
        engine.stop()


def check_only(config: DictConfig, words: Sequence[str], loader: Any) -> None:
    """Says what a search would do; runs nothing and writes nothing.

    Raises:
        UserError: when the settings or the space do not fit, or an end of it cannot run and `launcher.on_invalid` is stop.
    """
    jobs_settings = read_settings(config)
    space = read_space(words, loader)
    check_words(config.search, space)
    settings = read_search(config, space)
    folder = Path(config.hydra.sweep.dir).absolute()
    planner = TrialPlanner(config, space, loader, open_sweep(config, folder))
    print(headline(settings, space))
    for key in space.keys:
        print(f"  {key}")
    if jobs_settings["on_invalid"] == "stop":
        refuse_invalid(planner)
        print("This search can run.")
        return
    problems, some_run = invalid_ends(planner)
    for problem in problems:
        print(f"skipped: {problem}")
    print("This search can run." if some_run else "No end of this space can run.")

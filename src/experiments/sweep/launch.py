"""A sweep from its words to its end: planned, checked, registered in its folder, run.

On this machine the jobs are forked from a process that has torch and Lightning imported and has started no thread: a job
neither pays the imports again nor can it hurt the next one. Where a system has no fork, and by `launcher.start=spawn`, each is
a fresh process. A cluster starts them as it does any job.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.devices import accelerator
from experiments.config.shorthand import spelled_out
from experiments.config.signatures import targets_of
from experiments.config.view import View
from experiments.errors import UserError
from experiments.sweep.backends.forked_processes import ForkedProcesses, all_known, modules_of
from experiments.sweep.backends.protocol import Cluster, Engine
from experiments.sweep.backends.spawned_processes import SpawnedProcesses
from experiments.sweep.folder import Sweep
from experiments.sweep.job_loop import JobLoop
from experiments.sweep.plan import Plan, plan_runs, summary
from experiments.sweep.planned_run import RunPlanner
from experiments.sweep.prepare import claimed, open_sweep, read_settings, sweep_folder_of, write_sweep
from experiments.sweep.rehearse_runs import by_jobs, rehearse_runs
from experiments.sweep.resources import Machine, jobs_at_a_time
from experiments.sweep.resume import match
from experiments.sweep.run_source import ListedRuns, problems, remarks
from experiments.system.terminal import done_waiting


def launch(
    config: DictConfig, job_overrides: Sequence[Sequence[str]], loader: Any, cluster: Cluster | None = None
) -> list[dict[str, Any]]:
    """Composes and checks all runs, runs those that are not done, and gives the records of all in order.

    Args:
        config: of the sweep, with Hydra's part.
        job_overrides: what each run sets.
        loader: Hydra's, to compose with.
        cluster: where the jobs run; None is this machine.

    Raises:
        UserError: when a run's config cannot run (unless `launcher.on_invalid=skip`) or the folder is taken; nothing has
            been run then.
        RunFailed: after all jobs, when some failed.
        Interrupted: when a signal stopped the sweep.
    """
    settings = read_settings(config)
    machine = cluster.machine if cluster else None
    if cluster and (asked := config.launcher.get("start") or "auto") != "auto":
        raise UserError(
            f"launcher.start={asked} has no effect where a cluster starts the jobs: leave it out, or take hydra/launcher=processes"
        )
    if settings["only_check"]:
        check_only(config, settings, job_overrides, loader, machine)
        return []
    folder = sweep_folder_of(config)
    engine: Engine | None = None if cluster else engine_here(config, settings)
    try:
        with claimed(folder):
            plan = make_plan(config, job_overrides, loader, open_sweep(config, folder), machine)
            if engine is not None and not _named(config):
                rehearse_runs(plan, by_jobs(engine, folder))
            _refuse_invalid(plan, settings)
            if cluster:
                engine = cluster.engine(folder)
            assert engine is not None
            _register(plan, settings, machine)
            if cluster and plan.to_run:
                engine.start()
            source = ListedRuns(plan, None if machine else settings["jobs"])
            return JobLoop(source, settings, engine, machine).run()
    finally:
        if engine is not None:
            engine.stop()


def check_only(
    config: DictConfig,
    settings: dict[str, Any],
    job_overrides: Sequence[Sequence[str]],
    loader: Any,
    machine: Machine | None,
) -> None:
    """Composes and checks all runs and says what a sweep would do; runs nothing and writes nothing.

    Raises:
        UserError: when a run's config cannot run and `launcher.on_invalid` is stop.
    """
    folder = Path(os.path.abspath(config.hydra.sweep.dir))
    plan = make_plan(config, job_overrides, loader, open_sweep(config, folder), machine)
    only_rules = None if machine or _named(config) else rehearse_runs(plan)  # a cluster has other devices and files
    done_waiting()
    print(summary(plan))
    _refuse_invalid(plan, settings)
    if only_rules:
        print(only_rules)
    for line in remarks(plan):
        print(line)
    print("This sweep can run." if plan.to_run else "Nothing is left to run.")


def _named(config: DictConfig) -> bool:
    """Tell whether a sweep is one by name, whose values are tested and whose networks may be large."""
    return OmegaConf.select(config, "hydra.runtime.choices.sweep") is not None


def make_plan(
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    loader: Any,
    sweep: Sweep,
    machine: Machine | None = None,
) -> Plan:
    """Return what a sweep is going to do; `sweep` is what lies in its folder.

    Raises:
        UserError: for an exclusion that cannot be read, and when the folder holds runs of another config.
    """
    planner = RunPlanner(config, loader, sweep, machine)
    words = [
        spelled_out([word for word in command if not word.startswith(("hydra.", "launcher."))])
        for command in job_overrides
    ]
    plan = plan_runs(planner, sweep, words)
    resumed = OmegaConf.select(config, "hydra.sweeper.resume") is not None
    if not resumed:
        planner.refuse_foreign_exclusions([*plan.runs, *plan.excluded, *plan.invalid])
    match(plan, words, resumed)
    return plan


def _refuse_invalid(plan: Plan, settings: dict[str, Any]) -> None:
    """Raises for runs that cannot run; those that a resumed sweep has skipped before do not stop it."""
    invalid = [run for run in plan.invalid if not run.skipped_before]
    if invalid and settings["on_invalid"] == "stop":
        cure = ["launcher.on_invalid=skip leaves such runs out"] if plan.runs and len(invalid) > 1 else []
        raise UserError("\n".join([*problems(invalid), *cure]))


def engine_here(config: DictConfig, settings: dict[str, Any]) -> Engine:
    """Return what runs jobs on this machine, started.

    Forked jobs come from a process that imports what the sweep's own config names, while the runs are composed.
    """
    if settings["start"] == "spawn":
        return SpawnedProcesses()
    targets = targets_of(OmegaConf.to_container(config, resolve=False))
    forked = ForkedProcesses(modules_of(targets, settings.get("preload") or ()), all_known(targets))
    forked.start()
    return forked


def _register(plan: Plan, settings: dict[str, Any], machine: Machine | None) -> None:
    """Writes the list of runs, with those of earlier commands."""
    sweep = plan.sweep
    sweep.entries = plan.entries
    if machine:
        sweep.jobs = settings["jobs"] or machine.at_a_time or max(1, len(plan.to_run))
    else:
        on_gpus = any(run.config and accelerator(View(run.config).trainer) == "gpu" for run in plan.runs)
        sweep.jobs = jobs_at_a_time(settings, on_gpus)
    settings["jobs"] = settings["jobs"] or (
        max(1, len(plan.to_run)) if machine else sweep.jobs
    )  # a cluster queues them
    write_sweep(sweep)

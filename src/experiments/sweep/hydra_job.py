"""One run as the task function of Hydra, for launchers and sweepers that are not ours: basic, joblib, submitit_local."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from experiments.config.hydra_keys import words_given
from experiments.errors import Interrupted, RunFailed, UserError
from experiments.run.outcome import STOPPED

_OURS = ("jobs", "threads", "jobs_per_gpu", "timeout", "start", "preload")  # settings of our own launchers
_UNSET = {"jobs_per_gpu": 1, "start": "auto"}


def refuse_settings(config: Any) -> None:
    """Raises for a setting of our own launchers, which another would not follow.

    Args:
        config: of a sweep, with Hydra's part.

    Raises:
        UserError: when there is one.
    """
    for key in _OURS:
        if (value := config.launcher.get(key)) not in (_UNSET.get(key), []):
            launcher = config.hydra.runtime.choices.get("hydra/launcher")
            raise UserError(
                f"launcher.{key}={value} has no effect with hydra/launcher={launcher}, whose own keys stand under hydra.launcher: "
                "leave it out, or take hydra/launcher=processes"
            )


def run_here(config: DictConfig) -> float | int | None:
    """Runs one job in the folder that Hydra made for it.

    Returns:
        The exit code, where a sweeper of ours prepared the folder; else what the run is judged by, which sweepers of other packages
        make better.

    Raises:
        UserError: when the config cannot run.
        RunFailed: when a run that another sweeper chose failed.
        Interrupted: when a signal stopped it.
    """
    from experiments.sweep.job import run_job

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir).absolute()
    ours = str(hydra.sweeper._target_).startswith("hydra_plugins.experiments_")
    if not ours:
        if config.launcher.only_check:
            _settled(config, hydra, folder)
            print(f"{' '.join(words_given(hydra))}: this config can run.")
            return None
        _prepare(config, hydra, folder)
    code = run_job(folder)
    if code in STOPPED:
        raise Interrupted(abs(code) % 128)
    return code if ours else _judged(folder)


def _settled(config: DictConfig, hydra: Any, folder: Path) -> DictConfig:
    """Return what Hydra composed for a job, checked."""
    from experiments.config.check import require
    from experiments.config.compose import settle
    from experiments.sweep.prepare import config_dirs

    with open_dict(config):
        config.hydra = hydra
    refuse_settings(config)
    settled = settle(config, words_given(hydra), config_dirs(config), str(folder))
    require(settled)
    return settled


def _prepare(config: DictConfig, hydra: Any, folder: Path) -> None:
    """Writes the config of a job that another sweeper chose.

    Raises:
        UserError: when it cannot run, or the folder holds another run.
    """
    from experiments.run.folder import write_config
    from experiments.run.identity import identity
    from experiments.sweep.run_state import state_of

    settled = _settled(config, hydra, folder)
    record, _ = state_of(folder)
    if record and record.get("identity") != identity(OmegaConf.to_container(settled)):  # type: ignore[arg-type]
        raise UserError(f"{folder} holds a run of another config: choose another hydra.sweep.dir")
    write_config(settled, folder)


def _judged(folder: Path) -> float | None:
    """Return the metric that a finished run was judged by.

    Raises:
        RunFailed: when the run failed.
    """
    from experiments.run.record import FINISHED, read_record
    from experiments.sweep.end_table import judged

    record = read_record(folder)
    if record["status"] != FINISHED:
        raise RunFailed(f"{folder}: {record.get('error')}")
    metrics = judged(record)
    return float(record["metrics"][metrics[0]]) if metrics else None

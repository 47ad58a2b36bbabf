"""One run as the task function of Hydra, for launchers that are not ours: basic, joblib, submitit_local."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, open_dict

from experiments.errors import RunFailed, UserError, first_line


def run_here(config: DictConfig) -> dict[str, Any]:
    """Checks, trains, tests and records the run that Hydra composed, in the folder that Hydra made; gives its record.

    Raises:
        UserError: when the config cannot run.
    """
    from experiments.config.check import require
    from experiments.config.compose import settle
    from experiments.run.execute import run
    from experiments.run.folder import write_config
    from experiments.run.record import FINISHED, read_record
    from experiments.sweep.prepare import config_dirs

    hydra = HydraConfig.instance().cfg.hydra  # type: ignore[union-attr]
    folder = Path(hydra.runtime.output_dir)
    if (folder / "record.json").exists() and read_record(folder).get("status") == FINISHED:
        return read_record(folder)
    with open_dict(config):
        config.hydra = hydra
    words = [str(word) for word in hydra.overrides.task]
    settled = settle(config, words, config_dirs(config), str(folder))
    require(settled)
    write_config(settled, folder)
    return run(folder)


def all_well(returns: list[JobReturn]) -> None:
    """Raises when jobs of a launcher failed.

    Raises:
        UserError: when every failure is a mistake of the user's.
        RunFailed: otherwise.
    """
    failed = [one for one in returns if one.status != JobStatus.COMPLETED]
    if not failed:
        return
    errors = [getattr(one, "_return_value", None) for one in failed]
    said = [f"{' '.join(one.overrides or [])}: {first_line(error) if isinstance(error, BaseException) else 'failed'}"
            for one, error in zip(failed, errors, strict=True)]  # fmt: skip
    text = "\n".join([f"{len(failed)} of {len(returns)} runs failed", *said])
    raise (UserError if all(isinstance(error, UserError) for error in errors) else RunFailed)(text)

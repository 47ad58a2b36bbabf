"""Keys of Hydra's own that a run would not follow: each is refused in one sentence. Never imports torch."""

from __future__ import annotations

from typing import Any

from experiments.errors import UserError


def refuse_unused(hydra: Any) -> None:
    """Raises for a key under `hydra.` that would have no effect.

    Args:
        hydra: that part of a composed config.

    Raises:
        UserError: when there is one.
    """
    job = hydra.get("job") or {}
    if job.get("chdir"):
        raise UserError(
            "hydra.job.chdir=true has no effect, because a run stays where it was started: write paths as ${run.dir}/…"
        )
    if job.get("env_set"):
        names = ", ".join(job["env_set"])
        raise UserError(
            f"hydra.job.env_set has no effect, because processes of a run start from its config.yaml: set {names} in the shell"
        )
    if hydra.get("output_subdir"):
        raise UserError(
            f"hydra.output_subdir={hydra['output_subdir']} has no effect, because config.yaml lies in the run's folder: leave it out"
        )
    if hydra.get("callbacks"):
        raise UserError(
            "hydra.callbacks has no effect, because each run starts from its config.yaml: use callbacks.NAME._target_ with a callback of Lightning"
        )
    for kind in ("job_logging", "hydra_logging"):
        if (chosen := hydra.runtime.choices.get(f"hydra/{kind}")) not in (None, "none", "disabled"):
            raise UserError(
                f"hydra/{kind}={chosen} has no effect, because a run prints by itself and a job of a sweep writes job.log: leave it out, "
                "and take -q or -v for less or more"
            )
    if hydra.get("verbose"):
        raise UserError(
            f"hydra.verbose={hydra['verbose']} has no effect: set EXPERIMENTS_DEBUG=1 in the shell for tracebacks"
        )


def refuse_sweep(hydra: Any) -> None:
    """Raises where a single run is asked for and its config says that it is a sweep, which would run as one run.

    Args:
        hydra: that part of a composed config.

    Raises:
        UserError: when it does.
    """
    if str(hydra.get("mode") or "").endswith("MULTIRUN"):
        raise UserError(
            "hydra.mode=MULTIRUN makes a sweep, and this command makes one run: add -m, as in experiments train -m"
        )
    for kind, usual in (("launcher", "processes"), ("sweeper", "cells")):
        chosen = hydra.runtime.choices.get(f"hydra/{kind}")
        if chosen not in (None, usual):
            raise UserError(
                f"hydra/{kind}={chosen} has no effect on one run: add -m for a sweep, as in experiments train -m, or leave it out"
            )

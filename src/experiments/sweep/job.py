"""One job of a sweep, to its end: `python -m experiments.sweep.job FOLDER` is what engines on other machines start."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def run_job(folder: Path) -> int:
    """Runs one job to its end and gives its exit code; its record is there afterwards, whatever happened."""
    import traceback

    from experiments.errors import UserError, in_short
    from experiments.run.execute import run
    from experiments.system.signals import stop_behind

    try:
        run(folder)
    except BaseException as error:
        if stopped := stop_behind(error):
            return 128 + stopped.signum
        if isinstance(error, UserError):
            print(f"error: {error}", file=sys.stderr)
            _ensure_record(folder, str(error))
            return 2
        traceback.print_exc()
        _ensure_record(folder, in_short(error))
        return 1
    return 0


def _ensure_record(folder: Path, error: str) -> None:
    """A record for a run that failed before it had one."""
    from experiments.run.folder import rank, read_config
    from experiments.run.record import FAILED, RUNNING, Record, now, read_record
    from experiments.system.files import write_json

    if rank():
        return
    try:
        if not (folder / "record.json").exists():
            from omegaconf import OmegaConf

            Record(folder, OmegaConf.to_container(read_config(folder))).write(FAILED, error)  # type: ignore[arg-type]
        elif (content := read_record(folder))["status"] == RUNNING:
            write_json(folder / "record.json", content | {"status": FAILED, "error": error, "ended": now()})
    except Exception as second:  # the launcher tries again
        print(f"{folder}/record.json could not be written: {second}", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    """Runs the job in a folder; ends with the process that started it."""
    from experiments.run.ranks import die_with_parent
    from experiments.system.shown import speak_everywhere

    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent or parent == 1:
        return 1
    import faulthandler

    faulthandler.enable()
    speak_everywhere()
    return run_job(Path(arguments[0]))


if __name__ == "__main__":
    from experiments.speedups.process_exit import leave

    leave(main(sys.argv[1:]))

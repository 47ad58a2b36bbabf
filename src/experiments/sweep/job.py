"""One job of a sweep, to its end: `python -m experiments.sweep.job FOLDER PARENT` starts it where it is not forked."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.system.fresh_python import look_here_last, python_module

ONLY_BUILD = "EXPERIMENTS_ONLY_BUILD"  # in a job's environment: build the run up to its first batch, train nothing


def run_job(folder: Path) -> int:
    """Run one job and return its exit code; its record is written even if the job fails."""
    import traceback

    from experiments.errors import UserError, in_short
    from experiments.run.execute import run
    from experiments.system.outside_text import concealed, speak_everywhere
    from experiments.system.signals import stop_behind

    speak_everywhere()
    try:
        if os.environ.get(ONLY_BUILD):
            from experiments.run.folder import read_config
            from experiments.run.rehearse import rehearse

            rehearse(read_config(folder))
        else:
            run(folder)
    except BaseException as error:
        if stopped := stop_behind(error):
            return stopped.exit_code
        if isinstance(error, UserError):
            print(f"error: {concealed(str(error))}", file=sys.stderr)
            _ensure_record(folder, str(error))
            return 2
        print(concealed(traceback.format_exc()), file=sys.stderr)
        _ensure_record(folder, in_short(error))
        return 1
    return 0


def _ensure_record(folder: Path, error: str) -> None:
    """A record for a run that failed before it had one."""
    from experiments.run.folder import rank
    from experiments.run.outcome import end
    from experiments.run.record import FAILED

    if rank():
        return
    try:
        end(folder, FAILED, error)
    except Exception as second:  # the launcher tries again
        print(f"{folder}/record.json could not be written: {second}", file=sys.stderr)


def command(folder: Path | str) -> list[str]:
    """Return the words that start a job in a process that ends with this one."""
    return python_module("experiments.sweep.job", str(folder), str(os.getpid()))


def main(arguments: Sequence[str]) -> int:
    """Runs the job in a folder; ends with the process that started it."""
    import faulthandler

    from experiments.system.processes import end_with
    from experiments.system.signals import answer_break

    look_here_last()
    folder, parent = arguments
    answer_break()
    if not end_with(int(parent)):
        return 1
    faulthandler.enable()
    return run_job(Path(folder))


if __name__ == "__main__":
    from experiments.speedups.process_exit import announce, leave

    announce()
    leave(main(sys.argv[1:]))

"""One of the several processes of a run, which `run/launch_ranks.py` starts by this module's name.

It starts from the run's `config.yaml` and never composes.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from experiments.errors import Interrupted, UserError, debugging, in_short
from experiments.system.files import write_json
from experiments.system.fresh_python import look_here_last
from experiments.system.outside_text import speak_everywhere
from experiments.system.processes import end_with


def rank_main(folder: Path, launcher: int) -> int:
    """Executes one process of a distributed run; ends with the process that launched it, or at once where that is gone."""
    look_here_last()
    from experiments.run.execute import execute

    if not end_with(launcher):
        return 1
    speak_everywhere()
    try:
        execute(folder)
    except Interrupted as stopped:
        _tell_launcher(stopped)
        return stopped.exit_code
    except Exception as error:
        _tell_launcher(error)
        return 2 if isinstance(error, UserError) else 1
    return 0


def _tell_launcher(error: BaseException) -> None:
    """Leaves the error where torch's elastic launcher looks for it."""
    if debugging() and not isinstance(error, Interrupted):
        traceback.print_exc()
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        text = in_short(error)
        message = {
            "message": text,
            "extraInfo": {
                "timestamp": str(int(time.time())),
                "when": time.time(),
                "py_callstack": traceback.format_exc(),
            },
        }
        write_json(Path(path), {"message": message})


if __name__ == "__main__":
    # A module run by name is imported under two names otherwise.
    from experiments.run.ranks import rank_main as main
    from experiments.speedups.process_exit import announce, leave

    announce()
    leave(main(Path(sys.argv[1]), int(sys.argv[2])))

"""The end of a process, without the half second that Python takes to free torch object by object.

Replaces: the interpreter's own end. Private names: `atexit._run_exitfuncs`, `os._exit`.
Gain: about half a second a command that imported torch (`scripts/benchmark.py --only two_steps`).
Without the private name in `atexit`, one sentence is said and Python ends as ever.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn

from experiments import speedups


def announce() -> None:
    """Note for the record that this process will end by `leave`."""
    if _can_leave():
        speedups.used("process_exit")


def _can_leave() -> bool:
    return speedups.wanted() and hasattr(atexit, "_run_exitfuncs")


def leave(code: int) -> NoReturn:
    """End this process: call the registered exit functions, flush what was printed, and leave freeing the memory to the system.

    Where a thread is still at work, or a profiler or debugger waits for the end, Python ends as ever.
    """
    if not speedups.wanted():
        sys.exit(code)
    if not hasattr(atexit, "_run_exitfuncs"):
        speedups.unknown(
            "process_exit", "Python's atexit has no _run_exitfuncs, so the process ends half a second later"
        )
        sys.exit(code)
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not _can_leave():
        sys.exit(code)
    if sys.getprofile() or sys.gettrace() or any(not thread.daemon for thread in others):
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        if sys.stdout is not None:  # closed by who started this
            sys.stdout.flush()
    except (OSError, ValueError) as error:  # such as a full disk
        code = code or 1
        with contextlib.suppress(OSError, ValueError):
            print(f"failed: what was printed could not be written: {error}", file=sys.stderr)
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.flush()
    os._exit(code)

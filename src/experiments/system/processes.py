"""Processes on every system: whether one is alive, one that is asked to stop or killed, and one that ends with its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

WINDOWS = sys.platform == "win32"
KILLED = -9  # the exit code of a process that was killed, as it is counted here on every system
_LOOK = 1.0  # seconds between two looks at the parent


def is_first_of_run() -> bool:
    """Tell whether this is the only process of a run on this machine, or the first of several."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def can_fork() -> bool:
    """Tell whether jobs may be forked from a process that holds the imports: on Linux.

    macOS has fork as well, but its own libraries do not survive it.
    """
    return sys.platform == "linux"


def alive(pid: int) -> bool:
    """Tell whether a process of this machine is there, also one of another user."""
    if sys.platform == "win32":
        return not _gone_within(pid, 0)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


if sys.platform == "win32":

    def _gone_within(pid: int, milliseconds: int) -> bool:
        """Asks the system; `os.kill(pid, 0)` would send Ctrl-C there."""
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
        if not handle:
            return bool(kernel.GetLastError() != 5)  # access denied: it is there, and another user's
        try:
            return bool(kernel.WaitForSingleObject(handle, milliseconds) == 0)
        finally:
            kernel.CloseHandle(handle)


def end_with(parent: int) -> bool:
    """Has this process end when the one that started it is gone, so that none is left behind; False where it is gone already.

    On Linux the kernel does it. Elsewhere a thread looks for the parent now and then.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        return os.getppid() == parent

    def watch() -> None:
        while alive(parent):
            time.sleep(_LOOK)
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
    return True


def end_worker_with_parent(worker: int) -> None:
    """Has a process of `multiprocessing` end when the one that asked for it is gone, however it was started.

    Behind a fork server the kernel's parent is that server, which its workers keep alive; so a thread waits for the other end
    of a pipe. It ends a worker also in the midst of handing over a batch that nobody takes any more.

    Args:
        worker: its number, as `worker_init_fn` of a DataLoader gets it.
    """
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def peak_memory() -> int:
    """Return the largest resident size of this process in bytes; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Child:
    """A process that Ctrl-C does not reach; its parent asks it to stop, or kills it with its children.

    Args:
        words: of its command.
        log: the file that what it prints is added to.
        environment: variables beside those of this process.
        folder: to work in; None is this process's.
        first: called in the new process before its command; not on Windows.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: str | None = None,
        first: Callable[[], None] | None = None,
    ) -> None:
        with log.open("ab") as file:
            os.utime(log)  # whoever waits for the process to start looks at the file
            self._process = subprocess.Popen(
                list(words),
                cwd=folder,
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=not WINDOWS,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                preexec_fn=None if WINDOWS else first,
            )
        self._killed = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit code, or minus the number of the signal that ended it, such as KILLED; None while it runs."""
        code = self._process.poll()
        return KILLED if code == 1 and self._killed and WINDOWS else code

    def ask(self, signum: int) -> None:
        """Sends a signal that the process can answer; on Windows, which has none, Ctrl-Break."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signum))

    def kill(self) -> None:
        """Ends the process and all that it started, at once."""
        self._killed = True
        if self._process.poll() is not None:
            return
        if WINDOWS:
            subprocess.run(["taskkill", "/PID", str(self.pid), "/T", "/F"], capture_output=True, check=False)
        else:
            self.kill_rest()

    def kill_rest(self) -> None:
        """Ends what the process started and left behind; nothing on Windows, where nobody knows it any more."""
        if WINDOWS:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Waits for the end; False where it did not come in time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

"""Processes that are looked for, asked to stop, killed, and that end with their parent; and what one system has and another lacks."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.system import locks, signals
from experiments.system.processes import KILLED, Child, alive

PACKAGE = Path(__file__).parents[2] / "src"
# Names that macOS or Windows lack, and the files that may use them: behind a look at the system, or where there is no other.
_ELSEWHERE = {
    r"os\.(fork|pipe2|wait4|setsid|getpgid)\b": {"sweep/backends/fork_server"},
    r"os\.killpg\b": {"sweep/backends/fork_server", "system/processes"},
    r"os\.(sched_getaffinity|register_at_fork|getuid|uname|pread|pwrite|posix_\w+|sysconf)\b": {
        "config/devices", "system/memory", "run/signature", "system/locks", "transfer/cache_files",
    },
    r"import (fcntl|resource|termios|pwd|grp|pty)\b": {"system/locks", "system/processes"},
    r"signal\.(SIGHUP|SIGUSR\d|SIGCHLD|SIGKILL|pthread_sigmask)\b": {
        "sweep/backends/fork_server", "sweep/backends/remote_process", "sweep/job_loop", "system/processes", "system/signals",
    },
    r"os\.kill\(|preexec_fn": {"system/processes"},  # on Windows os.kill(pid, 0) is Ctrl-C
    r"/proc/": {"claims/verdict", "system/memory", "sweep/backends/fork_server"},
}  # fmt: skip


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet is still listed, as a zombie."""
    try:
        return not alive(pid) or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:  # it ended between the two looks, or this system has no such file
        return not alive(pid)


@pytest.mark.parametrize("pattern", _ELSEWHERE)
def test_what_other_systems_lack_stays_in_few_files(pattern: str) -> None:
    allowed = _ELSEWHERE[pattern]
    for path in (PACKAGE / "experiments").rglob("*.py"):
        name = str(path.relative_to(PACKAGE / "experiments").with_suffix(""))
        if name not in allowed:
            code = re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8"))
            assert not re.search(pattern, code), name


def test_a_child_is_asked_and_killed_with_all_it_started(tmp_path: Path) -> None:
    program = (
        "import signal, subprocess, sys, time\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print(other.pid, flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    log = tmp_path / "job.log"
    child = Child([sys.executable, "-c", program], log, {"A": "b"})
    until(lambda: log.read_text().strip())
    assert child.ended() is None and alive(child.pid)
    child.ask(signal.SIGTERM)
    until(lambda: "asked" in log.read_text())
    other = int(log.read_text().split()[0])
    child.kill()
    assert child.wait(120) and child.ended() == KILLED
    until(lambda: gone(other))
    child.ask(signal.SIGTERM)  # nobody is there, and nothing happens
    child.kill()


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_process_ends_with_its_parent(tmp_path: Path, platform: str) -> None:
    """Where the kernel does it, and where a thread has to look."""
    inner = (
        "import os, sys, time; from experiments.system import processes; "
        f"sys.platform = {platform!r}; "
        "assert processes.end_with(os.getppid()); print(os.getpid(), flush=True); time.sleep(600)"
    )
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    parent = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: not alive(child))


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_loader_process_ends_with_its_run(tmp_path: Path, way: str) -> None:
    """However it was started, and with it the server that forked it."""
    (tmp_path / "loading.py").write_text(
        "import multiprocessing, os, time\n"
        "from experiments.system.processes import end_worker_with_parent\n"
        "def work(said):\n"
        "    end_worker_with_parent(0)\n"
        "    said.send((os.getpid(), os.getppid()))\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        f"    here = multiprocessing.get_context({way!r})\n"
        "    ear, mouth = here.Pipe(False)\n"
        "    for _ in range(2):\n"
        "        here.Process(target=work, args=(mouth,), daemon=True).start()\n"
        "        print(*ear.recv(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, tmp_path / "loading.py"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    others = {int(word) for _ in range(2) for word in parent.stdout.readline().split()} - {parent.pid}
    assert len(others) == (3 if way == "forkserver" else 2)
    parent.kill()
    parent.wait()
    for pid in others:
        until(partial(gone, pid))


def test_signals_wait_where_they_cannot_be_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: how a run ended is written down first."""
    monkeypatch.delattr(signal, "pthread_sigmask")
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: came.append(signum))
    try:
        with signals.undisturbed():
            os.kill(os.getpid(), signal.SIGTERM)
            assert not came
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ctrl_break_stops_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    came: list[int] = []
    previous = signals.handle(lambda signum, frame: came.append(signum))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert came == [signal.SIGINT]
        signals.answer_break()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def test_locks_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is signed in front of the byte that is locked, and another process is named."""
    import fcntl

    places: list[int] = []

    def locking(handle: int, mode: int, count: int) -> None:
        places.append(os.lseek(handle, 0, os.SEEK_CUR))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_LOCK=1, LK_NBLCK=2, locking=locking))  # type: ignore[arg-type]
    spec = importlib.util.spec_from_file_location("locks_of_windows", locks.__file__)
    assert spec and spec.loader
    there = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "platform", "win32")
    spec.loader.exec_module(there)
    monkeypatch.undo()
    path = tmp_path / "lock"
    with there.hold(path):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(there.AtWork, match=str(os.getpid())):
            there._take(path)
    assert not path.exists()
    with there.lock(path):
        pass
    assert set(places) == {1 << 30}

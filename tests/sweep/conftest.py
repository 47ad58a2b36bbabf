"""Sweeps as a user starts them, with a network that can be told to go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FAULTY = '''
import ctypes, os, signal, time
from pathlib import Path
from experiments.models.dense import MLP


class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def build(how, **rest):
    """A perceptron, or what `how` says, unless the file `mended` is there."""
    if not Path(__file__).with_name("mended").exists():
        if how == "segmentation":
            ctypes.string_at(0)
        if how == "exit":
            os._exit(7)
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "memory":
            bytearray(10**15)
        if how == "error":
            raise RuntimeError("no luck")
        if how == "endless":
            while True:
                time.sleep(0.1)
        if how == "cut":  # stopped in the midst of what ends with an error of its own
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            finally:
                raise AttributeError("cut short")
        if how == "freed":  # stopped in the midst of what Python does not let fail
            Freed()
        if how == "rank" and os.environ.get("RANK") == "1":
            os._exit(3)
    return MLP(**rest)
'''
SMALL = [
    "data=shapes",
    "data.limit=64",
    "data.batch_size=32",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "model=mlp",
    "callbacks=none",
    "logger=none",
]


class Sweeps:
    """Runs sweeps in one folder and reads what they leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "faulty.py").write_text(FAULTY)
        (folder / "conf" / "model").mkdir(parents=True)
        text = "defaults:\n  - mlp\n  - _self_\n_target_: faulty.build\nhow: none\n"
        (folder / "conf" / "model" / "faulty.yaml").write_text(text)

    def start(self, *words: str, command: str = "train") -> subprocess.Popen[str]:
        path = os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")])
        return subprocess.Popen(
            [sys.executable, "-m", "experiments", command, *words],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ray's workers give way to everything else, and would wait for the tests beside them.
            env=os.environ | {"PYTHONPATH": path, "RAY_worker_niceness": "0"},
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup hands down that it is ignored
        )

    def run(self, *words: str, command: str = "train", timeout: float = 240) -> tuple[int, str, str]:
        process = self.start(*words, command=command)
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            process.kill()  # where it took longer than that; else it is over
        return process.returncode, output, errors

    def records(self, sweep: str) -> dict[str, dict[str, Any]]:
        """The records of a sweep by the name of their folder without its number."""
        paths = sorted((self.folder / sweep).glob("*/record.json"))
        return {path.parent.name.partition("_")[2]: json.loads(path.read_text()) for path in paths}

    def await_(self, condition: Callable[[], Any], seconds: float = 180) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                if value := condition():
                    return value
            except (OSError, ValueError):
                pass
            # A condition that starts a process must not take the cores of what it waits for.
            time.sleep(max(0.05, 3 * (time.monotonic() - began)))
        raise AssertionError("it did not come about in time")

    def saved(self, sweep: str, count: int) -> bool:
        """Whether so many runs of a sweep have a checkpoint."""
        return len(list((self.folder / sweep).glob("*/checkpoints/last.ckpt"))) >= count


def processes_of(launcher: int) -> list[int]:
    """Processes that a launcher's jobs run in, and the one they are forked from."""
    processes = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            zombie = (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        ours = {b"experiments.sweep.backends.fork_server", b"experiments.sweep.job"} & set(words)
        if ours and str(launcher).encode() in words and not zombie:
            processes.append(int(path.name))
    return processes


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweeps]:
    made = Sweeps(tmp_path_factory.mktemp("sweeps"))
    yield made
    for path in made.folder.glob("*/sweep.json"):  # nothing outlives a failed test
        pid = json.loads(path.read_text())["pid"]
        for process in processes_of(pid):
            os.kill(process, signal.SIGKILL)

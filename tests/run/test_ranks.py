"""Two gloo processes: one folder, one record, every example once, and nothing left behind when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORDS = ["data=digits", "model=mlp", "callbacks.figures=null", "trainer.max_epochs=2", "data.batch_size=64"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gloo processes are tested on POSIX")


def record(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    done = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True)
    lines = (line.split(None, 1) for line in done.stdout.splitlines())
    return [int(pid) for pid, words in lines if f"experiments.run.ranks {folder}" in words]


@pytest.mark.slow
def test_two_processes_agree_with_one(experiments, command, tmp_path: Path) -> None:
    code, _, errors = experiments("train", *WORDS, "trainer=cpu", "data.augment.crop=1", "hydra.run.dir=cpu")
    assert code == 0, errors
    done = command("train", *WORDS, "trainer=cpu_2", "data.augment.crop=1", "hydra.run.dir=cpu_2")
    assert done.returncode == 0, done.stderr
    first, second = record(tmp_path / "cpu"), record(tmp_path / "cpu_2")
    assert second["environment"]["processes"] == 2
    assert second["status"] == "finished"
    for name, value in first["metrics"].items():
        assert second["metrics"][name] == pytest.approx(value, abs=0.01), name
    assert sum(map(sum, second["confusion"])) == sum(map(sum, first["confusion"])) == 360
    assert second["metrics"]["test/loss"] == pytest.approx(first["metrics"]["test/loss"], rel=1e-3)
    assert len(list(tmp_path.rglob("record.json"))) == 2
    assert len(list((tmp_path / "cpu_2").glob("events.*"))) == 1


@pytest.mark.slow
def test_two_processes_translate_as_one(experiments, command, tmp_path: Path) -> None:
    words = ["data=generated_pairs", "data.count=301", "data.batch_size=32", "optimizer.lr=0.02", "logger=csv"]
    words += ["model.embedding=32", "model.hidden=32", "model.dropout=0.0", "trainer.max_epochs=6"]
    code, _, errors = experiments("train", *words, "task.search.beams=2", "trainer=cpu", "hydra.run.dir=cpu")
    assert code == 0, errors
    done = command("train", *words, "task.search.beams=2", "trainer=cpu_2", "hydra.run.dir=cpu_2")
    assert done.returncode == 0, done.stderr
    first, second = record(tmp_path / "cpu"), record(tmp_path / "cpu_2")
    assert second["environment"]["processes"] == 2
    assert first["data"] == second["data"]
    # A process takes the mean over its own tokens, so that the two learn almost, but not exactly, the same.
    assert second["metrics"]["test/loss"] == pytest.approx(first["metrics"]["test/loss"], rel=0.03)
    assert [each["source"] for each in first["translations"]] == [each["source"] for each in second["translations"]]
    # Tested again by one process, every sentence once: the two have judged the whole test split.
    code, output, errors = experiments("evaluate", "cpu_2", "trainer=cpu")
    assert code == 0, errors
    again = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    for name in ("test/loss", "test/perplexity", "test/bleu", "test/chrf"):
        assert again[name] == pytest.approx(second["metrics"][name], abs=2e-4), name
    assert again["test/chrf"] > 15


def test_a_process_whose_launcher_is_gone_ends_at_once(tmp_path: Path) -> None:
    """A launcher that is killed right after it started its processes leaves none of them behind."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    words = [sys.executable, "-m", "experiments.run.ranks", str(tmp_path), str(gone.pid)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["rank", "launcher"])
def test_a_killed_process_ends_the_run(tmp_path: Path, victim: str) -> None:
    folder = tmp_path / "run"
    words = [*WORDS[:-2], "trainer.max_epochs=500", "trainer=cpu_2", f"hydra.run.dir={folder}"]
    launcher = subprocess.Popen(
        [sys.executable, "-m", "experiments", "train", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not (folder / "checkpoints" / "last.ckpt").exists() and time.monotonic() < until:
        time.sleep(0.1)
    ranks = processes_of(folder)
    assert len(ranks) == 2
    began = time.monotonic()
    os.kill(ranks[1] if victim == "rank" else launcher.pid, signal.SIGKILL)
    _, errors = launcher.communicate(timeout=180)
    if victim == "rank":
        assert launcher.returncode == 1
        assert "Traceback" not in errors
        assert record(folder)["status"] == "failed"
        assert "SIGKILL" in record(folder)["error"]
    while processes_of(folder) and time.monotonic() - began < 180:
        time.sleep(0.2)
    assert processes_of(folder) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The record of a run of two processes that nobody stops."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    words = ["train", *WORDS, "trainer.max_epochs=6", "trainer=cpu_2", f"hydra.run.dir={folder}"]
    done = subprocess.run([sys.executable, "-m", "experiments", *words], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return record(folder)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stopped_and_taken_up_again(command, whole: dict, tmp_path: Path, signum: int) -> None:
    folder = tmp_path / "run"
    words = [
        *WORDS,
        "trainer.max_epochs=6",
        "trainer=cpu_2",
        "callbacks.checkpoint.every_n_steps=3",
        f"hydra.run.dir={folder}",
    ]
    command_ = [sys.executable, "-m", "experiments", "train", *words]
    launcher = subprocess.Popen(command_, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (folder / "checkpoints" / "last.ckpt").exists():
        time.sleep(0.01)
    launcher.send_signal(signum)
    _, errors = launcher.communicate(timeout=180)
    assert launcher.returncode == 128 + signum
    assert errors.splitlines()[-1] == f"stopped by {signal.Signals(signum).name}" and "death signal" not in errors
    assert record(folder)["status"] == "interrupted"
    assert processes_of(folder) == []
    done = command("train", f"resume={folder}")
    assert done.returncode == 0, done.stderr
    assert record(folder)["metrics"] == pytest.approx(whole["metrics"], rel=1e-5)


STOPPED_IN_TEST = """
import os, signal
from lightning.pytorch import Callback


class Kill(Callback):
    def on_test_epoch_end(self, trainer, module):
        if trainer.global_rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.slow
def test_one_process_stopped_in_the_test_leaves_no_other_waiting(command, tmp_path: Path) -> None:
    (tmp_path / "stopped_in_test.py").write_text(STOPPED_IN_TEST)
    words = [*WORDS, "trainer.max_epochs=1", "trainer=cpu_2", "hydra.run.dir=run"]
    done = command("train", *words, "callbacks.kill._target_=stopped_in_test.Kill", timeout=100)
    assert done.returncode == 143 and done.stderr.splitlines()[-1] == "stopped by SIGTERM", done.stderr
    assert record(tmp_path / "run")["status"] == "interrupted"
    assert processes_of(tmp_path / "run") == []


@pytest.mark.slow
def test_the_users_mistake_is_one_sentence_from_two_processes_too(command, tmp_path: Path) -> None:
    done = command("train", "data=mnist", "data.root=nowhere", "trainer=cpu_2", "hydra.run.dir=run")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_starts_the_same_entry_point(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "experiments"]
    words = ["train", *WORDS, "trainer=cpu_2"]
    done = subprocess.run(
        [*torchrun, *words, "hydra.run.dir=run"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert record(tmp_path / "run")["environment"]["processes"] == 2
    done = subprocess.run([*torchrun, *words], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode != 0
    assert "hydra.run.dir" in done.stderr

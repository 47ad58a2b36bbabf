"""`lr`, `profile`, `batch_size` and `board`, as they are typed."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.commands.lr import suggested

Experiments = Callable[..., tuple[int, str, str]]
SMALL = ("data=digits", "model=mlp", "trainer=cpu")


@pytest.mark.slow
def test_a_range_test_suggests_a_rate(experiments: Experiments, tmp_path: Path) -> None:
    code, output, errors = experiments("lr", *SMALL, "--steps", "40")
    assert code == 0, errors
    rate = float(output.split("suggested    optimizer.lr=")[1].split()[0])
    assert 1e-6 < rate < 1 and (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lr.png"], "nothing else is left"
    for words, sentence in (
        (["--min", "1", "--max", "0.1"], "must be above 0 and grow"),
        (["--steps", "3"], "must be 10 or more"),
        (["nowhere"], "does not exist: name the folder of a run"),
        (["data=digits", "task=reconstruction", "model=pca"], "model=pca learns nothing by gradients"),
        (["data=control"], "learns from rewards has no loss that falls"),
    ):
        code, _, errors = experiments("lr", *words)
        assert code == 2 and sentence in errors


def test_a_rate_is_suggested_where_the_loss_falls_whatever_single_batches_say() -> None:
    rates = np.logspace(-6, 0, 100)
    noise = np.random.default_rng(0).normal(0, 0.15, 100)
    falls = 1 - 0.7 / (1 + (rates / 1e-3) ** -2)  # by half at 0.001
    grows = np.where(rates > 0.1, (rates / 0.1) ** 6, 0)
    rate = suggested(rates.tolist(), (falls + grows + noise).tolist())[1]
    assert rate is not None and 2e-4 < rate < 3e-3
    smooth, rate = suggested(rates.tolist(), (1 + noise).tolist())
    assert rate is None and max(smooth) - min(smooth) < 0.3
    late = suggested(rates.tolist(), (1 - 0.7 / (1 + (rates / 0.2) ** -4)).tolist())
    assert late[1] == pytest.approx(0.1), "a tenth of the rate where it is lowest"


@pytest.mark.slow
def test_a_step_is_taken_apart(experiments: Experiments, tmp_path: Path) -> None:
    code, output, errors = experiments("profile", *SMALL, "--steps", "3", "--rows", "4")
    assert "Optimizer." not in output  # torch's mark around a whole step, which holds forward and backward
    assert code == 0, errors
    for part in ("data", "forward", "backward", "update", "whole", "aten::"):
        assert part in output
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert experiments("profile", "--steps", "0")[0] == 2


@pytest.mark.slow
def test_batch_sizes_are_measured(experiments: Experiments) -> None:
    code, output, errors = experiments("batch_size", *SMALL, "--largest", "16", "--seconds", "0.1")
    assert code == 0, errors
    assert "suggested    data.batch_size=" in output and "of the best" in output


def test_sizes_that_gain_nothing_end_the_measurement(experiments: Experiments, monkeypatch) -> None:
    """A size asked for by name is reached in any case."""
    from experiments.commands import batch_size

    speeds = {8: 100.0, 16: 200.0, 32: 190.0, 64: 195.0, 128: 300.0}

    def measured(words: list[str], seconds: float) -> dict[str, float]:
        return {"examples_per_second": speeds[int(words[-1].rpartition("=")[2])], "peak_megabytes": 1.0}

    monkeypatch.setattr(batch_size, "in_a_process", measured)
    code, output, errors = experiments("batch_size", *SMALL)
    assert code == 0 and "measuring data.batch_size=64 … 195 examples/s" in errors
    assert "stopped at 128: the last two sizes were no faster" in output
    assert "suggested    data.batch_size=16\n" in output
    assert "suggested    data.batch_size=128\n" in experiments("batch_size", *SMALL, "--largest", "128")[1]


def test_sizes_that_cannot_be(experiments: Experiments) -> None:
    assert "must be 1 or more and grow" in experiments("batch_size", "--smallest", "0")[2]
    assert experiments("batch_size", "model=lenet6")[0] == 2


def test_board_finds_the_folder(experiments: Experiments, tmp_path: Path) -> None:
    code, _, errors = experiments("board")
    assert code == 2 and "train one first" in errors
    run = tmp_path / "outputs" / "runs" / "one"
    run.mkdir(parents=True)
    assert "holds no events" in experiments("board", "outputs")[2]
    (run / "events.out.tfevents.1.1").write_bytes(b"")
    code, output, _ = experiments("board", "--dry")
    assert code == 0 and output == "tensorboard --logdir outputs --host localhost\n"
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, errors = experiments("board", "--port", str(port))
    assert code == 2 and f"--port {port} is taken" in errors


@pytest.mark.slow
def test_board_answers(tmp_path: Path) -> None:
    (tmp_path / "events.out.tfevents.1.1").write_bytes(b"")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "experiments", "board", str(tmp_path), "--port", str(port)]
    job = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + 180
        while True:
            try:
                page = urllib.request.urlopen(f"http://localhost:{port}/", timeout=5).read()
                break
            except OSError:
                assert time.monotonic() < until and job.poll() is None
                time.sleep(0.3)
        assert b"TensorBoard" in page
        job.terminate()  # takes TensorBoard along
        assert job.wait(60) == 143
        with pytest.raises(OSError):  # noqa: PT011
            urllib.request.urlopen(f"http://localhost:{port}/", timeout=5)
    finally:
        import contextlib
        import os
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()

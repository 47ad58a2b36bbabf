"""Sweeps on systems without fork: each job is a fresh process, and all else is as ever."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from experiments.errors import UserError
from experiments.sweep import prepare
from tests.sweep.conftest import SMALL, Sweeps, processes_of

SPAWN = [*SMALL, "launcher.start=spawn"]
ELSEWHERE = """
import os, signal
for name in ("fork", "forkpty", "sched_getaffinity", "pipe2", "wait4", "pread", "pwrite", "posix_fallocate"):
    delattr(os, name)
for name in ("SIGHUP", "pthread_sigmask"):
    delattr(signal, name)
"""


@pytest.fixture
def elsewhere(sweeps: Sweeps) -> Iterator[None]:
    """Every process lacks what other systems lack."""
    site = sweeps.folder / "sitecustomize.py"
    site.write_text(ELSEWHERE)
    yield
    site.unlink()


def test_how_jobs_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [prepare.how_to_start(word) for word in ("auto", "fork", "spawn")] == ["fork", "fork", "spawn"]
    monkeypatch.setattr(prepare, "can_fork", lambda: False)
    assert prepare.how_to_start("auto") == "spawn"
    with pytest.raises(UserError, match=r"launcher\.start=fork works on Linux .*: take launcher\.start=spawn"):
        prepare.how_to_start("fork")
    with pytest.raises(UserError, match=r"launcher\.start=thread must be auto, fork or spawn"):
        prepare.how_to_start("thread")


@pytest.mark.slow
def test_a_failing_job_and_its_resume(sweeps: Sweeps, elsewhere: None) -> None:
    words = ["-m", "--config-dir", "conf", *SPAWN, "model=faulty", "model.how=error,none", "launcher.jobs=2"]
    words.append("hydra.sweep.dir=spawned")
    code, output, errors = sweeps.run(*words)
    assert code == 1, output + errors
    records = sweeps.records("spawned")
    assert {name: record["status"] for name, record in records.items()} == {
        "how=error": "failed",
        "how=none": "finished",
    }
    assert "no luck" in records["how=error"]["error"]
    assert len({record["pid"] for record in records.values()}) == 2, "a process each"
    assert records["how=none"]["environment"]["threads"] == 1
    assert "1 of 2 runs failed" in errors and "experiments train resume=spawned/0_how=error" in errors
    settings = json.loads((sweeps.folder / "spawned" / "sweep.json").read_text())["settings"]
    assert "launcher.start=spawn" in settings, "which a resume takes over"
    code, output, _ = sweeps.run("-m", "resume=spawned")
    assert code == 1 and "1 to run, 1 done already, 1 of them to try again" in output
    after = sweeps.records("spawned")
    assert after["how=none"] == records["how=none"] and after["how=error"]["resumed"] == 1


@pytest.mark.slow
def test_ctrl_c_saves_and_a_killed_launcher_leaves_no_job(sweeps: Sweeps) -> None:
    long = ["-m", *SPAWN, "trainer.max_epochs=5000", "seed=0,1", "launcher.jobs=2", "hydra.sweep.dir=long"]
    process = sweeps.start(*long)
    sweeps.await_(lambda: sweeps.saved("long", 2))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "resume=long" in errors
    assert {record["status"] for record in sweeps.records("long").values()} == {"interrupted"}
    process = sweeps.start("-m", "resume=long")
    sweeps.await_(lambda: {record["resumed"] for record in sweeps.records("long").values()} == {1})
    process.kill()
    process.communicate()
    sweeps.await_(lambda: not processes_of(process.pid))
    assert "2 interrupted" in sweeps.run("long", command="status")[1]


@pytest.mark.slow
def test_a_search_by_spawn_gives_what_one_by_fork_gives(sweeps: Sweeps) -> None:
    pytest.importorskip("optuna")
    words = ["-m", "hydra/sweeper=optuna", *SMALL, "optimizer.lr=tag(log,interval(1e-4,1e-1))", "search.trials=2"]
    trials = []
    for start in ("spawn", "fork"):
        code, output, errors = sweeps.run(*words, f"launcher.start={start}", f"hydra.sweep.dir=by_{start}")
        assert code == 0, output + errors
        records = sweeps.records(f"by_{start}")
        trials.append({name: (record["identity"], record["metrics"]) for name, record in records.items()})
    assert trials[0] == trials[1] and len(trials[0]) == 2

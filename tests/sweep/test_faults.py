"""What goes wrong in a sweep stays where it went wrong, and is made good by a resume."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.sweep.conftest import SMALL, Sweeps, processes_of

LONG = [*SMALL, "trainer.max_epochs=70", "data.limit=320"]


@pytest.mark.slow
def test_a_job_that_goes_wrong_fails_alone_and_is_tried_again(
    sweeps: Sweeps, experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = "none,segmentation,exit,killed,memory,error,endless"
    words = [
        "-m",
        "--config-dir",
        "conf",
        *SMALL,
        "model=faulty",
        f"model.how={faults}",
        "launcher.timeout=10",
        "launcher.jobs=2",
    ]
    code, output, errors = sweeps.run(*words, "hydra.sweep.dir=faults")
    assert code == 1
    records = sweeps.records("faults")
    reasons = {name.removeprefix("how="): record["error"] for name, record in records.items()}
    assert {name: record["status"] for name, record in records.items()} == {
        f"how={fault}": "finished" if fault == "none" else "failed" for fault in faults.split(",")
    }
    assert reasons["none"] is None
    assert "SIGSEGV" in reasons["segmentation"]
    assert "exit code 7" in reasons["exit"]
    assert "SIGKILL" in reasons["killed"]
    assert "memory" in reasons["killed"]
    assert "MemoryError" in reasons["memory"]
    assert reasons["error"] == "RuntimeError: no luck (while making faulty.build)"
    assert "launcher.timeout=10" in reasons["endless"]
    assert "6 of 7 runs failed" in errors
    assert "Traceback" not in errors
    assert "experiments train resume=faults/5_how=error" in errors, "the command that repeats it"
    assert "Segmentation fault" in (sweeps.folder / "faults" / "1_how=segmentation" / "job.log").read_text()
    monkeypatch.chdir(sweeps.folder)
    monkeypatch.syspath_prepend(sweeps.folder)
    assert "no luck" in experiments("train", "resume=faults/5_how=error")[2]
    monkeypatch.delitem(sys.modules, "faulty", raising=False)
    (sweeps.folder / "mended").touch()
    finished = records["how=none"]
    code, output, errors = sweeps.run("-m", "resume=faults")
    assert code == 0, errors
    assert "7 runs: 6 to run, 1 done already, 6 of them to try again" in output
    records = sweeps.records("faults")
    assert all(record["status"] == "finished" for record in records.values())
    assert all(record["error"] is None for record in records.values())
    assert records["how=none"] == finished, "what was finished was left alone"
    assert len(records) == 7


@pytest.mark.slow
def test_a_killed_launcher_leaves_nothing_behind_and_loses_nothing(
    sweeps: Sweeps, experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sweeps.folder)
    words = ["-m", *LONG, "seed=0,1,2", "launcher.jobs=2", "hydra.sweep.dir=killed"]
    process = sweeps.start(*words)
    sweeps.await_(lambda: sweeps.saved("killed", 2))
    code, _, errors = experiments("train", *words)
    assert code == 2, "two sweeps in one folder"
    assert f"process {process.pid}" in errors
    assert len(errors.splitlines()) == 1
    output = experiments("status", "killed")[1]
    assert "2 running" in output
    assert f"at work: process {process.pid}" in output
    process.kill()
    process.communicate()
    sweeps.await_(lambda: not processes_of(process.pid))
    output = experiments("status", "killed")[1]
    assert "2 interrupted, 1 waiting" in output
    assert "experiments train -m resume=killed" in output
    code, output, errors = sweeps.run("resume=killed")
    assert code == 0, errors
    assert "3 to run, 2 of them to resume" in output
    records = sweeps.records("killed")
    assert {name: record["status"] for name, record in records.items()} == {
        f"seed={seed}": "finished" for seed in range(3)
    }
    assert sorted(record["resumed"] for record in records.values()) == [0, 1, 1]
    code, _, errors = sweeps.run("-m", *LONG, "seed=0", "launcher.jobs=2", "hydra.sweep.dir=whole")
    assert code == 0, errors
    whole = sweeps.records("whole").popitem()[1]
    assert whole["identity"] == records["seed=0"]["identity"]
    assert whole["metrics"] == records["seed=0"]["metrics"], "as if nothing had happened"


@pytest.mark.slow
def test_ctrl_c_saves_what_runs(sweeps: Sweeps) -> None:
    process = sweeps.start(
        "-m", *LONG, "seed=0,1,2", "launcher.jobs=2", "trainer.max_epochs=5000", "hydra.sweep.dir=stopped"
    )
    sweeps.await_(lambda: sweeps.saved("stopped", 2))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "resume=stopped" in errors
    records = sweeps.records("stopped")
    assert {name: record["status"] for name, record in records.items()} == {
        "seed=0": "interrupted",
        "seed=1": "interrupted",
    }
    assert not processes_of(process.pid)
    output = sweeps.run("stopped", command="status")[1]
    assert "2 interrupted, 1 waiting" in output


@pytest.mark.slow
def test_a_stop_that_comes_in_the_midst_of_a_library_is_a_stop(sweeps: Sweeps) -> None:
    (sweeps.folder / "mended").unlink(missing_ok=True)
    words = [*SMALL, "model=faulty", "--config-dir=conf"]
    for how in ("cut", "freed"):
        code, _, errors = sweeps.run(*words, f"model.how={how}", f"hydra.run.dir=run_{how}")
        assert (code, errors.splitlines()[-1]) == (130, "stopped by SIGINT"), errors
    code, _, errors = sweeps.run("-m", *words, "model.how=cut,freed", "hydra.sweep.dir=sweep_stopped")
    assert code == 1, errors
    folders = [sweeps.folder / "run_cut", sweeps.folder / "run_freed", *(sweeps.folder / "sweep_stopped").glob("[01]*")]
    assert len(folders) == 4
    for folder in folders:
        record = json.loads((folder / "record.json").read_text())
        assert (record["status"], record["error"]) == ("interrupted", "Interrupted: stopped by SIGINT")


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.5, 1.2])
def test_ctrl_c_while_the_imports_are_under_way(sweeps: Sweeps, after: float) -> None:
    words = [*LONG, "seed=0,1", "launcher.jobs=2", "trainer.max_epochs=50000", f"hydra.sweep.dir=early{after}"]
    process = sweeps.start("-m", *words)
    sweeps.await_(lambda: (sweeps.folder / f"early{after}" / "sweep.json").exists())
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)
    assert process.returncode == 130
    assert not processes_of(process.pid)
    for record in sweeps.records(f"early{after}").values():
        assert (record["status"], record["error"].removeprefix("Interrupted: ")) == ("interrupted", "stopped by SIGINT")


@pytest.mark.slow
def test_the_process_that_jobs_are_forked_from_may_be_killed(sweeps: Sweeps) -> None:
    process = sweeps.start("-m", *LONG, "seed=0,1,2", "launcher.jobs=2", "hydra.sweep.dir=server")
    sweeps.await_(lambda: sweeps.saved("server", 2))
    server = min(processes_of(process.pid))
    os.kill(server, signal.SIGKILL)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 1, errors
    records = sweeps.records("server")
    assert sorted(record["status"] for record in records.values()) == ["failed", "failed", "finished"]
    assert "forked from was killed" in records["seed=0"]["error"]
    code, _, errors = sweeps.run("-m", "resume=server")
    assert code == 0, errors


@pytest.mark.slow
def test_a_disk_that_fills_up_fails_the_job_and_not_the_sweep(sweeps: Sweeps) -> None:
    # A limit on the size of files is to a writer what a full disk is: the write fails half way.
    site = sweeps.folder / "sitecustomize.py"
    site.write_text(
        "import resource, signal, sys\n"
        "sys.dont_write_bytecode = True\n"  # which would be cut off as well
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    )
    try:
        code, output, errors = sweeps.run("-m", *SMALL, "model=mlp,logistic_regression", "hydra.sweep.dir=full")
    finally:
        site.unlink()
    assert code == 1, output + errors
    records = sweeps.records("full")
    assert {name: record["status"] for name, record in records.items()} == {
        "model=mlp": "failed",
        "model=logistic_regression": "finished",
    }
    assert not list((sweeps.folder / "full" / "0_model=mlp" / "checkpoints").iterdir())
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_killed_rank_fails_its_job_alone(sweeps: Sweeps) -> None:
    process = sweeps.start(
        "-m",
        *LONG,
        "trainer.max_epochs=5000",
        "trainer.devices=2,1",
        "trainer.strategy=ddp",
        "launcher.timeout=120",
        "hydra.sweep.dir=rank",
    )
    sweeps.await_(lambda: sweeps.saved("rank", 1))
    ranks = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if (
                "experiments.run.ranks" in words
                and any(str(sweeps.folder / "rank") in word for word in words)
                and b"RANK=1\0" in (path / "environ").read_bytes()
            ):
                ranks.append(int(path.name))
        except OSError:
            continue
    assert len(ranks) == 1
    os.kill(ranks[0], signal.SIGKILL)
    sweeps.await_(lambda: sweeps.records("rank")["devices=2"]["status"] == "failed")
    sweeps.await_(lambda: sweeps.saved("rank", 2))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=180)
    assert process.returncode == 143
    records = sweeps.records("rank")
    assert "killed by SIGKILL" in records["devices=2"]["error"]
    assert records["devices=1"]["status"] == "interrupted"


@pytest.mark.slow
def test_a_config_that_fails_on_instantiate_is_refused_before_any_run(sweeps: Sweeps) -> None:
    lists = '[["+model.nonsense=1"],["seed=1"]]'
    words = ["-m", *SMALL, f"hydra.sweeper.lists={lists}", "hydra.sweep.dir=instantiate"]
    code, output, errors = sweeps.run(*words)
    assert code == 2 and not (sweeps.folder / "instantiate").exists(), output + errors
    assert "nonsense" in errors and "check the keys of its config" in errors
    assert "Traceback" not in errors
    code, output, errors = sweeps.run(*words, "launcher.on_invalid=skip")
    assert code == 0, output + errors
    assert [record["status"] for record in sweeps.records("instantiate").values()] == ["finished"]
    assert "nonsense" in output + errors


@pytest.mark.slow
def test_a_distributed_job_whose_time_is_over_leaves_no_process(sweeps: Sweeps) -> None:
    words = ["-m", "--config-dir", "conf", *SMALL, "model=faulty", "trainer=cpu_2", "trainer.max_epochs=100000"]
    words += ["model.how=none,endless", "launcher.timeout=30", "hydra.sweep.dir=late"]
    process = sweeps.start(*words)
    _, errors = process.communicate(timeout=250)
    assert process.returncode == 1, errors
    records = sweeps.records("late")
    assert set(records) == {"how=none", "how=endless"}
    for record in records.values():
        assert record["status"] == "failed"
        assert record["error"] == "it was stopped after launcher.timeout=30 s"
    assert not processes_of(process.pid)
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            zombie = (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        assert zombie or not any(str(sweeps.folder / "late") in word for word in words), words


def test_a_failure_before_the_record_is_recorded(sweeps: Sweeps) -> None:
    folder = sweeps.folder / "unreadable"
    program = (
        "import sys, pathlib, experiments.sweep.job as warm\n"
        "folder = pathlib.Path(sys.argv[1]); sys.exit(warm.run_job(folder))"
    )
    import subprocess

    folder.mkdir()
    (folder / "config.yaml").write_text("run: {dir: x")
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert (
        not (folder / "record.json").exists() or json.loads((folder / "record.json").read_text())["status"] == "failed"
    )

"""Sweeps on engines of others: submitit's local executor, a SLURM of this machine, Ray on one node."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.sweep.backends.slurm import fake_slurm
from tests.sweep.conftest import SMALL, Sweeps

SUBMITIT = ["hydra/launcher=submitit_slurm", "hydra.launcher.cluster=local", "launcher.jobs=2"]
FAULTY = ["-m", "--config-dir", "conf", *SMALL, "model=faulty"]


def jobs_in(folder: Path) -> list[int]:
    """Processes of jobs below a sweep's folder."""
    jobs = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode().split("\0")
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if "experiments.sweep.job" in words and any(word.startswith(str(folder)) for word in words) and state != "Z":
            jobs.append(int(path.name))
    return jobs


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", [SUBMITIT, ["hydra/launcher=ray"]], ids=["submitit", "ray"])
def test_a_sweep_with_failing_jobs_and_its_resume(sweeps: Sweeps, launcher: list[str], request) -> None:
    if launcher is not SUBMITIT:
        pytest.importorskip("ray")
    pytest.importorskip("submitit")
    name = f"on_{request.node.callspec.id}"
    (sweeps.folder / "mended").unlink(missing_ok=True)
    faults = ["none", "error", "segmentation", "killed"]
    words = [*FAULTY, f"model.how={','.join(faults)}", *launcher, f"hydra.sweep.dir={name}"]
    code, output, errors = sweeps.run(*words, timeout=400)
    assert code == 1, output + errors
    records = sweeps.records(name)
    assert {name: record["status"] for name, record in records.items()} == {
        f"how={fault}": "finished" if fault == "none" else "failed" for fault in faults
    }
    assert len({record["pid"] for record in records.values()}) == 4, "a process each"
    assert records["how=error"]["error"] == "RuntimeError: no luck (while making faulty.build)"
    assert "SIGSEGV" in records["how=segmentation"]["error"]
    assert "SIGKILL" in records["how=killed"]["error"]
    assert "3 of 4 runs failed" in errors
    assert f"experiments train resume={name}/1_how=error" in errors
    assert "Traceback" not in errors
    assert "Segmentation fault" in (sweeps.folder / name / "2_how=segmentation" / "job.log").read_text()
    assert "[4/4]" in output
    shown = sweeps.run(name, command="status")[1]
    assert "1 done, 3 failed" in shown.replace("0 waiting, ", "")
    (sweeps.folder / "mended").touch()
    try:
        code, output, errors = sweeps.run("-m", f"resume={name}", timeout=400)
    finally:
        (sweeps.folder / "mended").unlink()
    assert code == 0, errors
    assert "4 runs: 3 to run, 1 done already, 3 of them to try again" in output
    after = sweeps.records(name)
    assert all(record["status"] == "finished" for record in after.values())
    assert after["how=none"] == records["how=none"], "what was finished was left alone"
    assert not jobs_in(sweeps.folder / name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", [SUBMITIT, ["hydra/launcher=ray"]], ids=["submitit", "ray"])
def test_a_job_without_end_is_stopped(sweeps: Sweeps, launcher: list[str], request) -> None:
    pytest.importorskip("submitit" if launcher is SUBMITIT else "ray")
    name = f"late_{request.node.callspec.id}"
    words = [*FAULTY, "model.how=endless", "seed=0,1", "launcher.timeout=5", *launcher, f"hydra.sweep.dir={name}"]
    code, _, errors = sweeps.run(*words, timeout=400)
    assert code == 1, errors
    records = sweeps.records(name)
    assert {record["status"] for record in records.values()} == {"failed"}
    assert {record["error"] for record in records.values()} == {"it was stopped after launcher.timeout=5 s"}
    assert not jobs_in(sweeps.folder / name)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", [SUBMITIT, ["hydra/launcher=ray"]], ids=["submitit", "ray"])
def test_ctrl_c_saves(sweeps: Sweeps, launcher: list[str], request) -> None:
    pytest.importorskip("submitit" if launcher is SUBMITIT else "ray")
    name = f"stop_{request.node.callspec.id}"
    long = ["trainer.max_epochs=50000", "model.how=none,endless"]
    process = sweeps.start(*FAULTY, *long, *launcher, f"hydra.sweep.dir={name}")
    sweeps.await_(lambda: sweeps.saved(name, 1), 300)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert f"resume={name}" in errors
    states = {run: record["status"] for run, record in sweeps.records(name).items()}
    assert states["how=none"] == "interrupted", "it was asked to save"
    assert states.get("how=endless") != "finished"
    assert not jobs_in(sweeps.folder / name)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_jobs_in_a_queue_outlive_their_launcher_and_are_not_submitted_twice(
    sweeps: Sweeps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    for key, value in fake_slurm(tmp_path).items():
        monkeypatch.setenv(key, value)
    (sweeps.folder / "mended").unlink(missing_ok=True)
    words = [*FAULTY, "model.how=none,exit", "trainer.max_epochs=400", "seed=0,1", "hydra/launcher=submitit_slurm"]
    process = sweeps.start(*words, "hydra.sweep.dir=queue")

    def those_that_exit_are_over() -> bool:
        """Whether the launcher has seen both; the queue has the others still."""
        return [record["status"] for record in sweeps.records("queue").values()].count("failed") == 2

    sweeps.await_(lambda: sweeps.saved("queue", 2) and those_that_exit_are_over(), 300)
    process.kill()
    process.communicate()
    queue = tmp_path / "queue"
    assert len(list(queue.glob("*.json"))) == 4, "one array"
    shown = sweeps.run("queue", command="status")[1]
    assert "2 failed" in shown
    assert "2 running" in shown or "2 done" in shown or "1 done, 1 running" in shown
    code, output, errors = sweeps.run("resume=queue", timeout=400)
    assert code == 1, output + errors
    records = sweeps.records("queue")
    done = [record for record in records.values() if record["status"] == "finished"]
    assert len(done) == 2
    assert all(record["resumed"] == 0 for record in done), "they were never started again"
    assert [record["error"] for record in records.values() if record["status"] == "failed"] == [
        "the process ended with exit code 7 and without a result; see its job.log"
    ] * 2
    assert len(list(queue.glob("*.json"))) == 6, "the failed ones were submitted again, and nothing else"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_launcher_leaves_nothing_on_ray(sweeps: Sweeps) -> None:
    pytest.importorskip("ray")
    words = [*FAULTY, "trainer.max_epochs=50000", "model.how=none,endless", "hydra/launcher=ray", "hydra.sweep.dir=rk"]
    process = sweeps.start(*words)
    sweeps.await_(lambda: sweeps.saved("rk", 1), 300)
    process.kill()
    process.communicate()
    sweeps.await_(lambda: not jobs_in(sweeps.folder / "rk"))
    assert "0 done, 2 interrupted" in sweeps.run("rk", command="status")[1]


def test_submitit_asks_a_job_to_save_before_its_time_is_over(tmp_path: Path) -> None:
    submitit = pytest.importorskip("submitit")
    from experiments.sweep.backends.remote_process import Work
    from experiments.system.processes import Child

    work = Work(str(tmp_path), {}, str(tmp_path), None, True)
    program = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(9)); print(flush=True); time.sleep(60)"
    work._child = Child([sys.executable, "-c", program], log := tmp_path / "job.log", {})
    for _ in range(2400):
        if log.read_text():
            break
        time.sleep(0.05)
    again = work.checkpoint()
    assert work.ended() == 9, "it ended by itself"
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert again.function.folder == str(tmp_path)
    assert again.function.ended() is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hydra/launcher=submitit_slurm", "hydra.launcher.cluster=local", "launcher.start=spawn"], "start=spawn has no effect"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.cluster=lsf"], "choose from slurm, local, debug"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.nodes=0"], "hydra.launcher.nodes=0 must be a whole number"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.gpus_per_node=-1"], "gpus_per_node=-1 must be"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.cluster=local", "hydra.launcher.nodes=2"], "needs SLURM"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.nodes=2"], "set trainer.num_nodes=2"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.tasks_per_node=2"], "set trainer.devices=2"),
        (["hydra/launcher=submitit_slurm", "trainer=gpu"], "needs a GPU"),
        (["hydra/launcher=ray", "hydra.launcher.num_cpus=many"], "hydra.launcher.num_cpus=many must be a number"),
        (["hydra/launcher=ray", "hydra.launcher.max_in_flight=0"], "max_in_flight=0 must be a whole number"),
        (["hydra/launcher=ray", "trainer=gpu"], "needs a GPU"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(experiments: Any, words: list[str], sentence: str, tmp_path: Path) -> None:
    folder = f"hydra.sweep.dir={tmp_path / 's'}"
    code, _, errors = experiments("train", "-m", "data=digits", "model=mlp", "trainer=cpu", *words, folder)
    assert code == 2
    assert sentence in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_sweep_is_checked_for_the_cluster_and_not_for_this_machine(experiments: Any) -> None:
    slurm = ["hydra/launcher=submitit_slurm", "hydra.launcher.gpus_per_node=2"]
    nodes = ["trainer.num_nodes=2", "hydra.launcher.nodes=2", "hydra.launcher.tasks_per_node=2"]
    for words in (
        [*slurm, "trainer=gpu", "precision=16-mixed"],
        [*slurm, "trainer=multi_gpu", "trainer.devices=2"],
        [*slurm, *nodes, "trainer=multi_gpu", "trainer.devices=2"],
        ["hydra/launcher=ray", "hydra.launcher.num_gpus=0.5", "trainer=gpu"],
    ):
        code, output, errors = experiments("check", "-m", "data=digits", "model=mlp", "seed=0,1", *words)
        assert code == 0, errors
        assert "2 runs: 2 to run" in output


@pytest.mark.parametrize(
    ("launcher", "package", "extra"), [("submitit_slurm", "submitit", "slurm"), ("ray", "ray", "ray")]
)
def test_a_missing_package_is_one_sentence(
    experiments: Any, monkeypatch: pytest.MonkeyPatch, launcher: str, package: str, extra: str, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    words = ["data=digits", "model=mlp", "seed=0,1", f"hydra/launcher={launcher}"]
    code, _, errors = experiments("train", "-m", *words, f"hydra.sweep.dir={tmp_path / 's'}")
    assert code == 2
    assert f"pip install 'lightning-experiments[{extra}]'" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_no_slurm_here_is_one_sentence(experiments: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["data=digits", "model=mlp", "trainer=cpu", "hydra/launcher=submitit_slurm"]
    code, _, errors = experiments("train", "-m", *words, f"hydra.sweep.dir={tmp_path / 's'}")
    assert code == 2
    assert "there is no srun here" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "s").exists()


def test_jobs_of_a_queue_are_read_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.sweep.backends.queued_jobs import Queued, read_queued, still_queued, write_queued

    assert still_queued(tmp_path) == {}
    jobs = {"0_seed=0": Queued("7_0", 1), "1_seed=1": Queued("7_1", 4)}
    write_queued(tmp_path, jobs)
    assert read_queued(tmp_path) == jobs
    monkeypatch.setenv("PATH", str(tmp_path))
    assert still_queued(tmp_path) == {}, "no squeue here"
    for key, value in fake_slurm(tmp_path).items():
        monkeypatch.setenv(key, value)
    (tmp_path / "queue" / "7_1.json").write_text(json.dumps({"pid": os.getpid()}))
    assert still_queued(tmp_path) == {"1_seed=1": jobs["1_seed=1"]}
    (tmp_path / "submitit" / "jobs.json").write_text("{")
    assert still_queued(tmp_path) == {}

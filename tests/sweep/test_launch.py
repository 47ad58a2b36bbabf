"""Sweeps through the real command: what is run, what is reused, and what a person sees."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import struct
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.sweep.conftest import SMALL, Sweeps, processes_of


@pytest.fixture(scope="module")
def first(sweeps: Sweeps) -> tuple[Sweeps, str, str]:
    """A finished sweep of four runs, two at a time."""
    code, output, errors = sweeps.run(
        "-m", *SMALL, "model=mlp,logistic_regression", "seed=0,1", "hydra.sweep.dir=s", "launcher.jobs=2"
    )
    assert code == 0, errors
    return sweeps, output, errors


def test_every_cell_gets_a_folder_a_record_and_a_line(first: tuple[Sweeps, str, str]) -> None:
    sweeps, output, _ = first
    records = sweeps.records("s")
    assert set(records) == {f"model={model},seed={seed}" for model in ("mlp", "logistic_regression") for seed in (0, 1)}
    assert all(record["status"] == "finished" for record in records.values())
    assert len({record["pid"] for record in records.values()}) == 4, "a process each"
    assert len({record["identity"] for record in records.values()}) == 4
    assert all(record["choices"]["model"] in name for name, record in records.items())
    assert "4 runs: 4 to run" in output
    assert "[4/4]" in output
    assert "\x1b" not in output, "no terminal, no control characters"
    assert not list((sweeps.folder / "s").glob("**/.*.json.*")), "no temporary files"


@pytest.mark.slow
def test_the_sweep_folder_has_the_columns_of_hparams(sweeps: Sweeps) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    words = ["-m", *SMALL, "logger=tensorboard", "model=mlp,logistic_regression", "hydra.sweep.dir=columns"]
    code, output, errors = sweeps.run(*words)
    assert code == 0, errors
    assert "could not be written" not in output
    files = list((sweeps.folder / "columns").glob("events.out.tfevents.*"))
    assert len(files) == 1
    told = [value for event in EventFileLoader(str(files[0])).Load() for value in event.summary.value]
    data = HParamsPluginData.FromString(told[0].metadata.plugin_data.content).experiment
    model = next(info for info in data.hparam_infos if info.name == "model")
    assert model.differs
    assert {value.string_value for value in model.domain_discrete.values} == {"mlp", "logistic_regression"}
    assert "test/accuracy" in {metric.name.tag for metric in data.metric_infos}
    assert not any(metric.name.tag.startswith("val/") for metric in data.metric_infos)


@pytest.mark.slow
def test_a_job_is_the_run_that_its_words_give_alone(
    first: tuple[Sweeps, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    alone = train(*SMALL, "seed=1")
    record = first[0].records("s")["model=mlp,seed=1"]
    assert alone["identity"] == record["identity"]
    assert alone["metrics"]["test/loss"] == pytest.approx(record["metrics"]["test/loss"], rel=1e-5)


def test_workers_times_threads_never_exceed_the_cores(first: tuple[Sweeps, str, str]) -> None:
    from experiments.config.devices import cores

    for record in first[0].records("s").values():
        assert 2 * record["environment"]["threads"] <= max(2, cores())


def test_status_says_the_same_from_the_files_alone(first: tuple[Sweeps, str, str], experiments) -> None:
    sweeps = first[0]
    code, output, _ = experiments("status", str(sweeps.folder / "s"))
    assert code == 0
    assert "4/4  4 done" in output
    assert "best so far  val/accuracy" in output
    best = max(sweeps.records("s").values(), key=lambda record: record["metrics"]["val/accuracy"])
    assert f"{best['metrics']['val/accuracy']:.4f}" in output


def test_the_same_command_again_does_nothing(
    first: tuple[Sweeps, str, str], experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeps, words = first[0], ["-m", *SMALL, "model=mlp,logistic_regression", "seed=0,1"]
    before = {path: path.stat().st_mtime_ns for path in (sweeps.folder / "s").glob("*/*")}
    code, output, errors = experiments("train", *words, f"hydra.sweep.dir={sweeps.folder / 's'}")
    assert code == 0, errors
    assert "0 to run, 4 done already" in output
    assert {path: path.stat().st_mtime_ns for path in (sweeps.folder / "s").glob("*/*")} == before


def test_another_config_in_the_same_place_is_refused_by_key(first: tuple[Sweeps, str, str], experiments) -> None:
    sweep = first[0].folder / "s"
    words = ["-m", *SMALL, "model=mlp,logistic_regression", "seed=0,1", "optimizer.lr=0.5", f"hydra.sweep.dir={sweep}"]
    code, _, errors = experiments("train", *words)
    assert code == 2
    assert "optimizer.lr is 0.001 there and 0.5 here" in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.slow
def test_other_code_is_warned_of(first: tuple[Sweeps, str, str], experiments, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(first[0].folder / "s", tmp_path / "copy")
    path = next(copy.glob("*/record.json"))
    record = json.loads(path.read_text())
    record["environment"]["package_hash"] = "other"
    path.write_text(json.dumps(record))
    code, output, _ = experiments("check", "-m", f"resume={copy}")
    assert code == 0
    assert f"1 finished runs were made by other code (such as {path.parent.name}: package hash other there" in output
    path.write_text(json.dumps(record)[:200])  # cut in the middle
    code, output, _ = experiments("check", "-m", f"resume={copy}")
    assert "1 to run, 3 done already, 1 of them to try again" in output
    code, output, _ = experiments("status", str(copy))
    assert "1 failed" in output
    assert "damaged" in output


@pytest.mark.slow
def test_values_are_added_and_what_is_done_is_reused(first: tuple[Sweeps, str, str]) -> None:
    sweeps = first[0]
    before = sweeps.records("s")
    code, output, errors = sweeps.run(
        "-m", *SMALL, "model=mlp,logistic_regression", "seed=0,1,2", "hydra.sweep.dir=s", "launcher.jobs=2"
    )
    assert code == 0, errors
    assert "6 runs: 2 to run, 4 done already" in output
    after = sweeps.records("s")
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    numbers = sorted(int(path.name.split("_")[0]) for path in (sweeps.folder / "s").iterdir() if path.is_dir())
    assert numbers == [0, 1, 2, 3, 4, 5]


@pytest.mark.slow
def test_cells_that_cannot_run_are_skipped_with_their_reason(sweeps: Sweeps) -> None:
    words = [
        "-m",
        *SMALL,
        "precision=16-mixed,32-true",
        "hydra.sweep.dir=skip",
        "launcher.on_invalid=skip",
        "launcher.exclude=seed==1",
        "seed=0,1",
    ]
    code, output, errors = sweeps.run(*words)
    assert code == 0, errors
    assert "4 runs: 1 to run, 2 excluded, 1 that cannot run" in output
    runs = json.loads((sweeps.folder / "skip" / "sweep.json").read_text())["runs"]
    skipped = next(run for run in runs if run["plan"] == "skipped")
    assert "needs a GPU" in skipped["reason"]
    assert sum(run["plan"] == "excluded" for run in runs) == 2
    code, output, _ = sweeps.run("skip", command="status")
    assert "1/1  1 done" in output
    assert "needs a GPU" in output
    code, output, errors = sweeps.run("-m", "resume=skip", "launcher.on_invalid=stop")
    assert code == 0, "what was skipped before does not stop a resume" + errors
    assert "2 runs: 0 to run, 1 done already, 1 that cannot run" in output
    assert "skipped: " in output
    assert json.loads((sweeps.folder / "skip" / "sweep.json").read_text())["runs"] == runs


@pytest.mark.slow
def test_a_resume_takes_over_what_a_named_sweep_sets(sweeps: Sweeps) -> None:
    (sweeps.folder / "conf" / "sweep").mkdir()
    (sweeps.folder / "conf" / "sweep" / "mine.yaml").write_text(
        "# @package _global_\nlauncher: {exclude: seed == 1}\nhydra: {sweeper: {params: {seed: '0,1'}}}\n"
    )
    words = ["sweep=mine", *SMALL, "launcher.timeout=300", "hydra.sweep.dir=mine", "--config-dir", "conf"]
    code, output, errors = sweeps.run("-m", *words)
    assert code == 0, errors
    assert "2 runs: 1 to run, 1 excluded" in output
    settings = json.loads((sweeps.folder / "mine" / "sweep.json").read_text())["settings"]
    assert [word for word in settings if word.startswith("launcher.")] == [
        "launcher.timeout=300",
        'launcher.exclude="seed == 1"',
    ]
    code, output, errors = sweeps.run("-m", "resume=mine", command="check")
    assert code == 0, errors
    assert "1 done already" in output and "1 to run" not in output


@pytest.mark.slow
def test_a_sweep_that_is_refused_leaves_no_process(sweeps: Sweeps) -> None:
    """Not the one either that has begun to import torch for it."""
    process = sweeps.start("-m", *SMALL, "optimiser.lr=0.1,0.2")
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 2 and "did you mean optimizer" in errors
    assert not processes_of(process.pid)


@pytest.mark.slow
def test_a_terminal_shows_one_block_that_is_redrawn(sweeps: Sweeps) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(sweeps.folder)
        os.environ["TERM"] = "xterm"
        os.execv(
            sys.executable,
            [sys.executable, "-m", "experiments", "train", "-m", *SMALL, "seed=0,1", "hydra.sweep.dir=terminal"],
        )
    shown = b""
    while True:
        try:
            shown += (received := os.read(terminal, 65536))
        except OSError:
            break
        if not received:
            break
    os.waitpid(pid, 0)
    text = shown.decode()
    assert "\x1b[" in text
    assert "1 running, 1 waiting" in text
    assert "best so far  val/accuracy" in text
    block, end = text.rpartition("\x1b[J")[::2]
    assert "[2/2]" in block and "running" not in end, "the block is gone at the end"
    assert "val/accuracy" in end and "experiments compare terminal" in end


@pytest.mark.slow
def test_one_sweep_mixes_processes_and_none_is_trained_twice(sweeps: Sweeps) -> None:
    words = [
        "-m",
        *SMALL,
        "--config-dir",
        "conf",
        "model=faulty",
        "trainer=cpu_2,cpu",
        "model.how=none,rank",
        "launcher.jobs=2",
        "hydra.sweep.dir=ranks",
    ]
    code, output, errors = sweeps.run(*words)
    assert code == 1, output + errors
    records = sweeps.records("ranks")
    assert {name: record["status"] for name, record in records.items()} == {
        "trainer=cpu_2,how=none": "finished",
        "trainer=cpu_2,how=rank": "failed",
        "trainer=cpu,how=none": "finished",
        "trainer=cpu,how=rank": "finished",
    }
    assert records["trainer=cpu_2,how=none"]["environment"]["processes"] == 2
    assert records["trainer=cpu,how=none"]["environment"]["processes"] == 1
    assert records["trainer=cpu_2,how=rank"]["cost"]["seconds"] < 60
    assert "process 1 of 2" in records["trainer=cpu_2,how=rank"]["error"]
    same = [records[f"{trainer},how=none"]["metrics"]["test/loss"] for trainer in ("trainer=cpu_2", "trainer=cpu")]
    assert same[0] == pytest.approx(same[1], rel=0.05)
    for folder in (sweeps.folder / "ranks").iterdir():
        assert len(list(folder.glob("record.json"))) == (1 if folder.is_dir() else 0)


@pytest.mark.slow
def test_a_closed_terminal_does_not_end_a_sweep(sweeps: Sweeps) -> None:
    process = sweeps.start("-m", *SMALL, "seed=0,1", "trainer.max_epochs=3", "hydra.sweep.dir=hangup")
    sweeps.await_(lambda: processes_of(process.pid) and (sweeps.folder / "hangup" / "sweep.json").exists())
    sweeps.await_(lambda: list((sweeps.folder / "hangup").glob("*/record.json")))
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert [record["status"] for record in sweeps.records("hangup").values()] == ["finished"] * 2
    assert "[2/2]" in (sweeps.folder / "hangup" / "launcher.log").read_text()


@pytest.mark.slow
def test_a_dataset_is_read_once_for_all_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs train on, though its files are gone once the first process has them."""
    from experiments.config.compose import compose
    from experiments.run.folder import open_run, read_config
    from experiments.sweep.backends.forked_processes import ForkedProcesses, modules_of
    from experiments.sweep.backends.protocol import Ended

    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + bytes(count * 784))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 2049, count) + bytes(range(10)) * (count // 10)
        )
    monkeypatch.setenv("EXPERIMENTS_DATA", str(tmp_path))
    words = ["data=mnist", "data.validation=10", "data.mean=[0]", "data.std=[1]", "model=mlp", "trainer=quick"]
    folders = [
        open_run(compose([*words, *more, f"hydra.run.dir={tmp_path / name}"]))
        for name, more in {"kept": ["data.batch_size=8", "seed=3"], "other": ["data.limit=20"]}.items()
    ]
    warm = ForkedProcesses(modules_of([]))
    warm.start()
    try:
        warm.keep_ready({**OmegaConf.to_container(read_config(folders[0]).data), "batch_size": 4, "seed": 0})
        warm.run("before", tmp_path / "nothing", {}, 1)  # what is asked for is done in order
        codes = {}
        while "before" not in codes:
            codes |= {event.key: event.code for event in warm.wait(60) or () if isinstance(event, Ended)}
        shutil.rmtree(raw)
        for folder in folders:
            warm.run(folder.name, folder, {}, 1)
        while len(codes) < 3:
            codes |= {event.key: event.code for event in warm.wait(60) or () if isinstance(event, Ended)}
    finally:
        warm.stop()
    assert codes["kept"] == 0, (tmp_path / "kept" / "job.log").read_text()
    assert codes["other"] == 2, "its limit needs other parts, so it reads the files, and they are gone"


@pytest.mark.slow
def test_a_value_for_an_option_that_is_not_the_default(sweeps: Sweeps) -> None:
    """Hydra would ask the default option, which has no such key; and what the option itself asks for is given."""
    from PIL import Image

    for number in range(12):
        path = sweeps.folder / "pictures" / "train" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), 20 * number).save(path)
    words = ["data=image_folder,digits", "data.root=pictures", "trainer=cpu", "model=mlp", "hydra.sweep.dir=values"]
    code, output, errors = sweeps.run("-m", *words, command="check")
    assert (code, output.splitlines()[0]) == (2, "2 runs: 1 to run, 1 that cannot run")
    assert errors.startswith("error: data=digits: data.root is no key of this config: did you mean data.")
    code, output, errors = sweeps.run("-m", *words, "trainer.max_epochs=1", "seed=0,1", "launcher.on_invalid=skip")
    assert code == 0, errors
    assert [record["status"] for record in sweeps.records("values").values()] == ["finished"] * 2

"""A run that is stopped at any moment and taken up again ends as one that was never stopped: bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.cli import main
from tests.run.forked import Forked

BASE = [
    "data=digits", "model=mlp", "model.dropout=0.3", "data.augment.crop=1", "data.augment.rotation=10", "trainer=cpu",
    "trainer.max_epochs=4", "data.batch_size=32", "callbacks.figures=null", "callbacks.checkpoint.every_n_steps=7",
]  # fmt: skip
CASES = {
    "cosine": ["scheduler=cosine", "optimizer=sgd"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "optimizer=adamw"],
    "accumulate": ["trainer.accumulate_grad_batches=3", "scheduler=one_cycle", "optimizer=sgd"],
    "gradual": [
        "freezing=gradual",
        "freezing.head_rate=3",
        "scheduler=one_cycle",
        "optimizer=sgd",
        "model.hidden=[64,32]",
    ],
    "workers": ["data.workers=2", "data.augment.mixup=0.4", "model=simple_cnn", "~model.dropout", "scheduler=step"],
}
# Batches of like length, and a state that is carried from batch to batch.
TEXT = ["trainer=cpu", "model.hidden=12", "trainer.max_epochs=3", "callbacks.figures=null"]
WHOLE = {
    "buckets": [*TEXT, "data=generated_reviews", "data.count=300", "model.output_dropout=0.3", "data.max_tokens=400"],
    "stream": [
        *TEXT,
        "data=generated_text",
        "data.count=300",
        "model.layers=2",
        "model.dropout=0.3",
        "task.sample.length=5",
    ],
    "pairs": [
        *TEXT,
        "data=generated_pairs",
        "data.count=500",
        "data.batch_size=32",
        "model.embedding=12",
        "model.dropout=0.3",
        "task.scheduled_sampling=0.3",
        "task.validation_bleu=8",
        "task.search.beams=2",
    ],
}


def words(case: str, folder: Path) -> list[str]:
    if case in WHOLE:
        return [*WHOLE[case], "callbacks.checkpoint.every_n_steps=3", f"hydra.run.dir={folder}"]
    chosen = [*BASE, *CASES[case], f"hydra.run.dir={folder}"]
    if "model=simple_cnn" in chosen:
        chosen = [word for word in chosen if word not in ("model=mlp", "model.dropout=0.3", "~model.dropout")]
    return chosen


def saves(folder: Path) -> list[int]:
    """Waits for nothing: identities of the checkpoint files seen so far."""
    path = folder / "checkpoints" / "last.ckpt"
    return [path.stat().st_ino, path.stat().st_mtime_ns] if path.exists() else []


def stop_after(process: Forked, folder: Path, count: int, signum: int) -> int:
    """Sends a signal once `count` checkpoints have been written."""
    seen: set[tuple[int, ...]] = set()
    until = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < until:
        now = tuple(saves(folder))
        if now:
            seen.add(now)
        if len(seen) >= count:
            process.send_signal(signum)
            break
        time.sleep(0.001)
    return process.wait(timeout=120)


def assert_same(first: Any, second: Any, where: str = "") -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys(), where
        for key in first:
            if key == "epoch_loop.scheduler_progress":  # a count of Lightning's that it raises after saving
                continue
            assert_same(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, (list, tuple)):
        assert len(first) == len(second), where
        for number, (left, other) in enumerate(zip(first, second, strict=True)):
            assert_same(left, other, f"{where}/{number}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second or (first != first and second != second), where  # not a number


def assert_same_run(first: Path, second: Path) -> None:
    for name in ("last", "best"):
        left, other = (torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for run in (first, second))
        assert_same(left, other, name)
    left, other = (json.loads((run / "record.json").read_text()) for run in (first, second))
    assert left["metrics"] == other["metrics"]
    for key in ("confusion", "translations"):
        assert left.get(key) == other.get(key)
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs each case once without a stop, when first asked."""
    folders: dict[str, Path] = {}

    def of(case: str) -> Path:
        if case not in folders:
            folder = tmp_path_factory.mktemp(case) / "run"
            assert main(["train", *words(case, folder)]) == 0
            folders[case] = folder
        return folders[case]

    return of


@pytest.mark.parametrize(
    ("case", "signum", "count"),
    [
        ("cosine", signal.SIGKILL, 2),
        ("cosine", signal.SIGTERM, 9),
        pytest.param("cosine", signal.SIGINT, 5, marks=pytest.mark.slow),
        pytest.param("plateau", signal.SIGKILL, 13, marks=pytest.mark.slow),
        pytest.param("plateau", signal.SIGTERM, 7, marks=pytest.mark.slow),
        pytest.param("accumulate", signal.SIGTERM, 4, marks=pytest.mark.slow),
        pytest.param("accumulate", signal.SIGKILL, 6, marks=pytest.mark.slow),
        pytest.param("gradual", signal.SIGTERM, 10, marks=pytest.mark.slow),
        pytest.param("workers", signal.SIGTERM, 8, marks=pytest.mark.slow),
        ("buckets", signal.SIGTERM, 5),
        ("stream", signal.SIGTERM, 5),
        pytest.param("pairs", signal.SIGTERM, 5, marks=pytest.mark.slow),
        pytest.param("workers", signal.SIGKILL, 11, marks=pytest.mark.slow),
    ],
)
def test_resume_is_bit_identical(
    experiments, uninterrupted: Any, tmp_path: Path, monkeypatch, case: str, signum: int, count: int
) -> None:
    whole, folder = uninterrupted(case), tmp_path / "run"
    code = stop_after(Forked("train", *words(case, folder)), folder, count, signum)
    content = json.loads((folder / "record.json").read_text())
    if signum == signal.SIGKILL:
        assert code == -signal.SIGKILL
        assert content["status"] == "running"
    else:
        assert code == 128 + signum
        assert content["status"] == "interrupted"
        assert signal.Signals(signum).name in content["error"]
    assert not [path for path in folder.rglob(".*") if signum != signal.SIGKILL]
    code, _, errors = experiments("train", f"resume={folder}")
    assert code == 0, errors
    assert_same_run(whole, folder)
    content = json.loads((folder / "record.json").read_text())
    assert content["status"] == "finished"
    assert content["resumed"] == 1


@pytest.mark.slow
def test_resume_falls_back_to_the_last_whole_checkpoint(
    experiments, uninterrupted: Any, tmp_path: Path, caplog
) -> None:
    folder = tmp_path / "run"
    stop_after(Forked("train", *words("cosine", folder)), folder, 12, signal.SIGTERM)
    last = folder / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    last.unlink()  # best.ckpt may be another name of the same file
    last.write_bytes(content[: len(content) // 2])
    code, _, errors = experiments("train", f"resume={folder}")
    assert code == 0, errors
    assert "cannot be read" in caplog.text
    assert_same_run(uninterrupted("cosine"), folder)


@pytest.mark.slow
def test_a_finished_run_is_left_alone_or_made_longer(experiments, tmp_path: Path) -> None:
    small = [
        "data=shapes",
        "data.limit=64",
        "model=mlp",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "callbacks.figures=null",
    ]
    assert experiments("train", *small, "hydra.run.dir=run")[0] == 0
    before = (tmp_path / "run" / "record.json").read_text()
    code, output, _ = experiments("train", "resume=run")
    assert code == 0
    assert "nothing to do" in output
    assert (tmp_path / "run" / "record.json").read_text() == before
    assert experiments("train", "resume=run", "trainer.max_epochs=3")[0] == 0
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 4
    code, _, errors = experiments("train", "resume=run", "optimizer.lr=1")
    assert code == 2
    assert "another run" in errors
    assert "only trainer.max_epochs, trainer.threads, callbacks.*, logger.*, data.workers, data.root, features.* may change" in errors  # fmt: skip


@pytest.mark.slow
def test_data_that_have_other_names_now_are_refused(experiments, tmp_path: Path, caplog) -> None:
    """A class that stands where another stood would be learned as that one."""
    from PIL import Image

    for name, grey in (("ant", 30), ("bee", 220)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("L", (8, 8), grey + number).save(tmp_path / "photos" / name / f"{number}.png")
    short = ["trainer=cpu", "trainer.max_epochs=1", "callbacks.figures=null", "logger=none"]
    images = ["data=image_folder", "data.root=photos", "data.size=8", "model=mlp"]
    assert experiments("train", *short, *images, "hydra.run.dir=seen")[0] == 0

    (tmp_path / "photos" / "bee").rename(tmp_path / "photos" / "aaa")
    code, _, errors = experiments("train", "resume=seen", "trainer.max_epochs=2")
    assert code == 2 and "classes (aaa, ant) that are not those" in errors and "learned from (ant, bee)" in errors
    code, output, errors = experiments("predict", "seen", "photos/aaa/0.png", "--format", "csv")
    assert code == 0 and "bee" in output and "aaa," not in output, errors
    (tmp_path / "photos" / "aaa").rename(tmp_path / "photos" / "bee")
    (tmp_path / "photos" / "bee" / "0.png").unlink()
    assert experiments("train", "resume=seen", "trainer.max_epochs=2")[0] == 0
    assert "its data have" in caplog.text


def test_resume_of_a_damaged_config(experiments, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("a: [")
    code, _, errors = experiments("train", "resume=run")
    assert code == 2
    assert "config.yaml" in errors


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such terminals")
def test_a_closed_terminal_stops_a_run_that_has_saved(tmp_path: Path, monkeypatch) -> None:
    import fcntl
    import termios

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    terminal, its_end = os.openpty()

    def take_over() -> None:
        fcntl.ioctl(its_end, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup hands down that it is ignored

    long = ["trainer=quick", "trainer.max_epochs=50000", f"hydra.run.dir={tmp_path / 'run'}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments", "train", *long],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
        preexec_fn=take_over,
    )
    os.close(its_end)
    seen = b""
    while b" 3/50000" not in seen:
        seen += os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait(60) == 128 + signal.SIGHUP
    content = json.loads((tmp_path / "run" / "record.json").read_text())
    assert (content["status"], content["error"]) == ("interrupted", "Interrupted: stopped by SIGHUP")
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


OWN = """
import torch

from experiments.cli import main
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset
from experiments.data.images.shapes import Shapes


class Own(LightningDataModule):
    def __init__(self, **rest):
        super().__init__()
        like = Shapes(**rest)
        like.prepare_data()
        like.setup()
        self.spec = like.spec
        draw = torch.Generator().manual_seed(0)
        self.made = TensorDataset(torch.rand(96, 1, 28, 28, generator=draw), torch.randint(2, (96,), generator=draw))

    def train_dataloader(self):
        return DataLoader(self.made, batch_size=1, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.made, batch_size=96)

    test_dataloader = val_dataloader
"""


def test_data_without_a_sampler_of_ours_go_on_from_the_last_epoch(
    experiments, tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "own.py").write_text(OWN)
    folder = tmp_path / "run"
    own = ["data=shapes", "data._target_=own.Own", "data.count=100", "data.size=28", "model=mlp"]
    long = ["trainer=cpu", "trainer.max_epochs=5000", "callbacks=none", "callbacks.checkpoint.every_minutes=0.0001"]
    code = stop_after(Forked("train", *own, *long, "logger=none", f"hydra.run.dir={folder}"), folder, 2, signal.SIGINT)
    assert code == 128 + signal.SIGINT
    kept = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    done = kept["epoch"] + 1
    code, _, errors = experiments(
        "train", f"resume={folder}", f"trainer.max_epochs={done + 1}", "callbacks.checkpoint.every_n_steps=7"
    )
    assert code == 0, errors
    assert "Checkpoints are written at the end of epochs alone" in caplog.text
    assert json.loads((folder / "record.json").read_text())["status"] == "finished"

"""Kills runs at random moments, resumes them, and compares what they leave with runs that were never killed, bit for bit.

python scripts/kill_test.py --kills 100
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

COMMON = ["callbacks.figures=null", "callbacks.progress=null", "logger=csv"]
DIGITS = ["data=digits", "data.limit=300", "data.batch_size=32", "trainer=cpu", "trainer.max_epochs=3"]
TEXTS = ["data=generated_reviews", "data.count=200", "trainer=cpu", "trainer.max_epochs=3", "model.hidden=12"]
HERE = str(Path(__file__).parent)  # where a run finds `Mark`
ENDED = "after its end"
KINDS = {
    "perceptron": [*DIGITS, "model=mlp", "model.dropout=0.3"],
    "saved every 3 steps": [*DIGITS, "model=mlp", "callbacks.checkpoint.every_n_steps=3"],
    "accumulated gradients": [*DIGITS, "model=mlp", "trainer.accumulate_grad_batches=3"],
    "clipped gradients": [*DIGITS, "model=mlp", "trainer.gradient_clip_val=0.5", "optimizer=sgd"],
    "class weights": [*DIGITS, "model=lenet5", "task.class_weights=balanced"],
    "rotated images": [*DIGITS, "model=mlp", "data.augment.rotation=10", "data.augment.crop=1"],
    "mixed images": [*DIGITS, "model=simple_cnn", "data.augment.mixup=0.4"],
    "loader processes": [*DIGITS, "model=mlp", "data.workers=1"],
    "plateau": [*DIGITS, "model=mlp", "scheduler=plateau", "scheduler.patience=0"],
    "cosine": [*DIGITS, "model=mlp", "scheduler=cosine", "optimizer=adamw"],
    "one cycle": [*DIGITS, "model=mlp", "scheduler=one_cycle", "optimizer=sgd"],
    "gradual freezing": [*DIGITS, "model=mlp", "model.hidden=[32,32]", "freezing=gradual"],
    "cached features": [*DIGITS, "model=mlp", "model.hidden=[32,32]", "freezing=last_stage"],
    "bf16": [*DIGITS, "model=mlp", "precision=bf16-mixed"],
    "validation every other epoch": [*DIGITS, "model=mlp", "trainer.check_val_every_n_epoch=2"],
    "two validations an epoch": [*DIGITS, "model=mlp", "trainer.val_check_interval=0.5"],
    "early stopping": [*DIGITS, "model=mlp", "callbacks=early_stopping"],
    "TensorBoard": [*DIGITS, "model=mlp", "logger=default"],
    "autoencoder": [*DIGITS, "model=autoencoder"],
    "texts": TEXTS,
    "a stream of text": ["data=generated_text", *TEXTS[1:]],
    "forecasts": ["data=generated_series", "model=gru", "model.hidden=8", "trainer=cpu", "trainer.max_epochs=3"],
    "two processes": ["data=digits", "data.limit=300", "model=mlp", "trainer=cpu_2", "trainer.max_epochs=3"],
}


class Mark:
    """Imported as a callback: notes in a file what a run is doing, so that a kill can say where it fell."""

    def __new__(cls, path: str) -> Any:
        from lightning.pytorch import Callback

        class Marking(Callback):
            def _note(self, doing: str) -> None:
                with open(path, "w") as file:
                    file.write(doing)

            def on_train_batch_start(self, *args: Any) -> None:
                self._note("in training")

            def on_validation_start(self, *args: Any) -> None:
                self._note("in validation")

            def on_validation_end(self, *args: Any) -> None:
                self._note("at the end of an epoch")

            def on_test_start(self, *args: Any) -> None:
                self._note("in test")

        return Marking()


class Whole(NamedTuple):
    """A run that was never killed: seconds until its first batch, seconds in all, and what it left."""

    first: float
    seconds: float
    left: Any


class Begun:
    """A process of its own in a process group of its own, forked from this one, which has the imports done.

    Args:
        words: of the command `experiments`.
    """

    def __init__(self, *words: str) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                quiet = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(quiet, stream)
                os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))
                sys.argv = ["experiments", *words]
                from experiments.cli import entry

                entry()
            finally:
                os._exit(1)

    def poll(self) -> int | None:
        """The exit code, or None while the process lives."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """Waits for the end and gives the exit code."""
        while self.poll() is None:
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        """Kills the process and those that it started."""
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()


def import_all() -> None:
    """Imports what runs need, once, before any thread begins."""
    import torch

    from experiments.speedups.lean_imports import import_lightning

    torch.set_num_threads(1)
    import_lightning()
    for name in ("run.execute", "run.layer_table", "callbacks.meter", "callbacks.checkpoint", "loggers.tensorboard",
                 "speedups.training_loop", "data.images.digits", "tasks.classification"):  # fmt: skip
        importlib.import_module(f"experiments.{name}")
    gc.freeze()


def words_of(kind: str, folder: Path, mark: Path) -> list[str]:
    """The command of a kind of run."""
    marking = ["callbacks.mark._target_=kill_test.Mark", f"callbacks.mark.path='{mark}'"]
    logger = [] if any(word.startswith("logger=") for word in KINDS[kind]) else COMMON[2:]
    return ["train", *KINDS[kind], *COMMON[:2], *logger, *marking, f"hydra.run.dir='{folder}'"]


def where(folder: Path, mark: Path) -> str:
    """Says what a kill found."""
    checkpoints = folder / "checkpoints"
    if not (folder / "config.yaml").exists():
        return "before the run had a folder"
    if not mark.exists():
        return "before the first batch"
    if any(path.name.startswith(".") for place in (folder, checkpoints) for path in place.glob(".*.ckpt.*")):
        return "in a write"
    doing = mark.read_text() or "in training"
    return doing if (checkpoints / "last.ckpt").exists() else f"{doing}, before the first checkpoint"


def left_by(folder: Path) -> Any:
    """What a run leaves: its table, its metrics, and the weights and states in its checkpoints."""
    import torch

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return (
                value.dtype,
                value.shape,
                value.contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else value.item(),
            )
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    record = json.loads((folder / "record.json").read_text())
    states = {}
    for name in ("best", "last"):
        content = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        states[name] = plain([content["state_dict"], content["optimizer_states"], content["global_step"]])
    table = folder / "metrics.csv"
    return record["status"], record["metrics"], table.read_text() if table.exists() else "", states


def train_whole(kind: str, top: Path) -> Whole:
    """Trains a kind of run without a kill.

    Raises:
        SystemExit: when it fails.
    """
    folder, mark = top / f"whole {kind}", top / f"mark of {kind}"
    began, first = time.monotonic(), 0.0
    process = Begun(*words_of(kind, folder, mark))
    while process.poll() is None:
        if not first and mark.exists():
            first = time.monotonic() - began
        time.sleep(0.002)
    if process.returncode:
        raise SystemExit(
            f"the run {kind!r} failed without a kill: experiments {' '.join(words_of(kind, folder, mark))}"
        )
    return Whole(first, time.monotonic() - began, left_by(folder))


def kill_one(kind: str, whole: Whole, number: int, draw: random.Random, top: Path) -> tuple[str, str | None]:
    """Kills one run, resumes it and compares; gives where the kill fell, and what is wrong afterwards."""
    folder, mark = top / f"cut {number}", top / f"mark {number}"
    process, began = Begun(*words_of(kind, folder, mark)), time.monotonic()
    if draw.random() < 0.15:  # also before anything is trained
        until = draw.uniform(0.2, 1) * whole.first
        while process.poll() is None and time.monotonic() - began < until:
            time.sleep(0.002)
    else:
        after = draw.uniform(0, 0.8 * (whole.seconds - whole.first))
        while process.poll() is None and not mark.exists():
            time.sleep(0.002)
        until = time.monotonic() + after
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
    ended = process.poll() is not None
    if not ended:
        process.kill()
    fell = ENDED if ended else where(folder, mark)
    if fell == "before the run had a folder":
        return fell, None
    if Begun("train", f"resume={folder}").wait():
        return fell, "the resumed run failed"
    after_all = left_by(folder)
    names = ("status", "metrics", "metrics.csv", "checkpoints")
    differ = [name for name, value, other in zip(names, after_all, whole.left, strict=True) if value != other]
    return fell, f"{', '.join(differ)} differ" if differ else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills runs at random moments and compares what they come to.")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="names, with commas between; default: all")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else list(KINDS)
    import_all()
    draw, fell, wrong = random.Random(options.seed), Counter[str](), []
    # Not TemporaryDirectory, which a forked process would remove at its own end.
    top = Path(tempfile.mkdtemp())
    try:
        whole: dict[str, Whole] = {}
        number = 0
        while fell.total() - fell[ENDED] < options.kills:  # a run that was quicker is none that was killed
            kind = kinds[number % len(kinds)]
            if kind not in whole:
                whole[kind] = train_whole(kind, top)
            place, problem = kill_one(kind, whole[kind], number, draw, top)
            number += 1
            fell[place] += 1
            print(f"{number:4}  {kind:<30} {place:<50} {problem or 'same'}", flush=True)
            if problem:
                wrong.append(number)
    finally:
        shutil.rmtree(top)
    print(
        f"\n{options.kills} kills of {len(whole)} kinds of runs, and {fell.pop(ENDED, 0)} runs that ended before; where they fell:"
    )
    print("\n".join(f"{count:4}  {place}" for place, count in fell.most_common()))
    print(f"{len(wrong)} of {number} runs differ from one that was never killed")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())

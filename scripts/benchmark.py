"""Measures the speed of this framework against what stands beside it, and prints the tables of docs/speed.md.

    python scripts/benchmark.py                        every row: three quarters of an hour
    python scripts/benchmark.py --only lenet mlp       some rows
    python scripts/benchmark.py --quick                every row once and small: does it run? The numbers mean little
    python scripts/benchmark.py --json speed.json      also all repeats, and the machine they came from

What is compared runs in turns (A B A B …) within one run of this script, so that a slow minute of the machine falls
on both sides. A ratio is taken within each turn; the table shows the median and the extremes of the ratios. Each
measurement has a fresh process: settings of threads and imports of one do not reach another.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import platform
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import benchmark_control
import benchmark_language
import benchmark_pictures
import benchmark_sequences
import benchmark_speech
import numpy as np

import experiments
from experiments.config.compose import compose
from experiments.config.devices import cores
from experiments.run.build import build_callbacks, build_model, build_task
from experiments.run.layer_table import flops_per_example
from experiments.run.record import environment, now
from experiments.run.trainer import build_trainer
from experiments.spec import ImageSpec
from experiments.speedups.lean_imports import import_lightning
from experiments.speedups.malloc import keep_freed_memory
from experiments.system.files import write_json

Samples = dict[str, list[float]]  # side -> one number a turn
MNIST_FILES = {"train-images-idx3": 60_000, "train-labels-idx1": 60_000,
               "t10k-images-idx3": 10_000, "t10k-labels-idx1": 10_000}  # fmt: skip
DIGITS = tuple("0123456789")
MISTAKE = "model=lenet6"


def in_turns(sides: dict[str, Callable[[], float]], quick: bool, turns_at_most: int = 5) -> Samples:
    """Calls every side once a turn; each is warm already, or warms itself, and returns one number."""
    turns = [{side: measure() for side, measure in sides.items()} for _ in range(1 if quick else turns_at_most)]
    return {side: [turn[side] for turn in turns] for side in sides}


# Two steps as one would first write them: with Lightning's own defaults, as ours has its own on, and images that cost
# nothing to read.
PLAIN_FIT = """\
import lightning.pytorch as L
import torch
from torch import nn
class LeNet(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
    def training_step(self, batch):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("loss", loss, prog_bar=True)
        return loss
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.001)
data = torch.utils.data.TensorDataset(torch.rand(128, 1, 32, 32), torch.randint(10, (128,)))
L.Trainer(max_epochs=1, accelerator="cpu").fit(LeNet(), torch.utils.data.DataLoader(data, batch_size=64))
"""


def seconds(folder: Path, words: tuple[str, ...]) -> float:
    """Seconds from the start of a Python process to its exit, with whatever it wrote thrown away."""
    # Where bytecode may not be written, every import compiles: twice the time, and nobody's usual case.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=folder, env=kept, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode != (2 if MISTAKE in words else 0):
        raise RuntimeError(f"{' '.join(words)[:80]} ended with {done.returncode}:\n{done.stderr}")
    return took


def whole_processes(sides: dict[str, tuple[str, ...]], quick: bool) -> Samples:
    """Seconds of some command lines; a first, unmeasured turn writes bytecode and brings files into memory."""
    with _folder() as folder:
        for words in () if quick else sides.values():
            seconds(folder, words)
        return in_turns({side: partial(seconds, folder, words) for side, words in sides.items()}, quick)


def commands(quick: bool) -> Samples:
    """Commands that need no torch, and the import of Lightning."""
    ours = {"help": ["--help"], "list": ["list", "models"],
            "error": ["train", MISTAKE], "check": ["check", "data=digits"]}  # fmt: skip
    sides = {side: ("-m", "experiments", *words) for side, words in ours.items()}
    return whole_processes({"import": ("-c", "import lightning"), **sides}, quick)


def two_steps(quick: bool) -> Samples:
    """One whole run, of two steps; loggers, figures and checkpoints are on, as they are by default."""
    words = ("train", "trainer=quick", "trainer.accelerator=cpu")
    return whole_processes({"plain": ("-c", PLAIN_FIT), "ours": ("-m", "experiments", *words)}, quick)


# Means, numbers of seeds and intervals of cells, as one would write it in a notebook.
PLAIN_COMPARE = """\
import json
from pathlib import Path
import pandas as pd
from scipy import stats
rows = []
for path in Path("records").glob("*/record.json"):
    record = json.loads(path.read_text())
    rows.append(record["choices"] | record["metrics"])
means = pd.DataFrame(rows).groupby(["model", "optimizer", "scheduler"])["test/accuracy"].agg(["mean", "sem", "count"])
means["half"] = means["sem"] * stats.t.ppf(0.975, means["count"] - 1)
print(means.sort_values("mean"))
"""


def comparison(quick: bool) -> Samples:
    """`experiments compare` over the records of 2,000 cells with five seeds each, and the same by hand with pandas."""
    cells, seeds = (20, 2) if quick else (2000, 5)
    with _folder() as folder:
        chosen = {
            "data": "digits",
            "task": "classification",
            "freezing": "none",
            "precision": "32-true",
            "trainer": "cpu",
        }
        for number in range(cells * seeds):
            cell, seed = divmod(number, seeds)
            names = {
                "model": f"net{cell % 20}",
                "optimizer": f"opt{cell // 20 % 10}",
                "scheduler": f"plan{cell // 200}",
            }
            value = 0.5 + 0.4 * ((cell * 7919 + seed * 104729) % 1000) / 1000
            record = {
                "status": "finished", "choices": {**chosen, **names, "seed": seed}, "identity": "0", "error": None,
                "metrics": {"test/accuracy": value, "test/loss": 1 - value, "val/accuracy": value, "val/loss": 1 - value},
                "cost": {"parameters": 650, "trainable_parameters": 650, "flops_per_example": 1280, "seconds": 1.5,
                         "examples_per_second": 1000.0, "peak_memory_mb": 300.0},
                "environment": {"package_hash": "a"}, "ended": "2026-01-01T00:00:00+00:00", "overrides": [f"seed={seed}"],
                "data": {"train": 10, "test": 10, "fingerprint": "s"},
            }  # fmt: skip
            (folder / "records" / str(number)).mkdir(parents=True)
            (folder / "records" / str(number) / "record.json").write_text(json.dumps(record, indent=2))
        sides = {"ours": ("-m", "experiments", "compare", "records"), "pandas": ("-c", PLAIN_COMPARE)}
        return in_turns({name: partial(seconds, folder, words) for name, words in sides.items()}, quick)


class Terminal(io.StringIO):
    """A terminal that nobody looks at: progress is drawn into it as a person would see it."""

    def isatty(self) -> bool:
        return True

    def speeds(self) -> list[float]:
        """Examples a second of each epoch, as the line says that progress leaves behind."""
        kept = [line.rpartition("\r")[2] for line in self.getvalue().split("\n")[:-1]]
        return [float(speed.replace(",", "")) for line in kept for speed in re.findall(r"([\d,]+) examples/s", line)]


def mnist(model: str, size: int, quick: bool) -> Samples:
    """Examples a second of a model on MNIST: our whole run, a bare loop on one batch, a loop as written by hand."""
    torch = _torch(threads=cores())
    from torchvision import datasets, transforms  # type: ignore[import-untyped]

    batch, spec = 256, ImageSpec(1, size, size, DIGITS, (0.1307,), (0.3081,))

    network = partial(build_model, compose([f"model={model}"]), spec)  # the same for all sides

    def floor() -> float:
        step = partial(plain_step(network()), torch.rand(batch, 1, size, size), torch.randint(10, (batch,)))
        return _a_second(step, batch, times=2 if quick else 200, warm=1 if quick else 20)

    def by_hand(root: Path) -> Callable[[], float]:
        usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        data = datasets.MNIST(str(root), train=True, transform=usual)
        loader = torch.utils.data.DataLoader(data, batch, shuffle=True, num_workers=2, persistent_workers=True)
        step, border = plain_step(network()), (size - 28) // 2

        def epoch() -> None:
            for images, labels in loader:
                if border:  # by the batch, which is quicker than one more transform a sample
                    images = torch.nn.functional.pad(images, [border] * 4)
                step(images, labels)

        epoch()  # starts the workers
        return partial(_a_second, epoch, len(data))

    def ours(root: Path) -> float:
        # The first epoch starts up what stays (memory, threads, kernels chosen for a shape), and the other sides are
        # warmed up before their clock starts. So this is the framework's own count of training time, of the epochs
        # after the first: from an epoch's start to its last step, loading, metrics and progress included.
        terminal = Terminal()
        words = ["data=mnist", f"model={model}", f"data.batch_size={batch}", "optimizer=sgd", "trainer=cpu"]
        with _folder() as folder, contextlib.redirect_stderr(terminal):
            places = [f"data.root={root}", f"hydra.run.dir={folder}/run", *_held_out(quick)]
            experiments.train(*words, *places, "trainer.max_epochs=3")
        return statistics.median(terminal.speeds()[1:])

    with _mnist_root(small=quick) as root:
        return in_turns({"floor": floor, "ours": lambda: ours(root), "hand": by_hand(root)}, quick)


def autoencoder(model: str, quick: bool) -> Samples:
    """Examples a second of an autoencoder on MNIST: our whole run, and a bare loop on one batch."""
    torch = _torch(threads=cores())
    batch, spec = 256, ImageSpec(1, 28, 28, DIGITS, (0.1307,), (0.3081,))
    words = ["data=mnist", "task=reconstruction", f"model={model}", f"data.batch_size={batch}", "optimizer=sgd"]

    def floor() -> float:
        network = build_model(compose(words), spec)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        images, pixels = torch.randn(batch, 1, 28, 28), torch.rand(batch, 1, 28, 28)

        def step() -> None:
            torch.nn.functional.mse_loss(network(images), pixels).backward()
            optimizer.step()
            optimizer.zero_grad()

        return _a_second(step, batch, times=2 if quick else 200, warm=1 if quick else 20)

    def ours(root: Path) -> float:
        terminal = Terminal()
        with _folder() as folder, contextlib.redirect_stderr(terminal):
            places = [f"data.root={root}", f"hydra.run.dir={folder}/run", *_held_out(quick)]
            experiments.train(*words, *places, "trainer=cpu", "trainer.max_epochs=3", "task.peers=false")
        return statistics.median(terminal.speeds()[1:])  # as in `mnist`

    with _mnist_root(small=quick) as root:
        return in_turns({"floor": floor, "ours": lambda: ours(root)}, quick)


def plain_step(model: Any) -> Callable[[Any, Any], None]:
    """A training step and nothing else: forward, backward, and torch's default optimizer, which is not fused."""
    import torch

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(images: Any, labels: Any) -> None:
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _held_out(small: bool) -> list[str]:
    """A tenth validates where there are fewer images than usually do."""
    return ["data.validation=0.1"] if small else []


@contextlib.contextmanager
def _mnist_root(small: bool) -> Iterator[Path]:
    """The folder of MNIST where it is on disk, else one with noise of the same size and format."""
    real = Path(os.environ.get("EXPERIMENTS_DATA", "data")).absolute()
    if not small and all((real / f"MNIST/raw/{name}-ubyte").is_file() for name in MNIST_FILES):
        yield real
        return
    rng = np.random.default_rng(0)
    with _folder() as root:
        (root / "MNIST/raw").mkdir(parents=True)
        for name, count in MNIST_FILES.items():
            count = count // 40 if small else count
            shape, stop = ((count, 28, 28), 256) if "images" in name else ((count,), 10)
            head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
            values = rng.integers(stop, size=shape, dtype=np.uint8)
            (root / f"MNIST/raw/{name}-ubyte").write_bytes(head + values.tobytes())
        yield root


def step(quick: bool) -> Samples:
    """Microseconds of a step of next to no arithmetic, on batches that are there already."""
    torch = _torch(threads=1)
    import lightning.pytorch as pl
    from torch.utils.data import DataLoader, Dataset
    from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

    steps, spec = 100 if quick else 1000, ImageSpec(1, 4, 4, DIGITS, (0.5,), (0.5,))
    batch = torch.rand(8, 1, 4, 4), torch.randint(10, (8,))
    # Not fused, as in the bare loop: here the question is what the framework adds.
    words = ["model=logistic_regression", "optimizer=sgd", "optimizer.fused=false",
             "trainer=cpu", "trainer.max_epochs=2"]  # fmt: skip

    class Ready(Dataset):
        def __getitems__(self, picks: list[int]) -> Any:
            return batch

    loader = DataLoader(Ready(), batch_sampler=[[0]] * steps, collate_fn=lambda items: items)

    class Defaults(pl.LightningModule):  # as Lightning's manual writes it, with two metrics in the progress bar
        def __init__(self) -> None:
            super().__init__()
            self.model = build_model(compose(words), spec)
            self.accuracy, self.f1 = MulticlassAccuracy(10), MulticlassF1Score(10)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            logits = self.model(batch[0])
            self.accuracy(logits, batch[1])
            self.f1(logits, batch[1])
            self.log("accuracy", self.accuracy, prog_bar=True)
            self.log("f1", self.f1, prog_bar=True)
            return torch.nn.functional.cross_entropy(logits, batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)

        def on_train_epoch_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.took = time.perf_counter() - self.began  # the last epoch's stays

    def bare() -> float:
        step = partial(plain_step(build_model(compose(words), spec)), *batch)
        return 1e6 / _a_second(step, 1, times=steps, warm=steps)

    def ours() -> float:
        terminal = Terminal()
        with _folder() as folder, contextlib.redirect_stderr(terminal):
            config = compose([*words, f"hydra.run.dir={folder}/run"])
            build_trainer(config).fit(build_task(config, spec), loader)
        return 1e6 * len(batch[0]) / terminal.speeds()[1]

    def lightning() -> float:
        module = Defaults()
        with _folder() as folder, contextlib.redirect_stderr(Terminal()), contextlib.redirect_stdout(Terminal()):
            pl.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=folder).fit(module, loader)
        return 1e6 * module.took / steps

    return in_turns({"bare": bare, "ours": ours, "lightning": lightning}, quick)


def convolutions(words: list[str], batch: int, quick: bool) -> Samples:
    """Examples a second of a deep network on one batch of 32 × 32, in the precision and memory format of `auto`."""
    torch = _torch(threads=cores())
    from torch.utils.data import DataLoader, Dataset

    from experiments.run.auto_settings import fastest

    steps, batch = (2, 4) if quick else (6, batch)
    spec = ImageSpec(3, 32, 32, DIGITS, (0.5,) * 3, (0.5,) * 3)
    words = [*words, "optimizer=sgd", "trainer=cpu", "trainer.max_epochs=2", "precision=auto"]
    images = torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))
    network = build_model(compose(words), spec)
    precision, memory_format = fastest("auto", "auto", network, flops_per_example(network, spec), "cpu")
    network.to(
        memory_format=getattr(torch, f"{memory_format}_format" if memory_format == "contiguous" else memory_format)
    )
    bare = plain_step(network)

    class Ready(Dataset):
        def __getitems__(self, picks: list[int]) -> Any:
            return images

    loader = DataLoader(Ready(), batch_sampler=[[0]] * steps, collate_fn=lambda items: items)

    def floor() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            return _a_second(partial(bare, *images), batch, times=steps, warm=1)

    def ours() -> float:
        terminal = Terminal()
        with _folder() as folder, contextlib.redirect_stderr(terminal):
            config = compose([*words, f"hydra.run.dir={folder}/run"])
            task = build_task(config, spec)
            build_trainer(config).fit(task, loader)
        return terminal.speeds()[1]

    return in_turns({"bare": floor, "ours": ours}, quick)


def augmentation(quick: bool) -> Samples:
    """Colour images of 32 × 32 a second: random crop, flip and normalisation, without any training."""
    torch = _torch(threads=1)
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

    from experiments.data.images.image_data import ImageData
    from experiments.data.images.image_store import ImageSplit

    count, batch = 2_000 if quick else 50_000, 128
    mean, std = [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]
    pixels = np.random.default_rng(0).integers(256, size=(count, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(count) % 10

    class Generated(ImageData):
        def read(self) -> Any:
            return DIGITS, {"train": ImageSplit(pixels, labels), "test": ImageSplit(pixels[:10], labels[:10])}

    class ASample(Dataset):  # what torchvision's CIFAR-10 does with an example, which it holds in memory too
        usual = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), ToTensor(), Normalize(mean, std)])
        stored = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))

        def __len__(self) -> int:
            return count

        def __getitem__(self, index: int) -> Any:
            return self.usual(Image.fromarray(self.stored[index])), int(labels[index])

    data = Generated(batch_size=batch, size=None, validation=10, limit=None, workers=0, seed=0, mean=mean, std=std,
                     augment={"crop": 4, "flip": True})  # fmt: skip
    data.setup()
    loader = data.train_dataloader()
    samples = DataLoader(ASample(), batch, shuffle=True, num_workers=2, persistent_workers=True)
    store, targets = torch.from_numpy(pixels), torch.from_numpy(labels)
    shift, scale = (255 * torch.tensor(values).view(-1, 1, 1) for values in (mean, std))

    def ours() -> None:
        for raw in loader:  # ten images fewer than the others have
            data.on_after_batch_transfer(raw, 0)

    def plain() -> None:
        for rows in torch.randperm(count).split(batch):
            store[rows].float().sub_(shift).div_(scale), targets[rows]

    epochs: dict[str, Callable[[], Any]] = {
        "ours": ours,
        "torchvision": lambda: [None for _ in samples],
        "plain": plain,
    }
    for epoch in epochs.values():
        epoch()  # starts workers, makes what stays
    return in_turns({side: partial(_a_second, epoch, count) for side, epoch in epochs.items()}, quick)


# A job as people write it with Lightning and Hydra: a metric object updated in every step, progress bar, CSV, best checkpoint;
# `-m` runs it again and again in one process, and joblib in two.
PLAIN_JOB = """\
import sys
import hydra
from omegaconf import DictConfig


def train(lr, steps, seed, folder):
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary
    from lightning.pytorch.loggers import CSVLogger
    from sklearn.datasets import load_digits
    from torch import nn
    from torch.utils.data import DataLoader, Dataset, random_split
    from torchmetrics import MaxMetric, MeanMetric
    from torchmetrics.classification import Accuracy
    from torchvision.transforms.functional import normalize, resize

    class Digits(Dataset):
        def __init__(self):
            self.images, self.labels = load_digits(return_X_y=True)

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, index):
            image = torch.tensor(self.images[index] / 16, dtype=torch.float32).view(1, 8, 8)
            return normalize(resize(image, [32, 32]), [0.3], [0.37]), int(self.labels[index])

    class Net(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
                nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))
            self.accuracy = nn.ModuleDict({{k: Accuracy(task="multiclass", num_classes=10) for k in ("fit", "val", "test")}})
            self.mean = nn.ModuleDict({{k: MeanMetric() for k in ("fit", "val", "test")}})
            self.best = MaxMetric()

        def step(self, batch, part):
            images, labels = batch
            logits = self.net(images)
            loss = nn.functional.cross_entropy(logits, labels)
            self.mean[part](loss)
            self.accuracy[part](logits.argmax(1), labels)
            bar = part != "test"
            self.log(part + "/loss", self.mean[part], on_step=False, on_epoch=True, prog_bar=bar)
            self.log(part + "/accuracy", self.accuracy[part], on_step=False, on_epoch=True, prog_bar=bar)
            return loss

        def training_step(self, batch, index):
            return self.step(batch, "fit")

        def validation_step(self, batch, index):
            self.step(batch, "val")

        def test_step(self, batch, index):
            self.step(batch, "test")

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=lr)

    pl.seed_everything(seed, verbose=False)
    parts = random_split(Digits(), [1257, 180, 360])
    loaders = [DataLoader(part, batch_size={batch}, shuffle=index == 0) for index, part in enumerate(parts)]
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=steps, max_epochs=-1, default_root_dir=folder, logger=CSVLogger(folder),
        callbacks=[ModelCheckpoint(dirpath=folder + "/checkpoints", monitor="val/accuracy", mode="max", save_last=True), ModelSummary()])
    net = Net()
    trainer.fit(net, loaders[0], loaders[1])
    trainer.test(net, loaders[2], ckpt_path="best", weights_only=False)
    return float(trainer.callback_metrics["test/accuracy"])


@hydra.main(version_base="1.3", config_path=None, config_name="config")
def main(config: DictConfig) -> None:
    from hydra.core.hydra_config import HydraConfig

    train(config.lr, config.steps, config.seed, HydraConfig.get().runtime.output_dir)


if __name__ == "__main__":
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="config", node={{"lr": 1e-3, "steps": {steps}, "seed": 0}})
    if sys.argv[1:2] == ["joblib"]:
        from joblib import Parallel, delayed

        Parallel(n_jobs=2)(delayed(train)(1e-3, {steps}, seed, f"joblib/{{seed}}") for seed in range({jobs}))
    else:
        main()
"""


def sweep(batches: int, quick: bool) -> Samples:
    """Jobs a minute of a sweep of eight LeNet-5 on the scanned digits, everything on, against other ways to run them."""
    jobs, batch, epochs = (2, 64, 1) if quick else (8, 64, max(1, round(batches / 20)))
    words = ["data=digits", "model=lenet5", "trainer=cpu", f"data.batch_size={batch}", "data.limit=1257",
             f"trainer.max_epochs={epochs}"]  # fmt: skip
    ours = ["-m", "experiments", "train"]
    with _folder() as folder:
        (folder / "plain.py").write_text(PLAIN_JOB.format(batch=batch, steps=20 * epochs, jobs=jobs))
        count = iter(range(1000))
        costs: list[tuple[float, float]] = []  # milliseconds of a job, and of its training

        def alone(*command: str) -> float:
            number = next(count)
            each = [(*command, f"seed={seed}", f"hydra.run.dir=alone{number}/{seed}") for seed in range(jobs)]
            return 60 * jobs / sum(seconds(folder, override) for override in each)

        def one_sweep() -> float:
            place = folder / f"ours{next(count)}"
            more = [f"seed=range({jobs})", "launcher.jobs=2", f"hydra.sweep.dir={place}"]
            took = seconds(folder, (*ours, "-m", *words, *more))
            spent = [json.loads(path.read_text())["cost"] for path in place.glob("*/record.json")]
            examples = 1257 * epochs
            pairs = [(1e3 * cost["seconds"], 1e3 * examples / cost["examples_per_second"]) for cost in spent]
            costs.append(sorted(pairs, key=lambda pair: pair[0] - pair[1])[len(pairs) // 2])
            return 60 * jobs / took

        def in_process() -> float:
            return 60 * jobs / seconds(folder, ("plain.py", "-m", f"seed=range({jobs})"))

        def joblib() -> float:
            return 60 * jobs / seconds(folder, ("plain.py", "joblib"))

        sides = {"ours": one_sweep, "in-process": in_process, "joblib": joblib}
        single = {"starts": partial(alone, *ours, *words), "plain starts": partial(alone, "plain.py")}
        samples = in_turns(sides | (single if batches <= 20 else {}), quick, turns_at_most=3)
    return samples | {"job": [job for job, _ in costs], "training": [training for _, training in costs]}


# The head of a ResNet-18 learns, and its last stage where that is said, as people write it; prints the seconds.
PLAIN_TRANSFER = """\
import sys
import time

import torch
from torch import nn
from torchvision.models import resnet18

count, held_out, epochs, size, stages = map(int, sys.argv[1:])
images = torch.randint(256, (count + held_out, 3, size, size), dtype=torch.uint8)
labels = torch.arange(count + held_out) % 2
mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
net = resnet18(num_classes=2)
front = [net.conv1, net.bn1, net.layer1, net.layer2, net.layer3, net.layer4][: 6 - stages]
for stage in front:
    stage.requires_grad_(False)
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.05, momentum=0.9)


def loss(picks):
    return nn.functional.cross_entropy(net((images[picks].float() / 255 - mean) / std), labels[picks])


began = time.perf_counter()
for _ in range(epochs):
    net.train()
    for stage in front:
        stage.eval()
    for picks in torch.randperm(count).split(32):
        optimizer.zero_grad()
        loss(picks).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        for picks in torch.arange(count, count + held_out).split(32):
            loss(picks)
print(time.perf_counter() - began)
"""


def features(quick: bool) -> Samples:
    """Seconds of training on photographs with most of a ResNet-18 frozen: features kept, and computed in every epoch.

    500 photographs, a tenth of which validates, as by default; and no checkpoints, which cost both sides the same.
    Eight runs without the cache are one of them, eight times. One turn, since it takes a quarter of an hour.
    """
    torch = _torch(threads=cores())
    from experiments.data.images.image_data import ImageData
    from experiments.data.images.image_store import ImageSplit

    count, held_out, epochs, heads, size = (8, 8, 2, 2, 64) if quick else (450, 50, 10, 8, 224)
    rng = np.random.default_rng(0)

    class Photographs(ImageData):
        def read(self) -> Any:
            counts = {"train": count, "validation": held_out, "test": 8}
            drawn = {
                part: rng.integers(256, size=(many, 3, size, size), dtype=np.uint8) for part, many in counts.items()
            }
            return ("ants", "bees"), {
                part: ImageSplit(pixels, np.arange(len(pixels)) % 2) for part, pixels in drawn.items()
            }

    data = Photographs(batch_size=32, size=None, validation=1, limit=None, workers=0, seed=0, augment={})
    data.setup()
    same = ["model=resnet18", "optimizer=sgd", "trainer=cpu", f"trainer.max_epochs={epochs}", "callbacks=none",
            "callbacks.checkpoint=null", "logger=none"]  # fmt: skip

    def train(folder: Path, *words: str) -> float:
        torch.manual_seed(0)  # one backbone for all
        config = compose([*same, *words, f"features.dir={folder}", f"hydra.run.dir={folder}/run"])
        task, trainer = build_task(config, data.spec), build_trainer(config)
        trainer.callbacks[:0] = build_callbacks(config, task.freezing)
        began = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.fit(task, datamodule=data)
        return time.perf_counter() - began

    def once(*words: str) -> float:
        with _folder() as folder:
            return train(folder, *words)

    def by_hand(stages: int) -> float:
        words = map(str, (count, held_out, epochs, size, stages))
        done = subprocess.run(
            [sys.executable, "-c", PLAIN_TRANSFER, *words], check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    plain = once("freezing=feature_extraction", "features.cache=false")
    with _folder() as folder:
        sweep = [train(folder, "freezing=feature_extraction", f"optimizer.lr={0.01 * n}") for n in range(1, 1 + heads)]
    return {
        "plain": [plain],
        "head": [sweep[0]],
        "stage_plain": [once("freezing=last_stage", "features.cache=false")],
        "stage": [once("freezing=last_stage")],
        "head_by_hand": [by_hand(0)],
        "stage_by_hand": [by_hand(1)],
        "heads": [sum(sweep)],
        "heads_plain": [heads * plain],
    }


class Row(NamedTuple):  # one line of the table
    name: str  # of the measurement
    side: str  # ours, in its samples
    other: str  # what it stands against
    unit: str  # s, /s (examples a second), /min (jobs), µs or ms; goals are set for the ratio of both sides, for µs and ms
    # for the difference
    goal: float | None  # at most, and for rates at least, so much; None: for comparison
    what: str
    against: str


MEASUREMENTS: dict[str, Callable[[bool], Samples]] = {
    "commands": commands, "two_steps": two_steps, "comparison": comparison, "step": step, "augmentation": augmentation,
    "features": features, "lenet": partial(mnist, "lenet5", 32), "mlp": partial(mnist, "mlp", 28),
    "resnet18_64": partial(convolutions, ["model=resnet18", "model.stem=small"], 64),
    "resnet18_128": partial(convolutions, ["model=resnet18", "model.stem=small"], 128),
    "vgg11_64": partial(convolutions, ["model=vgg11", "model.classifier=small"], 64),
    "vgg11_128": partial(convolutions, ["model=vgg11", "model.classifier=small"], 128),
    "sweep": partial(sweep, 20), "long_sweep": partial(sweep, 200),
    "uniform_lengths": partial(benchmark_sequences.buckets, False),
    "long_tail": partial(benchmark_sequences.buckets, True), "recurrent_step": benchmark_sequences.recurrent_step,
    "lstm_inference": benchmark_sequences.lstm_inference, "beam_search": benchmark_sequences.beam_search,
    "control": benchmark_control.ppo,
    "bert": benchmark_language.bert, "frozen_bert": benchmark_language.frozen_bert,
    "frozen_sound": benchmark_language.frozen_sound,
    "character_gpt": benchmark_language.character_gpt, "answers": benchmark_language.answers,
    "whisper": benchmark_speech.whisper, "wav2vec2": benchmark_speech.wav2vec2,
    "unet": partial(benchmark_pictures.segmentation, "unet_resnet18"),
    "lraspp": partial(benchmark_pictures.segmentation, "lraspp_mobilenet"),
    "detection": benchmark_pictures.detection, "average_precision": benchmark_pictures.average_precision,
    "autoencoder": partial(autoencoder, "autoencoder"), "conv_autoencoder": partial(autoencoder, "conv_autoencoder"),
}  # fmt: skip
# What differs from another measurement in numbers alone, which --quick makes small and so alike.
ALIKE_WHEN_QUICK = {"long_sweep": "sweep", "resnet18_128": "resnet18_64", "vgg11_128": "vgg11_64"}
_BERT, _GPT = "BERT-tiny on film reviews, whole path of the data", "character GPT of 4 layers, 128 wide"
_FROZEN = "a head on a frozen BERT-tiny, five epochs"
_TRAINER = "transformers' Trainer, {}fused AdamW"
_ALONE = "transformers' generate, one clip at a time, 32 bits"
_WAVES = "Wav2Vec 2.0 tiny by CTC on LJ Speech, batches of like length"
_USUAL = "usual loop: single images collated, AdamW"
_IMPORT, _BARE = "`import lightning`", "bare loop on one batch, optimizer not fused"
_HAND = "loop by hand: torchvision's MNIST, transforms a sample, 2 workers"
_LENET, _MLP = "LeNet-5 on MNIST, all cores", "perceptron 784-256-10 on MNIST, all cores"
_EIGHT = "eight jobs of 20 batches, two at a time, LeNet-5 on digits"
_PLAIN = "plain Lightning job, Hydra's in-process launcher"
_PHOTOS = "500 photographs of 224 × 224, 10 epochs"
_ALL_BY_HAND = "loop by hand, which computes all of it in every epoch"
_TOKENS = "tokens of an LSTM's training in batches of like length, {}"
_RANDOM, _PACKED = "random batches, padded to their longest", "random batches, packed"
_AUGMENT = "crop, flip and normalise 3×32×32, one thread"
_SAME = "bare loop on one batch, same precision and memory format"
ROWS = (
    Row("commands", "help", "import", "s", 0.10, "`experiments --help`", _IMPORT),
    Row("commands", "list", "import", "s", 0.10, "`experiments list models`", _IMPORT),
    Row("commands", "error", "import", "s", 0.10, "`experiments train model=lenet6`, refused", _IMPORT),
    Row("commands", "check", "import", "s", 0.10, "`experiments check`", _IMPORT),
    Row("two_steps", "ours", "plain", "s", 1.15, "a run of two steps", "two steps in plain Lightning"),
    Row("comparison", "ours", "pandas", "s", None, "`experiments compare` of 10,000 records", "json and pandas by hand"),
    Row("lenet", "ours", "floor", "/s", 0.95, _LENET, _BARE),
    Row("mlp", "ours", "floor", "/s", 0.75, _MLP, _BARE),
    Row("lenet", "ours", "hand", "/s", 2.2, _LENET, _HAND),
    Row("mlp", "ours", "hand", "/s", 7, _MLP, _HAND),
    Row("autoencoder", "ours", "floor", "/s", 0.80, "autoencoder 784-128-32-128-784 on MNIST, all cores", _BARE),
    Row("conv_autoencoder", "ours", "floor", "/s", 0.80, "convolutional autoencoder on MNIST, all cores", _BARE),
    Row("step", "ours", "bare", "µs", 350, "a step, with metrics, loggers and progress, one thread", "bare loop"),
    Row("step", "lightning", "bare", "µs", None, "for comparison: Lightning, two metrics in its bar", "bare loop"),
    Row("uniform_lengths", "ours", "random", "/s", 1.5, _TOKENS.format("5 to 200 long alike often"), _RANDOM),
    Row("long_tail", "ours", "random", "/s", 2.2, _TOKENS.format("half shorter than 15, up to 200"), _RANDOM),
    Row("uniform_lengths", "ours", "packed", "/s", None, _TOKENS.format("5 to 200 long alike often"), _PACKED),
    Row("recurrent_step", "ours", "floor", "/s", 0.95, "a step of an LSTM of two layers, one thread", "torch's layers by hand"),
    Row("lstm_inference", "bf16", "plain", "/s", 3, "answers of an LSTM in bf16, one thread", "fp32 without oneDNN"),
    Row("lstm_inference", "bf16", "fp32", "/s", None, "answers of an LSTM in bf16, one thread", "fp32 with oneDNN, which is usual"),
    Row("features", "head", "head_by_hand", "s", 0.1, f"a new head on ResNet-18, {_PHOTOS}", _ALL_BY_HAND),
    Row("features", "head", "plain", "s", None, f"a new head on ResNet-18, {_PHOTOS}", "the same without cached features"),
    Row("features", "stage", "stage_by_hand", "s", 0.5, f"its last stage and head, {_PHOTOS}", _ALL_BY_HAND),
    Row("features", "stage", "stage_plain", "s", None, f"its last stage and head, {_PHOTOS}", "the same without cached features"),
    Row("features", "heads", "heads_plain", "s", 0.025, "eight heads on one backbone, likewise", "one without cached features, times eight"),
    *(
        Row(f"{name}_{batch}", "ours", "bare", "/s", 0.95, f"{title} at 32×32, batch {batch}", _SAME)
        for name, title in (("resnet18", "ResNet-18"), ("vgg11", "VGG-11"))
        for batch in (64, 128)
    ),
    Row("augmentation", "ours", "torchvision", "/s", 25, _AUGMENT, "torchvision a sample, 2 workers"),
    Row("augmentation", "ours", "plain", "/s", 0.3, _AUGMENT, "gather rows and normalise, one thread"),
    Row("beam_search", "ours", "alone", "/s", 5, "64 sentences translated together, four beams, one thread", "one sentence at a time"),
    Row("control", "ours", "stable-baselines3", "/s", 1.5, "steps of CartPole with PPO, learning included, one thread",
        "stable-baselines3, same networks, rollouts and batches"),
    Row("bert", "ours", "floor", "/s", 0.92, _BERT, "transformers' model on one batch of the average shape, fused AdamW"),
    Row("bert", "ours", "library", "/s", 1.15, _BERT, _TRAINER.format("like lengths together, ")),
    Row("bert", "ours", "loop", "/s", 2.1, _BERT, "loop by hand: random batches, plain AdamW"),
    Row("bert", "auto", "library", "/s", 1.5, _BERT + ", precision=auto", _TRAINER.format("like lengths together, ")),
    Row("frozen_bert", "ours", "loop", "s", 0.16, _FROZEN, "loop by hand: random batches, all of it in every epoch"),
    Row("frozen_bert", "ours", "again", "s", None, _FROZEN, "the same without cached features"),
    Row("frozen_bert", "second", "again", "s", 0.16, _FROZEN + ", cached by an earlier run", "the same without cached features"),
    Row("frozen_bert", "inside", "inside_again", "s", None, "BERT-tiny from its second layer on, five epochs", "the same without cached features"),
    Row("frozen_sound", "ours", "again", "s", 0.33, "Wav2Vec 2.0 (tiny) behind its convolutions, spoken digits, five epochs", "the same without cached features"),
    Row("character_gpt", "ours", "loop", "/s", 1.05, _GPT, "loop by hand over the same network, fused AdamW"),
    Row("character_gpt", "ours", "library", "/s", 1.6, _GPT, _TRAINER.format("")),
    Row("character_gpt", "auto", "loop", "/s", 1.5, _GPT + ", precision=auto", "loop by hand in 32 bits"),
    Row("answers", "ours", "alone", "/s", 20, "64 beginnings continued by 100 characters, together", "one beginning at a time"),
    Row("whisper", "ours", "library", "/s", 1.25, "Whisper tiny.en tested in batches of eight", _ALONE),
    Row("whisper", "ours_predict", "library", "/s", 1.25, "Whisper tiny.en, predictions in batches of eight", _ALONE),
    Row("whisper", "auto", "library", "/s", 2.5, "Whisper tiny.en tested in batches of eight, precision=auto", _ALONE),
    Row("whisper", "auto_predict", "library", "/s", 2.5, "Whisper tiny.en, predictions likewise, precision=auto", _ALONE),
    Row("wav2vec2", "ours", "floor", "/s", 0.95, _WAVES, "a bare step on one batch of the average shape"),
    Row("wav2vec2", "ours", "same", "/s", None, _WAVES, "a bare step on the same batches"),
    Row("wav2vec2", "ours", "random", "/s", 1.3, _WAVES, _RANDOM),
    Row("wav2vec2", "auto", "random", "/s", 1.9, _WAVES + ", precision=auto", _RANDOM + ", 32 bits"),
    Row("unet", "ours", "loop", "/s", 1.15, "U-Net with ResNet-18, 128 × 128", _USUAL),
    Row("unet", "auto", "loop", "/s", 2.5, "U-Net with ResNet-18, 128 × 128, precision=auto", _USUAL + ", 32 bits"),
    Row("lraspp", "ours", "loop", "/s", 1.2, "LR-ASPP with MobileNet, 128 × 128", _USUAL),
    Row("detection", "ours", "floor", "s", 1.03, "ten steps of SSDlite", "torchvision's step on one batch, fused AdamW"),
    Row("average_precision", "ours", "pycocotools", "s", None, "mAP over 100 images of 100 predictions", "pycocotools"),
    Row("sweep", "ours", "plain starts", "/min", 7, _EIGHT, "plain Lightning job, a process start each"),
    Row("sweep", "ours", "starts", "/min", None, _EIGHT, "`experiments train`, a process start each"),
    Row("sweep", "ours", "in-process", "/min", 2, _EIGHT, _PLAIN),
    Row("sweep", "ours", "joblib", "/min", None, _EIGHT, "the same job, joblib with two processes"),
    Row("sweep", "job", "training", "ms", 500, "one of these jobs", "its training steps"),
    Row("long_sweep", "ours", "in-process", "/min", 3.5, _EIGHT.replace("20", "200"), _PLAIN),
    Row("long_sweep", "ours", "joblib", "/min", 2.8, _EIGHT.replace("20", "200"), "the same job, joblib with two processes"),
)  # fmt: skip


def judged(row: Row, samples: Samples) -> dict[str, Any]:
    """A row with its numbers: all repeats, medians of both sides, and of what the goal is set for."""
    ours, against = samples[row.side], samples[row.other]
    pairs, differs = list(zip(ours, against, strict=True)), row.unit in ("µs", "ms")
    values = [left - right if differs else left / right for left, right in pairs]
    median = statistics.median(values)
    met = None if row.goal is None else median >= row.goal if row.unit.startswith("/") else median <= row.goal
    return row._asdict() | {
        "ours": {"median": statistics.median(ours), "repeats": ours},
        "other": {"median": statistics.median(against), "repeats": against},
        "kind": "difference" if differs else "ratio",
        "value": {"median": median, "low": min(values), "high": max(values)},
        "met": met,
    }  # fmt: skip


def as_line(row: dict[str, Any]) -> str:
    """A row in Markdown."""
    unit, goal = row["unit"], row["goal"]
    numbers = [row[side]["median"] for side in ("ours", "other")]
    differs = f" {unit}" if row["kind"] == "difference" else ""
    ours, other = [
        f"{number:.2f} s" if unit == "s" else f"{number:,.{1 if number < 10 else 0}f} {unit}" for number in numbers
    ]
    median, low, high = [f"{value:+,.0f}{differs}" if differs else f"{value:.3g}" for value in row["value"].values()]
    wanted = "" if goal is None else f"{'≥' if unit.startswith('/') else '≤'} {goal:g}{differs}"
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    return f"| {row['what']} | {ours} | {row['against']}: {other} | {median} ({low} to {high}) | {wanted} | {met} |"


HEADER = "| what | ours | against | ratio or difference, median (extremes) | goal | met |\n|---|---:|---|---:|---:|---|"


def machine() -> dict[str, Any]:
    """What the numbers depend on; not the machine's name."""
    info = Path("/proc/cpuinfo")  # of Linux
    model = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cpu = model.group(1) if model else platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": cores(), **{key: value for key, value in environment().items() if key != "host"}}


def _torch(threads: int) -> Any:
    """torch, as our command imports it: what stands beside ours in this process gets its lighter steps and memory too."""
    keep_freed_memory()
    import_lightning()
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return torch


def _a_second(function: Callable[[], Any], examples: int, times: int = 1, warm: int = 0) -> float:
    """Examples a second, where a call computes so many."""
    for _ in range(warm):
        function()
    began = time.perf_counter()
    for _ in range(times):
        function()
    return examples * times / (time.perf_counter() - began)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        yield Path(name)


def measure(name: str, quick: bool) -> Samples:
    """One measurement, in a process of its own; in this one where the numbers mean little and its start would be most of the time."""
    print(f"{time.strftime('%X')} measuring {name} …", file=sys.stderr, flush=True)
    if quick:
        return MEASUREMENTS[name](quick)
    with _folder() as folder:
        words = [sys.executable, __file__, "--only", name, "--samples", str(folder / "samples.json")]
        subprocess.run(words, check=True)
        return json.loads((folder / "samples.json").read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every row once and small, to see that it runs")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all numbers to this file")
    parser.add_argument("--samples", type=Path, help=argparse.SUPPRESS)  # this process measures, see `measure`
    options = parser.parse_args()
    os.environ["COLUMNS"] = "200"  # so that no line of progress leaves the speed out
    if options.samples:
        write_json(options.samples, MEASUREMENTS[options.only[0]](options.quick))
        return 0
    samples: dict[str, Samples] = {}
    for name in options.only or MEASUREMENTS:
        same = samples.get(ALIKE_WHEN_QUICK.get(name, "")) if options.quick else None
        samples[name] = same or measure(name, options.quick)
    # A peer that is not installed leaves its side out, and so does bf16 where the processor has none.
    results = [
        judged(row, samples[row.name]) for row in ROWS if {row.side, row.other} <= samples.get(row.name, {}).keys()
    ]
    described = machine()
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    print("\n".join([HEADER, *map(as_line, results)]))
    print(f"\n{described['cpu']}, {described['cores']} cores; Python {described['python']}, {versions}; {now()[:10]}.")
    if options.json:
        write_json(options.json, {"date": now(), "quick": options.quick, "machine": described, "rows": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())

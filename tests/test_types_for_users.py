"""mypy's strict mode passes on a small package of a user's that builds on this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]

PARTS = """
from collections import OrderedDict
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.data.images.image_data import ImageData
from experiments.data.images.image_store import ImageSplit
from experiments.tasks.base import Task
from experiments.tasks.classification import Classification
from experiments.tasks.report import Report


class Tiny(nn.Sequential):
    def __init__(self, in_channels: int, image_size: tuple[int, int], num_classes: int, *, width: int) -> None:
        features = in_channels * image_size[0] * image_size[1]
        body = nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.ReLU())
        super().__init__(OrderedDict(body=body, head=nn.Linear(width, num_classes)))


class FocalReport(Report):
    def answers(self, inputs: Any, top: int) -> list[dict[str, Any]]:
        return [{"logits": row} for row in self.predict(inputs).tolist()]


class Focal(Classification):
    report_class = FocalReport
    test_keys = ("label_smoothing", "gamma")

    def step(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        images, labels = batch
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - (-loss).exp()) ** 2 * loss).mean(), logits, labels


class Plain(Task):
    monitor = ("val/loss", "min")

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        images, labels = batch
        logits: Tensor = self.model(images)
        return F.cross_entropy(logits, labels), logits, labels


class Squares(ImageData):
    def read(self) -> tuple[tuple[str, ...], dict[str, ImageSplit]]:
        pixels, labels = np.zeros((8, 1, 8, 8), dtype=np.uint8), np.arange(8) % 2
        return ("dark", "light"), {"train": ImageSplit(pixels, labels), "test": ImageSplit(pixels, labels)}
"""
USE = """
from experiments import compare, evaluate, load, sweep, train
from mine.parts import Plain


def main() -> float:
    record = train("data=digits", "model=mlp", optimizer={"lr": 0.1})
    folder = record["dir"]
    metrics = evaluate(folder)
    network = load(folder).task
    runs = sweep("data=digits", "seed=0,1")
    print(network, Plain, runs, compare(folder))
    return metrics["test/accuracy"]
"""
# The flags of `mypy --strict` for the user's package alone; other options are those of pyproject.toml, and so is the cache.
CONFIG = """
[mypy]
python_version = 3.11
ignore_missing_imports = true
check_untyped_defs = true

[mypy-mine.*]
disallow_any_generics = true
disallow_subclassing_any = true
disallow_untyped_calls = true
disallow_untyped_defs = true
disallow_incomplete_defs = true
disallow_untyped_decorators = true
warn_return_any = true
implicit_reexport = false
strict_equality = true
extra_checks = true
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_strict_mypy_passes_on_a_package_of_a_users(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(PARTS)
    (package / "use.py").write_text(USE)
    (tmp_path / "mypy.ini").write_text(CONFIG)
    cache = os.environ.get("MYPY_CACHE_DIR", str(TOP / ".mypy_cache"))
    words = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", cache, "-p", "mine"]
    environment = os.environ | {"MYPYPATH": os.pathsep.join(["src", str(tmp_path)])}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words], cwd=TOP, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr

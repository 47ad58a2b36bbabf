"""Records as runs write them, made without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COSTS = {"parameters": 650, "trainable_parameters": 650, "flops_per_example": 1280, "seconds": 1.5}


def make_run(
    folder: Path,
    accuracy: float | None = 0.9,
    seed: int = 0,
    *,
    status: str = "finished",
    overrides: tuple[str, ...] = (),
    split: str = "s",
    metrics: dict[str, Any] | None = None,
    cost: dict[str, Any] | None = None,
    epochs: int = 0,
    **choices: Any,
) -> Path:
    """Writes one run folder."""
    chosen = {"model": "mlp", "data": "digits", "task": "classification", "freezing": "none", "precision": "32-true"}
    chosen |= {"optimizer": "adam", "scheduler": "constant", "trainer": "cpu", "experiment": None, "weights": None}
    measured = (
        {} if accuracy is None or status != "finished" else {"test/accuracy": accuracy, "test/loss": 1 - accuracy}
    )
    record = {
        "status": status,
        "choices": chosen | choices | {"seed": seed},
        "identity": "0",
        "metrics": measured | (metrics or {}),
        "cost": COSTS | {"examples_per_second": 1000.0, "peak_memory_mb": 300.0} | (cost or {}),
        "environment": {"package_hash": "a"},
        "error": None if status == "finished" else "ValueError: no",
        "ended": "2026-01-01T00:00:00+00:00",
        "overrides": [f"seed={seed}", *overrides],
        "data": {"train": 10, "test": 10, "fingerprint": split},
    }
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(record))
    if epochs:
        lines = ["epoch,step,train/loss,val/loss,val/accuracy"]
        lines += [
            f"{e},{10 * e + 9},{1 / (e + 1):.3f},{1.2 / (e + 1):.3f},{(accuracy or 0) * (e + 1) / epochs:.4f}"
            for e in range(epochs)
        ]
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    return folder


def make_sweep(root: Path, table: dict[str, list[float]], **more: Any) -> Path:
    """A model for each key, a seed for each value."""
    for model, values in table.items():
        for seed, value in enumerate(values):
            make_run(root / f"{model}_{seed}", value, seed, model=model, **more)
    return root

"""Kills runs at random moments, resumes them, and compares what they leave with runs that were never killed.

python scripts/kill_test.py --kills 100
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

COMMON = ["trainer=cpu", "callbacks.figures=null", "callbacks.progress=null", "logger=csv"]
KINDS = {
    "mlp": ["data=digits", "model=mlp", "trainer.max_epochs=4"],
    "every 3 steps": ["data=digits", "model=mlp", "trainer.max_epochs=4", "callbacks.checkpoint.every_n_steps=3"],
    "accumulated": ["data=digits", "model=mlp", "trainer.max_epochs=4", "trainer.accumulate_grad_batches=3"],
    "weighted": ["data=digits", "model=lenet5", "trainer.max_epochs=3", "task.class_weights=balanced"],
    "augmented": ["data=digits", "model=mlp", "trainer.max_epochs=4", "data.augment.rotation=10"],
    "texts": ["data=generated_reviews", "data.count=300", "trainer.max_epochs=3", "model.hidden=12"],
    "stream": ["data=generated_text", "data.count=300", "trainer.max_epochs=3", "model.hidden=12"],
    "two processes": ["data=digits", "model=mlp", "trainer=cpu_2", "trainer.max_epochs=3"],
}


def experiments(*words: str) -> subprocess.Popen[bytes]:
    """Starts a command."""
    command = [sys.executable, "-m", "experiments", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def where(folder: Path) -> str:
    """Says what a kill found in a run's folder."""
    checkpoints = folder / "checkpoints"
    if any(path.name.startswith(".") for path in checkpoints.glob(".*")):
        return "in a write"
    if not (checkpoints / "last.ckpt").exists():
        return "before the first checkpoint"
    return "after a checkpoint"


def outcome(folder: Path) -> tuple[str, dict[str, float]]:
    """What a run has come to: its table and its metrics."""
    record = json.loads((folder / "record.json").read_text())
    return (folder / "metrics.csv").read_text(), record["metrics"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills runs at random moments and compares what they come to.")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, fell, wrong = random.Random(options.seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as top:
        whole: dict[str, tuple[float, tuple[str, dict[str, float]]]] = {}
        for number in range(options.kills):
            kind = list(KINDS)[number % len(KINDS)]
            words = ["train", *COMMON, *KINDS[kind]]
            if kind not in whole:
                folder, began = Path(top) / f"whole {kind}", time.monotonic()
                if experiments(*words, f"hydra.run.dir='{folder}'").wait():
                    raise SystemExit(f"the run {kind!r} failed without a kill")
                whole[kind] = (time.monotonic() - began, outcome(folder))
            seconds, wanted = whole[kind]
            folder = Path(top) / f"cut {number}"
            process = experiments(*words, f"hydra.run.dir='{folder}'")
            time.sleep(draw.uniform(0.3, 1) * seconds)
            process.kill()
            if process.wait() == 0 or not (folder / "config.yaml").exists():
                fell["before or after the run"] += 1
                continue
            fell[where(folder)] += 1
            if experiments("train", f"resume={folder}").wait() or outcome(folder) != wanted:
                wrong.append(f"{kind}, kill {number}")
    print("\n".join(f"{count:4} {place}" for place, count in fell.most_common()))
    print(f"{len(wrong)} of {options.kills} differ" + "".join(f"\n  {one}" for one in wrong))
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())

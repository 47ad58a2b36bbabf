"""`experiments benchmark`: examples a second of a network's training here, by precision, memory format and batch size.

Each measurement has a process of its own, so that its peak memory is its own too. It trains as a run does, on one real batch
that is there already: what is measured is the network with its loss and optimizer, not the reading of data.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from typing import Any

from experiments.config.compose import compose
from experiments.errors import UserError, first_line
from experiments.system.arguments import Parser
from experiments.system.fresh_python import look_here_last, python_module
from experiments.system.processes import peak_memory
from experiments.system.terminal import terminal_width

WARM = 3  # steps before the clock starts


def main(words: list[str]) -> int:
    """Prints the table; the first line is what 32 bits in the usual order give, which the others are compared with."""
    parser = Parser("experiments benchmark", "Examples a second by precision, memory format and batch size.")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="model=… data=… and other keys of a run")
    parser.add_argument("--batch-sizes", default="32,128", metavar="N,N", help="default: 32,128")
    parser.add_argument("--precisions", metavar="P,P", help="default: 32-true and the 16-bit ones this machine has")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default: 3)")
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args(words)
    try:
        sizes = [int(size) for size in options.batch_sizes.split(",")]
    except ValueError:
        raise UserError(
            f"--batch-sizes {options.batch_sizes} must be whole numbers: try --batch-sizes 32,128"
        ) from None
    if not 0 < options.seconds < float("inf"):
        raise UserError(f"--seconds {options.seconds:g} must be a number above 0: try --seconds 3")
    from experiments.config.check import require
    from experiments.config.devices import accelerator

    config = compose(options.overrides)
    require(config)
    gpu = accelerator(config.trainer) == "gpu"
    precisions = (
        options.precisions.split(",")
        if options.precisions
        else ["32-true", "bf16-mixed", *(["16-mixed"] if gpu else [])]
    )
    rows: list[dict[str, Any]] = []
    for size, precision, memory_format in product(sizes, precisions, ("contiguous", "channels_last")):
        own = [f"precision={precision}", f"trainer.memory_format={memory_format}", f"data.batch_size={size}"]
        require(compose([*options.overrides, *own]))
        print(f"measuring {' '.join(own)} …", file=sys.stderr, flush=True)
        result = in_a_process([*options.overrides, *own], options.seconds)
        rows.append({"precision": precision, "memory_format": memory_format, "batch_size": size, **result})
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    from experiments.viz.tables import table

    base = {row["batch_size"]: row["examples_per_second"] for row in reversed(rows)}
    cells = [
        [
            str(row["batch_size"]),
            row["precision"],
            row["memory_format"],
            f"{row['examples_per_second']:,.1f}",
            f"{row['examples_per_second'] / base[row['batch_size']]:.2f} ×",
            f"{row['peak_megabytes']:,.0f} MB",
        ]
        for row in rows
    ]
    print(
        table(
            ["batch", "precision", "memory format", "examples/s", "gain", "peak memory"],
            cells,
            right=(0, 3, 4, 5),
            wide=terminal_width(),
        )
    )
    automatic = rows[0]["automatic"]
    print(f"precision=auto and trainer.memory_format=auto choose {automatic[0]} and {automatic[1]} here.")
    return 0


def in_a_process(words: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return what `measure` gives, from a fresh process.

    Raises:
        UserError: when it could not be measured, with the reason.
    """
    command = python_module("experiments.commands.benchmark", str(seconds), *words)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise UserError(f"{' '.join(words)} cannot be measured: {lines[-1].removeprefix('error: ')}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(words: Sequence[str], seconds: float) -> dict[str, Any]:
    """Trains on one batch for some seconds: examples a second, peak memory in megabytes, and what `auto` would choose."""
    config = compose([*words, "callbacks=none", "logger=none", "trainer.max_epochs=1", "data.workers=0"])
    from experiments.run.build import build_data, build_model, build_task, prepare_process
    from experiments.run.foreign import is_ours, refuse
    from experiments.run.loaded import earlier_run
    from experiments.run.trainer import build_trainer

    prepare_process(config)
    import torch
    from torch.utils.data import DataLoader, Dataset

    from experiments.config.devices import accelerator
    from experiments.run.auto_settings import fastest
    from experiments.run.layer_table import flops_per_example

    if not is_ours(config.task):
        refuse(config, "benchmark")
    data = build_data(config)
    model = build_model(config, data.spec)
    automatic = fastest("auto", "auto", model, flops_per_example(model, data.spec), accelerator(config.trainer))
    task = build_task(config, data.spec, data, earlier_run=earlier_run)
    trainer = build_trainer(config, callbacks=False)
    raw = next(iter(data.train_dataloader()))
    batch = data.on_after_batch_transfer(raw, 0)
    device = trainer.strategy.root_device
    batch = data.transfer_batch_to_device(batch, device, 0)

    class Ready(Dataset):
        def __getitems__(self, picks: list[int]) -> Any:
            return batch

    loader = DataLoader(Ready(), batch_sampler=[[0]] * 100_000, collate_fn=lambda items: items)
    clock = _clock(seconds)
    trainer.callbacks.append(clock)
    trainer.limit_val_batches = 0
    trainer.fit(task, train_dataloaders=loader)
    peak = torch.cuda.max_memory_allocated(device) / 1000000.0 if device.type == "cuda" else peak_memory() / 1000000.0
    speed = clock.steps * len(batch[1]) / clock.took
    return {"examples_per_second": speed, "peak_megabytes": peak, "automatic": list(automatic)}


def _clock(seconds: float) -> Any:
    """Return a callback that lets some steps pass, times those that follow, and ends training after so many seconds."""
    import time

    import torch
    from lightning.pytorch import Callback

    class Clock(Callback):
        began = took = 0.0
        steps = 0

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx < WARM - 1:
                return
            if batch_idx == WARM - 1:
                self._wait()
                self.began = time.perf_counter()
            elif time.perf_counter() - self.began > seconds:
                self._wait()
                self.took, self.steps = time.perf_counter() - self.began, batch_idx - WARM + 1
                trainer.should_stop = True

        @staticmethod
        def _wait() -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()

    return Clock()


if __name__ == "__main__":
    look_here_last()
    try:
        print(json.dumps(measure(sys.argv[2:], float(sys.argv[1]))))
    except Exception as problem:
        print(f"error: {first_line(problem)}", file=sys.stderr)
        sys.exit(1)

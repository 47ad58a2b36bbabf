"""`experiments profile`: where the time of a training step goes, by torch's profiler: a table, and a trace for a viewer."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from experiments.commands.run_or_config import bare_trainer, built, config_of
from experiments.errors import UserError, as_typed
from experiments.system.arguments import Parser
from experiments.system.terminal import terminal_width

_ABOUT = """\
Trains for some steps under torch's profiler. Prints how a step's time divides into waiting for data, forward, backward and
update, and the operations that take most; writes a trace that https://ui.perfetto.dev and chrome://tracing open.
"""
_WARM = 3  # steps that are not counted
_PARTS = ("data", "forward", "backward", "update", "rest")


def main(words: list[str]) -> int:
    """Prints the tables and writes the trace.

    Raises:
        UserError: for a config that cannot run.
    """
    parser = Parser("experiments profile", _ABOUT)
    parser.add_argument("words", nargs="*", metavar="RUN|key=value", help="a run, or model=… data=… and other keys")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="steps that are measured (10)")
    parser.add_argument("--rows", type=int, default=12, metavar="N", help="operations in the table (12)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="the trace (default: trace.json, in the run's folder where there is one)")  # fmt: skip
    options = parser.parse_args(words)
    if options.steps < 1 or options.rows < 1:
        raise UserError(
            f"--steps {options.steps} and --rows {options.rows} must be 1 or more: try --steps 10 --rows 12"
        )
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own library else tells of its start and end
    config, folder = config_of(options.words)
    path = options.trace or (folder or Path()) / "trace.json"
    parts, operations, examples = profiled(config, options.steps, path)
    from experiments.callbacks.progress_screens import speed_in_words
    from experiments.viz.tables import table

    whole = sum(parts.values())
    rows = [[name, f"{parts[name] * 1e3:,.2f}", f"{parts[name] / whole:.0%}"] for name in _PARTS]
    print(
        table(
            ["part of a step", "ms", "share"],
            [*rows, ["whole", f"{whole * 1e3:,.2f}", "100%"]],
            right=(1, 2),
            wide=terminal_width(),
        )
    )
    print()
    head = ["operation", "calls a step", "ms a step", "share"]
    total = sum(seconds for _, _, seconds in operations)
    rows = [
        [name, f"{calls / options.steps:,.1f}", f"{seconds / options.steps * 1e3:,.3f}", f"{seconds / total:.0%}"]
        for name, calls, seconds in operations[: options.rows]
    ]
    print(table(head, rows, right=(1, 2, 3), wide=terminal_width()))
    print(f"\nspeed        {speed_in_words(examples / whole)} under the profiler, which slows small steps")
    print(f"trace        {as_typed(path)}")
    return 0


def profiled(config: Any, steps: int, trace: Path) -> tuple[dict[str, float], list[tuple[str, int, float]], float]:
    """Seconds of a step by part; operations with calls and own seconds over all steps, the longest first; examples a step.

    Raises:
        UserError: when the trace cannot be written.
    """
    data, task, freezing = built(config)
    import torch
    from lightning.pytorch import Callback
    from torch.profiler import ProfilerActivity, profile

    from experiments.callbacks.progress import examples_in
    from experiments.run.foreign import lightning_in_words

    gpu = torch.cuda.is_available() and config.trainer.get("accelerator") != "cpu"
    profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])])

    class ProfileClock(Callback):
        """Times the parts of a step between Lightning's hooks; on a GPU it waits for the device at each."""

        def __init__(self) -> None:
            self.seconds = dict.fromkeys(_PARTS, 0.0)
            self.count = self.examples = 0
            self.at = 0.0

        def mark(self, part: str) -> None:
            if gpu:
                torch.cuda.synchronize()
            now = time.perf_counter()
            if self.count >= _WARM:
                self.seconds[part] += now - self.at
            self.at = now

        def on_train_start(self, *_: Any) -> None:
            self.at = time.perf_counter()

        def on_train_batch_start(self, *_: Any) -> None:
            if self.count == _WARM:
                profiler.start()
                self.at = time.perf_counter()  # the profiler's own start is no part of a step
            self.mark("data")

        def on_before_zero_grad(self, *_: Any) -> None:  # Lightning clears gradients after the forward pass
            self.mark("forward")

        def on_before_backward(self, *_: Any) -> None:
            self.mark("rest")

        def on_after_backward(self, *_: Any) -> None:
            self.mark("backward")

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
            self.mark("update")
            self.examples += examples_in(batch) if self.count >= _WARM else 0
            self.count += 1
            if self.count == _WARM + steps:
                profiler.stop()
                trainer.should_stop = True

    clock = ProfileClock()
    trainer = bare_trainer(config, [*freezing, clock], max_epochs=-1, max_steps=_WARM + steps)
    print(f"training {_WARM + steps} steps …", file=sys.stderr, flush=True)
    with lightning_in_words():
        trainer.fit(task, datamodule=data)
    if clock.count < _WARM + steps:
        raise UserError(f"training ended after {clock.count} steps: choose fewer with --steps, or more data")
    try:
        profiler.export_chrome_trace(str(trace))
    except (OSError, RuntimeError) as error:
        raise UserError(f"{trace} cannot be written ({error}): choose another with --trace FILE") from error
    operations = []
    for event in profiler.key_averages():
        if event.key.startswith("Optimizer."):  # a mark of torch around the whole step, forward and backward among it
            continue
        own = max(getattr(event, "self_device_time_total", 0.0), event.self_cpu_time_total) if gpu else event.self_cpu_time_total  # fmt: skip
        operations.append((event.key, event.count, own / 1e6))
    operations.sort(key=lambda operation: -operation[2])
    parts = {name: seconds / steps for name, seconds in clock.seconds.items()}
    return parts, operations, clock.examples / steps

"""The jobs of a sweep, each in a process of its own.

The processes are forked from one that has torch and Lightning imported and has started no thread: a job neither pays the
imports again nor can it hurt the next one. This process itself never imports torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.compose import settle
from experiments.devices import cores
from experiments.errors import Interrupted, RunFailed, UserError
from experiments.files import write_json
from experiments.record import FAILED, FINISHED, INTERRUPTED, RUNNING, Record, read_record
from experiments.runs import open_run


def launch(
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    compose: Callable[[Sequence[str]], DictConfig],
) -> list[dict[str, Any]]:
    """Composes and checks all jobs, then runs them; gives their records in order.

    Args:
        config: of the sweep.
        job_overrides: what each job changes.
        first: number of the first job.
        compose: gives a job's config, Hydra's part included.

    Raises:
        UserError: when a job's config cannot run; nothing has been run then.
        RunFailed: after all jobs, when some failed.
        Interrupted: when a signal stopped the sweep.
    """
    from experiments.check import check

    sweep = Path(config.hydra.sweep.dir).absolute()
    configs, wrong = [], []
    for number, overrides in enumerate(job_overrides, first):
        job = compose(overrides)
        job.hydra.job.num = number
        name = _short(number, overrides)
        job = settle(job, _without_sweep(overrides), config_dirs(config), str(sweep / name))
        wrong += [f"{' '.join(overrides)}: {problem}" for problem in check(job)]
        configs.append(job)
    if wrong:
        raise UserError("\n".join(dict.fromkeys(wrong)))
    folders = [open_run(job) for job in configs]
    print(f"{len(folders)} runs in {sweep}", flush=True)
    _run_all(folders, max(1, int(config.launcher.jobs)))
    records = [read_record(folder) for folder in folders]
    failed = [(folder, record) for folder, record in zip(folders, records, strict=True) if record["status"] != FINISHED]
    if failed:
        lines = [f"{folder.name}: {record['error']}; repeat it with resume={folder}" for folder, record in failed]
        raise RunFailed("\n".join([f"{len(failed)} of {len(folders)} runs did not finish", *lines]))
    return records


def config_dirs(config: DictConfig) -> list[str]:
    """Folders of configs beside ours, as Hydra was given them."""
    sources = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    return [str(path) for path in sources]


def _without_sweep(overrides: Sequence[str]) -> list[str]:
    return [word for word in overrides if not word.startswith("hydra.sweep.")]


def _short(number: int, overrides: Sequence[str]) -> str:
    """A folder name that says what differs: `3_model=mlp,seed=1`."""
    words = [word.split(".")[-1] if "." in word.split("=")[0] else word for word in overrides]
    kept = "".join(letter if letter.isalnum() or letter in "=,.-+_" else "_" for letter in ",".join(words))
    return f"{number}_{kept[:80]}" if kept else str(number)


def _run_all(folders: Sequence[Path], jobs: int) -> None:
    # Nothing of the sweep may run beside two busy jobs with all threads each: that is several times slower.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // jobs)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["experiments.sweeps.warm"])
    waiting, running = list(enumerate(folders, 1)), dict[BaseProcess, tuple[int, Path, float]]()
    stopped = False

    def stop(signum: int, frame: Any) -> None:  # the jobs save and end by themselves
        nonlocal stopped
        stopped = True
        for process in running:
            if process.pid and process.is_alive():
                os.kill(process.pid, signum)

    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        while (waiting and not stopped) or running:
            while waiting and len(running) < jobs and not stopped:
                number, folder = waiting.pop(0)
                process = context.Process(target=job, args=(str(folder),))
                process.start()
                running[process] = (number, folder, time.monotonic())
            time.sleep(0.05)
            for process in [one for one in running if not one.is_alive()]:
                process.join()
                number, folder, began = running.pop(process)
                _settle(folder, process.exitcode or 0)
                _tell(number, len(folders), folder, time.monotonic() - began)
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
    if stopped:
        for _, folder in waiting:
            _settle(folder, -signal.SIGINT)
        raise Interrupted(signal.SIGINT)


def _settle(folder: Path, exit_code: int) -> None:
    """Gives a job that could not write its end a record that says it."""
    path = folder / "record.json"
    if not path.exists():
        config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        Record(folder, config).write(RUNNING)  # type: ignore[arg-type]
    record = read_record(folder)
    if record["status"] == RUNNING:
        killed = f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"
        status = INTERRUPTED if exit_code in (-signal.SIGINT, -signal.SIGTERM) else FAILED
        write_json(path, record | {"status": status, "error": f"the process {killed}"})


def _tell(number: int, total: int, folder: Path, seconds: float) -> None:
    record = read_record(folder)
    metrics = [f"{name} {value:.4f}" for name, value in record["metrics"].items() if name in ("test/accuracy", "test/loss")]
    outcome = "  ".join(metrics) if record["status"] == FINISHED else f"{record['status']}: {record['error']}"
    print(f"[{number}/{total}] {folder.name}  {outcome}  {seconds:.1f} s", flush=True)


def job(folder: str) -> None:
    """One job, in its own process; what it prints goes to `job.log` in its folder."""
    from experiments.run import die_with_parent, run

    die_with_parent()
    log = os.open(Path(folder) / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        run(Path(folder))
    except Interrupted as stopped:
        os._exit(128 + stopped.signum)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # without the teardown of a large interpreter

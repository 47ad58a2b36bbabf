"""What this machine has to compute on, found without importing torch."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.config.precision import precision_problems
from experiments.errors import UserError

MEMORY_FORMATS = ("auto", "contiguous", "channels_last")
_FLATTENING = ("LBFGS", "ModelPruning")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_elsewhere: list[int] = []  # GPUs of the machine that a config is checked for, where it is not this one


@contextlib.contextmanager
def machine_with(gpus: int | None) -> Iterator[None]:
    """Check configs for a machine with this number of GPUs, such as a node of a cluster; None is this machine."""
    if gpus is not None:
        _elsewhere.append(gpus)
    try:
        yield
    finally:
        if gpus is not None:
            _elsewhere.pop()


def gpus() -> int:
    """NVIDIA GPUs that this process may use; respects CUDA_VISIBLE_DEVICES."""
    return _elsewhere[-1] if _elsewhere else _gpus_here()


@lru_cache(maxsize=1)
def _gpus_here() -> int:
    present = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return present
    named = [name.strip() for name in visible.split(",") if name.strip()]
    if "-1" in named:
        named = named[: named.index("-1")]
    return min(present, len(named))


def accelerator(trainer: Any) -> str:
    """Return the accelerator that `trainer.accelerator` stands for: cpu, gpu, or another of Lightning's."""
    name = str(trainer.get("accelerator", "auto"))
    if name == "cuda":
        return "gpu"
    return ("gpu" if gpus() else "cpu") if name == "auto" else name


def processes_here(config: Any) -> int:
    """Processes that a run takes on this machine: one a device.

    Raises:
        UserError: when `trainer.devices` asks for what is not here.
    """
    trainer, devices = config.trainer, config.trainer.get("devices", 1)
    kind = accelerator(trainer)
    available = gpus() if kind == "gpu" else None
    if kind == "gpu" and not available:
        raise UserError(
            f"trainer.accelerator={trainer.accelerator} needs a GPU and this machine has none: use trainer=cpu"
        )
    if (kind == "mps" and platform.machine() != "arm64") or (kind == "tpu" and not find_spec("torch_xla")):
        needed = "an Apple processor" if kind == "mps" else "a TPU and torch_xla"
        raise UserError(f"trainer.accelerator={kind} needs {needed}, and this machine has none: use trainer=cpu")
    if kind != "gpu" and devices != "auto" and (not isinstance(devices, (int, str)) or str(devices).strip() == "-1"):
        raise UserError(
            f"trainer.devices={devices} names devices of a GPU's kind, and trainer.accelerator={trainer.accelerator} has none: "
            "give the number of processes, as in trainer.devices=2"
        )
    if devices in (-1, "-1", "auto"):
        return available or 1
    try:
        if isinstance(devices, str) and "," in devices:
            devices = [int(part) for part in devices.split(",") if part.strip()]
        wanted = len(devices) if not isinstance(devices, (int, str)) else int(devices)
    except (TypeError, ValueError):
        raise UserError(
            f"trainer.devices={devices} must be a number, a list of numbers as in trainer.devices=[0,1], or -1 for all: "
            "try trainer.devices=1"
        ) from None
    if wanted < 1:
        raise UserError(f"trainer.devices={devices} must be 1 or more, or -1 for all: try trainer.devices=1")
    if available is not None and wanted > available:
        raise UserError(
            f"trainer.devices={devices} asks for {wanted} GPUs and this machine has {available}: use trainer.devices={available}"
        )
    return wanted


def device_problems(config: Any) -> list[str]:
    """Return where precision, memory format and batch size do not go with the device and the processes."""
    try:
        processes = processes_here(config)
    except UserError as error:
        return [str(error)]
    problems = precision_problems(config.precision.name, accelerator(config.trainer))
    memory_format = config.trainer.get("memory_format", "auto")
    if memory_format not in MEMORY_FORMATS:
        problems.append(f"trainer.memory_format={memory_format} is unknown: choose one of {', '.join(MEMORY_FORMATS)}")
    elif memory_format == "channels_last" and (word := flattening(config)):
        problems.append(
            f"trainer.memory_format=channels_last does not go with {word}, which reads values one after the other: leave it out"
        )
    total = processes * int(config.trainer.get("num_nodes") or 1)
    batch = config.data.get("batch_size")
    if total > 1 and isinstance(batch, int) and batch % total:
        problems.append(
            f"data.batch_size={batch} is shared by {total} processes and must be a multiple of {total}: try data.batch_size={batch - batch % total + total}"
        )
    environments = config.data.get("environments")
    if isinstance(environments, int) and environments % total:
        problems.append(shared_environments(environments, total))
    return problems


def flattening(config: Any) -> str | None:
    """Return what in a config views weights or gradients as one row, which those with channels last refuse."""
    from experiments.config.view import is_group  # here: comparisons read names alone, without OmegaConf

    parts = {"optimizer": config.get("optimizer")} | {
        f"callbacks.{name}": node for name, node in (config.get("callbacks") or {}).items()
    }
    for word, node in parts.items():
        if is_group(node) and (target := str(node.get("_target_") or "")).rpartition(".")[2] in _FLATTENING:
            return f"{word} ({target})"
    return None


def shared_environments(environments: int, processes: int) -> str:
    """Return what is said where environments cannot be shared evenly by processes."""
    return (
        f"data.environments={environments} is shared by {processes} processes and must be a multiple of {processes}: "
        f"try data.environments={-(-environments // processes) * processes}"
    )

"""What the jobs of a sweep share: the cores and the GPUs of one machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.config.devices import accelerator, cores, gpus, processes_here
from experiments.errors import UserError


@dataclass(frozen=True)
class Need:
    """What one job takes: processes, threads in each, and GPUs (a number, or exactly those named)."""

    processes: int = 1
    threads: int = 1
    gpus: int = 0
    exactly: tuple[int, ...] = ()

    @property
    def cores(self) -> int:
        return self.processes * self.threads


@dataclass
class Share:
    """What a running job holds."""

    need: Need
    gpus: list[str] = field(default_factory=list)
    cores: int = 0

    def environment(self) -> dict[str, str]:
        """Variables for the job and all it starts."""
        threads = str(self.need.threads)
        named = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        if self.need.gpus and not self.need.exactly:
            named["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        return named


class Pool:
    """Hands out cores and GPUs; no core is promised twice, and a GPU to at most `jobs_per_gpu` jobs.

    Args:
        total_cores: to share out.
        names: of the GPUs, as CUDA_VISIBLE_DEVICES would have them.
        jobs_per_gpu: how many jobs one GPU takes at a time.
    """

    def __init__(self, total_cores: int, names: list[str], jobs_per_gpu: int = 1) -> None:
        self.total_cores, self.names = total_cores, names
        self._free_cores = total_cores
        self._places = dict.fromkeys(names, jobs_per_gpu)

    def take(self, need: Need) -> Share | None:
        """Return a share, or None when too little is free now. What needs more than there is gets all, alone."""
        wanted = min(need.cores, self.total_cores)
        if wanted > self._free_cores:
            return None
        if need.exactly:
            chosen = [self.names[index] for index in need.exactly if index < len(self.names)]
        else:  # the emptiest first
            chosen = sorted(self.names, key=lambda name: -self._places[name])[: min(need.gpus, len(self.names))]
        if any(self._places[name] < 1 for name in chosen):
            return None
        for name in chosen:
            self._places[name] -= 1
        self._free_cores -= wanted
        return Share(need, chosen, wanted)

    def give_back(self, share: Share) -> None:
        self._free_cores += share.cores
        for name in share.gpus:
            self._places[name] += 1


def gpu_names() -> list[str]:
    """GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = gpus()
    named = [name.strip() for name in visible.split(",") if name.strip()] if visible else [str(n) for n in range(count)]
    return named[:count]


def need(config: Any, jobs: int, threads: int | None) -> Need:
    """Return what a job takes when `jobs` run at a time.

    Args:
        config: the job's, resolved; with attributes.
        jobs: at a time.
        threads: of each process; None shares the cores equally.
    """
    processes = processes_here(config)
    share = config.trainer.get("threads") or threads or max(1, cores() // jobs // processes)
    devices = config.trainer.get("devices", 1)
    if accelerator(config.trainer) != "gpu":
        return Need(processes, int(share))
    exactly: tuple[int, ...] = ()
    if isinstance(devices, str) and "," in devices:
        exactly = tuple(int(part) for part in devices.split(",") if part.strip())
    elif not isinstance(devices, (int, str)):
        exactly = tuple(int(index) for index in devices)
    return Need(processes, int(share), processes, exactly)


def jobs_at_a_time(launcher: Mapping[str, Any], on_gpus: bool) -> int:
    """`launcher.jobs`; where it is null, as many as there are places on GPUs, and one on a CPU."""
    if launcher.get("jobs") is not None:
        return int(launcher["jobs"])
    return max(1, gpus() * int(launcher.get("jobs_per_gpu") or 1)) if on_gpus else 1


@dataclass(frozen=True)
class Machine:
    """What a cluster gives to each job, which this process does not share out.

    Attributes:
        nodes: of one job.
        tasks: processes that the cluster starts on a node; with one a run starts its own, one a device.
        cpus: cores of a task.
        gpus: of a node.
        at_a_time: jobs that the cluster runs beside one another; None where nobody knows.
    """

    nodes: int = 1
    tasks: int = 1
    cpus: int = 1
    gpus: int = 0
    at_a_time: int | None = None

    def problems(self, config: Any) -> list[str]:
        """Where a run asks for other processes than the cluster starts for it."""
        nodes = int(config.trainer.get("num_nodes") or 1)
        if nodes != self.nodes:
            return [
                f"trainer.num_nodes={nodes} and hydra.launcher.nodes={self.nodes} must be the same: set trainer.num_nodes={self.nodes}"
            ]
        try:
            wanted = processes_here(config)
        except UserError:
            return []  # said already
        if self.tasks != wanted and (self.tasks > 1 or nodes > 1):
            return [
                f"trainer.devices={wanted} and hydra.launcher.tasks_per_node={self.tasks} must be the same where the cluster "
                f"starts the processes: set trainer.devices={self.tasks}"
            ]
        return []

    def need(self, config: Any, threads: int | None) -> Need:
        """Return the threads of each process; the cluster provides everything else."""
        share = config.trainer.get("threads") or threads
        if not share:
            each = processes_here(config) if self.tasks == 1 else 1
            share = max(1, self.cpus // each)
        return Need(1, int(share))


class Anywhere:
    """The pool of those who have none: a cluster finds each job its place."""

    def take(self, need: Need) -> Share | None:
        return Share(need)

    def give_back(self, share: Share) -> None:
        pass

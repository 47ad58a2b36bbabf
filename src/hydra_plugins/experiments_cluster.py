"""Where Hydra looks for plugins: the launchers behind `hydra/launcher=submitit_slurm` and `hydra/launcher=ray`."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from hydra_plugins.experiments_launcher import JobLauncher


class SubmititLauncher(JobLauncher):
    """Hands the jobs of a sweep to SLURM; the keys are those of its config."""

    def __init__(
        self,
        cluster: str,
        partition: str | None,
        account: str | None,
        qos: str | None,
        constraint: str | None,
        nodes: int,
        tasks_per_node: int,
        gpus_per_node: int,
        cpus_per_task: int,
        mem_gb: float | None,
        timeout_min: int,
        max_num_timeout: int,
        signal_delay_s: int,
        array_parallelism: int,
        setup: Any,
        additional_parameters: Any,
    ) -> None:
        self.options = (
            cluster, partition, account, qos, constraint, nodes, tasks_per_node, gpus_per_node, cpus_per_task, mem_gb,
            timeout_min, max_num_timeout, signal_delay_s, array_parallelism, tuple(setup or ()),
            _plain(additional_parameters),
        )  # fmt: skip

    def cluster(self) -> Any:
        from experiments.sweep.backends.slurm import Submitit

        return Submitit(*self.options)


class RayLauncher(JobLauncher):
    """Hands the jobs of a sweep to Ray; the keys are those of its config."""

    def __init__(
        self, address: str | None, num_cpus: float, num_gpus: float, max_in_flight: int | None, resources: Any
    ) -> None:
        self.options = (address, num_cpus, num_gpus, max_in_flight, _plain(resources))

    def cluster(self) -> Any:
        from experiments.sweep.backends.ray import Ray

        return Ray(*self.options)


def _plain(value: Any) -> dict[str, Any]:
    options = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    return {str(key): option for key, option in (options or {}).items()}

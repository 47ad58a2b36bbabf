"""Whether a network fits into memory, told before any of its values are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from experiments.config.preprocessing import given_keys
from experiments.system.memory import require_memory, total_memory


def require_model_memory(config: DictConfig, build: Callable[[], Any]) -> None:
    """Builds a network without values and refuses it where weights, gradients and the optimizer's state cannot fit.

    A network that cannot be built so is left to the building.

    Raises:
        UserError: with the number of its parameters.
    """
    if total_memory() is None or not any(
        key.partition(".")[0] in ("model", "data", "task") for key in given_keys(config)
    ):
        return
    import torch

    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = build()
        count = sum(one.numel() for one in network.parameters())
        size = sum(one.numel() * one.element_size() for one in (*network.parameters(), *network.buffers()))
    except Exception:  # whatever it is, the building says it
        return
    on_cpu = config.trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()
    if on_cpu and config.run.choices.get("freezing") == "none":
        moments = 2 if "adam" in str(config.optimizer.get("_target_")).lower() else 1
        size *= 2 + moments
    given = ", ".join(word for word in config.run.overrides if word.startswith("model."))
    name = f"model={config.run.choices.get('model')}{f' with {given}' if given else ''}"
    require_memory(size, f"{name} has {count:,} parameters, which in training", "take a smaller one")

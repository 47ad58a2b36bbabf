"""Keys that a class of another library does not take, as its source says: of optimizers, schedules and metrics."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from experiments.config.preprocessing import given_keys
from experiments.config.shorthand import SCHEDULER_ENTRIES
from experiments.config.signatures import defines, signature
from experiments.errors import unknown

_USUAL = ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD", "torch.optim.RMSprop")


def untaken_keys(config: Any) -> list[str]:
    """Keys of an optimizer or a schedule that its class does not take, and those that it wants, where its source says so."""
    wrong = []
    for group, own in (("optimizer", ("params",)), ("scheduler", ("optimizer", "horizon", "total_steps", "T_max"))):
        node = config.get(group)
        target = str(node.get("_target_") or "") if node else ""
        if (
            not target
            or target.startswith("experiments.")
            or (target in _USUAL and not any(key.startswith(f"{group}.") for key in given_keys(config)))
        ):
            continue
        taken = signature(target)
        if taken is None:
            continue
        keys = [key for key in node if not str(key).startswith("_") and key not in ("name", *SCHEDULER_ENTRIES)]
        names = [name for name in taken.annotations if name not in own]
        wrong += [
            unknown(f"{group}.{key}", f"not taken by {target}", key, names) for key in keys if not taken.takes(key)
        ]
        missing = [name for name in taken.required if name not in own and name not in node and "_args_" not in node]
        wrong += [f"{target} needs {name}: add {group}.{name}=…" for name in missing]
    return wrong


def metric_problems(config: Any) -> list[str]:
    """Finds what is wrong with the metrics that somebody adds to a task."""
    nodes: Any = config.task.get("metrics")
    target = str(config.task.get("_target_") or "")
    if nodes is None:
        return []
    if not isinstance(nodes, (dict, DictConfig)):
        return [f"task.metrics={nodes} must name metrics: try task.metrics.auroc._target_=torchmetrics.AUROC"]
    wrong = []
    if nodes and defines(target, "validation_step", ("Task",)):
        wrong.append(f"task={config.run.choices.task} counts its metrics in its own way: leave task.metrics out")
    for name, node in ((str(key), value) for key, value in nodes.items()):
        if not isinstance(node, (dict, DictConfig)) or not node.get("_target_"):
            wrong.append(f"task.metrics.{name} names no class: add task.metrics.{name}._target_=torchmetrics.…")
            continue
        taken = signature(str(node["_target_"]))
        keys = [str(key) for key in node if not str(key).startswith("_")]
        names = list(taken.annotations) if taken else []
        wrong += [
            unknown(f"task.metrics.{name}.{key}", f"not taken by {node['_target_']}", key, names)
            for key in keys
            if taken is not None and not taken.takes(key)
        ]
    return wrong

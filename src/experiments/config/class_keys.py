"""Keys that a class in the place of an option does not take, as its source says: left out, or refused where they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from experiments.config.foreign_modules import is_bare
from experiments.config.options import NOTES
from experiments.config.preprocessing import given_keys
from experiments.config.shorthand import CLASSES, SCHEDULER_ENTRIES
from experiments.config.signatures import defines, signature
from experiments.errors import unknown

_USUAL = ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD", "torch.optim.RMSprop")


def untaken_keys(config: Any) -> list[str]:
    """Find keys that the class of a node does not take, and those that an optimizer or a schedule wants, where its source says so."""
    wrong = []
    for group, own in (("optimizer", ("params",)), ("scheduler", ("optimizer", "horizon", "total_steps", "T_max"))):
        node = config.get(group)
        target = str(node.get("_target_") or "") if node else ""
        if target in _USUAL and not any(key.startswith(f"{group}.") for key in given_keys(config)):
            continue
        wrong += _untaken(group, node, own, ("name", *SCHEDULER_ENTRIES))
        taken = signature(target) if target and not target.startswith("experiments.") else None
        missing = [name for name in taken.required if name not in own and name not in node] if taken else []
        wrong += [f"{target} needs {name}: add {group}.{name}=…" for name in missing if "_args_" not in node]
    for group in ("task", "data", "model"):
        wrong += _untaken(group, config.get(group), (), NOTES)
    for group in ("callbacks", "logger"):
        for name, node in (config.get(group) or {}).items():
            wrong += _untaken(f"{group}.{name}", node, ())
    return wrong


def _untaken(place: str, node: Any, given: Sequence[str], not_arguments: Sequence[str] = ()) -> list[str]:
    """Return a sentence for each key of a node that its class, which is not of this package, does not take.

    Args:
        place: of the node in the config.
        node: with a `_target_`; anything else has no such keys.
        given: arguments that the run gives itself, which are not proposed.
        not_arguments: keys that mean something else.
    """
    target = str(node.get("_target_") or "") if isinstance(node, (dict, DictConfig)) else ""
    taken = signature(target) if target and not target.startswith("experiments.") else None
    if taken is None:
        return []
    keys = [str(key) for key in node if not str(key).startswith("_") and key not in not_arguments]
    names = [name for name in taken.annotations if name not in given]
    return [unknown(f"{place}.{key}", f"not taken by {target}", key, names) for key in keys if not taken.takes(key)]


def leave_out_untaken(config: Any, given: Sequence[str]) -> None:
    """Takes keys of an option away that the class in its place does not take, as `fused` of `optimizer._target_=torch.optim.NAdam`
    and `label_smoothing` of `task._target_=mine.Net`.

    A user-defined class in the place of an option that nobody chose keeps its own defaults: of that option's keys it has those alone
    that it cannot do without.

    Args:
        config: resolved; changed in place.
        given: keys that the command line sets, which are never taken away.
    """
    for group in (*CLASSES, "data", "task", "model"):
        node = config.get(group)
        if not node or not node.get("_target_"):
            continue
        if f"{group}._target_" not in given and (group not in CLASSES or "name" not in node):
            continue
        target = str(node["_target_"])
        own: tuple[str, ...] = ("name", *SCHEDULER_ENTRIES) if group in CLASSES else NOTES
        if is_bare(group, target):
            own = ()
            for key in [key for key in NOTES if key in node]:
                del node[key]
        taken = signature(target)
        unchosen = is_bare(group, target) and not {group, "experiment", "sweep"} & set(given)
        if taken is None or (taken.anything and not unchosen):
            continue
        keys = taken.required if unchosen else taken.annotations
        for key in [key for key in node if not str(key).startswith("_") and key not in own]:
            if key not in keys and not any(f"{word}.".startswith(f"{group}.{key}.") for word in given):
                del node[key]
        if "name" in node and node["name"] == "constant":
            del node["name"]


def network_problems(config: Any) -> list[str]:
    """Finds a class or function in the place of a model's option that no task can train."""
    target = str(config.model.get("_target_") or "")
    for library in ("torchvision", "timm"):
        if target.startswith(f"{library}."):
            name = config.model.get("model_name") or target.rpartition(".")[2]
            named = f" model.name={name}" if name not in ("create_model", "get_model") else ""
            return [
                f"model._target_={target} knows neither the channels nor the classes of the data: choose model={library}{named}, which "
                "is made with them"
            ]
    if target and is_bare("model", target) and defines(target, "forward", ("Module",)) is False:
        return [
            f"model._target_={target} has no forward, so it answers nothing: add forward(self, inputs) to the class"
        ]
    return []


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

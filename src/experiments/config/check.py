"""What is wrong with a config, said in one sentence each before anything heavy is imported."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, ListConfig, OmegaConf

from experiments.config import foreign_modules, trainer_keys
from experiments.config.compose import compose, parse
from experiments.config.devices import accelerator, processes_here
from experiments.config.fitting_task import fitting_data, fitting_tasks
from experiments.config.preprocessing import given_keys
from experiments.config.shorthand import SCHEDULER_ENTRIES
from experiments.config.signatures import defines, signature
from experiments.errors import UserError, unknown
from experiments.system.hub import folder_problems, hub_name, hub_problems

_MISSING = object()


class View(dict[str, Any]):
    """A resolved config as plain Python, read by attribute like OmegaConf's, at a hundredth of its price."""

    def __init__(self, plain: Mapping[str, Any]) -> None:
        super().__init__({key: View(value) if isinstance(value, dict) else value for key, value in plain.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


_USUAL = ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.SGD", "torch.optim.RMSprop")


def check(config: Any, defaults: Any = None) -> list[str]:
    """All problems of a resolved config, as sentences; an empty list when it can run.

    Args:
        config: a DictConfig or a View.
        defaults: the same options without values of the run's own; composed where not given.
    """
    if sentence := foreign_modules.problem(config):  # what follows asks of both what ours have
        return [sentence]
    wrong = _values(config)
    sizeless = any(sentence.startswith("data.size=") for sentence in wrong)
    named = {sentence.partition("=")[0] for sentence in wrong}
    of_trainer = trainer_keys.problems(config.trainer, given_keys(config))
    return [
        *wrong,
        *_types(config, defaults),
        *([] if sizeless else _pairs(config)),
        *_sight(config),
        *_devices(config),
        *_paths(config),
        *_epochs(config),
        *_clipping(config),
        *_freezing(config),
        *(sentence for sentence in of_trainer if sentence.partition("=")[0] not in named),
        *_untaken(config),
        *_metrics(config),
        *_own(config),
    ]


def require(config: DictConfig) -> None:
    """Raises the problems of a config, if any.

    Raises:
        UserError: with a line a problem.
    """
    problems = check(config)
    if problems:
        raise UserError("\n".join(problems))


def rule_of(key: str) -> str:
    """What the value of a key must be, in words; empty where there is no rule."""
    return RULES[key].words if key in RULES else ""


def _select(config: Any, key: str, default: Any = None) -> Any:
    for part in key.split("."):
        config = config.get(part, _MISSING) if isinstance(config, (View, DictConfig)) else _MISSING
    return default if config is _MISSING else config


class _Rule(NamedTuple):
    """What the value of a key must be."""

    kind: type  # int, float (takes whole numbers too), str, list, or object for anything
    words: str
    holds: Callable[[Any], bool]
    cure: str
    optional: bool = False  # may be null


def _whole(least: int, cure: str, optional: bool = False) -> _Rule:
    words = f"a whole number, {least} or more{', or null' if optional else ''}"
    return _Rule(int, words, lambda v: v >= least, cure, optional)


def _one_of(*words: str, optional: bool = False) -> _Rule:
    *first, last = [*words, *(["null"] if optional else [])]
    return _Rule(str, f"{', '.join(first)} or {last}", lambda v: v in words, words[0], optional)


def _below_one(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1


_SHARE = _Rule(float, "a number from 0, below 1", _below_one, "0.1")
_BATCHES = _Rule(
    float,
    "null, a number of batches, or a share up to 1.0",
    lambda v: 0 <= v <= 1 or (v > 1 and v == int(v)),
    "10",
    True,
)
RULES = {
    "seed": _Rule(int, "a whole number, 0 or more and below 2^63", lambda v: 0 <= v < 2**63, "0"),
    "data.seed": _Rule(int, "a whole number, 0 or more and below 2^63", lambda v: 0 <= v < 2**63, "0"),
    "trainer.max_epochs": _whole(1, "10"),
    "trainer.min_epochs": _whole(1, "1", True),
    "trainer.num_nodes": _whole(1, "1"),
    "trainer.log_every_n_steps": _whole(0, "50", True),
    "trainer.num_sanity_val_steps": _Rule(
        int, "a whole number, 0 or more, -1 for all, or null", lambda v: v >= -1, "0", True
    ),
    "trainer.val_check_interval": _Rule(
        object,
        "a number of batches, a share above 0 and up to 1.0, or a time",
        lambda v: not isinstance(v, (int, float)) or 0 < v <= 1 or v == int(v) > 0,
        "0.5",
        True,
    ),
    "trainer.reload_dataloaders_every_n_epochs": _whole(0, "0"),
    "trainer.threads": _whole(1, "1", True),
    "trainer.accumulate_grad_batches": _whole(1, "2"),
    "trainer.check_val_every_n_epoch": _whole(1, "1", True),
    "trainer.gradient_clip_val": _Rule(float, "a number above 0, or null", lambda v: v > 0, "1.0", True),
    "trainer.limit_train_batches": _BATCHES._replace(holds=lambda v: v > 0 and _BATCHES.holds(v)),
    "trainer.limit_val_batches": _BATCHES,
    "trainer.limit_test_batches": _BATCHES,
    "trainer.max_steps": _Rule(int, "a whole number, 1 or more, or -1 for no limit", lambda v: v >= 1 or v == -1, "-1"),
    "trainer.accelerator": _one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.deterministic": _Rule(object, "true, false or warn", lambda v: v in (True, False, "warn"), "true", True),
    "callbacks.checkpoint.mode": _one_of("max", "min", optional=True),
    "callbacks.early_stopping.mode": _one_of("min", "max"),
    "callbacks.early_stopping.patience": _whole(0, "5"),
    "callbacks.checkpoint.every_n_steps": _whole(1, "100", True),
    "callbacks.checkpoint.every_minutes": _Rule(
        float, "minutes, a number above 0, or null", lambda v: v > 0, "15", True
    ),
    "optimizer.lr": _Rule(float, "a number above 0", lambda v: 0 < v < math.inf, "0.001"),
    "optimizer.weight_decay": _Rule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "0"),
    "optimizer.momentum": _SHARE,
    "optimizer.betas": _Rule(
        list, "two or more numbers from 0, below 1", lambda v: len(v) >= 2 and all(map(_below_one, v)), "[0.9,0.999]"
    ),
    "scheduler.every_epochs": _whole(1, "10"),
    "scheduler.factor": _Rule(float, "a number above 0 and below 1", lambda v: 0 < v < 1, "0.1"),
    "scheduler.warmup_epochs": _Rule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "1"),
    "scheduler.patience": _whole(0, "3"),
    "scheduler.warmup_share": _Rule(float, "a share above 0 and below 1", lambda v: 0 < v < 1, "0.3"),
    "task.label_smoothing": _SHARE,
    "task.search.beams": _whole(1, "4"),
    "task.search.length_penalty": _Rule(float, "a number, 0 or more", lambda v: v >= 0, "0.6"),
    "model.dropout": _SHARE._replace(words="a number from 0, below 1, or null", optional=True),
    "model.truncate": _whole(1, "100", True),
    "data.split_seed": _whole(0, "0"),
    "data.batch_size": _whole(1, "128"),
    "data.size": _Rule(int, "pixels, a whole number, or null", lambda v: v >= 1, "32", True),
    "data.workers": _Rule(int, "a whole number, 0 or more", lambda v: v >= 0, "0", True),
    "data.validation": _Rule(
        float, "a share below 1, or a number of examples", lambda v: 0 < v < 1 or (v >= 1 and v == int(v)), "0.1", True
    ),
    "data.bad_boxes": _one_of("refuse", "drop", "clip"),
    "data.exif": _one_of("auto", "upright", "stored"),
    "data.unannotated": _one_of("refuse", "empty"),
    "task.threshold": _SHARE,
    "task.overlap": _SHARE,
    "task.tile": _whole(32, "640", True),
    "model.min_size": _whole(32, "320"),
    "model.max_size": _whole(32, "640"),
    "model.samples": _whole(1, "512"),
    "model.detections": _whole(1, "100"),
    "data.history": _whole(1, "96"),
    "data.horizon": _whole(1, "24"),
    "data.season": _whole(1, "24"),
    "data.max_length": _whole(1, "400", True),
    "data.max_tokens": _whole(1, "4000", True),
    "data.classes": _Rule(list, "a list of names, or null", lambda v: len(v) > 0, '["0","1"]', True),
    "data.randomise": _Rule(object, "true, a number, ranges, or null", lambda v: True, "true", True),
    "data.environments": _whole(1, "8"),
    "data.steps": _whole(1, "128"),
    "data.rollouts": _whole(1, "10"),
    "data.validation_episodes": _whole(1, "10"),
    "data.test_episodes": _whole(1, "50"),
    "task.passes": _whole(1, "10"),
    "task.discount": _Rule(float, "a number from 0 to 1", lambda v: 0 <= v <= 1, "0.99"),
    "task.trace": _Rule(float, "a number from 0 to 1", lambda v: 0 <= v <= 1, "0.95"),
    "task.clip": _Rule(
        object,
        "true, false, or a number above 0",
        lambda v: isinstance(v, (bool, int, float)) and (isinstance(v, bool) or v > 0),
        "0.2",
    ),
    "task.max_gradient": _Rule(float, "a number above 0, or null", lambda v: v > 0, "0.5", True),
    "data.limit": _Rule(
        float,
        "null, a number of examples, or a share below 1",
        lambda v: 0 < v < 1 or (v >= 1 and v == int(v)),
        "0.1",
        True,
    ),
    "freezing.head_epochs": _whole(0, "0"),
    "freezing.head_rate": _Rule(float, "a number above 0", lambda v: v > 0, "1.0"),
    "freezing.views": _whole(0, "0"),
    "freezing.count": _whole(1, "1"),
    "freezing.every_epochs": _whole(1, "1"),
    "freezing.depth": _whole(1, "2", True),
    "freezing.rank": _whole(1, "8"),
    "freezing.alpha": _Rule(float, "a number above 0", lambda v: v > 0, "16.0"),
    "features.gigabytes": _Rule(float, "a number above 0", lambda v: v > 0, "10"),
}


_SIDES = _Rule(
    object,
    "pixels, a whole number, height and width as in [180,240], or null",
    lambda v: (
        all(
            isinstance(one, int) and not isinstance(one, bool) and one >= 1
            for one in (v if isinstance(v, (list, ListConfig)) else [v])
        )
        and (not isinstance(v, (list, ListConfig)) or len(v) == 2)
    ),
    "256",
    True,
)
_MASK_RULES = {  # of keys that other data and tasks have with other values, or not at all
    "data.size": _SIDES,
    "data.fit": _one_of("cover", "stretch", "pad"),
    "data.bad": _one_of("refuse", "drop"),
    "data.test": _Rule(
        float, "a share below 1, or a number of images", lambda v: 0 < v < 1 or (v >= 1 and v == int(v)), "0.2"
    ),
    "data.memory": _Rule(float, "megabytes, 0 or more", lambda v: v >= 0, "2000"),
    "data.border_weight": _Rule(float, "a number, 0 or more", lambda v: 0 <= v < math.inf, "10"),
    "data.border_sigma": _Rule(float, "a number above 0", lambda v: 0 < v < math.inf, "5"),
    "data.augment.crop": _SIDES._replace(cure="128"),
    "task.loss": _one_of("cross_entropy", "dice", "focal", "cross_entropy+dice", "focal+dice"),
    "task.gamma": _Rule(float, "a number, 0 or more", lambda v: 0 <= v < 100, "2"),
    "task.tolerance": _Rule(float, "a share below 0.5", lambda v: 0 <= v < 0.5, "0.0075"),
    "task.overlap": _Rule(float, "a share below 0.9", lambda v: 0 <= v < 0.9, "0.25"),
}


def _values(config: Any) -> list[str]:
    """Values of the keys that have a rule."""
    wrong = []
    rules = RULES | (_MASK_RULES if _select(config, "data.gives.kind") == "masks" else {})
    for key, rule in rules.items():
        value = _select(config, key, _MISSING)
        if value is _MISSING or (value is None and rule.optional):
            continue
        kinds = {float: (int, float), list: (list, ListConfig)}.get(rule.kind, (rule.kind,))
        if (
            (isinstance(value, bool) and rule.kind is not object)
            or not isinstance(value, kinds)
            or not rule.holds(value)
        ):
            wrong.append(f"{key}={_shown(value)} must be {rule.words}: try {key}={rule.cure}")
    if "seed" in config and _select(config, "data.seed") == config.seed:  # which is said of it
        wrong = [sentence for sentence in wrong if not sentence.startswith("data.seed=")]
    return wrong


def _own(config: Any) -> list[str]:
    """What the function finds that an option names as `checked_by`: light to import, given the config as plain Python."""
    problems: list[str] = []
    nodes = [config[group] for group in ("model", "data", "task")]
    nodes += [node for node in (config.logger or {}).values() if node]
    for name in dict.fromkeys(node.get("checked_by") for node in nodes):
        if name:
            module, _, function = str(name).rpartition(".")
            plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
            problems += getattr(import_module(module), function)(plain)
    return problems


def _types(config: Any, defaults: Any) -> list[str]:
    """Values given on the command line whose type is not their default's; those that have a rule are looked at there."""
    given = {}
    for override in parse(config.run.overrides):
        if "." in override.key_or_group and not override.is_delete() and not override.is_add():
            given[override.key_or_group] = override
    given = {key: one for key, one in given.items() if not key.startswith("hydra.") and key not in RULES}
    if not given:
        return []
    rest = [word for word in config.run.overrides if not any(word.lstrip("+").startswith(f"{key}=") for key in given)]
    try:
        defaults = defaults or compose(rest, config.run.config_dirs, whole=False)
    except UserError:  # such as a value that another refers to
        return []
    problems, typed = [], {f"trainer.{key}" for key in trainer_keys.LISTED}
    for key in given:
        default, value = (_select(one, key) for one in (defaults, config))
        if default in (None, "???") or value is None or key == "trainer.devices" or key in typed:
            continue
        if not _alike(default, value):
            problems.append(f"{key}={_shown(value)} must be {_named(default)}: its default is {_shown(default)}")
    return problems


def _untaken(config: Any) -> list[str]:
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
        known = [name for name in taken.annotations if name not in own]
        wrong += [
            unknown(f"{group}.{key}", f"not taken by {target}", key, known) for key in keys if not taken.takes(key)
        ]
        missing = [name for name in taken.required if name not in own and name not in node and "_args_" not in node]
        wrong += [f"{target} needs {name}: add {group}.{name}=…" for name in missing]
    return wrong


def _metrics(config: Any) -> list[str]:
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
        known = list(taken.annotations) if taken else []
        wrong += [
            unknown(f"task.metrics.{name}.{key}", f"not taken by {node['_target_']}", key, known)
            for key in keys
            if taken is not None and not taken.takes(key)
        ]
    return wrong


def _alike(default: Any, value: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) == isinstance(default, bool) or (
            isinstance(value, (int, float)) and 0 <= value <= 1
        )
    if isinstance(default, float):
        return isinstance(value, (int, float))
    if isinstance(default, int):
        return isinstance(value, int) or (isinstance(value, str) and default in (-1, 1))  # devices="0,1"
    if isinstance(default, str):
        return isinstance(value, (str, int, float))
    if isinstance(default, (list, ListConfig)):
        if not isinstance(value, (list, ListConfig)):
            return False  # what a list may hold besides, such as names in place of numbers, its class knows
        return all(isinstance(one, str) or _alike(default[0], one) for one in value if len(default))
    return isinstance(default, (dict, DictConfig)) == isinstance(value, (dict, DictConfig))


def _named(value: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if isinstance(value, (list, ListConfig)):
        inside = {int: " of whole numbers", float: " of numbers"}
        return "a list" + (inside.get(type(value[0]), "") if len(value) else "")
    return names.get(type(value), "a group of keys")


def _shown(value: Any) -> str:
    """A value as it is written on the command line: true, null, [64,32]."""
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return (
        str(plain) if isinstance(plain, (str, float)) else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    )


def _freezing(config: Any) -> list[str]:
    """What no model could be frozen by; whether a stage exists, only the model can say."""
    node = config.freezing
    policies = ("frozen", "statistics", "affine", "free")
    problems = []
    if node.get("norm") not in policies:
        problems.append(f"freezing.norm={node.get('norm')} is unknown: choose one of {', '.join(policies)}")
    if isinstance(node.get("decay"), (int, float)) and not 0 < node.decay <= 1:
        problems.append(f"freezing.decay={node.decay} must lie above 0 and not above 1: try freezing.decay=0.5")
    if "learn" in node and not node.learn:
        problems.append("freezing.learn=[] leaves nothing to learn: name stages, as in freezing.learn=[head]")
    if node.get("views") and not _select(config, "features.cache"):
        problems.append(
            f"freezing.views={node.views} trains on kept features: set features.cache=true or freezing.views=0"
        )
    waits, epochs = node.get("head_epochs"), config.trainer.get("max_epochs")
    if isinstance(waits, int) and isinstance(epochs, int) and 0 < epochs <= waits:
        alone = config.run.choices.get("freezing") == "feature_extraction"
        cure = "set freezing.head_epochs=0" if alone else "choose freezing=feature_extraction"
        problems.append(
            f"freezing.head_epochs={waits} leaves the strategy none of trainer.max_epochs={epochs}: train longer, or {cure}"
        )
    return problems


def _other_data(model: str, kind: str | None, reads: Any, config_dirs: Sequence[str]) -> str:
    """Data that suit the model, where these do not."""
    name = fitting_data(model, None, _listed(reads), config_dirs) if reads and kind not in _listed(reads) else None
    return f", or other data{_as_data(name)}" if name else ""


def _as_data(name: str | None) -> str:
    return f", as data={name}" if name else ""


def _pairs(config: Any) -> list[str]:
    choices = config.run.choices
    model, data, task = (choices.get(group) for group in ("model", "data", "task"))
    gives, reads = config.data.get("gives") or {}, config.model.get("reads") or {}
    wanted = config.task.get("reads")
    kind = gives.get("kind")
    problems = []
    if kind and wanted and kind not in wanted:
        problems.append(
            f"task={task} reads {' or '.join(wanted)} and data={data} gives {kind}: choose another task or other data"
            + _as_data(fitting_data(None, task, wanted, config.run.config_dirs))
        )
    elif (asked := config.task.get("makes") or "classes") not in (
        makes := _listed(config.model.get("makes") or "classes")
    ):
        fitting = fitting_tasks(model, makes, kind, config.run.config_dirs)
        cure = f"add task={' or task='.join(fitting[:3])}" if fitting else "choose another task"
        problems.append(
            f"task={task} learns from a model that makes {asked} and model={model} makes {' or '.join(makes)}: {cure}, or another model"
            + ("" if fitting else _other_data(model, kind, reads.get("kind"), config.run.config_dirs))
        )
    elif kind and reads.get("kind") and kind not in _listed(reads["kind"]):
        problems.append(
            f"model={model} reads {' or '.join(_listed(reads['kind']))} and data={data} gives {kind}: choose another model or other data"
            + _as_data(fitting_data(model, None, _listed(reads["kind"]), config.run.config_dirs))
        )
    elif kind in ("audio", "speech"):
        given, wanted = config.data.get("rate") or gives.get("rate"), reads.get("rate")
        if given and wanted and given != wanted:
            problems.append(
                f"model={model} reads {wanted} samples a second and data={data} gives {given}: set data.rate={wanted}"
            )
    elif kind in ("image", "masks"):
        size = config.data.get("size") or gives.get("size")
        size = min(size) if isinstance(size, (list, ListConfig)) else size  # height and width, of images with masks
        size = None if config.data.get("transform") else size  # which only building tells
        exact, least = reads.get("size"), reads.get("min_size")
        batch, together = config.data.get("batch_size"), reads.get("min_batch")
        if isinstance(batch, int) and together and batch < together:
            problems.append(
                f"model={model} learns from {together} images a step or more and data.batch_size={batch}: set data.batch_size={together} or more"
            )
        if size and exact and size != exact:
            problems.append(
                f"model={model} reads {exact}×{exact} images and data={data} gives {size}×{size}: set data.size={exact}"
            )
        elif size and least and size < least:
            problems.append(
                f"model={model} reads images of {least}×{least} or more and data={data} gives {size}×{size}: set data.size={least} or more"
            )
    return problems


def _sight(config: Any) -> list[str]:
    """Pieces of a text that are longer than what a model sees at once."""
    steps, sees = (
        one if type(one) is int else None for one in (config.data.get("steps"), config.model.get("positions"))
    )
    if steps is None or sees is None or steps <= sees:
        return []
    return [f"data.steps={steps} is more than the model sees at once, model.positions={sees}: set data.steps={sees}"]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, ListConfig)) else [value]


def _devices(config: Any) -> list[str]:
    precision = config.precision.name
    try:
        processes = processes_here(config)
    except UserError as error:
        return [str(error)]
    problems = []
    memory_format = config.trainer.get("memory_format", "auto")
    if memory_format not in ("auto", "contiguous", "channels_last"):
        problems.append(
            f"trainer.memory_format={memory_format} is unknown: choose one of auto, contiguous, channels_last"
        )
    if accelerator(config.trainer) == "cpu" and precision in ("16-mixed", "16-true"):
        problems.append(
            f"precision={precision} needs a GPU and this run is on the CPU: use precision=bf16-mixed or precision=32-true"
        )
    if accelerator(config.trainer) == "mps" and precision == "64-true":
        problems.append("precision=64-true is not known to Apple's GPUs: use trainer=cpu or precision=32-true")
    total = processes * int(config.trainer.get("num_nodes") or 1)
    batch = config.data.get("batch_size")
    if total > 1 and isinstance(batch, int) and batch % total:
        problems.append(
            f"data.batch_size={batch} is shared by {total} processes and must be a multiple of {total}: try data.batch_size={batch - batch % total + total}"
        )
    return problems


def _epochs(config: Any) -> list[str]:
    """What would never happen within the epochs of a run."""
    trainer, scheduler = config.trainer, config.get("scheduler") or {}
    least, most = trainer.get("min_epochs"), trainer.get("max_epochs")
    problems = []
    if isinstance(least, int) and isinstance(most, int) and least > most:
        problems.append(
            f"trainer.min_epochs={least} is more than trainer.max_epochs={most}: set trainer.max_epochs={least}"
        )
    plateau = str(scheduler.get("_target_", "")).lower().endswith("plateau")
    if plateau and not str(scheduler.get("monitor") or "val").startswith("train"):
        every = trainer.get("check_val_every_n_epoch")
        cause = ""
        if trainer.get("limit_val_batches") == 0:
            cause = "trainer.limit_val_batches=0"
        elif isinstance(every, int) and isinstance(most, int) and every > most > 0:
            cause = f"trainer.check_val_every_n_epoch={every} of trainer.max_epochs={most}"
        if cause:
            problems.append(
                f"scheduler={config.run.choices.get('scheduler')} watches the validation, and {cause} leaves none: validate, or choose scheduler=cosine"
            )
    return problems


def _clipping(config: Any) -> list[str]:
    """Fused optimizers, asked for by name: Lightning cannot clip gradients that they unscale themselves."""
    clip, precision = config.trainer.get("gradient_clip_val"), str(config.precision.name)
    if clip is None or not precision.endswith("-mixed") or not _select(config, "optimizer.fused"):
        return []
    if "optimizer.fused" not in given_keys(config):
        return []  # build_optimizer leaves it out
    return [
        f"optimizer.fused=true and trainer.gradient_clip_val={clip} do not go together with precision={precision}: leave out optimizer.fused"
    ]


_WEIGHTS = dict.fromkeys(("imagenet", "true", "default", "imagenet1k_v1"), "pretrained") | dict.fromkeys(
    ("none", "false", "random", "scratch"), "null"
)


def _paths(config: Any) -> list[str]:
    problems = []
    weights = config.weights
    if weights == "pretrained" and not config.model.get("pretrained"):
        problems.append(
            f"model={config.run.choices.get('model')} has no published weights: use weights=null or the path of an earlier run"
        )
    if weights is not None and hub_name(weights, config.model):
        problems += hub_problems(weights)
    elif weights is not None and weights != "pretrained" and not Path(str(weights)).exists():
        if meant := _WEIGHTS.get(Path(str(weights)).name.lower()):
            return [f"weights={Path(str(weights)).name} is weights={meant} here: write that"]
        problems.append(f"weights={weights} does not exist: use null, pretrained, or the path of a run or checkpoint")
    elif weights is not None:
        problems += folder_problems(Path(str(weights)), config.model)
    given = {word.lstrip("+").partition("=")[0] for word in config.run.overrides}
    nothing_made = config.data.get("gives", {}).get("kind") == "masks"  # whose root is never downloaded to
    for key in ("path", "target_path", "validation_path", "test_path", *(["root"] if nothing_made else [])):
        path = config.data.get(key)
        if ".huggingface_" in str(config.data.get("_target_")) and re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", str(path)):
            continue  # may be a name on the hub
        if f"data.{key}" in given and path and not Path(str(path)).expanduser().exists():
            problems.append(f"data.{key}={path} does not exist: name the file or folder with the data")
    root = config.data.get("root")
    boxes = (config.data.get("gives") or {}).get("kind") in ("boxes", "instances")
    if boxes and root and "data.root" in given and not Path(str(root)).expanduser().is_dir():
        problems.append(f"data.root={root} is no folder: name the one that holds the images and their boxes")
    folder = Path(config.run.dir)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        problems.append(f"hydra.run.dir={folder} cannot be made because {existing} is a file: choose another folder")
    elif not os.access(existing, os.W_OK | os.X_OK):
        problems.append(
            f"hydra.run.dir={folder} cannot be made because {existing} is not writable: choose another folder"
        )
    return problems

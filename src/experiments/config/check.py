"""What is wrong with a config, said in one sentence each before anything heavy is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config import foreign_modules, metric_direction, trainer_keys
from experiments.config.augmentation import transform_problems
from experiments.config.class_keys import metric_problems, network_problems, untaken_keys
from experiments.config.devices import device_problems
from experiments.config.largest_values import largest_problems
from experiments.config.needed_packages import absent_classes, missing_packages
from experiments.config.pairs import pair_problems, sight_problems
from experiments.config.preprocessing import given_keys
from experiments.config.value_rules import value_problems
from experiments.config.value_types import type_problems
from experiments.config.view import is_group, select
from experiments.errors import UserError
from experiments.system.hub import folder_problems, hub_name, hub_problems

_DESCRIBES = ("reads", "gives", "makes", "answers", "needs_channels", "checked_by")


def check(config: Any, defaults: Any = None, packages: bool = True) -> list[str]:
    """Return all problems of a resolved config, as sentences; an empty list when it can run.

    Args:
        config: a DictConfig or a View.
        defaults: the same options without values of the run's own; composed where not given.
        packages: whether what data and task need must be installed, as for a run.
    """
    if sentence := foreign_modules.problem(config):  # what follows asks of both what ours have
        return [sentence]
    wrong = _descriptions(config) or value_problems(config)
    sizeless = any(sentence.startswith("data.size=") for sentence in wrong)
    keys = {sentence.partition("=")[0] for sentence in wrong}
    typed = [sentence for sentence in type_problems(config, defaults) if sentence.partition("=")[0] not in keys]
    keys |= {sentence.partition("=")[0] for sentence in typed}
    try:
        return [*wrong, *typed, *_further_problems(config, keys, sizeless, packages)]
    except Exception:
        if not keys:
            raise
        return [*wrong, *typed]  # a value of another type than what follows counts on


def _descriptions(config: Any) -> list[str]:
    """Return a sentence for each key given that describes an option of ours to others, and sets nothing."""
    described = [(key, *key.split(".")[:2]) for key in given_keys(config) if "." in key]
    return [
        f"{key} describes {group}={config.run.choices.get(group)}, and nothing is trained by it: leave it out"
        for key, group, name in described
        if name in _DESCRIBES and str((config.get(group) or {}).get("_target_")).startswith("experiments.")
    ]


def _further_problems(config: Any, keys: set[str], sizeless: bool, packages: bool) -> list[str]:
    """Return what is wrong beside values that no rule of their own allows.

    Args:
        config: a resolved config.
        keys: whose values are refused already.
        sizeless: whether the size of the data is.
        packages: whether to look for packages that are not installed.
    """
    of_trainer = trainer_keys.problems(config.trainer, given_keys(config), foreign_modules.is_foreign(config))
    return [
        *(missing_packages(config) if packages else []),
        *absent_classes(config),
        *_betas(config),
        *(problem for problem in largest_problems(config) if problem.partition("=")[0] not in keys),
        *([] if sizeless else pair_problems(config)),
        *sight_problems(config),
        *device_problems(config),
        *_paths(config),
        *_epochs(config),
        *_clipping(config),
        *metric_direction.problems(config),
        *_freezing(config),
        *(sentence for sentence in of_trainer if sentence.partition("=")[0] not in keys),
        *untaken_keys(config),
        *network_problems(config),
        *transform_problems(config),
        *metric_problems(config),
        *(sentence for sentence in _entries(config) if sentence.partition("=")[0] not in keys),
        *foreign_modules.unused_writers(config),
        *(sentence for sentence in _own(config, bool(keys)) if sentence.partition("=")[0] not in keys),
    ]


def require(config: DictConfig, packages: bool = True) -> None:
    """Raises the problems of a config, if any; see `check`.

    Raises:
        UserError: with a line a problem.
    """
    problems = check(config, packages=packages)
    if problems:
        raise UserError("\n".join(problems))


def _own(config: Any, mistyped: bool) -> list[str]:
    """Return what the function finds that an option names as `checked_by`: light to import, given the config as plain
    Python; nothing where it stumbles over values that were found to be wrong.
    """
    problems: list[str] = []
    nodes = [config[group] for group in ("model", "data", "task")]
    nodes += [node for node in (config.logger or {}).values() if node]
    for name in dict.fromkeys(node.get("checked_by") for node in nodes if is_group(node)):
        if name:
            module, _, function = str(name).rpartition(".")
            plain: Any = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
            try:
                problems += getattr(import_module(module), function)(plain)
            except (TypeError, ValueError, AttributeError, LookupError):
                if not mistyped:
                    raise
    return problems


def _freezing(config: Any) -> list[str]:
    """Return what no model could be frozen by; whether a stage exists, only the model can say."""
    node = config.freezing
    policies = ("frozen", "statistics", "affine", "free")
    problems = []
    if node.get("norm") not in policies:
        problems.append(f"freezing.norm={node.get('norm')} is unknown: choose one of {', '.join(policies)}")
    if isinstance(node.get("decay"), (int, float)) and not 0 < node.decay <= 1:
        problems.append(f"freezing.decay={node.decay} must lie above 0 and not above 1: try freezing.decay=0.5")
    if "learn" in node and not node.learn:
        problems.append("freezing.learn=[] leaves nothing to learn: name stages, as in freezing.learn=[head]")
    if node.get("views") and not select(config, "features.cache"):
        problems.append(
            f"freezing.views={node.views} trains on cached features: set features.cache=true or freezing.views=0"
        )
    waits, epochs = node.get("head_epochs"), config.trainer.get("max_epochs")
    if isinstance(waits, int) and isinstance(epochs, int) and 0 < epochs <= waits:
        alone = config.run.choices.get("freezing") == "feature_extraction"
        cure = "set freezing.head_epochs=0" if alone else "choose freezing=feature_extraction"
        problems.append(
            f"freezing.head_epochs={waits} leaves the strategy none of trainer.max_epochs={epochs}: train longer, or {cure}"
        )
    return problems


def _epochs(config: Any) -> list[str]:
    """Return what would never happen within the epochs of a run."""
    trainer = config.trainer
    most = trainer.get("max_epochs")
    problems = []
    for unit in ("epochs", "steps"):
        fewest, limit = trainer.get(f"min_{unit}"), trainer.get(f"max_{unit}")
        if isinstance(fewest, int) and isinstance(limit, int) and 0 < limit < fewest:
            problems.append(
                f"trainer.min_{unit}={fewest} is more than trainer.max_{unit}={limit}: set trainer.max_{unit}={fewest}"
            )
    every, cause = trainer.get("check_val_every_n_epoch"), ""
    if trainer.get("limit_val_batches") == 0:
        cause = "trainer.limit_val_batches=0"
    elif isinstance(every, int) and isinstance(most, int) and every > most > 0:
        cause = f"trainer.check_val_every_n_epoch={every} of trainer.max_epochs={most}"
    if cause:
        problems += [
            f"{what} watches the validation, and {cause} leaves none: validate, or {cure}"
            for what, cure in _waiting(config)
        ]
    return problems


def _entries(config: Any) -> list[str]:
    """Return callbacks and loggers that build nothing: a single value, or keys of no class."""
    problems = []
    for group in ("callbacks", "logger"):
        entries = config.get(group) or {}
        if "_target_" in entries:
            problems.append(
                f"{group}={{_target_: {entries['_target_']}, …}} stands where names belong: write {group}={{NAME: {{_target_: …}}}}"
            )
            continue
        for name, node in entries.items():
            if not node:
                continue
            if not is_group(node):
                problems.append(
                    f"{group}.{name}={node} must be a group of keys: set these, as in {group}.{name}._target_=…, or write null"
                )
            elif not node.get("_target_"):
                keys = ", ".join(map(str, node))
                problems.append(
                    f"{group}.{name} names no class that takes {keys}: add {group}.{name}._target_=…, or write {group}.{name}=null"
                )
    return problems


def _waiting(config: Any) -> list[tuple[str, str]]:
    """Return what waits for a metric of the validation, as it was typed, and what to take instead."""
    scheduler = config.get("scheduler") or {}
    waiting = []
    if metric_direction.is_plateau(scheduler):
        waiting.append((f"scheduler={config.run.choices.get('scheduler')}", scheduler, "choose scheduler=cosine"))
    waiting += [
        (f"callbacks.{name}", node, f"set callbacks.{name}=null")
        for name, node in (config.get("callbacks") or {}).items()
        if is_group(node) and metric_direction.stops_early(name, node) and node.get("strict", True)
    ]
    return [(what, cure) for what, node, cure in waiting if not str(node.get("monitor") or "val").startswith("train")]


def _betas(config: Any) -> list[str]:
    """Return what torch's own optimizers, which have two betas, would ignore or stumble over."""
    betas, target = select(config, "optimizer.betas"), str(select(config, "optimizer._target_"))
    if not target.startswith("torch.optim.") or not isinstance(betas, Sequence) or len(betas) <= 2:  # less: by its rule
        return []
    given = ",".join(map(str, betas))
    return [f"optimizer.betas=[{given}] must be two numbers for {target}: try optimizer.betas=[0.9,0.999]"]


def _clipping(config: Any) -> list[str]:
    """Return what clips nothing, or cannot: Lightning cannot clip gradients that fused optimizers unscale themselves."""
    clip, precision = config.trainer.get("gradient_clip_val"), str(config.precision.name)
    algorithm = config.trainer.get("gradient_clip_algorithm")
    if clip is None and algorithm is not None:
        return [f"trainer.gradient_clip_algorithm={algorithm} clips nothing alone: add trainer.gradient_clip_val=1.0"]
    if clip is None or not precision.endswith("-mixed") or not select(config, "optimizer.fused"):
        return []
    if "optimizer.fused" not in given_keys(config):
        return []  # build_optimizer leaves it out
    return [
        f"optimizer.fused=true and trainer.gradient_clip_val={clip} do not go together with precision={precision}: leave out optimizer.fused"
    ]


_WEIGHTS = dict.fromkeys(("imagenet", "true", "default", "imagenet1k_v1"), "pretrained") | dict.fromkeys(
    ("none", "false", "random", "scratch"), "null"
)


def _layout(config: Any) -> list[str]:
    """Return a folder of transformers for a model that is none of its networks."""
    folder = Path(str(config.weights))
    library = (config.model.get("pretrained") or {}).get("library") == "transformers"
    inside = [folder / "config.json", *folder.glob("*/config.json")]
    run = (folder / "config.yaml").exists() or (folder / "checkpoints").exists()
    if library or run or not any(path.is_file() for path in inside):
        return []
    return [
        f"weights={config.weights} is a folder of transformers and model={config.run.choices.get('model')} is none of its "
        "networks: add model=transformers, or the model that the weights are of"
    ]


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
        problems += folder_problems(Path(str(weights)), config.model) or _layout(config)
    given = {word.lstrip("+").partition("=")[0] for word in config.run.overrides}
    source = config.model.get("source")
    if "model.source" in given and source and not Path(str(source)).expanduser().exists():
        problems.append(f"model.source={source} does not exist: name a folder with a config.json, or leave it out")
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

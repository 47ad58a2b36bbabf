"""From a resolved config to data, model, task and Trainer: each thing made once, none of it knows the config."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config.devices import cores
from experiments.config.preprocessing import given_keys, take_over
from experiments.errors import UserError
from experiments.run.foreign import require_data, shares_batches, spec_of
from experiments.run.identity import same_examples
from experiments.run.instantiate import locate, make, missing_arguments, plain_node, with_shapes
from experiments.run.model_memory import require_model_memory
from experiments.run.names_of_data import require_names, require_tokens, trained_spec
from experiments.run.optimizer import build_optimizer, build_scheduler, require_step
from experiments.run.rebuilt_record import require_unchanged
from experiments.run.record import read_record
from experiments.speedups.lean_imports import import_lightning
from experiments.speedups.malloc import keep_freed_memory

_OF_EVERY_STRATEGY = ("norm", "head_epochs", "head_rate", "reset_head", "views")


def prepare_process(config: DictConfig) -> None:
    """Imports, threads and seeds: what comes before anything is built."""
    nodes = [config.model, config.task, config.data, config.optimizer, config.scheduler]
    nodes += [node for group in (config.callbacks, config.logger) for node in (group or {}).values() if node]
    targets = [str(node.get("_target_", "torch.")) for node in nodes]
    ours = all(
        target.startswith(("experiments.", "lightning.", "torch.")) and ".trackers." not in target for target in targets
    )
    keep_freed_memory()
    import_lightning(lean=ours and not config.trainer.get("compile"))
    import torch

    from experiments.run.trainer import quiet

    quiet()
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if config.trainer.get("threads"):
        torch.set_num_threads(config.trainer.threads)
    elif beside > 1:  # more busy threads than cores make a step several times slower
        torch.set_num_threads(max(1, cores() // beside))
    seed_everything(config.seed)
    published = config.model.get("pretrained") or {}
    if config.weights == "pretrained" and published.get("library", "") in ("torchvision", "timm"):
        from experiments.transfer.published import expected_images

        take_over(config.data, expected_images(published), given_keys(config))


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def build_data(config: DictConfig, task_is_ours: bool = True) -> Any:
    """Return the data module, ready: `spec` is there. User-defined data are set up for a task of ours alone, else
    by the Trainer.
    """
    data = make(config.data)
    if not shares_batches(data):
        require_data(data, str(config.data["_target_"]))
        if task_is_ours:
            spec_of(data, config)
        return data
    ready = _ready.get(same_examples(plain_node(config.data)))
    if ready is None:
        data.prepare_data()
        data.setup("fit")
    else:
        data.take_over(ready)
    return data


_ready: dict[str, Any] = {}  # data modules whose parts the processes forked from this one find in memory
_READY_BYTES = 1 << 30


def keep_ready(node: Any) -> None:
    """Reads a dataset once for all processes that will be forked from this one, where it is held in memory as arrays."""
    key = same_examples(plain_node(node))
    if key in _ready or not getattr(locate(node["_target_"]), "in_memory", False):
        return
    data = make(node)
    data.prepare_data()
    data.setup("fit")
    if data.bytes + sum(ready.bytes for ready in _ready.values()) <= _READY_BYTES:
        _ready[key] = data


def build_model(config: DictConfig, spec: Any) -> Any:
    """Return the network for a spec; its first values depend on the seed alone."""
    from experiments.system.hub import hub_name, published_folder

    source = config.model.get("source")
    folder_hint = {"source": str(published_folder(source))} if source and hub_name(source, config.model) else {}
    given = spec.inputs | hints(config.model, spec) | outputs_of_task(config.task, spec) | folder_hint
    shapes = with_shapes(config.model, given)
    if missing := missing_arguments(config.model, shapes):
        raise UserError(
            f"{config.model['_target_']} needs {' and '.join(missing)}, which nothing gives: set model.{missing[0]}=…, or name what "
            f"data={config.run.choices.data} give: {', '.join(given)}"
        )
    build = partial(make, config.model, **shapes)
    with require_model_memory(config, build):
        model = build()
    from torch.nn.parameter import is_lazy

    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise UserError(
            f"{type(model).__name__} has lazy layers, whose sizes come with the first batch, and freezing and optimizers need them "
            "before: write the sizes, from the arguments it is made with, or call it once on zeros in its __init__"
        )
    return model


def hints(node: Any, spec: Any) -> dict[str, Any]:
    """Return what a spec says beyond its inputs, as far as a model asks for it by name."""
    from inspect import signature

    hinted: dict[str, Any] = getattr(spec, "hints", {})
    taken = signature(locate(node["_target_"])).parameters if hinted else {}
    return {key: value for key, value in hinted.items() if key in taken}


def outputs_of_task(node: Any, spec: Any) -> dict[str, Any]:
    """Return what a task asks of a model: its class's `outputs(spec)`, which may name keys of the task's config as
    well.
    """
    from inspect import signature

    task = locate(node["_target_"])
    outputs = task.outputs
    return outputs(spec, **{key: node[key] for key in list(signature(outputs).parameters)[1:] if key in node})


def _recorded(run: Path) -> dict[str, Any]:
    """Return the record beside weights; empty where there is none that can be read. Nothing is written there."""
    try:
        return read_record(run)
    except UserError:
        return {}


def refuse_earlier_run(folder: str) -> tuple[Any, Any]:
    """Stand in for `earlier_run` of `run/loaded.py` where a task is built that compares with no earlier run.

    Raises:
        UserError: always.
    """
    raise UserError(f"the task names the run {folder}, and only a run's own task loads it: leave that key at null")


def build_task(
    config: DictConfig,
    spec: Any,
    data: Any = None,
    with_head: bool = False,
    learning: bool = True,
    earlier_run: Callable[[str], tuple[Any, Any]] = refuse_earlier_run,
) -> Any:
    """Model, weights and freezing, inside the task; `data` where the task asks it for more than its spec, `with_head` where
    the weights must bring the head too, no optimizer or scheduler where it is not `learning`;
    `earlier_run` gives the network and the spec of a run that the task names."""
    from experiments.run.auto_settings import settle
    from experiments.transfer.weights import load_weights

    model = build_model(config, spec)
    if config.weights is not None:
        fresh = {name: value.clone() for name, value in model.state_dict().items() if name.startswith("head.")}
        name, published = config.run.choices.get("model"), config.model.get("pretrained")
        weights = config.weights
        if weights == "pretrained" and (published or {}).get("library") == "transformers":
            from experiments.config.weights_place import weights_folder

            weights = str(weights_folder(config) or weights)
        own = getattr(locate(str(config.task["_target_"])), "scores_classes", True)
        scored = "symbols" if getattr(spec, "symbols", ()) else "classes"
        names = getattr(spec, scored, ()) if own else ()
        trained = trained_spec(weights)
        if (run := Path(str(weights))).is_dir():
            require_unchanged(run, run / "checkpoints" / "best.ckpt", _recorded(run))
        if weights != "pretrained":
            require_tokens(config.data, spec, trained, weights)
        if trained is not None:
            rows = "symbols" if getattr(model, "blank", False) else ""  # of the head, which may begin anew
            require_names(spec, trained, f"data={config.run.choices.get('data')}", f"weights={weights}", rows)
        same = trained if type(trained) is type(spec) else None
        trained_names = getattr(same, scored, ())
        load_weights(model, weights, name, published, with_head or not own, names, trained_names)
        if config.freezing.reset_head:
            model.load_state_dict(fresh, strict=False)
    settle(config, model, spec)
    freezing = build_freezing(config, model)
    optimizer = build_optimizer(config) if learning else None
    if learning:
        require_step(optimizer)
    scheduler = build_scheduler(config.scheduler) if learning and "_target_" in config.scheduler else None
    extra: dict[str, Any] = {
        "model": model,
        "spec": spec,
        "optimizer": freezing.groups(optimizer) if learning else None,
        "scheduler": scheduler,
    }
    kind = locate(config.task["_target_"])
    extra |= kind.from_data(config.task, data)
    for key in kind.runs:
        if config.task.get(key):
            extra[key] = earlier_run(config.task[key])
    task = make(config.task, without=("metrics",), **extra)
    if config.task.get("metrics"):
        task.added.add(added_metrics(config.task.metrics, spec))
    task.freezing = freezing
    return task


def added_metrics(nodes: Any, spec: Any) -> dict[str, Any]:
    """User-defined metrics, by name; `num_classes` comes from the data where the class takes it and nobody gives it."""
    from inspect import signature

    made = {}
    for name, node in nodes.items():
        taken = signature(locate(str(node["_target_"]))).parameters
        classes = getattr(spec, "num_classes", None)
        fills = "num_classes" in taken and "num_classes" not in node and classes is not None
        more: dict[str, Any] = {"num_classes": classes} if fills else {}
        made[name] = make(node, **more)
    return made


def build_freezing(config: DictConfig, model: Any) -> Any:
    """Return the freezing strategy, applied to the model."""
    from experiments.transfer.freezing import Freezing, Settings

    chosen = config.freezing
    settings = Settings(chosen.norm, chosen.head_epochs, chosen.head_rate)
    strategy = {key: value for key, value in plain_node(chosen).items() if key not in _OF_EVERY_STRATEGY}
    return Freezing(model, make(strategy), settings)


def build_callbacks(config: DictConfig, freezing: Any) -> list[Any]:
    """Return what every run has: gradients by epoch, and features of frozen stages kept where that can be."""
    from experiments.callbacks.accumulation import WholeGroups
    from experiments.callbacks.unfreeze import FreezeByEpoch
    from experiments.callbacks.use_cached_features import FrozenFeatures
    from experiments.transfer.cache_files import Cache

    groups = [WholeGroups()] if config.trainer.get("accumulate_grad_batches", 1) != 1 else []
    cache = Cache(config.features.dir, config.features.gigabytes) if config.features.cache else None
    return [*groups, FreezeByEpoch(freezing), FrozenFeatures(freezing, cache, config.freezing.views)]

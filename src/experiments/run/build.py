"""From a resolved config to data, model, task and Trainer: each thing made once, none of it knows the config."""

from __future__ import annotations

import json
import logging
import os
import random
from typing import Any

from omegaconf import DictConfig, OmegaConf

from experiments.config.devices import cores
from experiments.config.preprocessing import given_keys, take_over
from experiments.errors import UserError, first_line
from experiments.speedups.lean_imports import import_lightning
from experiments.speedups.malloc import keep_freed_memory

_NOTES = ("about", "reads", "gives", "makes", "pretrained")  # keys that describe an option and build nothing
_OF_EVERY_STRATEGY = ("norm", "head_epochs", "head_rate", "reset_head", "views")


def prepare_process(config: DictConfig) -> None:
    """Imports, threads and seeds: what comes before anything is built."""
    nodes = [config.model, config.task, config.data, config.optimizer, config.scheduler]
    nodes += [node for group in (config.callbacks, config.logger) for node in (group or {}).values() if node]
    targets = [str(node.get("_target_", "torch.")) for node in nodes]
    ours = all(target.startswith(("experiments.", "lightning.", "torch.")) for target in targets)
    keep_freed_memory()
    import_lightning(lean=ours and not config.trainer.get("compile"))
    import torch

    _quiet()
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


def _quiet() -> None:
    """Lightning's advice is for those who write a Trainer themselves."""
    import warnings

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\.")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def described(node: Any) -> dict[str, Any]:
    """What builds something, `_target_` and arguments, as plain Python."""
    plain: Any = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return {key: value for key, value in plain.items() if key not in _NOTES}


def locate(target: str) -> Any:
    """The class or function of a `_target_`.

    Raises:
        UserError: when it cannot be imported.
    """
    from hydra.utils import get_method

    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it says it as well, over several lines
    try:
        return get_method(target)
    except Exception as error:
        why = first_line(error.__cause__ or error)
        raise UserError(
            f"_target_={target} cannot be imported ({why}): check the name, and that its package is installed or in this folder"
        ) from error


def make(node: Any, /, **extra: Any) -> Any:
    """Instantiates a config node without the keys that only describe it.

    Raises:
        UserError: when the class cannot be found, or does not take a key.
    """
    arguments = described(node)
    target, partial = arguments.pop("_target_"), arguments.pop("_partial_", False)
    function = locate(target)
    arguments |= extra
    if partial:
        from functools import partial as bind

        return bind(function, **arguments)
    try:
        return function(**arguments)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
    except Exception as error:
        here = error.__traceback__ is not None and error.__traceback__.tb_next is None
        bases = {f"{base.__qualname__}.__init__()" for base in getattr(function, "__mro__", ())}  # keys are passed on
        if isinstance(error, TypeError) and "argument" in str(error) and (here or str(error).split(" ", 1)[0] in bases):
            raise UserError(f"{target}: {error}; check the keys of its config") from error
        error.add_note(f"while making {target}")
        raise


def build_data(config: DictConfig) -> Any:
    """The data module, ready: `spec` is there."""
    data = make(config.data)
    ready = _ready.get(data_key(config.data))
    if ready is None:
        data.prepare_data()
        data.setup("fit")
    else:
        data.take_over(ready)
    return data


_ready: dict[str, Any] = {}  # data modules whose parts the processes forked from this one find in memory
_READY_BYTES = 1 << 30


def data_key(node: Any) -> str:
    """What the parts of a dataset depend on: configs with the same text read the same."""
    later = ("batch_size", "seed", "workers", "augment")
    return json.dumps({key: value for key, value in described(node).items() if key not in later}, sort_keys=True)


def keep_ready(node: Any) -> None:
    """Reads a dataset once for all processes that will be forked from this one, where it is held in memory as arrays."""
    key = data_key(node)
    if key in _ready or not getattr(locate(node["_target_"]), "in_memory", False):
        return
    data = make(node)
    data.prepare_data()
    data.setup("fit")
    if data.bytes + sum(one.bytes for one in _ready.values()) <= _READY_BYTES:
        _ready[key] = data


def build_model(config: DictConfig, spec: Any) -> Any:
    """The network for a spec; its first values depend on the seed alone."""
    return make(config.model, **spec.inputs, **hints(config.model, spec), **asked(config.task, spec))


def hints(node: Any, spec: Any) -> dict[str, Any]:
    """What a spec says beyond its inputs, as far as a model asks for it by name."""
    from inspect import signature

    said: dict[str, Any] = getattr(spec, "hints", {})
    taken = signature(locate(node["_target_"])).parameters if said else {}
    return {key: value for key, value in said.items() if key in taken}


def asked(node: Any, spec: Any) -> dict[str, Any]:
    """What a task asks of a model: its class's `outputs(spec)`, which may name keys of the task's config as well."""
    from inspect import signature

    task = locate(node["_target_"])
    outputs = task.outputs
    return outputs(spec, **{key: node[key] for key in list(signature(outputs).parameters)[1:] if key in node})


def build_task(config: DictConfig, spec: Any, data: Any = None, with_head: bool = False) -> Any:
    """Model, weights and freezing, inside the task; `data` where the task counts its classes, `with_head` where
    the weights must bring the head too."""
    from experiments.run.fastest import settle
    from experiments.transfer.weights import load_weights

    model = build_model(config, spec)
    if config.weights is not None:
        fresh = {name: value.clone() for name, value in model.state_dict().items() if name.startswith("head.")}
        name, published = config.run.choices.get("model"), config.model.get("pretrained")
        weights = config.weights
        if weights == "pretrained" and (published or {}).get("library") == "transformers":
            from experiments.config.pretrained_texts import weights_folder

            weights = str(weights_folder(config) or weights)
        load_weights(model, weights, name, published, with_head)
        if config.freezing.reset_head:
            model.load_state_dict(fresh, strict=False)
    settle(config, model, spec)
    freezing = build_freezing(config, model)
    optimizer = make(config.optimizer)
    if config.precision.name == "16-mixed" and config.trainer.gradient_clip_val is not None:
        optimizer.keywords.pop("fused", None)  # Lightning cannot clip what a fused optimizer unscales itself
    scheduler = make(config.scheduler) if "_target_" in config.scheduler else None
    extra: dict[str, Any] = {
        "model": model,
        "spec": spec,
        "optimizer": freezing.groups(optimizer),
        "scheduler": scheduler,
    }
    if config.task.get("class_weights") == "balanced":
        extra["class_counts"] = data.class_counts
    if config.task.get("judge"):
        from experiments.run.loaded import load

        judge = load(config.task.judge)
        extra["judge"] = (judge.model.requires_grad_(False), judge.spec)
    task = make(config.task, **extra)
    task.freezing = freezing
    return task


def build_freezing(config: DictConfig, model: Any) -> Any:
    """The freezing strategy, applied to the model."""
    from experiments.transfer.freezing import Freezing, Settings

    chosen = config.freezing
    settings = Settings(chosen.norm, chosen.head_epochs, chosen.head_rate)
    strategy = {key: value for key, value in described(chosen).items() if key not in _OF_EVERY_STRATEGY}
    return Freezing(model, make(strategy), settings)


def build_callbacks(config: DictConfig, freezing: Any) -> list[Any]:
    """What every run has: gradients by epoch, and features of frozen stages kept where that can be."""
    from experiments.callbacks.unfreeze import FreezeByEpoch
    from experiments.callbacks.use_cached_features import FrozenFeatures
    from experiments.transfer.feature_cache import Cache

    cache = Cache(config.features.dir, config.features.gigabytes) if config.features.cache else None
    return [FreezeByEpoch(freezing), FrozenFeatures(freezing, cache, config.freezing.views)]


def _several(nodes: Any, **extra: Any) -> list[Any]:
    return [make(node, **extra) for node in (nodes or {}).values() if node]


def build_trainer(config: DictConfig, callbacks: bool = True) -> Any:
    """The Trainer with callbacks and loggers, its lean loop and its atomic checkpoints."""
    from lightning.pytorch.callbacks import Checkpoint

    from experiments.callbacks.checkpoint import AtomicCheckpointIO
    from experiments.speedups.training_loop import install

    settings = {
        key: value for key, value in config.trainer.items() if key not in ("threads", "memory_format", "compile")
    }
    built = _several(config.callbacks) if callbacks else []
    trainer = make(
        settings,
        precision=config.precision.name,
        callbacks=built,
        logger=_several(config.logger) if callbacks else False,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=config.run.dir,
        enable_checkpointing=any(isinstance(one, Checkpoint) for one in built),  # else Lightning adds its own
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=2**62,  # epochs are logged; a task may still log steps itself
    )
    install(trainer)
    return trainer


def layers(config: DictConfig) -> str:
    """The layer table of a config's model on its data, as text."""
    from experiments.run.layer_table import as_text, layer_table

    prepare_process(config)
    spec = build_data(config).spec
    return as_text(layer_table(build_model(config, spec), spec))

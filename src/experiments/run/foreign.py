"""LightningModules and LightningDataModules that are not ours: made from their own config, without a spec, stages or freezing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from experiments.config import own_loaders
from experiments.errors import UserError
from experiments.run import python_objects
from experiments.run.instantiate import bound, locate, make, with_shapes
from experiments.run.optimizer import build_optimizer

_OURS = ("optimizer", "scheduler", "freezing", "model")  # groups that a module of its own may have no use for


def is_ours(task: Any) -> bool:
    """Tell whether a task config names a subclass of our Task.

    Raises:
        UserError: when it names no LightningModule.
    """
    from lightning.pytorch import LightningModule

    from experiments.tasks.base import Task

    target = str(task["_target_"])
    target_class = locate(target)
    if not inspect.isclass(target_class):  # a function that makes one, which is ours where it asks for what ours get
        return "spec" in inspect.signature(target_class).parameters
    if not issubclass(target_class, LightningModule):
        other = any(base.__module__.startswith("pytorch_lightning") for base in target_class.__mro__)
        cure = (
            "import lightning as L in place of pytorch_lightning"
            if other
            else "name a LightningModule, or choose task="
        )
        raise UserError(f"task={target} is no LightningModule of lightning: {cure}")
    return issubclass(target_class, Task)


def shares_batches(data: Any) -> bool:
    """Tell whether data of ours share each batch among processes themselves; Lightning does it for any other."""
    return any(base.__module__.startswith("experiments.data.") for base in type(data).__mro__)


def require_data(data: Any, target: str) -> None:
    """Raises for an object that is no LightningDataModule.

    Raises:
        UserError: when it is none.
    """
    from lightning.pytorch import LightningDataModule

    if not isinstance(data, LightningDataModule):
        raise UserError(
            f"data={target} is no LightningDataModule of lightning: name one, or choose data=image_folder or another"
        )


def spec_of(data: Any, config: DictConfig) -> Any:
    """Return the spec of data, which are set up for it where they have none before.

    Raises:
        UserError: when they give none.
    """
    if getattr(data, "spec", None) is None:
        data.prepare_data()
        data.setup("fit")
    spec = getattr(data, "spec", None)
    if spec is None and config.data["_target_"] == f"{python_objects.__name__}.data":
        spec = data.spec = python_objects.spec_from_batch(data)
    if spec is None:
        raise UserError(no_spec(config))
    return spec


def no_spec(config: Any) -> str:
    """Return the sentence for data that say nothing of their shapes."""
    choices = config["run"]["choices"]
    return (
        f"data={choices.get('data')} ({config['data']['_target_']}) gives no spec, from which task={choices.get('task')} and "
        f"model={choices.get('model')} get their shapes: add `spec` to the class (docs/extending.md), or use a LightningModule with "
        "its own network as task"
    )


def build_foreign_task(config: DictConfig, data: Any) -> Any:
    """Return a LightningModule from its own config; `model`, `spec`, `optimizer` and `scheduler` are added where its
    `__init__` takes them and its config gives none.

    Raises:
        UserError: when the class does not take a key, or a choice would have no effect.
    """
    node, target = config.task, str(config.task["_target_"])
    taken = inspect.signature(locate(target)).parameters
    extra: dict[str, Any] = {}
    open_ = [name for name in taken if name not in node]
    if "spec" in open_:
        extra["spec"] = spec_of(data, config)
    if "model" in open_ and "_target_" in config.model:
        extra["model"] = _network(config, data)
    if "optimizer" in open_:
        extra["optimizer"] = build_optimizer(config)
    if "scheduler" in open_:
        extra["scheduler"] = bound(config.scheduler, ("name",)) if "_target_" in config.scheduler else None
    module = make(node, **extra)
    if config.data["_target_"] == own_loaders.TARGET:
        data.take(module)
    return module


def _network(config: DictConfig, data: Any) -> Any:
    """Return the model of a config: with the shapes of data that have a spec, else with those in its own keys."""
    if not hasattr(data, "spec"):
        return make(config.model)
    spec = spec_of(data, config)
    classes = {"num_classes": spec.num_classes} if hasattr(spec, "num_classes") else {}
    return make(config.model, **with_shapes(config.model, spec.inputs | classes))


def choices_of(config: DictConfig) -> dict[str, str | None]:
    """Choices that a record leaves open, because the module makes these itself; its class stands as the model."""
    taken = inspect.signature(locate(str(config.task["_target_"]))).parameters
    own: dict[str, str | None] = dict.fromkeys(name for name in _OURS if name not in taken or name in config.task)
    return own | ({"model": class_of(config.task)} if "model" in own else {})


def class_of(task: Any) -> str:
    """Return the name of a class, such as a LightningModule's, from its config."""
    return str(task.get("object") or task["_target_"]).partition("#")[0].rpartition(".")[2]


def refuse(config: DictConfig, command: str, folder: Path | None = None) -> None:
    """Raises for what only our tasks can do.

    Raises:
        UserError: always.
    """
    where = f": use experiments.load({str(folder)!r}).task in Python" if folder else ""
    raise UserError(
        f"{config.task['_target_']} is a LightningModule of its own, and experiments {command} needs the stages, spec and answers of "
        f"our tasks{where}"
    )


def parameters_of(task: Any) -> Mapping[str, int | None]:
    """Return what the record says of its size."""
    every = list(task.parameters())
    return {
        "parameters": sum(parameter.numel() for parameter in every),
        "trainable_parameters": sum(parameter.numel() for parameter in every if parameter.requires_grad),
        "flops_per_example": None,
    }


def has_test(task: Any, data: Any) -> bool:
    """Tell whether there is a test: a `test_step`, and data for it, by class or as attributes of the objects."""
    from lightning.pytorch.utilities.model_helpers import is_overridden

    return is_overridden("test_step", task) and is_overridden("test_dataloader", data)


@contextmanager
def lightning_in_words() -> Iterator[None]:
    """Says what Lightning refuses (a module without training_step, a metric that is none) as a mistake of the user's.

    Raises:
        UserError: in place of Lightning's error.
    """
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    try:
        yield
    except MisconfigurationException as error:
        words = " ".join(str(error).split())
        if twice := re.match(
            r"The DataLoader implementation has an error where more than one .*?`(\w+)=\.\.\.`", words
        ):
            raise UserError(
                f"Lightning makes this DataLoader anew with another {twice[1]}, which was given by its place and not by its name: "
                f"write DataLoader(…, {twice[1]}=…)"
            ) from error
        raise UserError(words) from error

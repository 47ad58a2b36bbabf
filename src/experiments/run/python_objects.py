"""Objects that Python code gives a run (`train(model=MyNet, data=my_data)`): networks, LightningModules and data modules."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

from experiments.config.quoting import quoted
from experiments.errors import UserError
from experiments.run.instantiate import locate, taken_by

GROUPS = ("model", "task", "data")
OPTION = "_given"  # of each group: its config says no more than the object's name
_objects: dict[str, Any] = {}


def give(group: str, thing: Any) -> tuple[str, str, list[str]]:
    """Keeps an object for the runs of this process; its group, its name, and the words that choose it.

    Args:
        group: model or data, as the caller says.
        thing: a class or an object.

    Raises:
        UserError: when it is none that a run can be made of.
    """
    kind = thing if inspect.isclass(thing) else type(thing)
    group = _group(group, kind)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not inspect.isclass(thing):
        number = sum(known_name.startswith(f"{name}#") for known_name in _objects) + 1
        name = next((known_name for known_name, held in _objects.items() if held is thing), f"{name}#{number}")
    _objects[name] = thing
    made = "false" if inspect.isclass(thing) else "true"
    return group, kind.__name__, [f"{group}={OPTION}", f"{group}.object={quoted(name)}", f"{group}.made={made}"]


def give_again(folder: Path, model: Any, data: Any) -> None:
    """Keeps the objects that a run of another process was trained from.

    Raises:
        UserError: when the run has no such object.
    """
    from experiments.run.folder import read_config

    config = read_config(folder.absolute())
    for key, groups, thing in (("model", ("model", "task"), model), ("data", ("data",), data)):
        if thing is None:
            continue
        names = [
            str(config[group].object)
            for group in groups
            if str(config[group].get("_target_")).startswith(f"{__name__}.")
        ]
        if not names:
            raise UserError(f"{folder} was not trained from a {key} of a Python session: leave {key}= out")
        _objects[names[0]] = thing


def _group(group: str, kind: type) -> str:
    from lightning.pytorch import LightningDataModule, LightningModule
    from torch import nn

    if group == "data":
        if not issubclass(kind, LightningDataModule):
            raise UserError(
                f"data={kind.__name__} is no LightningDataModule: give one, such as "
                "LightningDataModule.from_datasets(train, val, test, batch_size=64), or the name of a dataset such as data='digits'"
            )
        return "data"
    if issubclass(kind, LightningModule):
        return "task"
    if group == "model" and issubclass(kind, nn.Module):
        return "model"
    raise UserError(
        f"{group}={kind.__name__} is neither a torch.nn.Module nor a LightningModule: give one, or the name of an option"
    )


def network(object: str, made: bool, **shapes: Any) -> Any:
    """Return the network that was given; a class is called with those shapes of the data that it takes.

    Args:
        object: its name.
        made: whether it is an object, and no class.
        shapes: what the data and the task say: `in_channels`, `image_size`, `num_classes` and others.
    """
    thing = _found(object, made, "model")
    if made:
        return copy.deepcopy(thing)  # the run begins with its values, and changes none
    return thing(**taken_by(thing, shapes))


def module(object: str, made: bool) -> Any:
    """Return the LightningModule that was given."""
    thing = _found(object, made, "model")
    return copy.deepcopy(thing) if made else thing()


def data(object: str, made: bool) -> Any:
    """Return the LightningDataModule that was given."""
    thing = _found(object, made, "data")
    return thing if made else thing()


def _found(name: str, made: bool, key: str) -> Any:
    if name in _objects:
        return _objects[name]
    if not made and not name.startswith("__main__."):
        return locate(name)
    short = name.rpartition(".")[2].partition("#")[0]
    raise UserError(
        f"this run was trained with {key}={short} of a Python session, which no other process can make: "
        f"use experiments.load(RUN, {key}={short}) where {short} is defined"
    )


def spec_from_batch(owner: Any) -> Any:
    """Return the spec of a data module that says none, from the first batch of its training: images (B, C, H, W) and
    labels (B,).

    Raises:
        UserError: for batches of another kind.
    """
    from torch import Tensor

    from experiments.spec import ImageSpec

    batch = next(iter(owner.train_dataloader()))
    pair = batch if isinstance(batch, (list, tuple)) and len(batch) == 2 else (None, None)
    images, labels = pair
    whole = isinstance(labels, Tensor) and labels.ndim == 1 and not labels.is_floating_point()
    if not (isinstance(images, Tensor) and images.ndim == 4 and images.is_floating_point() and whole):
        raise UserError(
            f"data={type(owner).__name__} has no `spec`, and its batches are no images (B, C, H, W) with labels (B,): add `spec` "
            "to it, as docs/extending.md says, or give a LightningModule in place of the nn.Module"
        )
    names = getattr(owner, "classes", None)
    count = getattr(owner, "num_classes", None) or (len(names) if names else _classes_of(owner))
    classes = tuple(str(name) for name in names or range(int(count)))
    _, channels, height, width = images.shape
    return ImageSpec(channels, height, width, classes, (0.0,) * channels, (1.0,) * channels)


def _classes_of(owner: Any) -> int:
    """Return one more than the largest label of training and validation."""
    loaders = [owner.train_dataloader(), owner.val_dataloader()]
    largest = max(int(labels.max()) for loader in loaders if loader is not None for _, labels in loader)
    return largest + 1

"""What panels share: the examples to look at, and one pass over a part of the test set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.commands.show.inside import last_map, outputs, stage_of, watching
from experiments.commands.show.panel import Look, NotShown, OtherKind
from experiments.errors import UserError
from experiments.spec import ImageSpec

MOST = 12  # images given that are looked at
_BATCH = 64
_THUMBNAIL = 32  # pixels, of the projector's sprite


class Chosen(NamedTuple):
    """Images to look at one by one.

    Attributes:
        images: (N, C, H, W), normalised, on the model's device.
        names: N of them: the file, or the true class.
        labels: N true classes, or None for files.
    """

    images: Tensor
    names: list[str]
    labels: list[int] | None


class Survey(NamedTuple):
    """A pass over some test examples.

    Attributes:
        indices: (N,) their numbers in the test split.
        targets: (N,) true classes.
        scores: (N, K) logits.
        features: (N, D) what the head reads, averaged over places.
        thumbnails: (N, h, w, 3) uint8, small; None where the examples are no images.
        stage: whose units were looked at, or None.
        peaks: (N, C) the highest value of each unit; empty without stage.
        places: (N, C) where in the map it was, row by row.
        map_size: height and width of the stage's output.
    """

    indices: np.ndarray
    targets: np.ndarray
    scores: Tensor
    features: Tensor
    thumbnails: np.ndarray | None
    stage: str | None
    peaks: Tensor
    places: Tensor
    map_size: tuple[int, int]


def device_of(look: Look) -> torch.device:
    parameter = next(look.run.model.parameters(), None)
    return parameter.device if parameter is not None else torch.device("cpu")


def image_spec(look: Look) -> ImageSpec:
    """Return the spec of a run on images.

    Raises:
        NotShown: the run reads something else.
    """
    if not isinstance(look.run.spec, ImageSpec):
        raise OtherKind("this run does not read images")
    return look.run.spec


def need_scores(look: Look) -> None:
    """Raises NotShown where the model does not give scores of classes."""
    makes = look.run.config.task.get("makes") or "classes"
    if makes != "classes" or not hasattr(look.run.spec, "classes"):
        raise NotShown(f"this model makes {makes}, not scores of classes")


def label_of(look: Look) -> int | None:
    """Return the class that was asked for.

    Raises:
        UserError: the run knows no such class.
    """
    if look.wanted.label is None:
        return None
    classes = list(look.run.spec.classes)
    if look.wanted.label not in classes:
        from experiments.errors import unknown

        raise UserError(unknown(f"--class {look.wanted.label}", "no class of this run", look.wanted.label, classes))
    return classes.index(look.wanted.label)


def test_data(look: Look) -> Any:
    """Return the run's data module.

    Raises:
        NotShown: its dataset cannot be read, and files were given to look at instead.
        UserError: the same, and there is nothing else to look at.
    """

    def build() -> Any:
        if not look.run.record:
            return UserError("published weights come without one")
        try:
            return look.run.data
        except UserError as error:
            return error

    data = look.once("data", build)
    if isinstance(data, UserError):
        if look.wanted.inputs:
            raise NotShown(f"it needs the run's dataset: {data}")
        raise UserError(f"{data}\nOr name image files to look at: experiments show RUN photo.jpg")
    return data


def targets_of(look: Look) -> np.ndarray:
    """True classes of the test split."""
    return np.asarray(test_data(look).sets["test"].labels)


def chosen(look: Look, most: int) -> Chosen:
    """Return the files given, or test examples: of the class asked for, or one of each class in turn."""
    spec, wanted, device = image_spec(look), look.wanted, device_of(look)
    if wanted.inputs:
        from experiments.commands.predict_inputs import image_files

        files = image_files(wanted.inputs)[:most]
        return Chosen(look.run.prepare(files).to(device), [file.stem for file in files], None)
    targets, label = targets_of(look), label_of(look)
    if label is not None:
        numbers = np.flatnonzero(targets == label)[:most]
        if not len(numbers):
            raise UserError(f"--class {wanted.label} has no test example: name image files instead")
    else:
        turns = [np.flatnonzero(targets == number) for number in range(spec.num_classes)]
        wide = max(map(len, turns))
        order = [int(turn[place]) for place in range(min(wide, most)) for turn in turns if place < len(turn)]
        # Classes in the order of their numbers would show only the first of a thousand.
        step = max(len([turn for turn in turns if len(turn)]) / most, 1)
        first = [order[int(place * step)] for place in range(min(most, int(len(order) / step)))]
        numbers = np.array(first)
    images, labels = test_data(look).examples("test", numbers)
    return Chosen(images.to(device), [spec.classes[number] for number in labels.tolist()], labels.tolist())


def shapes(look: Look) -> dict[str, tuple[int, ...]]:
    """Return the output shape of each stage, with a batch of one."""

    def make() -> dict[str, tuple[int, ...]]:
        from experiments.run.layer_table import example_input

        example = example_input(look.run.spec).to(device_of(look))
        return {name: tuple(output.shape) for name, output in outputs(look.run.model, example).items()}

    return look.once("shapes", make)


def check(look: Look) -> None:
    """What was asked for, before anything is drawn.

    Raises:
        UserError: there is no such stage, unit or class, or an image cannot be read.
    """
    wanted, spec = look.wanted, look.run.spec
    if wanted.label is not None and hasattr(spec, "classes") and spec.classes:
        label_of(look)
    if wanted.stage is not None:
        stage_of(look.run.model, wanted.stage)
    if not isinstance(spec, ImageSpec):
        return
    if wanted.stage is not None and wanted.stage not in shapes(look):
        raise UserError(f"--stage {wanted.stage} takes no part in an answer: choose one of {', '.join(shapes(look))}")
    if wanted.unit is not None and (name := unit_stage(look)):
        shape = shapes(look)[name]
        count = shape[2] if len(shape) == 3 else shape[1]
        if wanted.unit >= count:
            raise UserError(
                f"--unit {wanted.unit} is outside 0 to {count - 1}, the units of {name}: choose one of these"
            )
    if wanted.inputs:
        chosen(look, MOST)


def unit_stage(look: Look) -> str | None:
    """Return the stage whose units are looked at: the one asked for, the last one with places, or the last."""
    shapes_by_stage = shapes(look)
    return look.wanted.stage or last_map(shapes_by_stage) or next(reversed(shapes_by_stage), None)


def spatial_stage(look: Look) -> str:
    """Return the stage asked for, or the last one that still has places.

    Raises:
        NotShown: it has none, or no stage of the model has.
    """
    shapes_by_stage, name = shapes(look), look.wanted.stage
    if name is not None:
        if last_map({name: shapes_by_stage[name]}) is None:
            raise NotShown(
                f"--stage {name} gives {_words(shapes_by_stage[name])} and has no places: choose a stage before it"
            )
        return name
    name = last_map(shapes_by_stage)
    if name is None:
        raise NotShown("no stage of this model keeps places (a convolution's output does)")
    return name


def _words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape[1:]))


def survey(look: Look) -> Survey:
    """Return the pass, made once for all panels; test examples are taken evenly over the test split."""
    return look.once("survey", lambda: _survey(look))


@torch.no_grad()
def _survey(look: Look) -> Survey:
    model, spec = look.run.model, look.run.spec
    name = unit_stage(look) if isinstance(spec, ImageSpec) else look.wanted.stage
    numbers, targets, scores, features, peaks, places, small = [], [], [], [], [], [], []
    size = (1, 1)
    for some, inputs, target in _batches(look):
        numbers.append(some)
        targets.append(target.cpu().numpy())
        with watching(model, [name] if name else []) as seen:
            scores.append(model(inputs).float().cpu())
        features.append(_pooled(seen["head"]).cpu())
        if name:
            output = seen[name].float()
            if output.ndim == 4:
                size = (output.shape[2], output.shape[3])
            elif output.ndim == 3:  # (B, T, D): the units of a transformer are what each token is made of
                output = output.mT
            high, where = output.reshape(*output.shape[:2], -1).max(2)
            peaks.append(high.cpu())
            places.append(where.cpu())
        if isinstance(spec, ImageSpec):
            small.append(_thumbnails(inputs, spec))
    nothing = torch.empty(sum(map(len, numbers)), 0)
    return Survey(
        np.concatenate(numbers),
        np.concatenate(targets),
        torch.cat(scores),
        torch.cat(features),
        np.concatenate(small) if small else None,
        name,
        torch.cat(peaks) if peaks else nothing,
        torch.cat(places) if places else nothing.long(),
        size,
    )


def _batches(look: Look) -> Iterator[tuple[np.ndarray, Any, Tensor]]:
    """Numbers, inputs and targets of some test examples, evenly over the test split."""
    data, device = test_data(look), device_of(look)
    if isinstance(look.run.spec, ImageSpec):
        count = len(targets_of(look))
        numbers = np.unique(np.linspace(0, count - 1, min(look.wanted.examples, count)).astype(np.int64))
        for start in range(0, len(numbers), _BATCH):
            some = numbers[start : start + _BATCH]
            inputs, target = data.examples("test", some)
            yield some, inputs.to(device), target
        return
    loader = data.test_dataloader()
    step = max(1, round(len(loader) * (data.batch_size or 1) / look.wanted.examples))  # whole batches, evenly
    seen = 0
    for place, batch in enumerate(loader):
        if place % step == 0:
            batch = data.on_after_batch_transfer(data.transfer_batch_to_device(batch, device, 0), 0)
            inputs, target = batch
            yield np.arange(seen, seen + len(target)), inputs, target
        seen += len(batch[1])


def _pooled(values: Tensor) -> Tensor:
    """Return what the head reads as one vector an example: (B, D, …) -> (B, D), averaged over places or steps."""
    values = values.float()
    if values.ndim == 3:  # (B, T, D)
        return values.mean(1)
    return values.flatten(2).mean(2) if values.ndim == 4 else values.flatten(1)


def _thumbnails(inputs: Tensor, spec: ImageSpec) -> np.ndarray:
    """Map (B, C, H, W) normalised -> (B, h, w, 3) uint8."""
    from experiments.viz.images import to_pixels

    longest = max(inputs.shape[2:])
    if longest > _THUMBNAIL:
        side = [max(1, round(edge * _THUMBNAIL / longest)) for edge in inputs.shape[2:]]
        inputs = F.interpolate(inputs.float(), size=side, mode="bilinear", antialias=True)
    pixels = to_pixels(inputs, spec.mean, spec.std)
    if pixels.ndim == 3:
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    return (pixels * 255).round().astype(np.uint8)

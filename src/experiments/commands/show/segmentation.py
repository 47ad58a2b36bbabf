"""Panels of networks that give a class for every pixel: masks, chances of the classes, and where the network is unsure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from experiments.commands.show.images import first_layer
from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import device_of, label_of, test_data

_IMAGES = 4
_CLASSES = 6  # whose chances are drawn


class _ImagesWithMasks(NamedTuple):
    """Some images.

    Attributes:
        images: (N, C, H, W), normalised, on the model's device.
        names: of them.
        true: (N, H, W) classes on the CPU, or None for files without masks.
        chances: (N, K, H, W) of the classes, on the CPU.
    """

    images: Tensor
    names: list[str]
    true: Tensor | None
    chances: Tensor


def _few(look: Look) -> _ImagesWithMasks:
    """Return the files given, or the first test images; with a class asked for, those that have most of it."""

    def make() -> _ImagesWithMasks:
        device = device_of(look)
        if look.wanted.inputs:
            from experiments.commands.predict_inputs import image_files

            files = image_files(look.wanted.inputs)[:_IMAGES]
            images, names, true = look.run.prepare(files), [file.stem for file in files], None
        else:
            data, label = test_data(look), label_of(look)
            numbers = list(range(min(look.wanted.examples, data.splits["test"])))
            if label is None:
                numbers = numbers[:_IMAGES]
            else:
                areas = torch.stack([data.examples("test", [number])[1].eq(label).sum() for number in numbers])
                if not areas.any():
                    raise NotShown(f"no test image has a pixel of {look.wanted.label}")
                numbers = areas.argsort(descending=True, stable=True)[:_IMAGES].tolist()
            images, true = data.examples("test", numbers)
            names = data.names("test", numbers)
        with torch.no_grad():
            chances = torch.cat(
                [look.run.task.report.predict(image[None].to(device)).float().cpu() for image in images]
            )
        return _ImagesWithMasks(images, names, true, chances)

    return look.once("few_masks", make)


def predictions(look: Look) -> Iterator[Picture]:
    """Images, their masks, and what is wrong."""
    from experiments.viz.masks import masks

    few, spec = _few(look), look.run.spec
    figure = masks(few.images.float().cpu(), few.true, few.chances.argmax(1), few.names, spec, title="Masks")
    caption = "What the network says of each pixel." if few.true is None else "Red: another class than the true one."
    yield Picture("masks", "Masks", caption, figure)


def chances(look: Look) -> Iterator[Picture]:
    """Yield the chance of each class at each pixel, and how unsure the network is."""
    from experiments.viz.masks import chance_maps

    few, spec = _few(look), look.run.spec
    order = few.chances.mean((0, 2, 3)).argsort(descending=True)[:_CLASSES].tolist()
    label = label_of(look)
    if label is not None and label not in order:
        order = [label, *order[:-1]]
    entropy = -(few.chances * few.chances.clamp(min=1e-12).log()).sum(1) / torch.tensor(float(spec.num_classes)).log()
    rows = [*((spec.classes[number], few.chances[:, number]) for number in order), ("unsure", entropy)]
    figure = chance_maps(few.images.float().cpu(), rows, few.names, spec)
    caption = "From dark, 0, to bright, 1. Unsure is the entropy of all classes: 1 where all are equally likely."
    yield Picture("chances", "Chances of the classes", caption, figure)


PANELS = (
    Panel("masks", "Masks beside the truth", predictions),
    Panel("chances", "Chances of the classes and where the network is unsure", chances),
    Panel("filters", "First-layer filters", first_layer),
)

"""Panels of detectors: what is found beside what is there, mistakes, thresholds, proposals and the feature pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import device_of, test_data
from experiments.tasks.parts.object_matching import KINDS, Found, Mistakes, on_cpu

_IMAGES = 4  # that are drawn
_SEEN = 100  # test images that are looked at, at most
_PROPOSALS = 40  # that are drawn
_CHANNELS = 6  # of each level of the pyramid
_STEPS = 19  # thresholds


class _ImagesWithBoxes(NamedTuple):
    """Some images.

    Attributes:
        images: (3, H, W) each, from 0 to 1.
        names: of them.
        detections: objects of each, of any score, on the CPU.
        true: what is there, or None for files.
    """

    images: list[Tensor]
    names: list[str]
    detections: list[Found]
    true: list[Found] | None


def _few(look: Look) -> _ImagesWithBoxes:
    """Return the files given, or the first test images."""

    def make() -> _ImagesWithBoxes:
        if look.wanted.inputs:
            from experiments.commands.predict_inputs import image_files

            files = image_files(look.wanted.inputs)[:_IMAGES]
            images, names, true = look.run.prepare(files), [file.name for file in files], None
        else:
            images, true = test_data(look).sample("test", min(look.wanted.examples, _SEEN))
            names = [f"test image {number}" for number in range(1, len(images) + 1)]
        with torch.inference_mode():
            detections = [on_cpu(look.run.task.report.predict([image])[0]) for image in images]
        return _ImagesWithBoxes(images, names, detections, true)

    return look.once("few_boxes", make)


def _with_truth(look: Look) -> tuple[_ImagesWithBoxes, list[Found]]:
    few = _few(look)
    if few.true is None:
        raise NotShown("nothing says what is in the files given")
    return few, few.true


def objects(look: Look) -> Iterator[Picture]:
    """Images with what was found, and what is there."""
    from experiments.viz.boxes import beside

    few, task = _few(look), look.run.task
    true: list[Any] = list(few.true) if few.true is not None else [None] * len(few.images)
    rows = [
        (image, task.report.sure(detected), truth)
        for image, detected, truth in list(zip(few.images, few.detections, true, strict=True))[:_IMAGES]
    ]
    figure = beside(rows, task.spec.classes, note=f"objects of score {task.threshold:g} or more")
    if figure is not None:
        yield Picture(
            "objects", "Objects", "Boxes with class and score; a score is what the detector gives, no chance.", figure
        )


def mistakes(look: Look) -> Iterator[Picture]:
    """Yield the images with the worst and the best agreement, and how many errors of each kind there are."""
    from experiments.viz.boxes import beside
    from experiments.viz.charts import named_bars

    few, true = _with_truth(look)
    task = look.run.task
    all_of_them, agreement = Mistakes(task.spec.num_classes, task.threshold), []
    for detected, truth in zip(few.detections, true, strict=True):
        seen = all_of_them.add(detected, truth)
        right, wrong = len(seen["right"]), len(seen["wrong"]) + len(seen["missed"])
        agreement.append(2 * right / (2 * right + wrong) if right + wrong else 1.0)
    counts = {kind.replace("_", " "): float(all_of_them.kinds[kind]) for kind in KINDS}
    note = f"{len(few.images)} test images, objects of score {task.threshold:g} or more"
    bars = named_bars(counts, "objects", title="Right and wrong by kind", note=note)
    caption = (
        "Confused: the place fits, the class does not. Badly placed: the class fits, the box overlaps too little. Invented: "
        "nothing is there. Missed: nothing was found."
    )
    yield Picture("errors", "Errors by kind", caption, bars)
    order = sorted(range(len(agreement)), key=agreement.__getitem__)
    for name, title, chosen in (
        ("worst", "Worst images", order[:_IMAGES]),
        ("best", "Best images", order[::-1][:_IMAGES]),
    ):
        rows = [(few.images[i], task.report.sure(few.detections[i]), true[i]) for i in chosen]
        figure = beside(
            rows, task.spec.classes, title=title, note=f"by F1: {', '.join(f'{agreement[i]:.2f}' for i in chosen)}"
        )
        if figure is not None:
            yield Picture(
                name, title, "F1 of an image: objects found rightly against those wrong, invented or missed.", figure
            )


def thresholds(look: Look) -> Iterator[Picture]:
    """Precision, recall and F1 against the least score that counts; and precision against recall of each class."""
    from experiments.tasks.parts.average_precision import AveragePrecision
    from experiments.viz.boxes import precision_recall
    from experiments.viz.charts import lines

    few, true = _with_truth(look)
    spec = look.run.task.spec
    steps = [number / (_STEPS + 1) for number in range(1, _STEPS + 1)]
    curves: dict[str, list[float]] = {"precision": [], "recall": [], "F1": []}
    for step in steps:
        judge = Mistakes(spec.num_classes, step)
        for detected, truth in zip(few.detections, true, strict=True):
            judge.add(detected, truth)
        right = judge.kinds["right"]
        predictions = right + judge.kinds["confused"] + judge.kinds["badly_placed"] + judge.kinds["invented"]
        there = right + judge.kinds["confused"] + judge.kinds["missed"]
        precision, recall = right / predictions if predictions else float("nan"), right / max(1, there)
        curves["precision"].append(precision)
        curves["recall"].append(recall)
        curves["F1"].append(2 * right / max(1, predictions + there))
    best = steps[max(range(_STEPS), key=curves["F1"].__getitem__)]
    figure = lines(
        {name: (steps, values) for name, values in curves.items()}, "least score", "share",
        title="Scores against a threshold", note=f"{len(few.images)} test images; F1 is highest at {best:.2f}",
    )  # fmt: skip
    yield Picture(
        "thresholds", "Scores against a threshold", "task.threshold decides what is drawn and told of.", figure
    )
    average = AveragePrecision(spec.classes)
    average.update(few.detections, true)
    average.compute()
    drawn = precision_recall(average.precision, average.per_class)
    if drawn is not None:
        yield Picture(
            "precision_recall",
            "Precision and recall",
            "Of these images; the test's own is in the run's figures.",
            drawn,
        )


def proposals(look: Look) -> Iterator[Picture]:
    """Yield the places that the first part of a detector in two parts proposes, the surest first."""
    from experiments.viz.boxes import beside

    few = _few(look)
    net = look.run.model.__dict__["net"]
    if not hasattr(net, "rpn"):
        raise NotShown("this detector tells objects in one pass, without proposals")
    rows: list[tuple[Tensor, Found, Found | None]] = []
    for image in few.images[:_IMAGES]:
        told = _told(look, net.rpn, image)
        scaled, _ = net.transform([image.to(device_of(look))])
        boxes = told[0][0][:_PROPOSALS].cpu()
        ratios = [own / now for own, now in zip(image.shape[-2:], scaled.image_sizes[0], strict=True)]
        boxes = boxes * torch.tensor([ratios[1], ratios[0], ratios[1], ratios[0]])
        rows.append((image, {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.long)}, None))
    figure = beside(
        rows, ("",), title="Proposals", note=f"the surest {_PROPOSALS} of each image, before they are classified"
    )
    if figure is not None:
        yield Picture(
            "proposals", "Proposals", "Where the region proposal network sees something; the head judges each.", figure
        )


def pyramid(look: Look) -> Iterator[Picture]:
    """Yield the feature pyramid of one image: of each level the channels that vary most."""
    from experiments.viz.maps import MapRow, feature_maps

    image = _few(look).images[0]
    net = look.run.model.__dict__["net"]
    levels = _told(look, net.backbone, image)
    rows = []
    for name, level in levels.items() if isinstance(levels, dict) else {"0": levels}.items():
        maps = level[0].float().cpu()
        chosen = maps.flatten(1).std(1, correction=0).argsort(descending=True)[:_CHANNELS].tolist()
        channels, height, width = maps.shape
        rows.append(MapRow(f"level {name}", f"{channels} × {height} × {width}", maps[chosen].numpy(), chosen))
    pixels = image.float().cpu().clamp(0, 1).permute(1, 2, 0).numpy()
    figure = feature_maps(pixels, rows, title="Feature pyramid", note="of each level the channels that vary most")
    yield Picture("pyramid", "Feature pyramid", "Fine levels find small objects, coarse ones large objects.", figure)


def _told(look: Look, part: nn.Module, image: Tensor) -> Any:
    """Return what a part of the detector gives for an image."""
    given: list[Any] = []
    hook = part.register_forward_hook(lambda module, args, output: given.append(output))
    try:
        with torch.inference_mode():
            look.run.model([image.to(device_of(look))])
    finally:
        hook.remove()
    return given[0]


PANELS = (
    Panel("objects", "Objects beside the truth", objects),
    Panel("mistakes", "Errors by kind, and the worst and best images", mistakes),
    Panel("thresholds", "Scores against a threshold, precision and recall", thresholds),
    Panel("proposals", "Proposals", proposals),
    Panel("pyramid", "Feature pyramid", pyramid),
)

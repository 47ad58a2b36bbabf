"""Panels of networks that look at images: filters, feature maps, evidence, most activating images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from experiments.commands.show.inside import grad_cam, outputs, reach, saliency, stage_of
from experiments.commands.show.panel import Look, NotShown, Panel, Picture
from experiments.commands.show.survey import (
    MOST,
    chosen,
    device_of,
    image_spec,
    label_of,
    need_scores,
    shapes,
    spatial_stage,
    survey,
    test_data,
)
from experiments.spec import ImageSpec

_MAPS = 8  # channels a stage, beside the others
_ROWS = 12  # stages at most; of more, evenly
_MANY = 63  # channels of one stage alone


def _pixels(images: Tensor, spec: ImageSpec) -> np.ndarray:
    from experiments.viz.images import to_pixels

    return to_pixels(images, spec.mean, spec.std)


def first_layer(look: Look) -> Iterator[Picture]:
    """Weights of the first layer, as images."""
    from experiments.viz.filters import filters, first_filters

    spec, model = image_spec(look), look.run.model
    weights = first_filters(model, spec.channels, (spec.height, spec.width))
    if weights is None:
        raise NotShown("its first layer is neither a convolution nor reads whole images")
    only = sum(parameter.ndim > 1 for parameter in model.parameters()) == 1 and len(weights) == spec.num_classes
    caption = (
        "Each filter in its own colours around grey: what excites it looks like this."
        if weights.shape[1] == 3
        else "Red raises the unit, blue lowers it, white does nothing."
    )
    yield Picture("filters", "First-layer filters", caption, filters(weights.cpu(), spec.classes if only else ()))


def feature_maps(look: Look) -> Iterator[Picture]:
    """Yield what each stage makes of an image; with a stage asked for, many of its channels."""
    from experiments.viz.maps import MapRow, stage_maps
    from experiments.viz.maps import feature_maps as draw

    spec, model, wanted = image_spec(look), look.run.model, look.wanted
    if not shapes(look):
        raise NotShown("the model is its head alone")
    alone = spatial_stage(look) if wanted.stage is not None or wanted.unit is not None else None
    few = chosen(look, 4 if wanted.inputs else 2)
    maps_by_stage = outputs(model, few.images)
    for place, (name, pixels) in enumerate(zip(few.names, _pixels(few.images, spec), strict=True)):
        title, note = f"Feature maps · {name}", ""
        if alone is not None:
            maps = maps_by_stage[alone][place].float().cpu().numpy()
            units = _most_contrast(maps, _MANY) if wanted.unit is None else [wanted.unit]
            note = f"{alone}: {len(units)} of {len(maps)} channels, {maps.shape[1]} × {maps.shape[2]}"
            figure = stage_maps(MapRow(alone, "", maps[units], units), pixels, title=title, note=note)
        else:
            rows = []
            for stage, output in maps_by_stage.items():
                values = output[place].float().cpu().numpy()
                if values.ndim == 3 and values.shape[1] * values.shape[2] > 1:
                    units = _most_contrast(values, _MAPS)
                    rows.append(MapRow(stage, " × ".join(map(str, values.shape)), values[units], units))
                elif next(stage_of(model, stage).parameters(), None) is not None:
                    rows.append(MapRow(stage, " × ".join(map(str, values.shape)), values.reshape(-1), ()))
            if len(rows) > _ROWS:
                note = f"{_ROWS} of {len(rows)} stages"
                rows = [rows[number] for number in np.linspace(0, len(rows) - 1, _ROWS).astype(int)]
            figure = draw(pixels, rows, title=title, note=note)
        caption = "From shallow to deep; of each stage the channels with the most contrast, by number. Bright: active."
        yield Picture(f"features_{place + 1}", f"What the stages make of “{name}”", caption, figure)


def _most_contrast(maps: np.ndarray, most: int) -> list[int]:
    """Numbers of the channels to show of (C, H, W): those with the most contrast, in order."""
    if len(maps) <= most:
        return list(range(len(maps)))
    inner = maps[:, 1:-1, 1:-1] if min(maps.shape[1:]) >= 8 else maps  # padding alone makes a bright border
    contrast = inner.reshape(len(maps), -1).std(axis=1)
    return sorted(np.argsort(-contrast, kind="stable")[:most].tolist())


def evidence(look: Look) -> Iterator[Picture]:
    """Grad-CAM and saliency of some images, for what was predicted or the class asked for."""
    from experiments.viz.saliency import evidence as draw

    need_scores(look)
    spec, model, label = image_spec(look), look.run.model, label_of(look)
    few = chosen(look, MOST if look.wanted.inputs else 6)
    with torch.no_grad():
        chances = model(few.images).float().softmax(1)
    predicted = chances.argmax(1)
    explained = predicted if label is None else torch.full_like(predicted, label)
    layers = []
    try:
        stage = spatial_stage(look)
        heat = grad_cam(model, few.images.clone(), explained, stage)
        layers.append(("Grad-CAM", heat.detach().float().cpu().numpy()))
    except NotShown:
        if look.wanted.stage is not None:
            raise
        stage = ""  # a network without maps has slopes all the same
    layers.append(("saliency", saliency(model, few.images, explained).float().cpu().numpy()))
    captions, wrong = [], []
    for place, name in enumerate(few.names):
        told = int(explained[place])
        guess = f"{spec.classes[told]} · {_percent(float(chances[place, told]))}"
        if few.labels is None:
            captions.append((guess, name))
        else:
            right = few.labels[place] == told
            captions.append((guess, "right" if right else f"is {name}"))
            wrong += [] if right else [place]
    figure = draw(
        _pixels(few.images, spec),
        layers,
        captions,
        wrong=wrong,
        title="What the answer depends on" if label is None else f"What speaks for {spec.classes[label]}",
        note=f"Grad-CAM at {stage}" if stage else "",
    )
    caption = (
        "Grad-CAM: where the maps lie that raise the score of the class (red). "
        if stage
        else "This model has no maps of places, so no Grad-CAM. "
    )
    caption += f"Saliency: pixels that move the score most, averaged over {16} noisy copies (bright)."
    yield Picture("evidence", "What the answer depends on", caption, figure)


def _percent(chance: float) -> str:
    return ">99 %" if chance > 0.995 else "<1 %" if chance < 0.005 else f"{chance:.0%}".replace("%", " %")


def _up_to(value: float) -> str:
    return f"up to {value:,.0f}" if value >= 100 else f"up to {value:.3g}"


def most_activating(look: Look, *, rows: int = 6, columns: int = 8) -> Iterator[Picture]:
    """For some units, the test images that excite them most, and where."""
    from experiments.viz.saliency import Unit, units

    spec, wanted = image_spec(look), look.wanted
    data, surveyed = test_data(look), survey(look)
    if surveyed.stage is None or not surveyed.peaks.shape[1]:
        raise NotShown("the model is its head alone")
    if wanted.unit is not None:
        numbers = [wanted.unit]
    else:  # units that a few images excite far above what is usual
        peaks, high = surveyed.peaks, surveyed.peaks.max(0).values
        typical = peaks.median(0).values
        spread = (peaks - typical).abs().mean(0).clamp(min=1e-6)
        alive = (high > typical) & (high >= high.median())
        sharp = torch.where(alive, (high - typical) / spread, -torch.inf)
        numbers = sorted(sharp.topk(min(rows, int(alive.sum()))).indices.tolist())
    if not numbers:
        raise NotShown(f"no unit of {surveyed.stage} answers differently to different images")
    most = columns if wanted.unit is None else 3 * columns
    drawn = []
    for unit in numbers:
        peaks = surveyed.peaks[:, unit]
        high, top = peaks.topk(min(most, len(surveyed.indices)))
        top = top[high > peaks.min()]  # an image that leaves the unit at rest does not excite it
        if not len(top):
            raise NotShown(f"unit {unit} of {surveyed.stage} answers all images alike")
        images, labels = data.examples("test", surveyed.indices[top.numpy()])
        pixels, names = _pixels(images, spec), [spec.classes[label] for label in labels.tolist()]
        boxes: list[tuple[float, float, float, float] | None] = [None] * len(top)
        if surveyed.map_size != (1, 1):
            where = surveyed.places[top, unit].to(images.device)
            boxes = [*reach(look.run.model, images.to(device_of(look)), surveyed.stage, unit, where)]
        for start in range(0, len(top), columns):
            some = slice(start, start + columns)
            name, note = (f"unit {unit}", _up_to(float(high[0]))) if not start else ("", "")
            drawn.append(Unit(name, note, pixels[some], boxes[some], names[some]))
    figure = units(
        drawn, title="Most activating images", note=f"{surveyed.stage}, of {len(surveyed.indices):,} test images"
    )
    caption = (
        f"The test images that excite a unit of {surveyed.stage} most, the strongest first, with their true classes."
    )
    if surveyed.map_size != (1, 1):
        caption += " The frame holds most of what moved it."
    yield Picture("units", f"What units of {surveyed.stage} wait for", caption, figure)


PANELS = (
    Panel("filters", "First-layer filters", first_layer),
    Panel("features", "Feature maps, shallow to deep", feature_maps),
    Panel("evidence", "Grad-CAM and saliency", evidence),
    Panel("units", "Most activating images", most_activating),
)

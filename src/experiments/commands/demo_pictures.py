"""What decided an answer, as pictures for the page of `experiments demo`."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

LONGER = 320  # pixels of the longer side of a picture, about
# Panels of `experiments show` that explain one answer, of a task's own; a run draws those that it has.
EXPLAINING = ("importance", "moments", "answers", "alignment", "masked", "attention")


def explained(answerer: Any, given: Any) -> list[tuple[Any, str]]:
    """Return pictures with captions; none where the run has nothing of the kind.

    Args:
        answerer: the run.
        given: the input, as `Answerer.of` takes it.
    """
    from experiments.commands.answering import IMAGES, OBSERVATIONS

    if answerer.kind in IMAGES:
        drawn = heat_map(answerer, given)
        return [] if drawn is None else [(drawn, "what decided: red raised the score of the first class")]
    if answerer.kind in OBSERVATIONS or answerer.kind == "series":
        return []
    with tempfile.TemporaryDirectory(prefix="experiments-") as folder:
        # As a file also of a text, for a panel would open a text that is the name of a file here.
        path = Path(folder) / ("input.wav" if isinstance(given, bytes) else "input.txt")
        path.write_bytes(given if isinstance(given, bytes) else " ".join(answerer.text(given).splitlines()).encode())
        return _drawn_by_panels(answerer, path)


def _drawn_by_panels(answerer: Any, path: Path) -> list[tuple[Any, str]]:
    from PIL import Image

    from experiments.commands.show.panel import Look, NotShown, Wanted
    from experiments.commands.show.run import panels_of
    from experiments.viz.canvas import png

    panels = panels_of(answerer.loaded.task)
    look = Look(answerer.loaded, Wanted(inputs=(str(path),)), path.parent, {})
    pictures = []
    for name in EXPLAINING:
        if name not in panels:
            continue
        try:
            for picture in panels[name].draw(look):
                if not isinstance(picture.figure, bytes):
                    pictures.append((Image.open(io.BytesIO(png(picture.figure))).convert("RGB"), panels[name].title))
        except NotShown:
            continue
    return pictures


def heat_map(answerer: Any, content: bytes) -> Any:
    """Return an image with Grad-CAM of the most probable class laid over it in red; None for networks without classes or
    without maps of places.
    """
    import numpy as np
    import torch
    from PIL import Image

    from experiments.commands.show.inside import grad_cam, last_map, outputs
    from experiments.spec import ImageSpec
    from experiments.viz.images import to_pixels

    loaded = answerer.loaded
    if type(loaded.spec) is not ImageSpec or (loaded.config.task.get("makes") or "classes") != "classes":
        return None
    inputs = loaded.prepare([Image.open(io.BytesIO(content))])
    stage = last_map({name: tuple(maps.shape) for name, maps in outputs(loaded.model, inputs).items()})
    if stage is None:
        return None
    with torch.no_grad():
        scores = loaded.model(inputs)
    heat = grad_cam(loaded.model, inputs.clone(), scores.argmax(1), stage)[0].detach().float().numpy()
    pixels = np.asarray(to_pixels(inputs, loaded.spec.mean, loaded.spec.std))[0]
    if pixels.ndim == 2 or pixels.shape[-1] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.max() > 1.5:
        pixels = pixels / 255
    red = np.array([0.84, 0.15, 0.0])
    mixed = pixels * (1 - 0.6 * heat[..., None]) + 0.6 * heat[..., None] * red
    return enlarged(Image.fromarray((mixed.clip(0, 1) * 255).astype("uint8")))


def enlarged(image: Any) -> Any:
    """Return a small image with each pixel as a square of several."""
    from PIL import Image

    factor = max(1, LONGER // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)

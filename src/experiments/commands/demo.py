"""`experiments demo`: a run to try in a browser, by Gradio."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from experiments.errors import UserError

_ABOUT = """\
Opens a page on this machine where a run answers images, texts or sounds: top classes, boxes or masks as the task draws them, and
for images of classes a heat map of what decided. A link that others can open is made with --share alone.
"""


def main(words: list[str]) -> int:
    """Loads the run and opens the page until it is stopped.

    Raises:
        UserError: when the run cannot be loaded or takes no such inputs, or Gradio is missing.
    """
    parser = argparse.ArgumentParser("experiments demo", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="the folder of a run")
    parser.add_argument("--port", type=int, help="default: 7860, or the next that is free")
    parser.add_argument("--share", action="store_true", help="also make a link through Gradio's servers, for a week")
    parser.add_argument("--examples", type=int, default=6, metavar="N", help="from the test split (6)")
    options = parser.parse_args(words)
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise UserError("demo needs gradio, which is not installed: pip install 'experiments[demo]'") from None
    from experiments.commands.answering import Answerer

    page(Answerer(options.run, "demo"), options.examples).launch(
        server_name="127.0.0.1", server_port=options.port, share=options.share
    )
    return 0


def page(answerer: Any, examples: int) -> Any:
    """Return the page, not yet started.

    Args:
        answerer: the run.
        examples: how many from the test split.
    """
    import gradio

    from experiments.commands.answering import IMAGES, SOUNDS

    classes = bool(getattr(answerer.loaded.spec, "classes", ())) and answerer.kind in (
        "image",
        "audio",
        "text",
        "sequence",
    )
    if answerer.kind in IMAGES:
        asked: Any = gradio.Image(type="pil", label="image")
    elif answerer.kind in SOUNDS:
        asked = gradio.Audio(type="filepath", label="sound")
    elif answerer.kind == "series":
        asked = gradio.File(type="filepath", label="table (CSV)")
    else:
        asked = gradio.Textbox(label=answerer.kind, lines=3)
    shown: list[Any] = [gradio.Label(label="classes")] if classes else [gradio.JSON(label="answer")]
    pictures = answerer.kind in IMAGES
    if pictures:
        shown.append(gradio.Image(label="what decided" if classes else "picture"))

    def answer(given: Any) -> Any:
        if given is None or given == "":
            return [None] * len(shown) if len(shown) > 1 else None
        try:
            found, drawn = answered(answerer, given, classes)
        except UserError as error:
            raise gradio.Error(str(error)) from None
        return [found, drawn] if pictures else found

    ready = examples_of_test(answerer, examples) if pictures else []
    return gradio.Interface(
        answer, asked, shown, examples=ready or None, cache_examples=False, title=answerer.name, flagging_mode="never",
        description=", ".join(f"{name} {value:.4f}" for name, value in answerer.about()["metrics"].items() if value is not None),
    )  # fmt: skip


def answered(answerer: Any, given: Any, classes: bool) -> tuple[Any, Any]:
    """Return what the page shows for an input: classes with their scores, or the whole answer; and a picture, or None.

    Raises:
        UserError: when the input cannot be read.
    """
    from PIL import Image

    from experiments.commands.answering import as_json

    if isinstance(given, Image.Image):
        out = io.BytesIO()
        given.save(out, format="PNG")
        found = answerer.of_file(out.getvalue(), 5 if classes else None)
    elif answerer.takes_files:
        found = answerer.of_file(Path(given).read_bytes(), 5 if classes else None)
    else:
        found = answerer.of_text(str(given), 5 if classes else None)
    files = [value for value in found.values() if type(value).__name__ == "Attachment" and value.suffix == ".png"]
    drawn = Image.open(io.BytesIO(files[0].content)) if files else None
    plain = {key: as_json(value) for key, value in found.items() if type(value).__name__ != "Attachment"}
    ranked = next((value for value in plain.values() if isinstance(value, list)), None)
    if classes and ranked:
        scores = {
            str(one["class"]): float(one["probability"]) for one in ranked if "class" in one and "probability" in one
        }
        if scores:
            if drawn is None and isinstance(given, Image.Image):
                drawn = heat_map(answerer, given)
            return scores, drawn
    return plain, drawn


def heat_map(answerer: Any, image: Any) -> Any:
    """Return the image with Grad-CAM of the most probable class laid over it in red; None for networks without maps of
    places.
    """
    import numpy as np
    import torch
    from PIL import Image

    from experiments.commands.show.inside import grad_cam, last_map, outputs
    from experiments.spec import ImageSpec
    from experiments.viz.images import to_pixels

    loaded = answerer.loaded
    if type(loaded.spec) is not ImageSpec:
        return None
    inputs = loaded.prepare([image])
    stage = last_map({name: tuple(found.shape) for name, found in outputs(loaded.model, inputs).items()})
    if stage is None:
        return None
    with torch.no_grad():
        best = loaded.model(inputs).argmax(1)
    heat = grad_cam(loaded.model, inputs.clone(), best, stage)[0].detach().float().numpy()
    pixels = np.asarray(to_pixels(inputs, loaded.spec.mean, loaded.spec.std))[0]
    if pixels.ndim == 2 or pixels.shape[-1] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.max() > 1.5:
        pixels = pixels / 255
    red = np.array([0.84, 0.15, 0.0])
    mixed = pixels * (1 - 0.6 * heat[..., None]) + 0.6 * heat[..., None] * red
    small = Image.fromarray((mixed.clip(0, 1) * 255).astype("uint8"))
    factor = max(1, 320 // max(small.size))
    return small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)


def examples_of_test(answerer: Any, count: int) -> list[Any]:
    """Return some images of the test split, spread over it, as the page's examples; none where the data are not here
    any more.
    """
    import numpy as np
    from PIL import Image

    from experiments.viz.images import to_pixels

    loaded = answerer.loaded
    try:
        loaded.data.setup("test")
        batch = next(iter(loaded.data.test_dataloader()))
        batch = loaded.data.on_after_batch_transfer(batch, 0)
        images = batch[0]
        some = images[:: max(1, len(images) // max(1, count))][:count]
        pixels = np.asarray(to_pixels(some, loaded.spec.mean, loaded.spec.std))
    except (UserError, AttributeError, TypeError, IndexError, OSError, ValueError):
        return []
    if pixels.max() <= 1.5:
        pixels = pixels * 255
    return [[Image.fromarray(one.squeeze().astype("uint8"))] for one in pixels]

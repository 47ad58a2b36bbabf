"""A run's detector as one ONNX file that reads an image of any size, or its weights, compared with the run on test images."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import RunFailed, UserError, first_line
from experiments.system.outside_text import json_text

if TYPE_CHECKING:
    from torch import Tensor

    from experiments.run.loaded import Loaded

IMAGES = 4  # that are compared
SCORE, MASK = 1e-4, 1e-3  # what may differ; of a box a ten-thousandth of the image's longer side
TIE = 1e-5  # scores of one class that are nearer cannot be put in order, and which of them is left out is chance
OPSET = 17


def export_detector(loaded: Loaded, form: str, target: Path, files: list[str]) -> tuple[float, int]:
    """Writes the file.

    Args:
        loaded: the run.
        form: onnx or safetensors.
        target: the file.
        files: images to compare on; empty for test images.

    Returns:
        The largest difference of a score, of a box as a share of the image's side, or of a mask; and how many objects
        were compared.

    Raises:
        UserError: the network cannot be written in this form, or no image is there to compare on.
        RunFailed: what was written finds other objects; it is not left behind.
        OSError: the file cannot be written.
    """
    import torch

    from experiments.commands.export_formats import SUFFIXES
    from experiments.commands.export_preprocessing import preprocessing
    from experiments.system.files import write_text

    if form == "torch-export":
        raise UserError(
            "a detector cannot be written as torch-export, as the number of its objects depends on the image: "
            "take --format onnx, or --format safetensors for the weights"
        )
    images = _images(loaded, files)
    about = json_text(preprocessing(loaded) | about_detector(loaded))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as place:
        written = Path(place) / f"model{SUFFIXES[form]}"
        try:
            again = (_onnx if form == "onnx" else _safetensors)(loaded, images[0], written, about)
        except OSError:
            raise
        except Exception as error:
            raise UserError(
                f"this detector cannot be written as {form} ({first_line(error)}): try --format safetensors"
            ) from error
        largest, count = 0.0, 0
        for image in images:
            with torch.no_grad():
                expected = loaded.model.eval()([image])[0]
            difference = apart(expected, again(image), max(image.shape[1:]))
            if difference is None:
                raise RunFailed(
                    f"the detector written as {form} finds other objects than the run in an image of "
                    f"{image.shape[2]}×{image.shape[1]}: no file is left; try another --format"
                )
            largest, count = max(largest, difference[0]), count + difference[1]
        beside = target.with_name(f"{target.name}.json")
        write_text(beside, about + "\n")
        written.chmod(beside.stat().st_mode)
        written.replace(target)
    return largest, count


def about_detector(loaded: Loaded) -> dict[str, Any]:
    """Return what goes in and what comes out, as plain Python."""
    objects = {
        "boxes": "(objects, 4): x1, y1, x2 and y2 in pixels of the image",
        "labels": "(objects,): numbers of `classes`, from 0",
        "scores": "(objects,): the best first",
    }
    if loaded.spec.masks:
        objects["masks"] = "(objects, 1, height, width): from 0 to 1; 0.5 and more is the object"
    return {
        "input": {"name": "image", "shape": [3, "height", "width"], "scale_pixels_to": [0, 1], "colours": "RGB"},
        "output": objects,
    }


def apart(expected: dict[str, Tensor], actual: dict[str, Tensor], side: int) -> tuple[float, int] | None:
    """Return the largest difference of two lists of objects, and how many were compared; None where they are others.

    Objects of one score may come in any order, so each is compared with the nearest of its class. Of two that overlap the one
    with the lower score is left out, so where scores are as good as equal, as in networks that have hardly learned, boxes
    may be others: such objects are not compared, but by their scores.
    """
    import torch

    if len(expected["scores"]) != len(actual["scores"]):
        return None
    scores, labels = expected["scores"], expected["labels"]
    if not bool((scores.sort()[0] - actual["scores"].sort()[0]).abs().le(10 * SCORE).all()):
        return None
    largest, compared = 0.0, 0
    for place in range(len(scores)):
        boxes = (actual["boxes"] - expected["boxes"][place]).abs().amax(1) / side
        total = torch.maximum(boxes, (actual["scores"] - scores[place]).abs()) + (actual["labels"] != labels[place])
        nearest = int(total.argmin())
        difference = float(total[nearest])
        fits = difference <= max(SCORE, MASK if "masks" in expected else 0.0)
        if not fits and int(((scores - scores[place]).abs().le(TIE) & (labels == labels[place])).sum()) > 1:
            continue
        if fits and "masks" in expected:
            mask = float((actual["masks"][nearest] - expected["masks"][place]).abs().mean())
            fits, difference = mask <= MASK, max(difference, mask)
        if not fits:
            return None
        largest, compared = max(largest, difference), compared + 1
    return largest, compared


def _images(loaded: Loaded, files: list[str]) -> list[Tensor]:
    """Return some images (3, H, W) from 0 to 1, at least two of unlike sizes."""
    from torch.nn.functional import interpolate

    if files:
        from experiments.commands.predict_inputs import image_files

        images = list(loaded.prepare(image_files(files)[:IMAGES]))
    else:
        images = loaded.data.sample("test", IMAGES)[0]
    half = interpolate(images[0][None], scale_factor=(0.75, 1.0), mode="bilinear", antialias=True)[0]
    return [*images, half]


def _onnx(loaded: Loaded, image: Tensor, path: Path, about: str) -> Any:
    """Writes the file by torch's older exporter, which reads one image's trace: the newer one stops at the number of
    objects, which depends on the image.
    """
    import onnx
    import onnxruntime
    import torch
    from torch import nn

    model = loaded.model
    names = ["boxes", "labels", "scores", *(["masks"] if loaded.spec.masks else [])]

    class OneImage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            detections = self.model([image])[0]
            return tuple(detections[name] for name in names)

    free: dict[str, dict[int, str]] = {name: {0: "objects"} for name in names} | {"image": {1: "height", 2: "width"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            OneImage().eval(),
            (image,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes=free,
        )
    made = onnx.load(str(path))
    entry = made.metadata_props.add()
    entry.key, entry.value = "preprocessing", about
    onnx.save(made, str(path))
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # it warns of every output whose size it did not foresee
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])

    def run(image: Tensor) -> dict[str, Tensor]:
        values = session.run(names, {"image": image.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}

    return run


def _safetensors(loaded: Loaded, image: Tensor, path: Path, about: str) -> Any:
    import torch
    from safetensors.torch import load_file, save_file

    from experiments.run.auto_settings import arrange
    from experiments.run.build import build_model

    state = {name: value.detach().clone().contiguous() for name, value in loaded.model.state_dict().items()}
    save_file(state, path, metadata={"format": "pt", "preprocessing": about})
    again = build_model(loaded.config, loaded.spec).eval()
    arrange(again, loaded.config.trainer.get("memory_format", "contiguous"))
    again.load_state_dict(load_file(path))

    def run(image: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            return again([image])[0]

    return run

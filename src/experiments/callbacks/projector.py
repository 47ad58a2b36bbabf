"""Codes for TensorBoard's projector: `tensorboard --logdir RUN`, and there PROJECTOR."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.errors import in_short
from experiments.system.files import atomic_path, write_text
from experiments.tasks.report import report_of

log = logging.getLogger(__name__)
SIDE = 32  # pixels of a thumbnail at most: TensorBoard reads sheets of up to 8192


class Projector(Callback):
    """Writes what the report's `embedding` gives after the test, where it gives something; a failure costs one line of warning.

    Args:
        dir: the run's folder, beside the event files.
    """

    def __init__(self, dir: str) -> None:
        self._folder = Path(dir)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        try:
            embedding = report_of(pl_module).embedding()
            if embedding is not None:
                write(self._folder, embedding)
        except Exception as error:  # the run is worth more
            log.warning("The projector was not written: %s", in_short(error))


class _Sheet(NamedTuple):
    path: str
    height: int
    width: int


def write(folder: Path, embedding: tuple[Tensor, list[str], Tensor | None]) -> None:
    """Vectors (N, D), their labels, and pictures (N, C, H, W) from 0 to 1 or None, into FOLDER/projector."""
    vectors, labels, pixels = embedding
    rows = ("\t".join(f"{value:.5g}" for value in row) for row in vectors.tolist())
    write_text(folder / "projector" / "codes.tsv", "\n".join(rows) + "\n")
    write_text(folder / "projector" / "labels.tsv", "\n".join(" ".join(label.split()) for label in labels) + "\n")
    lines = [
        "embeddings {",
        '  tensor_name: "codes"',
        '  tensor_path: "projector/codes.tsv"',
        '  metadata_path: "projector/labels.tsv"',
    ]
    if pixels is not None:
        sheet = _sheet(folder, pixels)
        size = f"single_image_dim: {sheet.width} single_image_dim: {sheet.height}"
        lines.append(f'  sprite {{ image_path: "{sheet.path}" {size} }}')
    write_text(folder / "projector_config.pbtxt", "\n".join([*lines, "}"]) + "\n")


def _sheet(folder: Path, pixels: Tensor) -> _Sheet:
    """Return all pictures in one square one, row by row, as the projector cuts it."""
    from PIL import Image

    if max(pixels.shape[2:]) > SIDE:
        pixels = torch.nn.functional.interpolate(pixels, size=(SIDE, SIDE), mode="area")
    count, _, tall, wide = pixels.shape
    side = math.ceil(math.sqrt(count))
    whole = torch.ones(side * side, 3, tall, wide)
    whole[:count] = pixels
    sheet = whole.view(side, side, 3, tall, wide).permute(0, 3, 1, 4, 2).reshape(side * tall, side * wide, 3)
    with atomic_path(folder / "projector" / "pictures.png") as temporary:
        Image.fromarray((sheet.clamp(0, 1) * 255).round().byte().numpy()).save(temporary, "PNG")
    return _Sheet("projector/pictures.png", tall, wide)

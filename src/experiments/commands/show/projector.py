"""Files that TensorBoard's projector opens: `tensorboard --logdir RUN/show`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.commands.show.survey import Survey
from experiments.system.files import atomic_path, write_text


def write_projector(folder: Path, surveyed: Survey, classes: Sequence[str]) -> None:
    """Writes vectors, labels, a sheet of thumbnails where there are images, and what names them, into a folder.

    Raises:
        OSError: when the folder cannot be written to.
    """
    place = folder / "projector"
    vectors = ("\t".join(f"{value:.6g}" for value in row) for row in surveyed.features.tolist())
    write_text(place / "features.tsv", "\n".join(vectors) + "\n")
    guessed = surveyed.scores.argmax(1).tolist()
    rows = [
        f"{_plain(classes[true])}\t{_plain(classes[guess])}\t{'right' if true == guess else 'wrong'}\t{number}"
        for true, guess, number in zip(surveyed.targets.tolist(), guessed, surveyed.indices.tolist(), strict=True)
    ]
    write_text(place / "labels.tsv", "\n".join(["class\tpredicted\tanswer\tnumber", *rows]) + "\n")
    lines = [
        "embeddings {",
        '  tensor_name: "features before the head"',
        '  tensor_path: "projector/features.tsv"',
        '  metadata_path: "projector/labels.tsv"',
    ]
    if surveyed.thumbnails is not None:
        tall, wide = surveyed.thumbnails.shape[1:3]
        with atomic_path(place / "thumbnails.png") as temporary:
            _sheet(surveyed.thumbnails).save(temporary, "PNG")
        lines += [
            "  sprite {",
            '    image_path: "projector/thumbnails.png"',
            f"    single_image_dim: {wide}",
            f"    single_image_dim: {tall}",
            "  }",
        ]
    write_text(folder / "projector_config.pbtxt", "\n".join([*lines, "}"]) + "\n")


def _sheet(thumbnails: np.ndarray):  # type: ignore[no-untyped-def]
    """(N, h, w, 3) uint8 -> one square Pillow image, row by row, as the projector cuts it."""
    from PIL import Image

    count, tall, wide, _ = thumbnails.shape
    side = math.ceil(math.sqrt(count))
    sheet = np.full((side * tall, side * wide, 3), 255, np.uint8)
    for place, thumbnail in enumerate(thumbnails):
        row, column = divmod(place, side)
        sheet[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide] = thumbnail
    return Image.fromarray(sheet)


def _plain(name: str) -> str:
    return " ".join(name.split())

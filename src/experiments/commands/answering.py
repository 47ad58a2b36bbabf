"""A run that answers single inputs, given as bytes of a file or as text: what `serve` and `demo` share."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.commands.predict import rounded
from experiments.errors import UserError
from experiments.run.loaded import load
from experiments.tasks.report import report_of

IMAGES, SOUNDS = ("image", "boxes", "instances", "masks"), ("audio", "speech")
TEXTS = ("text", "words", "pair", "question", "control", "demonstrations")
PIXELS = 50_000_000  # of an image
_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}


class Answerer:
    """A loaded run. Nothing of its folder is run: see `experiments.run.trust`.

    Args:
        run: its folder.
        command: what asks, for the sentence where it cannot.

    Raises:
        UserError: when the run cannot be loaded, or takes no single inputs.
    """

    def __init__(self, run: str, command: str) -> None:
        self.loaded = load(run, command)
        chosen = self.loaded.config.run.choices
        self.kind = str((self.loaded.config.data.get("gives") or {}).get("kind", "image"))
        self.name = f"{chosen.get('model')} on {chosen.get('data')}"
        if self.kind not in (*IMAGES, *SOUNDS, *TEXTS, "series"):
            raise UserError(
                f"experiments {command} has no way to give {self.kind}: use experiments predict {run} INPUT"
            )

    @property
    def takes_files(self) -> bool:
        """Whether an input is a file, and no text."""
        return self.kind in (*IMAGES, *SOUNDS, "series")

    def about(self) -> dict[str, Any]:
        """Return what the run is, as plain Python."""
        spec, record = self.loaded.spec, self.loaded.record
        return {
            "name": self.name,
            "task": self.loaded.config.run.choices.get("task"),
            "input": self.kind,
            "encoding": "base64 of a file" if self.takes_files else "text",
            "classes": list(getattr(spec, "classes", ()) or ()),
            "metrics": {name: value for name, value in record["metrics"].items() if name.startswith("test/")},
        }

    def of_file(self, content: bytes, top: int | None = None) -> dict[str, Any]:
        """Return the answer to a file's content, as `experiments predict` has it.

        Raises:
            UserError: when the content is no file of the run's kind, or too large.
        """
        suffix = self._suffix(content)
        with tempfile.TemporaryDirectory(prefix="experiments-") as folder:
            path = Path(folder) / f"input{suffix}"
            path.write_bytes(content)
            try:
                return self._first([path], top)
            except UserError as error:
                raise UserError(str(error).replace(str(path), "the file")) from None

    def of_text(self, text: str, top: int | None = None) -> dict[str, Any]:
        """Return the answer to a text.

        Raises:
            UserError: when the run cannot read it.
        """
        if not text.strip():
            raise UserError("the text is empty: give a word or more")
        return self._first([text], top)

    def _first(self, inputs: list[Any], top: int | None) -> dict[str, Any]:
        return self.loaded.answers(inputs, top or report_of(self.loaded.task).top)[0]

    def _suffix(self, content: bytes) -> str:
        if not content:
            raise UserError("the file is empty: give one with content")
        if self.kind in SOUNDS:
            return ".wav" if content[:4] == b"RIFF" else ".flac" if content[:4] == b"fLaC" else ".ogg"
        if self.kind == "series":
            return ".csv"
        import io

        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(content)) as image:  # reads its head alone
                width, height, form = *image.size, image.format
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError("the file is no image that can be read: give PNG or JPEG") from error
        if width * height > PIXELS:
            raise UserError(
                f"the image has {width:,} × {height:,} pixels, and {PIXELS:,} are read at most: make it smaller"
            )
        return _SUFFIX.get(str(form), ".png")


def as_json(value: Any) -> Any:
    """Return an answer as what JSON can say: files in it as base64, numbers to six decimals."""
    if type(value).__name__ == "Attachment":
        return {"suffix": value.suffix, "base64": base64.b64encode(value.content).decode()}
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    return rounded(value)

"""A run that answers single inputs, given as bytes of a file, as text or as numbers: what `serve` and `demo` share."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.commands.answer_table import rounded
from experiments.config.metric_names import split_of
from experiments.errors import UserError
from experiments.run.loaded import Loaded
from experiments.tasks.report import Attachment, report_of

IMAGES, SOUNDS = ("image", "boxes", "instances", "masks"), ("audio", "speech")
TEXTS, OBSERVATIONS = ("text", "words", "pair", "question"), ("control", "demonstrations")
PIXELS = 50_000_000  # of an image
SECONDS = 600  # of a sound
LETTERS = 200_000  # of a text
_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp"}

Given = bytes | str | Sequence[Any] | Mapping[str, Any]


class Answerer:
    """A loaded run. Nothing of its folder is run: see `experiments.run.trust`.

    Args:
        loaded: the run.
        command: what asks, for the sentence where it cannot.

    Attributes:
        kind: what the run's data give.
        fields: names of the parts of an input, such as question and passage; empty where an input is one text or file.

    Raises:
        UserError: when the run takes no single inputs.
    """

    def __init__(self, loaded: Loaded, command: str) -> None:
        self.loaded = loaded
        chosen = loaded.config.run.choices
        self.kind = str((loaded.config.data.get("gives") or {}).get("kind", "image"))
        self.name = f"{chosen.get('model')} on {chosen.get('data')}"
        if self.kind not in (*IMAGES, *SOUNDS, *TEXTS, *OBSERVATIONS, "series"):
            raise UserError(
                f"data={chosen.get('data')} gives {self.kind}, of which experiments {command} takes no single input: "
                f"use experiments evaluate {loaded.folder}"
            )
        self.fields: tuple[str, ...] = ()
        if self.kind == "question":
            self.fields = ("question", "passage")
        elif self.kind in OBSERVATIONS:
            self.fields = tuple(loaded.spec.observations)
        elif getattr(loaded.reader, "paired", False):
            self.fields = ("first", "second")

    @property
    def takes_files(self) -> bool:
        """Whether an input is a file, and no text."""
        return self.kind in (*IMAGES, *SOUNDS, "series")

    @property
    def form(self) -> str:
        """Say in a sentence what an input is."""
        if self.kind in IMAGES:
            return "an image, as base64 of a PNG, JPEG, GIF, BMP, TIFF or WebP file"
        if self.kind in SOUNDS:
            return "a sound, as base64 of a WAV, FLAC, OGG or MP3 file"
        if self.kind == "series":
            columns = ", ".join(self.loaded.spec.columns)
            return f"the past, as base64 of a CSV file with a column of times and {columns}"
        if self.kind in OBSERVATIONS:
            return f"an observation: a list of {len(self.fields)} numbers, or an object of them by name"
        if self.fields:
            first, other = self.fields
            return f"a list [{first}, {other}], an object of the two by name, or one text with ||| between them"
        return f"a text in {self.loaded.spec.languages[0]}" if self.kind == "pair" else "a text"

    def about(self) -> dict[str, Any]:
        """Return what the run is, as plain Python."""
        spec, record = self.loaded.spec, self.loaded.record
        return {
            "name": self.name,
            "task": self.loaded.config.run.choices.get("task"),
            "input": self.kind,
            "form": self.form,
            "fields": list(self.fields),
            "encoding": "base64 of a file" if self.takes_files else "JSON",
            "classes": list(getattr(spec, "classes", ()) or ()),
            "metrics": {
                name: value for name, value in record.get("metrics", {}).items() if split_of(name) == "test"
            },
        }  # fmt: skip

    def of(self, given: Given, top: int | None = None) -> dict[str, Any]:
        """Return the answer to one input, as `experiments predict` has it.

        Args:
            given: a file's content; or a text, a list, or a mapping with the names of `fields`.
            top: how many of a ranked list; None: as the task has it.

        Raises:
            UserError: when it is no input of the run's kind, or too large.
        """
        if isinstance(given, bytes):
            return self._of_file(given, top)
        if self.takes_files:
            raise UserError(f"the input is no file: give {self.form}")
        return self._first([self._in_order(given)], top)

    def _of_file(self, content: bytes, top: int | None) -> dict[str, Any]:
        suffix = self._suffix(content)
        with tempfile.TemporaryDirectory(prefix="experiments-") as folder:
            path = Path(folder) / f"input{suffix}"
            path.write_bytes(content)
            try:
                return self._first([path], top)
            except UserError as error:
                raise UserError(str(error).replace(str(path), "the file")) from None

    def text(self, given: Any) -> str:
        """Return a text, or several with a tab between them, as `experiments predict` reads them."""
        fields = self._in_order(given)
        return fields if isinstance(fields, str) else "\t".join(map(str, fields))

    def _in_order(self, given: Any) -> Any:
        """Return an input as the data module reads it: a text, or an observation as numbers."""
        if isinstance(given, Mapping):
            if set(given) != set(self.fields):
                raise UserError(
                    f"the input has the names {', '.join(map(str, given)) or 'of nothing'}: give {self.form}"
                )
            given = [given[name] for name in self.fields]
        if isinstance(given, str):
            if len(given) > LETTERS:
                raise UserError(f"the text has {len(given):,} letters, and {LETTERS:,} are read at most: shorten it")
            if not given.strip():
                raise UserError("the text is empty: give a word or more")
            return given
        if len(given) != len(self.fields) or not self.fields:
            raise UserError(f"the input is a list of {len(given)}: give {self.form}")
        if self.kind in OBSERVATIONS:
            if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in given):
                raise UserError(f"the observation has an entry that is no number: give {self.form}")
            return list(given)
        if not all(isinstance(text, str) and text.strip() for text in given):
            raise UserError(f"the input has a part that is empty or no text: give {self.form}")
        return self._in_order("\t".join(text.replace("\t", " ") for text in given))

    def _first(self, inputs: list[Any], top: int | None) -> dict[str, Any]:
        return self.loaded.answers(inputs, top or report_of(self.loaded.task).top)[0]

    def _suffix(self, content: bytes) -> str:
        if not content:
            raise UserError("the file is empty: give one with content")
        if self.kind in SOUNDS:
            return _sound(content)
        return ".csv" if self.kind == "series" else _image(content)


def _image(content: bytes) -> str:
    """Return the ending of an image file, once its head has told that it is not too large."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:  # reads its head alone
            width, height, form = *image.size, image.format
    except Image.DecompressionBombError:  # whose size Pillow does not tell
        raise UserError(
            f"the image has many more pixels than the {PIXELS:,} that are read at most: make it smaller"
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UserError("the file is no image that can be read: give PNG or JPEG") from error
    if width * height > PIXELS:
        raise UserError(
            f"the image has {width:,} × {height:,} pixels, and {PIXELS:,} are read at most: make it smaller"
        )
    return _SUFFIX.get(str(form), ".png")


def _sound(content: bytes) -> str:
    """Return the ending of a sound file, once its head has told that it is not too long."""
    import soundfile

    try:
        head = soundfile.info(io.BytesIO(content))
    except (OSError, RuntimeError) as error:
        raise UserError("the file is no sound that can be read: give WAV, FLAC, OGG or MP3") from error
    if head.frames > SECONDS * head.samplerate:
        raise UserError(f"the sound has {head.frames / head.samplerate:,.0f} s, and {SECONDS} are read at most: cut it")
    return f".{head.format.lower()}"


def as_json(value: Any) -> Any:
    """Return an answer as what JSON can say: files in it as base64, numbers to six decimals."""
    if isinstance(value, Attachment):
        return {"suffix": value.suffix, "base64": base64.b64encode(value.content).decode()}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return rounded(value)

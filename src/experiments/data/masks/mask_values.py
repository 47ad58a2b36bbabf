"""What the values of mask files mean: an index or a colour a class, and values that are ignored."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.errors import UserError

IGNORED = 255  # in masks as the model gets them
MOST = 255  # classes


class RawMask(NamedTuple):
    """A mask file as it is.

    Attributes:
        values: (H, W) int64; of a mask in colours, red · 65536 + green · 256 + blue.
        coloured: whether the values are colours.
        palette: colours of the indices, as "#rrggbb", where the file has some.
    """

    values: np.ndarray
    coloured: bool
    palette: tuple[str, ...] = ()


@dataclass(frozen=True)
class Meaning:
    """Which value of a mask file stands for which class.

    Attributes:
        classes: names.
        values: one a class: an index, or a packed colour.
        ignored: values of pixels that are not looked at.
        coloured: whether values are colours.
        colours: of the classes when they are drawn; empty where any will do.
    """

    classes: tuple[str, ...]
    values: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    coloured: bool = False
    colours: tuple[str, ...] = ()

    def indices(self, raw: RawMask, path: str | Path) -> np.ndarray:
        """Return the class of each pixel, (H, W) uint8, 255 where it is ignored.

        Raises:
            UserError: the mask holds a value that stands for no class.
        """
        values = raw.values
        if raw.coloured and not self.coloured:
            red, green, blue = values >> 16, (values >> 8) & 255, values & 255
            if (red != green).any() or (red != blue).any():
                raise UserError(
                    f"{path} is a mask in colours and the others hold indices of classes: make them alike, or set data.colours"
                )
            values = red
        elif self.coloured and not raw.coloured:
            values = _colours_of(raw, path)
        values_known = np.array([*self.values, *self.ignored], np.int64)
        order = np.argsort(values_known, kind="stable")
        place = np.searchsorted(values_known[order], values).clip(max=len(values_known) - 1)
        nearest = order[place]
        wrong = values_known[nearest] != values
        if wrong.any():
            raise UserError(self._unknown(int(values[wrong][0]), int(wrong.sum()), path))
        return np.where(nearest < len(self.classes), nearest, IGNORED).astype(np.uint8)

    def _unknown(self, value: int, count: int, path: str | Path) -> str:
        if self.coloured:
            few = ", ".join(f"{n} {as_hex(v)}" for n, v in list(zip(self.classes, self.values, strict=True))[:6])
            return (
                f"{path} has {count} pixels of the colour {as_hex(value)}, which no class has (there are {few}): add it to "
                "data.colours or data.ignore, and save masks without losses, as PNG"
            )
        named = "which no class has" if not self.classes else f"and the classes are {values_in_words(self.values)}"
        return f"{path} has {count} pixels of the value {value}, {named}: name its class in data.classes, or set data.ignore={value}"


def _colours_of(raw: RawMask, path: str | Path) -> np.ndarray:
    """Return the packed colour of each pixel of a mask of indices, (H, W) int64: by its palette, else its grey.

    Raises:
        UserError: a pixel's index is beyond the palette, or no grey of a byte.
    """
    most = len(raw.palette) if raw.palette else 256
    wrong = (raw.values < 0) | (raw.values >= most)
    if wrong.any():
        what = f"its palette has {most} colours" if raw.palette else "it has no palette, where greys end at 255"
        raise UserError(
            f"{path} has {int(wrong.sum())} pixels of the index {int(raw.values[wrong][0])}, and {what}: save it with all colours, "
            "or say what the indices mean with data.classes in place of data.colours"
        )
    if not raw.palette:
        return raw.values * 0x010101
    return np.array([int(colour[1:], 16) for colour in raw.palette], np.int64)[raw.values]


def _require_one_palette(masks: Sequence[RawMask]) -> None:
    """Refuses masks whose palettes give one index several colours, as programs do that number the colours of each image anew.

    Raises:
        UserError: naming the first such index.
    """
    colours: dict[int, str] = {}
    for mask in masks:
        for value in np.unique(mask.values).tolist() if mask.palette else ():
            colour = mask.palette[value] if value < len(mask.palette) else ""
            if colours.setdefault(value, colour) != colour:
                raise UserError(
                    f"the masks give the index {value} several colours ({colours[value]}, {colour}), so that it is no class: say in "
                    "data.colours which colour each class has, or in data.classes what the indices mean whatever their colours"
                )


def values_in_words(values: Sequence[int]) -> str:
    """0 to 10, or 0, 3, 7."""
    if len(values) > 2 and list(values) == list(range(values[0], values[0] + len(values))):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values[:12]))


def read_raw(path: str | Path) -> RawMask:
    """Reads a mask of any mode: indices of 1, 8 or 16 bits, a palette, or colours.

    Raises:
        UserError: the file cannot be read as one.
    """
    from PIL import Image

    try:
        with Image.open(path) as opened:
            opened.load()
            image = opened if opened.mode not in ("LA", "La", "PA") else opened.convert(opened.mode[0])
            if image.mode == "P":
                flat = image.getpalette() or []
                palette = tuple("#{:02x}{:02x}{:02x}".format(*flat[at : at + 3]) for at in range(0, len(flat) - 2, 3))
                return RawMask(np.asarray(image).astype(np.int64), False, palette)
            if image.mode in ("1", "L") or image.mode.startswith("I"):
                return RawMask(np.asarray(image).astype(np.int64), False)
            if image.mode in ("RGB", "RGBA", "RGBX"):
                pixels = np.asarray(image.convert("RGB")).astype(np.int64)
                return RawMask(pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2], True)
            mode = image.mode
    except Exception as error:  # Pillow raises a dozen kinds
        why = "there is no such file" if not Path(path).exists() else str(error) or type(error).__name__
        raise UserError(f"{path} is no readable mask ({why}): save it as PNG") from error
    raise UserError(f"{path} is a picture of the mode {mode}, and masks are indices or colours: save it as PNG")


def understood(
    masks: Sequence[RawMask],
    classes: Sequence[str] | None,
    colours: dict[str, int] | None,
    ignore: Sequence[int] | None,
) -> Meaning:
    """Finds out what values mean, from what was said and what the masks hold.

    Colours that were named decide; else every value that occurs is a class, but 255, which is ignored where it is not one of
    two (as in masks of black and white) and nothing else was said.

    Args:
        masks: of the training split.
        classes: names in the order of the values, or None.
        colours: packed, by class, or None.
        ignore: values, or None where nothing was said.

    Raises:
        UserError: there are fewer than two classes or more than 255, or the names do not fit the values.
    """
    if colours is not None:
        names = tuple(classes or colours)
        unknown = [name for name in names if name not in colours]
        if unknown:
            raise UserError(f"data.classes has {unknown[0]}, which has no colour in data.colours: add it")
        packed = tuple(colours[name] for name in names)
        away = tuple(value for name, value in colours.items() if name not in names)  # not chosen: not looked at
        return _without_ignored(Meaning(names, packed, (*(ignore or ()), *away), True, tuple(map(as_hex, packed))))
    if classes is None:
        _require_one_palette(masks)
    grey = all(_is_grey(mask) for mask in masks)
    coloured = any(mask.coloured for mask in masks) and not grey
    values_there: set[int] = set()
    for mask in masks:
        plain = mask.values & 255 if mask.coloured and grey else mask.values
        values_there |= set(np.unique(plain).tolist())
        if len(values_there) > MOST + 1 + len(ignore or ()):
            raise UserError(
                f"the masks hold {len(values_there)} values or more, too many for classes: they are photographs, numbers of objects or "
                "were saved with losses (JPEG); save them as PNG with a value a class"
            )
    two_tone = not coloured and values_there <= {0, IGNORED} and (classes is None or len(classes) == 2)
    if ignore is None:
        ignore = () if coloured or two_tone else (IGNORED,)
    if classes is not None:
        if coloured:
            raise UserError("data.classes names classes of masks in colours: say in data.colours which colour each has")
        if not 2 <= len(classes) <= MOST:
            raise UserError(
                f"data.classes has {len(classes)} names: give 2 to {MOST}, in the order of the values of the masks"
            )
        if two_tone and IGNORED in values_there and IGNORED not in ignore:
            return _without_ignored(Meaning(tuple(classes), (0, IGNORED), tuple(ignore)))
        shades = _palette(masks, len(classes))
        return _without_ignored(Meaning(tuple(classes), tuple(range(len(classes))), tuple(ignore), False, shades))
    values = sorted(values_there - set(ignore))
    if not coloured and values and max(values) < min(MOST, 2 * len(values)):
        values = list(range(max(values) + 1))  # indices: one that no training mask holds is a class too
    if len(values) < 2:
        raise UserError(
            f"the masks hold {len(values)} value{'s' if len(values) != 1 else ''} besides ignored ones, and a class needs another to be "
            "told from: check the masks, data.ignore and data.colours"
        )
    if len(values) > MOST:
        raise UserError(
            f"the masks hold {len(values)} values, more than {MOST} classes: save them with a value a class"
        )
    names = tuple(as_hex(value) if coloured else str(value) for value in values)
    shown = names if coloured else _palette(masks, max(values) + 1)
    picked = tuple(shown[value] for value in values) if shown and not coloured else tuple(shown)
    return Meaning(names, tuple(values), tuple(ignore), coloured, picked)


def _without_ignored(meaning: Meaning) -> Meaning:
    """Return the meaning without the classes whose values are ignored, as of a named void.

    Raises:
        UserError: fewer than two classes are left.
    """
    kept = [place for place, value in enumerate(meaning.values) if value not in meaning.ignored]
    if len(kept) < 2:
        raise UserError(
            f"data.ignore leaves {len(kept)} of the classes {', '.join(meaning.classes[:12])}, and a class needs another to be told "
            "from: ignore fewer values"
        )
    return replace(
        meaning,
        classes=tuple(meaning.classes[place] for place in kept),
        values=tuple(meaning.values[place] for place in kept),
        colours=tuple(meaning.colours[place] for place in kept) if meaning.colours else (),
    )


def require_distinct(colours: Sequence[tuple[str, int]], where: str) -> dict[str, int]:
    """Return colours by class.

    Raises:
        UserError: a class is named twice, or two classes have one colour.
    """
    by_name: dict[str, int] = {}
    for name, colour in colours:
        if name in by_name:
            raise UserError(f"{where} names the class {name} twice: name each once")
        other = next((first for first, value in by_name.items() if value == colour), None)
        if other is not None:
            raise UserError(f"{where} gives {other} and {name} one colour, {as_hex(colour)}: give each its own")
        by_name[name] = colour
    return by_name


def _is_grey(mask: RawMask) -> bool:
    if not mask.coloured:
        return True
    values = mask.values
    return bool((values == (values & 255) * 0x010101).all())


def _palette(masks: Sequence[RawMask], count: int) -> tuple[str, ...]:
    palette = next((mask.palette for mask in masks if len(mask.palette) >= count), ())
    return palette[:count] if len(set(palette[:count])) == count else ()


def as_hex(value: int) -> str:
    """Return a packed colour as "#rrggbb"."""
    return f"#{value:06x}"


def packed(colour: object, key: str) -> int:
    """Return a colour, "#rrggbb" or three numbers, as one number.

    Raises:
        UserError: it is neither.
    """
    if isinstance(colour, str) and len(colour) == 7 and colour.startswith("#"):
        try:
            return int(colour[1:], 16)
        except ValueError:
            pass
    if (
        isinstance(colour, Sequence)
        and not isinstance(colour, str)
        and len(colour) == 3
        and all(isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= 255 for number in colour)
    ):
        red, green, blue = colour
        return red << 16 | green << 8 | blue
    raise UserError(f'{key}={colour} is no colour: give three numbers from 0 to 255, as in [128,0,0], or "#800000"')


def distinct_colours(count: int) -> tuple[str, ...]:
    """Colours for classes that have none: black for the first, as it is the background in most cases, then hues far apart."""
    shades = [
        colorsys.hsv_to_rgb(
            (0.02 + number * 0.61803) % 1, (0.85, 0.55, 0.95)[number % 3], (0.9, 0.75, 0.55)[number // 3 % 3]
        )
        for number in range(count - 1)
    ]
    return ("#000000", *(f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}" for r, g, b in shades))

"""Pictures in a row as an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

COLOURS = 64


def gif(pictures: Sequence[np.ndarray], per_second: float, widest: int = 400) -> bytes:
    """(H, W, 3) bytes each -> the content of a GIF that repeats.

    Args:
        pictures: of one size.
        per_second: pictures a second; the format knows whole hundredths of a second, and two of them at least.
        widest: pixels; wider pictures are made smaller.
    """
    first = Image.fromarray(pictures[0])
    scale = min(1.0, widest / first.width)
    size = round(first.width * scale), round(first.height * scale)
    # One palette for all, else colours flicker.
    palette = first.resize(size).quantize(COLOURS, dither=Image.Dither.NONE)
    frames = [
        Image.fromarray(picture).resize(size).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in pictures
    ]
    out = io.BytesIO()
    pause = max(2, round(100 / per_second)) * 10
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=pause, loop=0, optimize=False)
    return out.getvalue()

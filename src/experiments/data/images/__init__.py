"""Images with one label each.

Attributes:
    SUFFIXES: file endings that count as images in a class folder. No GIF: sets of photographs carry them as placeholders
        and buttons.
"""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".avif", ".tif", ".tiff", ".ppm", ".pgm"}
)

"""What a dataset says of itself. Frozen dataclasses, standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ImageSpec:
    """Images of one size with one label each.

    Attributes:
        channels: 1 for grey, 3 for colour.
        height: pixels, as the model receives them.
        width: pixels, as the model receives them.
        classes: class names; a label is an index into them.
        mean: one value a channel, of pixels scaled to [0, 1], taken from the training part.
        std: standard deviations, likewise.
    """

    channels: int
    height: int
    width: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def inputs(self) -> dict[str, Any]:
        """Keyword arguments that every image model takes."""
        return {"in_channels": self.channels, "image_size": (self.height, self.width)}

    @property
    def num_classes(self) -> int:
        return len(self.classes)

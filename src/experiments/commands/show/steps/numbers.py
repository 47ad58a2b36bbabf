"""Numbers, rows of them and maps as they are written on a command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def row(option: str, text: str, least: int = 1, most: int = 12) -> list[float]:
    """`1 2 3` or `1,2,3` as numbers.

    Raises:
        UserError: it is no row of so many finite numbers.
    """
    cure = f'write numbers such as {option} "1 0 2"'
    try:
        values = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise UserError(f'{option} "{text}" must be numbers: {cure}') from None
    if not all(map(math.isfinite, values)):
        raise UserError(f'{option} "{text}" must be finite numbers: {cure}')
    if not least <= len(values) <= most:
        words = f"{least}" if least == most else f"{least} to {most}"
        raise UserError(f'{option} "{text}" has {len(values)} numbers and must have {words}: {cure}')
    return values


def maps(option: str, text: str) -> list[np.ndarray]:
    """`1 0; 0 1 | 2 2; 2 2` as matrices of one size, a channel each.

    Raises:
        UserError: they are no such matrices.
    """
    from experiments.commands.show.convolution import matrix

    matrices = [matrix(option, part) for part in text.split("|")]
    if len({array.shape for array in matrices}) != 1:
        sizes = ", ".join(" × ".join(map(str, array.shape)) for array in matrices)
        raise UserError(f'{option} "{text}" has channels of unlike sizes ({sizes}): give each as many rows and columns')
    return matrices


def require_above(option: str, value: float, least: float, strictly: bool = False) -> None:
    """Raises for a number below what makes sense.

    Raises:
        UserError: it is below, or no number.
    """
    if not math.isfinite(value) or value < least or (strictly and value == least):
        words = f"above {least:g}" if strictly else f"{least:g} or more"
        raise UserError(f"{option} {value:g} must be {words}: try {option} {max(1, math.ceil(least))}")

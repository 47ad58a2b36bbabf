"""Numbers, rows of them and maps as they are written on a command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from experiments.errors import UserError

if TYPE_CHECKING:
    import numpy as np

MOST = 20  # rows and columns; more cannot be read


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


def matrix(option: str, text: str) -> np.ndarray:
    """`1 0; 0 1` as numbers, rows by columns.

    Raises:
        UserError: it is no rectangle of numbers, or too large to be read.
    """
    import numpy as np

    cure = f'write rows such as {option} "1 0; 0 1"'
    try:
        rows = [[float(word) for word in row.replace(",", " ").split()] for row in text.strip(" ;").split(";")]
    except ValueError:
        raise UserError(f'{option} "{text}" must be numbers: {cure}') from None
    if not rows[0] or len({len(row) for row in rows}) != 1:
        raise UserError(f'{option} "{text}" must have equally many numbers in each row: {cure}')
    if max(len(rows), len(rows[0])) > MOST:
        raise UserError(f"{option} has {len(rows)} × {len(rows[0])} numbers; more than {MOST} cannot be read: {cure}")
    values = np.array(rows)
    if not np.isfinite(values).all():
        raise UserError(f'{option} "{text}" must be finite numbers: {cure}')
    return values


def maps(option: str, text: str) -> list[np.ndarray]:
    """`1 0; 0 1 | 2 2; 2 2` as matrices of one size, a channel each.

    Raises:
        UserError: they are no such matrices.
    """
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

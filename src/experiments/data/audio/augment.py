"""Random changes to training recordings: speed and noise, drawn for every recording anew in every epoch.

The draws are a pure function of (seed, epoch, number of the recording), so they are the same in one process or several,
with workers or without, and after a resume.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.data.common.sampling import EXTRA
from experiments.errors import UserError

TOPS = {"speed": 0.5, "noise": math.inf}


class SoundAugment(NamedTuple):
    """Say what may happen to a training recording. Zero is off.

    Attributes:
        speed: played slower or faster by up to this share, its pitch with it (Ko et al. 2015). None becomes longer than
            the longest recording of the data, so that it still fits where that does.
        noise: white noise is added, up to this share of the recording's own deviation.
    """

    speed: float = 0.0
    noise: float = 0.0

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> SoundAugment:
        """Read the `augment` keys of a data config.

        Raises:
            UserError: a key is unknown, or a value is not in its range.
        """
        values: dict[str, float] = {}
        for key, value in (settings or {}).items():
            if key not in TOPS:
                near = difflib.get_close_matches(key, TOPS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(TOPS)}."
                raise UserError(f"data.augment.{key} is not a change of sound: {hint}")
            if value is None or value is False:
                value = 0.0
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"data.augment.{key}={value!r} is not a number; 0 is off.")
            if not 0 <= value <= TOPS[key] or value == math.inf:
                limits = "at least 0" if TOPS[key] == math.inf else f"between 0 and {TOPS[key]:g}"
                raise UserError(f"data.augment.{key}={value} must be {limits}; 0 is off.")
            values[key] = float(value)
        return cls(**values)

    @property
    def on(self) -> list[str]:
        """The names of those that are on."""
        return [name for name, value in self._asdict().items() if value]

    def apply(self, samples: np.ndarray, seed: int, epoch: int, number: int, longest: int) -> np.ndarray:
        """Change a recording: (n,) int16 -> (m,) int16, m at most `longest`.

        Args:
            samples: as they are evaluated.
            seed: of the run.
            epoch: counted from 0.
            number: of the recording in its part.
            longest: samples.
        """
        mask = 2**64 - 1
        random = np.random.Generator(np.random.Philox(counter=[0, number, epoch, EXTRA], key=[seed & mask, 1]))
        change, amount = random.random(2)
        values = samples.astype(np.float32)
        if self.speed:
            length = round(len(samples) / (1 + self.speed * (2 * change - 1)))
            length = max(1, min(length, max(longest, len(samples))))
            values = np.interp(np.arange(length) * (len(samples) / length), np.arange(len(samples)), values)
        if self.noise:
            deviation = self.noise * amount * values.std()
            values = values + deviation * random.standard_normal(len(values), np.float32)
        return np.clip(np.rint(values), -32768, 32767).astype(np.int16)

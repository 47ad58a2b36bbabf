"""Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers, WAV at 8 kHz, github.com/Jakobovski.

The files are `ROOT/fsdd/recordings/DIGIT_SPEAKER_INDEX.wav`. With all speakers known, the test split is the published
one: the first five recordings (index 0 to 4) of each digit and speaker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config.value_rules import require_amount
from experiments.data.audio.audio_data import AudioData, Examples, check_strings, join, split_examples
from experiments.data.audio.audio_files import open_clips
from experiments.data.common.published_files import data_root
from experiments.errors import UserError

NAME = re.compile(r"(\d)_([^_]+)_(\d+)\.wav")
TEST_INDICES = 5
SPELLED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MEMORY = 1024  # megabytes; the whole set takes 20


class FSDD(AudioData):
    """Digits, one a clip, 0 to 9.

    Args:
        held_out: speakers that make up the test split and are in no other; None: all speakers are known, and the test
            split is the published one.
        validation: share or count held out from the rest, the digits in proportion.
        rate: samples a second; None: the files', 8,000.
        limit: use only so many training clips, evenly over the digits, or this share; None: all.
        split_seed: decides who is held out for validation.
        root: folder where datasets live.
        bucket: as in `AudioData`, and so are the others.

    Raises:
        UserError: files are missing, a speaker is unknown, or a value is out of range.
    """

    name = "fsdd"

    def __init__(
        self,
        *,
        held_out: Sequence[str] | str | None,
        validation: float,
        rate: int | None,
        limit: float | None,
        split_seed: int,
        root: str | None,
        bucket: bool,
        batch_size: int,
        workers: int,
        seed: int,
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(bucket=bucket, batch_size=batch_size, workers=workers, seed=seed, augment=augment)
        require_amount("data.validation", validation)
        require_amount("data.limit", limit)
        self.held_out = [held_out] if isinstance(held_out, str) else held_out
        self.validation, self.wanted_rate, self.limit = validation, rate, limit
        self.split_seed, self.root = split_seed, root

    @property
    def folder(self) -> Path:
        return data_root(self.name, self.root) / "fsdd" / "recordings"

    def load(self) -> None:
        digits, _, places = self._open()
        self.classes = tuple("0123456789")
        self.by_split = {split: Examples.single(members, digits[members]) for split, members in places.items()}

    def _open(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Digit (N,) and speaker (N,) of each clip, and which clips make up each split."""
        files = [(path, NAME.fullmatch(path.name)) for path in sorted(self.folder.glob("*.wav"))]
        if not files:
            raise UserError(
                f"data={self.name}: {self.folder} holds no recordings such as 7_jackson_32.wav (data.root or the variable"
                " EXPERIMENTS_DATA say where); data=generated_tones needs no file"
            )
        strange = [path for path, match in files if match is None]
        if strange:
            raise UserError(f"{strange[0]} is not named DIGIT_SPEAKER_INDEX.wav: rename or remove it")
        names = [match.groups() for _, match in files if match is not None]
        digits = np.array([int(digit) for digit, _, _ in names])
        speakers = np.array([speaker for _, speaker, _ in names])
        index = np.array([int(number) for _, _, number in names])
        for speaker in self.held_out or ():
            if speaker not in speakers:
                raise UserError(
                    f"data.held_out={speaker} is no speaker: choose from {', '.join(sorted(set(speakers.tolist())))}"
                )
        test = np.isin(speakers, self.held_out) if self.held_out else index < TEST_INDICES
        if not test.any() or test.all():
            raise UserError(f"data={self.name}: {'no' if test.all() else 'every'} recording is left for training")
        self.clips, self.rate, self.counts = open_clips([path for path, _ in files], self.wanted_rate, MEMORY)
        rest = np.flatnonzero(~test)
        inner = split_examples(digits[rest], self.validation, None, self.limit, self.split_seed)
        places = {split: rest[members] for split, members in inner.items()} | {"test": np.flatnonzero(test)}
        return digits, speakers, places


class FSDDStrings(FSDD):
    """Strings of digits, each made by joining clips of one speaker, so that there is something to align.

    The strings of each split are made of that split's clips alone.

    Args:
        count: training strings; a tenth as many for validation, and for the test.
        least: digits of a string at least.
        most: digits at most.
        gap: seconds of silence between two digits at most.
        spelling: `digits` writes 3 1 4, `words` writes three one four.
        rest: the keys of `FSDD`.
    """

    name = "fsdd_strings"

    def __init__(self, *, count: int, least: int, most: int, gap: float, spelling: str, **rest: Any) -> None:
        super().__init__(**rest)
        check_strings(count, least, most, gap)
        if spelling not in ("digits", "words"):
            raise UserError(f"data.spelling={spelling} is unknown: choose from digits, words")
        self.count, self.least, self.most, self.gap, self.spelling = count, least, most, gap, spelling

    def load(self) -> None:
        digits, speakers, places = self._open()
        spellings = SPELLED if self.spelling == "words" else tuple("0123456789")
        self.symbols = tuple(sorted({" ", *"".join(spellings)}))
        words = [spellings[digit] for digit in digits]
        for number, (split, members) in enumerate(places.items()):
            groups = [members[speakers[members] == speaker] for speaker in sorted(set(speakers[members].tolist()))]
            count = self.count if split == "train" else max(1, self.count // 10)
            gap = round(self.gap * self.rate)
            seed = (self.split_seed, number)
            self.by_split[split] = join(groups, words, self.symbols, count, self.least, self.most, gap, seed)

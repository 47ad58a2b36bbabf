"""Generated words of tones: for tests, and where no recording is to be had."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.data.audio.audio_data import AudioData, Examples, check_strings, join
from experiments.data.audio.audio_files import StoredClips
from experiments.data.common.loading import whole

RATE = 8000  # samples a second, where nobody asks for another
VOICES = 8
# A word is a melody: tones as multiples of the voice's pitch.
WORDS = {
    "up": (1.0, 1.5),
    "down": (1.5, 1.0),
    "hill": (1.0, 1.5, 1.0),
    "low": (0.75,),
    "high": (2.0,),
    "fall": (2.0, 0.75),
}


class GeneratedTones(AudioData):
    """Clips of six words made of tones, in voices of different pitch; always the same ones.

    Args:
        count: training clips; a quarter as many for validation, and for the test.
        rate: samples a second; None: 8,000.
        rest: the keys of `AudioData`.
    """

    name = "generated_tones"

    def __init__(self, *, count: int, rate: int | None = None, **rest: Any) -> None:
        super().__init__(**rest)
        whole("data.count", count, 24)
        if rate is not None:
            whole("data.rate", rate, 4000)
        self.count, self.rate = count, rate or RATE

    def load(self) -> None:
        words = self._sing(self.count)
        self.classes = tuple(WORDS)
        self.by_split = {
            split: Examples.single(np.arange(begin, end), words[begin:end])
            for split, (begin, end) in self.bounds.items()
        }

    def _sing(self, count: int) -> np.ndarray:
        """Fills `clips`, and gives each one's word, (N,) int64; `bounds` says which are of which split."""
        quarter = count // 4
        self.bounds = {
            "train": (0, count),
            "validation": (count, count + quarter),
            "test": (count + quarter, count + 2 * quarter),
        }
        rng = np.random.default_rng(0)
        words = np.arange(count + 2 * quarter) % len(WORDS)
        self.voices = rng.integers(VOICES, size=len(words))
        tunes = list(WORDS.values())
        self.clips = StoredClips(
            [sing(tunes[w], 300 + 40 * int(v), rng, self.rate) for w, v in zip(words, self.voices, strict=True)]
        )
        return words


class GeneratedWords(GeneratedTones):
    """Strings of those words with transcripts, made by joining clips of one voice.

    Args:
        count: training strings; a quarter as many for validation, and for the test.
        least: words of a string at least.
        most: words at most.
        gap: seconds of silence between two words at most.
        rest: the keys of `AudioData`.
    """

    name = "generated_words"

    def __init__(self, *, least: int, most: int, gap: float, **rest: Any) -> None:
        super().__init__(**rest)
        check_strings(self.count, least, most, gap)
        self.least, self.most, self.gap = least, most, gap

    def load(self) -> None:
        names = list(WORDS)
        texts = [names[word] for word in self._sing(max(240, self.count))]
        self.symbols = tuple(sorted({" ", *"".join(names)}))
        for number, (split, (begin, end)) in enumerate(self.bounds.items()):
            members = np.arange(begin, end)
            groups = [members[self.voices[members] == voice] for voice in range(VOICES)]
            groups = [group for group in groups if len(group)]
            count = self.count if split == "train" else self.count // 4
            gap = round(self.gap * self.rate)
            self.by_split[split] = join(groups, texts, self.symbols, count, self.least, self.most, gap, (number,))


def sing(tune: tuple[float, ...], pitch: float, rng: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """(samples,) int16: tones of 120 to 200 ms with an overtone, faded at both ends, in some noise."""
    tones = []
    for step in tune:
        time = np.arange(int(rng.uniform(0.12, 0.2) * rate)) / rate
        wave = np.sin(2 * np.pi * pitch * step * time) + 0.3 * np.sin(4 * np.pi * pitch * step * time)
        tones.append(wave * np.minimum(1, 40 * np.minimum(time, time[::-1])))
    whole_word = rng.uniform(0.2, 0.6) * np.concatenate(tones)
    noisy = whole_word + rng.normal(0, 0.02, len(whole_word))
    return np.clip(np.rint(noisy * 20000), -32768, 32767).astype(np.int16)

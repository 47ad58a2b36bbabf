"""Any recordings with transcripts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unicodedata import normalize

import numpy as np

from experiments.data.audio.audio_data import AudioData, Examples, split
from experiments.data.audio.audio_files import open_clips
from experiments.data.audio.transcripts import Utterance, read_manifest
from experiments.data.common.loading import whole
from experiments.data.common.splits import check_amount
from experiments.errors import UserError


class SpeechManifest(AudioData):
    """Recordings listed in a table, in JSON lines, or lying in LibriSpeech's layout.

    Args:
        path: the file or folder of the training part, or of everything.
        validation_path: the same of the validation part; None: some of `path` is held out.
        test_path: likewise.
        audio: column or key of the recordings' paths, which count from the file's folder.
        text: column or key of the transcripts.
        lowercase: write all transcripts in small letters.
        empty: `error`, or `drop`: leave out recordings with an empty transcript.
        unknown: of characters that the training transcripts do not have: `error`, or `drop`: take them out of the others.
        rate: samples a second; others are resampled. None: the files', which must agree.
        memory: megabytes of samples that are held in memory; more than that is read from the files batch by batch.
        validation: share or count held out.
        test: likewise.
        limit: use only so many training recordings, or this share; None: all.
        split_seed: decides who is held out.
        bucket: as in `AudioData`, and so are the others.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    name = "speech_manifest"

    def __init__(
        self,
        *,
        path: str,
        validation_path: str | None,
        test_path: str | None,
        audio: str,
        text: str,
        lowercase: bool,
        empty: str,
        unknown: str,
        rate: int | None,
        memory: int,
        validation: float,
        test: float,
        limit: float | None,
        split_seed: int,
        bucket: bool,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__(bucket=bucket, batch_size=batch_size, workers=workers, seed=seed)
        for key, value in (("empty", empty), ("unknown", unknown)):
            if value not in ("error", "drop"):
                raise UserError(f"data.{key}={value} is unknown: choose from error, drop")
        check_amount("data.validation", validation, whole=False)
        check_amount("data.test", test, whole=False)
        if limit is not None:
            check_amount("data.limit", limit, whole=True)
        if rate is not None:
            whole("data.rate", rate, 100)
        whole("data.memory", memory, 0)
        self.paths = {"train": path, "validation": validation_path, "test": test_path}
        self.audio, self.text, self.lowercase, self.empty, self.unknown = audio, text, lowercase, empty, unknown
        self.wanted_rate, self.memory = rate, memory
        self.validation, self.test, self.limit, self.split_seed = validation, test, limit, split_seed

    def load(self) -> None:
        read = {part: self._read(Path(path).expanduser()) for part, path in self.paths.items() if path}
        own = read["train"]
        places = split(
            np.zeros(len(own), np.int64),
            self.validation if "validation" not in read else None,
            self.test if "test" not in read else None,
            self.limit,
            self.split_seed,
        )
        parts = {part: [own[place] for place in members] for part, members in places.items()}
        parts |= {part: some for part, some in read.items() if part != "train"}
        every = [utterance for part in ("train", "validation", "test") for utterance in parts[part]]
        self.clips, self.rate, counts = open_clips(
            [one.audio for one in every], self.wanted_rate, self.memory, [one.where for one in every]
        )
        self.counts |= counts
        self.symbols = tuple(sorted({letter for one in parts["train"] for letter in one.text}))
        index = {symbol: place for place, symbol in enumerate(self.symbols)}
        begin = 0
        for part in ("train", "validation", "test"):
            some = parts[part]
            labels = [self._indices(one, index) for one in some]
            self.parts[part] = Examples.single(np.arange(begin, begin + len(some)), labels)
            begin += len(some)

    def _read(self, path: Path) -> list[Utterance]:
        found = read_manifest(path, self.audio, self.text)
        silent = [one for one in found if not one.text]
        if silent and self.empty == "error":
            raise UserError(
                f"{silent[0].where}: the transcript is empty, one of {len(silent)}: mend it, or leave such recordings out"
                " with data.empty=drop"
            )
        self.counts["empty_dropped"] = self.counts.get("empty_dropped", 0) + len(silent)
        kept = [one for one in found if one.text]
        if not kept:
            raise UserError(f"{path}: every transcript is empty, and at least one is needed")
        # In the composed form, in which equal letters are equal however a file spells them.
        return [one._replace(text=normalize("NFC", one.text.lower() if self.lowercase else one.text)) for one in kept]

    def _indices(self, one: Utterance, index: dict[str, int]) -> np.ndarray:
        strange = Counter(letter for letter in one.text if letter not in index)
        if strange and self.unknown == "error":
            raise UserError(
                f"{one.where}: {next(iter(strange))!r} is in no training transcript: mend it, or take such characters out"
                " with data.unknown=drop"
            )
        self.counts["unknown_characters_dropped"] = self.counts.get("unknown_characters_dropped", 0) + strange.total()
        return np.array([index[letter] for letter in one.text if letter in index], np.int64)

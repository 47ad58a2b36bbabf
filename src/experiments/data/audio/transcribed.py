"""Base of the datasets of recordings with transcripts: from a list of utterances to splits, symbols and clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config.value_rules import require_amount, require_values
from experiments.data.audio.audio_data import AudioData, Examples, check_settings, split_examples
from experiments.data.audio.audio_files import WHOLE, open_clips
from experiments.data.audio.transcripts import Utterance
from experiments.data.common.split_names import SPLITS
from experiments.errors import UserError
from experiments.transcript_rules import rule


class Transcribed(AudioData):
    """Recordings with transcripts: a subclass gives the lists of utterances, by split.

    Args:
        normalise: how transcripts are written: none, lower, simple or english, see `transcript_rules.rule`.
        empty: `error`, or `drop`: leave out recordings with an empty transcript.
        unknown: of characters that the training transcripts do not have: `error`, `drop`: take them out of the others, or
            `keep`, for a network whose own tokens can write them. None: as `usual` says.
        rate: samples a second; others are resampled. None: the files', which must agree.
        memory: megabytes of samples that are held in memory; more than that is read from the files batch by batch.
        validation: share or count held out.
        test: likewise; 1.0: everything, for evaluation without training.
        limit: use only so many training recordings, or this share; None: all.
        split_seed: decides who is held out.
        bucket: as in `AudioData`, and so are the others.

    Attributes:
        usual: what is done with unknown characters where nothing says so.

    Raises:
        UserError: with file and line, for what cannot be used.
    """

    usual = "drop"

    def __init__(
        self,
        *,
        normalise: str,
        empty: str,
        unknown: str | None,
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
        augment: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(bucket=bucket, batch_size=batch_size, workers=workers, seed=seed, augment=augment)
        require_values("speech", empty=empty)
        unknown = self.usual if unknown is None else unknown
        if unknown not in ("error", "drop", "keep"):
            raise UserError(f"data.unknown={unknown} is unknown: choose error, drop or keep")
        check_settings(validation, limit, rate, memory)
        require_amount("data.test", test, whole=True)
        self.write = rule(normalise, "data.normalise")
        self.empty, self.unknown = empty, unknown
        self.wanted_rate, self.memory = rate, memory
        self.validation, self.test, self.limit, self.split_seed = validation, test, limit, split_seed

    def read(self) -> Mapping[str, Sequence[Utterance]]:
        """Utterances of `train`, of which what is not given is held out, and where they have lists of their own of others."""
        raise NotImplementedError

    def load(self) -> None:
        read = {split: self._kept(some) for split, some in self.read().items()}
        own = read["train"]
        if isinstance(self.test, float) and self.test == 1 and "test" not in read:
            by_split: dict[str, list[Utterance]] = {"train": [], "validation": [], "test": own}
            self.only_test = True
        else:
            places = split_examples(
                np.zeros(len(own), np.int64),
                self.validation if "validation" not in read else None,
                self.test if "test" not in read else None,
                self.limit,
                self.split_seed,
            )
            by_split = {split: [own[place] for place in members] for split, members in places.items()}
            by_split |= {split: some for split, some in read.items() if split != "train"}
        every = [utterance for split in SPLITS for utterance in by_split[split]]
        self.clips, self.rate, counts = open_clips(
            [utterance.audio for utterance in every],
            self.wanted_rate,
            self.memory,
            [utterance.where for utterance in every],
            [utterance.span for utterance in every],
        )
        self.counts |= counts
        heard = every if self.unknown == "keep" else by_split["train"] or by_split["test"]
        self.symbols = tuple(sorted({letter for utterance in heard for letter in utterance.text}))
        index = {symbol: place for place, symbol in enumerate(self.symbols)}
        if self.unknown == "error":
            self._require_known([utterance for split in SPLITS for utterance in by_split[split]])
        begin = 0
        for split in SPLITS:
            some = by_split[split]
            labels = [self._indices(utterance, index) for utterance in some]
            self.by_split[split] = Examples.single(np.arange(begin, begin + len(some)), labels)
            begin += len(some)

    def _kept(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        written = [utterance._replace(text=self.write(utterance.text)) for utterance in utterances]
        silent = [utterance for utterance in written if not utterance.text]
        if silent and self.empty == "error":
            raise UserError(
                f"{silent[0].where}: the transcript is empty ({len(silent)} such): mend it, or leave such recordings out with"
                " data.empty=drop"
            )
        self.counts["empty_dropped"] = self.counts.get("empty_dropped", 0) + len(silent)
        kept = [utterance for utterance in written if utterance.text]
        if not kept:
            raise UserError(f"data={self.name}: every transcript is empty, and at least one is needed")
        _require_one_transcript(kept)
        return kept

    def _require_known(self, utterances: Sequence[Utterance]) -> None:
        """Refuse characters that no training transcript has.

        Raises:
            UserError: naming the first, and how many there are of which.
        """
        strange: Counter[str] = Counter()
        symbols = set(self.symbols)
        where = ""
        for utterance in utterances:
            letters = [letter for letter in utterance.text if letter not in symbols]
            where = where or (utterance.where if letters else "")
            strange.update(letters)
        if strange:
            named = ", ".join(f"{count} {letter!r}" for letter, count in strange.most_common(5))
            more = f" and {len(strange) - 5} others" if len(strange) > 5 else ""
            first, total = next(iter(strange)), strange.total()
            told = f" ({total} such in all: {named}{more})" if total > 1 else ""
            raise UserError(
                f"{where}: {first!r} is in no training transcript{told}: mend it, or take such characters out with"
                " data.unknown=drop"
            )

    def _indices(self, utterance: Utterance, index: dict[str, int]) -> np.ndarray:
        strange = sum(letter not in index for letter in utterance.text)
        self.counts["unknown_characters_dropped"] = self.counts.get("unknown_characters_dropped", 0) + strange
        return np.array([index[letter] for letter in utterance.text if letter in index], np.int64)


def _require_one_transcript(utterances: Sequence[Utterance]) -> None:
    """Refuses a list that says two things of one part of a recording: it has columns of parts that nobody named.

    Raises:
        UserError: naming both lines.
    """
    first: dict[Any, Utterance] = {}
    for utterance in utterances:
        before = first.setdefault((utterance.audio, utterance.span), utterance)
        if before.text != utterance.text:
            part = "" if utterance.span == WHOLE else f" from {utterance.span.offset:g} s"
            raise UserError(
                f"{utterance.where}: {utterance.audio}{part} has another transcript here than at {before.where}: name the columns of where "
                "each part begins and of how many seconds it lasts with data.offset and data.duration, or keep one line"
            )


def corpus_folder(name: str, root: Path, holds: str, begins: Sequence[str]) -> Path:
    """Return the folder of a corpus: `root` itself or one in it, by name.

    Args:
        name: the data option, for messages.
        root: as the user gave it.
        holds: a pattern that some file of the corpus matches, such as metadata.csv.
        begins: what the folder's name begins with, in small letters.

    Raises:
        UserError: when there is none.
    """
    if next(root.glob(holds), None) is not None:
        return root
    inside = (
        sorted(path for path in root.glob("*") if path.name.lower().startswith(tuple(begins))) if root.is_dir() else []
    )
    match = next((path for path in inside if next(path.glob(holds), None) is not None), None)
    if match is None:
        raise UserError(
            f"data={name}: neither {root} nor a folder {begins[0]} in it holds {holds}: say where the corpus lies with"
            " data.root or the variable EXPERIMENTS_DATA"
        )
    return match

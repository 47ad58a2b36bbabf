"""Audio in batches: clips or strings of clips, 16-bit samples padded to the longest, with a label or a transcript each."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from experiments.batches import IGNORED, Sequences
from experiments.config.value_rules import require_amount
from experiments.data.audio.audio_files import Clips, Files, read_samples, to_int16
from experiments.data.audio.augment import SoundAugment
from experiments.data.common.buckets import BucketSampler, EvalBuckets, Views
from experiments.data.common.loading import BatchedData, require_enough, whole
from experiments.data.common.sampling import Picks, TrainSampler
from experiments.data.common.split_names import SPLITS
from experiments.data.common.splits import fingerprint, hold_out, keep
from experiments.errors import UserError
from experiments.spec import AudioSpec, to_plain
from experiments.system.outside_text import clean

log = logging.getLogger(__name__)


class Examples(NamedTuple):
    """Examples of one split. One is a clip, or several with silence between them.

    Attributes:
        clips: of each example the numbers of its clips, (n,) int64.
        gaps: of each example the samples of silence before each of its clips, (n,) int64.
        labels: (N,) int64 class indices; or of each example its symbols' indices, (s,) int64.
    """

    clips: list[np.ndarray]
    gaps: list[np.ndarray]
    labels: Any

    @classmethod
    def single(cls, clips: np.ndarray, labels: Any) -> Examples:
        """Return a clip an example."""
        return cls([np.array([clip]) for clip in clips], [np.zeros(1, np.int64)] * len(clips), labels)


NOTHING = SoundAugment()  # changes no recording


class Audio(Dataset):
    """Examples served by the batch: (`Sequences` of (B, T) int16, labels (B,) or (B, S) filled up with IGNORED).

    Args:
        clips: that the examples are made of.
        examples: of one split.
        augment: what is done to those that are picked for training.
        longest: samples that none gets longer than by that.

    Attributes:
        lengths: (N,) int64, samples, before anything is changed.
    """

    def __init__(self, clips: Clips, examples: Examples, augment: SoundAugment = NOTHING, longest: int = 0) -> None:
        self.clips, self.examples, self.augment, self.longest = clips, examples, augment, longest
        self.lengths = np.array(
            [clips.lengths[some].sum() + gaps.sum() for some, gaps in zip(examples.clips, examples.gaps, strict=True)],
            np.int64,
        )
        self.written = not isinstance(examples.labels, np.ndarray)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, picks: Picks | np.ndarray | range) -> Any:
        try:
            if isinstance(picks, Picks):
                return self._changed(picks) if self.augment.on else self._batch(picks.indices)
            return self._batch(np.asarray(picks))
        except UserError as error:  # raised by the loader, so that it arrives from a worker as it was written
            return error

    def _batch(self, indices: np.ndarray) -> tuple[Sequences, torch.Tensor]:
        lengths = self.lengths[indices]
        values = np.zeros((len(indices), int(lengths.max())), np.int16)
        for row, index in zip(values, indices, strict=True):
            at = 0
            for clip, gap in zip(self.examples.clips[index], self.examples.gaps[index], strict=True):
                samples = self.clips.read(int(clip))
                at += int(gap)
                row[at : at + len(samples)] = samples
                at += len(samples)
        return Sequences(torch.from_numpy(values), torch.from_numpy(lengths)), self._labels(indices)

    def _changed(self, picks: Picks) -> tuple[Sequences, torch.Tensor]:
        (plain, lengths), labels = self._batch(picks.indices)
        rows = zip(plain.numpy(), lengths.tolist(), picks.indices.tolist(), strict=True)
        changed = [
            self.augment.apply(row[:length], picks.seed, picks.epoch, index, self.longest)
            for row, length, index in rows
        ]
        return padded(changed), labels

    def _labels(self, indices: np.ndarray) -> torch.Tensor:
        if not self.written:
            return torch.from_numpy(self.examples.labels[indices])
        some = [self.examples.labels[index] for index in indices]
        labels = np.full((len(some), max(len(numbers) for numbers in some)), IGNORED)
        for row, numbers in zip(labels, some, strict=True):
            row[: len(numbers)] = numbers
        return torch.from_numpy(labels)


def padded(clips: Sequence[np.ndarray]) -> Sequences:
    """Clips of (samples,) int16 in one batch, filled up with zeros."""
    values = np.zeros((len(clips), max(len(clip) for clip in clips)), np.int16)
    for row, clip in zip(values, clips, strict=True):
        row[: len(clip)] = clip
    return Sequences(torch.from_numpy(values), torch.tensor([len(clip) for clip in clips]))


class AudioData(BatchedData):
    """Base of the audio datasets: a subclass fills `clips`, `by_split`, `rate`, and `classes` or `symbols` in `load`.

    Args:
        bucket: whether a batch holds examples of like length.
        augment: what may happen to training recordings, see `SoundAugment`; None: nothing.
        batch_size: as in `BatchedData`.
        workers: as in `BatchedData`.
        seed: as in `BatchedData`.

    Attributes:
        clips: all clips, at one rate.
        by_split: the examples of train, validation and test.
        rate: samples a second.
        classes: names that labels stand for; empty for transcripts.
        symbols: characters that transcripts are written in; empty for labels.
        counts: what was left out or changed on the way, for the record.
        only_test: whether all of it is the test split, and nothing is trained.
    """

    name = "audio"

    def __init__(
        self, *, bucket: bool, batch_size: int, workers: int, seed: int, augment: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(batch_size=batch_size, workers=workers, seed=seed)
        self.bucket, self.augment = bucket, SoundAugment.of(augment)
        self.clips: Clips
        self.by_split: dict[str, Examples] = {}
        self.rate = 0
        self.classes: tuple[str, ...] = ()
        self.symbols: tuple[str, ...] = ()
        self.counts: dict[str, int] = {}
        self.only_test = False
        self.sets: dict[str, Audio] = {}

    def load(self) -> None:
        """Read, check and split."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        """Load once; later calls return at once."""
        if self.sets:
            return
        self.load()
        self.sets = {split: Audio(self.clips, self.by_split[split]) for split in SPLITS}
        for split, audio in self.sets.items():
            if not len(audio) and not self.only_test:
                raise UserError(f"{self.name}: the {split} split is empty, and needs at least one example")
        lengths = self.sets["test" if self.only_test else "train"].lengths
        longest = max(int(audio.lengths.max(initial=0)) for audio in self.sets.values())
        self.spec = AudioSpec(self.rate, int(np.median(lengths)), longest, self.classes, self.symbols)
        self.splits = {split: len(audio) for split, audio in self.sets.items()}
        self.splits |= {key: value for key, value in self.counts.items() if value}
        self.splits["fingerprint"] = fingerprint(
            (split, np.concatenate([*self.by_split[split].clips, *self.by_split[split].gaps, np.zeros(0, np.int64)]))
            for split in SPLITS
        )
        changed = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in self.counts.items() if value)
        if changed:
            log.warning("%s: %s.", self.name, changed)

    def dataset(self, split: str) -> Audio:
        return self.sets[split]

    def train_dataset(self) -> Dataset:
        if self.only_test:
            raise UserError("data.test=1.0 leaves nothing to train on: set data.test=0.1, or use experiments evaluate")
        return Audio(self.clips, self.by_split["train"], self.augment, self.spec.longest)

    def train_sampler(self, dataset: Audio, share: int, rank: int, world: int) -> Any:
        if not self.bucket:
            return TrainSampler(len(dataset), share, self.seed, rank, world)
        return BucketSampler(dataset.lengths, share * world, None, self.seed, rank, world)

    def eval_sampler(self, dataset: Audio, share: int, rank: int, world: int) -> Any:
        if not self.bucket:
            return super().eval_sampler(dataset, share, rank, world)
        require_enough(len(dataset), world)
        return EvalBuckets(dataset.lengths, share * world, None, rank, world)

    @property
    def changes(self) -> list[str]:
        """Name what of `augment` is drawn anew in each epoch; what models of sound hide by themselves does not count."""
        return self.augment.on

    def digest(self, split: str, augmented: bool) -> str:
        """Hexadecimal digits that differ when anything does of what the model gets of a split, in order."""
        audio = self.sets[split]
        digest = hashlib.sha256(json.dumps([to_plain(self.spec), self.augment if augmented else None]).encode())
        digest.update(self._labels_of(audio))
        for clips, gaps in zip(audio.examples.clips, audio.examples.gaps, strict=True):
            digest.update(np.concatenate([clips, gaps]).astype("<i8").tobytes())
        if isinstance(self.clips, Files):
            for path, span in zip(self.clips.paths, self.clips.spans, strict=True):
                state = os.stat(path)
                digest.update(f"{path}:{span}:{state.st_size}:{state.st_mtime_ns};".encode())
        else:
            for clip in range(len(self.clips.lengths)):
                digest.update(np.ascontiguousarray(self.clips.read(clip)).tobytes())
        return digest.hexdigest()

    def _labels_of(self, audio: Audio) -> bytes:
        labels = audio.examples.labels
        return b";".join(
            np.ascontiguousarray(values, "<i8").tobytes() for values in (labels if audio.written else [labels])
        )

    def in_order(self, split: str, views: int, size: int) -> Any:
        """Return every example of a split, at most `size` at a time, in the order that the loader's `batch_sampler` has.

        With `views` that many times over, each time changed by other draws, which are those of seed 0 in every run.
        """
        dataset = Audio(self.clips, self.by_split[split], self.augment if views else NOTHING, self.spec.longest)
        buckets = EvalBuckets(dataset.lengths, min(size, self.batch_size), None)
        return self._loader(dataset, Views(buckets, views) if views else buckets)

    def sample(self, split: str, count: int) -> Any:
        """Return the first examples of a split, as the model gets them."""
        dataset = self.sets[split]
        return dataset.__getitems__(range(min(count, len(dataset))))

    @property
    def class_counts(self) -> list[int]:
        """Training examples of each class."""
        return np.bincount(self.by_split["train"].labels, minlength=len(self.classes)).tolist()

    def prepare(self, inputs: Sequence[str | Path | np.ndarray]) -> Sequences:
        """Return new clips as the model gets them: files, resampled where need be, or (samples,) arrays, int16 or from
        -1 to 1.

        Raises:
            UserError: a file cannot be read.
        """
        read = [self._clip(given) for given in inputs]
        for given, (_, loud) in zip(inputs, read, strict=True):  # only now: where one is bad, the others are read again
            if loud:
                name = "a recording" if isinstance(given, np.ndarray) else clean(str(given))
                log.warning("%s has samples above full scale, which are cut there: record it more quietly.", name)
        return padded([clip for clip, _ in read])

    def _clip(self, given: str | Path | np.ndarray) -> tuple[np.ndarray, bool]:
        """Return a new clip as (samples,) int16, and whether it is cut at full scale."""
        if not isinstance(given, np.ndarray):
            return read_samples(Path(given), self.spec.rate)
        if given.dtype == np.int16:
            return given, False
        return to_int16(given), bool(np.abs(given).max(initial=0) > 1)


def split_examples(
    labels: np.ndarray, validation: float | None, test: float | None, limit: float | None, seed: int
) -> dict[str, np.ndarray]:
    """Places of the examples of each split, every class in proportion; no test split where `test` is None."""
    train = np.arange(len(labels))
    by_split: dict[str, np.ndarray] = {}
    for split, amount in (("test", test), ("validation", validation)):
        if amount is not None:
            rest, held = hold_out(labels[train], amount, seed, f"data.{split}", len(labels))
            by_split[split], train = train[held], train[rest]
    if limit is not None:
        train = train[keep(labels[train], limit, seed)]
    return {"train": train, **by_split}


def check_strings(count: int, least: int, most: int, gap: float) -> None:
    """Refuse strings that cannot be made.

    Raises:
        UserError: naming the key.
    """
    whole("data.count", count, 10)
    whole("data.least", least, 1)
    whole("data.most", most, least)
    if not 0 <= gap <= 10:
        raise UserError(f"data.gap={gap} must lie between 0 and 10 seconds: try data.gap=0.1")


def join(
    groups: Sequence[np.ndarray],
    words: Sequence[str],
    symbols: Sequence[str],
    count: int,
    least: int,
    most: int,
    gap: int,
    seed: Sequence[int],
) -> Examples:
    """Strings of clips of one group each (a speaker), drawn anew for each, with the words' transcript.

    Args:
        groups: of each the numbers of its clips.
        words: what each clip says.
        symbols: the characters that the transcripts are written in.
        count: strings.
        least: clips of a string at least.
        most: clips at most.
        gap: samples of silence between two clips at most.
        seed: decides all of it.
    """
    rng = np.random.default_rng(list(seed))
    index = {symbol: place for place, symbol in enumerate(symbols)}
    clips, gaps, labels = [], [], []
    for _ in range(count):
        group = groups[int(rng.integers(len(groups)))]
        chosen = rng.choice(group, int(rng.integers(least, most + 1)))
        silence = rng.integers(0, gap + 1, len(chosen))
        silence[0] = 0
        clips.append(chosen)
        gaps.append(silence)
        labels.append(np.array([index[letter] for letter in " ".join(words[clip] for clip in chosen)]))
    return Examples(clips, gaps, labels)


def check_settings(validation: float, limit: float | None, rate: int | None, memory: int) -> None:
    """Refuse values of the keys that corpora of recordings share.

    Raises:
        UserError: naming the key, the value and the rule.
    """
    require_amount("data.validation", validation)
    require_amount("data.limit", limit)
    if rate is not None:
        whole("data.rate", rate, 100)
    whole("data.memory", memory, 0)

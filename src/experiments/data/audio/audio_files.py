"""Audio files: what a header says, samples as 16-bit mono at the wanted rate, from memory or as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from experiments.errors import UserError

AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3")


class Header(NamedTuple):
    """What a file says of itself: samples a second, samples, channels."""

    rate: int
    frames: int
    channels: int


class Clips(Protocol):
    """Clips of one rate."""

    lengths: np.ndarray  # (N,) int64, samples

    def read(self, clip: int) -> np.ndarray:
        """(length,) int16."""
        ...


class Stored:
    """Clips in memory, laid end to end.

    Args:
        clips: (length,) int16 each.
    """

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self.lengths = np.array([len(clip) for clip in clips], np.int64)
        self.samples = np.concatenate([*clips, np.zeros(0, np.int16)])
        self.starts = np.cumsum(self.lengths) - self.lengths

    def read(self, clip: int) -> np.ndarray:
        start = self.starts[clip]
        return self.samples[start : start + self.lengths[clip]]


class Files:
    """Clips that stay in their files and are read when a batch wants them.

    Args:
        paths: the files.
        headers: of each.
        rate: samples a second they are wanted at.
    """

    def __init__(self, paths: Sequence[Path], headers: Sequence[Header], rate: int) -> None:
        self.paths, self.rate = list(paths), rate
        self.lengths = np.array([resampled_length(header, rate) for header in headers], np.int64)

    def read(self, clip: int) -> np.ndarray:
        samples = read_clip(self.paths[clip], self.rate)
        return np.resize(samples, self.lengths[clip]) if len(samples) != self.lengths[clip] else samples


def open_clips(
    paths: Sequence[Path], rate: int | None, memory: int, places: Sequence[str] = ()
) -> tuple[Clips, int, dict[str, int]]:
    """Checks every header, and holds the clips in memory if they fit.

    Args:
        paths: of the files.
        rate: samples a second they are wanted at; None: theirs, which must be the same.
        memory: megabytes; what takes more is read when it is needed.
        places: file and line that name each path, for messages; or none.

    Returns:
        The clips, their rate, and how many were resampled or mixed down to one channel.

    Raises:
        UserError: a file cannot be read, has no samples, or another rate than the first.
    """
    said = [f"{place}: " for place in places] or [""] * len(paths)
    headers = [_told(read_header, start, path) for start, path in zip(said, paths, strict=True)]
    wanted = headers[0].rate if rate is None else rate
    other = [place for place, header in enumerate(headers) if header.rate != wanted]
    if rate is None and other:
        raise UserError(
            f"{said[other[0]]}{paths[other[0]]} has {headers[other[0]].rate} samples a second and {paths[0]} {wanted}: resample them all"
            f" with data.rate={wanted}"
        )
    counts = {"resampled": len(other), "mixed_to_mono": sum(header.channels > 1 for header in headers)}
    total = sum(resampled_length(header, wanted) for header in headers)
    if 2 * total <= memory * 2**20:
        clips = [_told(read_clip, start, path, wanted) for start, path in zip(said, paths, strict=True)]
        return Stored(clips), wanted, counts
    return Files(paths, headers, wanted), wanted, counts


def _told(read: Callable[..., Any], start: str, *arguments: Any) -> Any:
    """What `read` gives; its complaints with `start` before them."""
    try:
        return read(*arguments)
    except UserError as error:
        raise UserError(f"{start}{error}") from error


def read_header(path: Path) -> Header:
    """What a file says of itself, without its samples.

    Raises:
        UserError: it is missing, no audio, or has no samples.
    """
    import soundfile

    try:
        found = soundfile.info(str(path))
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not found.frames:
        raise UserError(f"{path} has no samples: remove it, or record it again")
    return Header(found.samplerate, found.frames, found.channels)


def read_clip(path: Path, rate: int) -> np.ndarray:
    """A file as (samples,) int16: channels averaged, resampled with a filter against aliasing.

    Raises:
        UserError: it cannot be read, or is cut short.
    """
    import soundfile

    try:
        samples, own = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not len(samples):
        raise UserError(f"{path} has no samples: remove it, or record it again")
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if own != rate:
        from scipy.signal import resample_poly

        ratio = Fraction(rate, own)
        mono = resample_poly(mono, ratio.numerator, ratio.denominator)
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)


def resampled_length(header: Header, rate: int) -> int:
    """Samples of a clip at another rate, as the resampling rounds."""
    ratio = Fraction(rate, header.rate)
    return -(-header.frames * ratio.numerator // ratio.denominator)


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = "it does not exist" if not path.exists() else str(error).rstrip(".")
    return UserError(f"{path} cannot be read as audio ({reason}): give a whole WAV or FLAC file")

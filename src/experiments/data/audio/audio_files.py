"""Audio files: what a header says, samples as 16-bit mono at the wanted rate, from memory or as they are needed."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from experiments.errors import UserError

AUDIO = (".wav", ".flac", ".ogg", ".aiff", ".aif", ".mp3")
BY_FFMPEG = (".m4a", ".aac", ".mp4", ".wma", ".webm")  # what libsndfile does not read

_SAMPLES = {  # the part of a file that holds them, and its order of bytes
    (b"RIFF", b"WAVE"): (b"data", "<"), (b"RF64", b"WAVE"): (b"data", "<"), (b"FORM", b"AIFF"): (b"SSND", ">"),
}  # fmt: skip


class ClipSpan(NamedTuple):
    """A part of a file: where it begins and how long it is, in seconds; None: to the end."""

    offset: float = 0.0
    duration: float | None = None

    def frames(self, rate: int) -> tuple[int, int | None]:
        """First sample and the one behind the last."""
        start = round(self.offset * rate)
        return start, None if self.duration is None else start + round(self.duration * rate)


WHOLE = ClipSpan()


class SoundHeader(NamedTuple):
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


class StoredClips:
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
        spans: the part of each.
    """

    def __init__(
        self, paths: Sequence[Path], headers: Sequence[SoundHeader], rate: int, spans: Sequence[ClipSpan]
    ) -> None:
        self.paths, self.rate, self.spans = list(paths), rate, list(spans)
        self.lengths = np.array([resampled_length(header, rate) for header in headers], np.int64)

    def read(self, clip: int) -> np.ndarray:
        samples = read_clip(self.paths[clip], self.rate, self.spans[clip])
        return np.resize(samples, self.lengths[clip]) if len(samples) != self.lengths[clip] else samples


def open_clips(
    paths: Sequence[Path], rate: int | None, memory: int, places: Sequence[str] = (), spans: Sequence[ClipSpan] = ()
) -> tuple[Clips, int, dict[str, int]]:
    """Checks every header, and holds the clips in memory if they fit.

    Args:
        paths: of the files.
        rate: samples a second they are wanted at; None: theirs, which must be the same.
        memory: megabytes; what takes more is read when it is needed.
        places: file and line that name each path, for messages; or none.
        spans: the part of each file; or none, for whole files.

    Returns:
        The clips, their rate, and how many were resampled or mixed down to one channel; of those in memory also how many
        are silent, and how many were above full scale and cut there.

    Raises:
        UserError: a file cannot be read, has no samples, or another rate than the first.
    """
    prefixes = [f"{place}: " for place in places] or [""] * len(paths)
    spans = spans or [WHOLE] * len(paths)
    headers = [_told(read_header, start, path, span) for start, path, span in zip(prefixes, paths, spans, strict=True)]
    wanted = headers[0].rate if rate is None else rate
    other = [place for place, header in enumerate(headers) if header.rate != wanted]
    if rate is None and other:
        raise UserError(
            f"{prefixes[other[0]]}{paths[other[0]]} has {headers[other[0]].rate} samples a second and {paths[0]} {wanted}: resample them all"
            f" with data.rate={wanted}"
        )
    counts = {"resampled": len(other), "mixed_to_mono": sum(header.channels > 1 for header in headers)}
    total = sum(resampled_length(header, wanted) for header in headers)
    if 2 * total <= memory * 2**20:
        some = zip(prefixes, paths, spans, strict=True)
        clips = [_told(read_samples, start, path, wanted, span) for start, path, span in some]
        counts["above_full_scale"] = sum(loud for _, loud in clips)
        counts["silent"] = sum(not clip.any() for clip, _ in clips)
        return StoredClips([clip for clip, _ in clips]), wanted, counts
    return Files(paths, headers, wanted, spans), wanted, counts


def _told(read: Callable[..., Any], start: str, *arguments: Any) -> Any:
    """Return what `read` gives; its complaints with `start` before them."""
    try:
        return read(*arguments)
    except UserError as error:
        raise UserError(f"{start}{error}") from error


def read_header(path: Path, span: ClipSpan = WHOLE) -> SoundHeader:
    """Return what a file says of itself, without its samples; `frames` are those of the part.

    Raises:
        UserError: it is missing, no audio, or has no samples there.
    """
    import soundfile

    try:
        info = soundfile.info(_opened(path))
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not info.frames:
        raise UserError(f"{path} has no samples: remove it, or record it again")
    start, stop = span.frames(info.samplerate)
    stop = info.frames if stop is None else stop
    if not 0 <= start < stop <= info.frames + info.samplerate // 100:  # lists round to hundredths of a second
        raise UserError(
            f"{path} is {info.frames / info.samplerate:.2f} s long and has no part from {span.offset} s"
            f"{'' if span.duration is None else f' of {span.duration} s'}: mend offset and duration"
        )
    return SoundHeader(info.samplerate, min(stop, info.frames) - start, info.channels)


def read_clip(path: Path, rate: int, span: ClipSpan = WHOLE) -> np.ndarray:
    """Return a file as (samples,) int16: channels averaged, resampled with a filter against aliasing.

    Raises:
        UserError: it cannot be read, or is cut short.
    """
    return read_samples(path, rate, span)[0]


def read_samples(path: Path, rate: int, span: ClipSpan = WHOLE) -> tuple[np.ndarray, bool]:
    """As `read_clip`, and whether anything was above full scale and is cut there."""
    import soundfile

    try:
        with soundfile.SoundFile(_opened(path)) as file:
            start, stop = span.frames(file.samplerate)
            header_frames = file.frames - start
            file.seek(start)
            samples, own = file.read(-1 if stop is None else stop - start, "float32", always_2d=True), file.samplerate
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not len(samples):
        raise UserError(f"{path} has no samples: remove it, or record it again")
    if stop is None and len(samples) < header_frames:
        raise UserError(
            f"{path} is cut off: its header names {header_frames} samples and {len(samples)} can be read: restore it, or leave it out"
        )
    mono = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if not np.isfinite(mono).all():
        raise UserError(
            f"{path} has samples that are no numbers (NaN or infinite), the first after {int(np.argmin(np.isfinite(mono))) / own:.2f} s: "
            "mend it, or leave it out"
        )
    loud = bool(np.abs(mono).max() > 1)
    return to_int16(resample(mono, own, rate)), loud


def resample(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Samples of one rate at another, by SciPy's polyphase filter: (n,) -> (⌈n · rate / own⌉,)."""
    if own == rate:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(rate, own)
    return resample_poly(samples, ratio.numerator, ratio.denominator)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples from -1 to 1 as 16-bit integers; what is above full scale is cut there."""
    return np.clip(np.rint(np.asarray(samples, np.float64) * 32768), -32768, 32767).astype(np.int16)


def _opened(path: Path) -> Any:
    """Return what soundfile opens: the path, or what ffmpeg makes of a format that libsndfile does not read.

    Raises:
        UserError: when that needs ffmpeg and it is not installed, or cannot read the file.
    """
    if path.suffix.lower() not in BY_FFMPEG or not path.exists():
        require_whole(path)
        return str(path)
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError(
            f"{path} is read by ffmpeg, which is not installed: install it, or save the file as WAV, FLAC, OGG or MP3,"
            " which are read without"
        )
    made = subprocess.run([program, "-v", "error", "-i", str(path), "-f", "wav", "-"], capture_output=True)
    if made.returncode:
        lines = made.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"{path} cannot be read by ffmpeg ({lines[-1] if lines else 'no reason'}): record it again")
    return io.BytesIO(made.stdout)


def require_whole(path: Path) -> None:
    """Refuses a WAV or AIFF file whose header names more bytes than there are: libsndfile reads what is left of it.

    Files that were written to a pipe name no size, or the largest there is.

    Raises:
        UserError: when some are missing.
    """
    try:
        with open(path, "rb") as file:
            form, _, kind = struct.unpack("<4sI4s", file.read(12))
            part, order = _SAMPLES[form, kind]
            long = None  # bytes of samples, where 32 bits cannot say them
            while head := file.read(8):
                name, size = struct.unpack(f"{order}4sI", head)
                if name == part:
                    break
                if name == b"ds64":
                    long = struct.unpack("<QQ", file.read(16))[1]
                    file.seek(-16, os.SEEK_CUR)
                file.seek(size + size % 2, os.SEEK_CUR)
            else:
                return
            there = os.fstat(file.fileno()).st_size - file.tell()
    except (OSError, KeyError, struct.error):
        return  # whoever reads it says what it is
    size, most = (size, 0x7FFFF000) if long is None else (long, 2**63)
    if there < size < most:
        raise UserError(
            f"{path} is cut off: its header names {size} bytes of samples and {there} are there: restore it, or leave it out"
        )


def resampled_length(header: SoundHeader, rate: int) -> int:
    """Samples of a clip at another rate, as the resampling rounds."""
    ratio = Fraction(rate, header.rate)
    return -(-header.frames * ratio.numerator // ratio.denominator)


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = "it does not exist" if not path.exists() else str(error).rstrip(".")
    return UserError(f"{path} cannot be read as audio ({reason}): give a whole WAV or FLAC file")

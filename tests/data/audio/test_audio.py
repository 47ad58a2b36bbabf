"""Recordings: read, resampled, joined and split; fakes in the formats of the real sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from experiments.batches import IGNORED
from experiments.data.audio.audio_files import Files, StoredClips, open_clips, read_clip
from experiments.data.audio.audio_folder import AudioFolder
from experiments.data.audio.augment import SoundAugment
from experiments.data.audio.fsdd import FSDD, FSDDStrings
from experiments.data.audio.generated_tones import GeneratedTones, GeneratedWords
from experiments.data.audio.speech_manifest import SpeechManifest
from experiments.data.audio.transcripts import read_manifest
from experiments.data.common.sampling import Picks
from experiments.errors import UserError

LOADER = {"bucket": True, "batch_size": 8, "workers": 0, "seed": 0}
DIGITS = {"held_out": None, "validation": 0.2, "rate": None, "limit": None, "split_seed": 0, **LOADER}
FOLDER = {
    "classes": None,
    "rate": None,
    "memory": 100,
    "validation": 0.25,
    "test": 0.25,
    "limit": None,
    "split_seed": 0,
    **LOADER,
}
STRINGS = {"count": 40, "least": 2, "most": 4, "gap": 0.05, "spelling": "digits", **DIGITS}
MANIFEST = {
    "validation_path": None, "test_path": None, "clips": None, "audio": "path", "text": "text", "offset": "offset",
    "duration": "duration", "lowercase": True, "normalise": "none", "empty": "error",
    "unknown": "error", "rate": None, "memory": 100, "validation": 0.2, "test": 0.2, "limit": None, "split_seed": 0, **LOADER,
}  # fmt: skip


def tone(samples: int, hertz: float = 440, rate: int = 8000) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz / rate * np.arange(samples))).astype(np.int16)


@pytest.fixture(scope="module")
def fsdd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three speakers, ten digits, eight recordings each; a clip's first sample tells digit and speaker."""
    root = tmp_path_factory.mktemp("fsdd")
    folder = root / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    for number, speaker in enumerate(("ann", "bob", "cyd")):
        for digit in range(10):
            for index in range(8):
                clip = tone(1200 + 10 * index)
                clip[0] = 10 * digit + number
                soundfile.write(folder / f"{digit}_{speaker}_{index}.wav", clip, 8000)
    return root


def marks(data: Any, part: str) -> tuple[set[int], set[int]]:
    """Digits and speakers of a part, by the first samples of its clips."""
    first = [int(data.clips.read(int(clip))[0]) for clips in data.by_split[part].clips for clip in clips]
    return {mark // 10 for mark in first}, {mark % 10 for mark in first}


def test_digits_have_the_published_test_part(fsdd: Path) -> None:
    data = FSDD(root=str(fsdd), **DIGITS)
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [72, 18, 150]
    for part in ("train", "validation", "test"):
        assert marks(data, part)[0] == set(range(10))
        labels = data.by_split[part].labels
        first = [int(data.clips.read(int(clips[0]))[0]) // 10 for clips in data.by_split[part].clips]
        assert labels.tolist() == first
    assert data.spec.rate == 8000 and data.spec.classes == tuple("0123456789")


def test_a_speaker_held_out_is_in_the_test_part_alone(fsdd: Path) -> None:
    data = FSDD(root=str(fsdd), **DIGITS | {"held_out": ["bob"]})
    data.setup()
    assert marks(data, "test")[1] == {1}
    assert marks(data, "train")[1] | marks(data, "validation")[1] == {0, 2}
    with pytest.raises(UserError, match=r"data\.held_out=eve is no speaker: choose from ann, bob, cyd"):
        FSDD(root=str(fsdd), **DIGITS | {"held_out": "eve"}).setup()


@pytest.mark.parametrize("spelling", ["digits", "words"])
def test_strings_are_made_of_their_own_part_and_one_speaker(fsdd: Path, spelling: str) -> None:
    data = FSDDStrings(root=str(fsdd), **STRINGS | {"spelling": spelling})
    data.setup()
    seen = {part: {int(clip) for clips in data.by_split[part].clips for clip in clips} for part in data.by_split}
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    inputs, labels = data.dataset("test").__getitems__(range(4))
    for row, (clips, gaps) in enumerate(
        zip(data.by_split["test"].clips[:4], data.by_split["test"].gaps[:4], strict=True)
    ):
        first = [int(data.clips.read(int(clip))[0]) for clip in clips]
        assert len({index % 10 for index in first}) == 1
        text = "".join(data.spec.symbols[place] for place in labels[row][labels[row] != IGNORED].tolist())
        words = [str(index // 10) for index in first]
        assert text == " ".join(words) if spelling == "digits" else len(text.split()) == len(words)
        at = 0
        for clip, gap in zip(clips, gaps, strict=True):
            samples = data.clips.read(int(clip))
            assert not inputs.values[row, at : at + gap].any()
            at += int(gap)
            assert np.array_equal(inputs.values[row, at : at + len(samples)].numpy(), samples)
            at += len(samples)
        assert inputs.lengths[row] == at and not inputs.values[row, at:].any()


def test_batches_are_of_like_length_and_every_test_example_comes_once() -> None:
    data = GeneratedWords(count=120, least=1, most=4, gap=0.05, **LOADER)
    data.setup()
    batches = list(data.test_dataloader())
    assert sum(len(labels) for _, labels in batches) == data.splits["test"] == 30
    filled = sum(int(inputs.lengths.sum()) for inputs, _ in batches)
    assert filled / sum(inputs.values.numel() for inputs, _ in batches) > 0.8


def test_generated_clips_are_always_the_same() -> None:
    first, second = (GeneratedTones(count=48, **LOADER) for _ in range(2))
    for data in (first, second):
        data.setup()
    picks = Picks(np.array([3, 1]), 0, 0, 0, 0)
    (a, labels), (b, _) = (data.dataset("train").__getitems__(picks) for data in (first, second))
    assert torch.equal(a.values, b.values) and labels.tolist() == [3, 1] and a.values.dtype == torch.int16


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_files_are_read_resampled_and_mixed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    wave = tone(16000, 500, 16000)
    soundfile.write(path, np.stack([wave, wave], 1), 16000)
    assert np.array_equal(read_clip(path, 16000), wave)
    half = read_clip(path, 8000)
    assert len(half) == 8000
    spectrum = np.abs(np.fft.rfft(half[1000:7000]))
    assert np.argmax(spectrum) * 8000 / 6000 == pytest.approx(500, abs=2)  # the same tone
    high = tmp_path / "high.wav"
    soundfile.write(high, tone(16000, 6000, 16000), 16000)
    assert np.abs(read_clip(high, 8000)[500:-500]).max() < 200  # not folded back below 4 kHz


def test_clips_beyond_memory_are_read_from_their_files(tmp_path: Path) -> None:
    paths = []
    for number, (length, rate) in enumerate([(900, 8000), (1111, 11025), (700, 16000)]):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], tone(length), rate)
    (held, rate, counts), (files, _, _) = open_clips(paths, 8000, 10), open_clips(paths, 8000, 0)
    assert isinstance(held, StoredClips) and isinstance(files, Files) and rate == 8000
    assert counts == {"resampled": 2, "mixed_to_mono": 0, "above_full_scale": 0, "silent": 0}
    assert held.lengths.tolist() == files.lengths.tolist()
    assert all(np.array_equal(held.read(clip), files.read(clip)) for clip in range(3))
    with pytest.raises(UserError, match=r"1\.wav has 11025 samples a second and .*0\.wav 8000: .*data\.rate=8000"):
        open_clips(paths, None, 10)


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., Path]:
    """Twenty recordings with transcripts, listed as a table, as JSON lines, or in LibriSpeech's layout."""

    def make(kind: str, texts: list[str] | None = None) -> Path:
        texts = texts or [f"Word {'abcde'[number % 5]}" for number in range(20)]
        if kind == "librispeech":
            folder = tmp_path / "corpus" / "84" / "121"
            folder.mkdir(parents=True)
            for number in range(len(texts)):
                soundfile.write(folder / f"84-121-{number:04}.flac", tone(800 + number), 8000)
            lines = [f"84-121-{number:04} {text.upper()}" for number, text in enumerate(texts)]
            (folder / "84-121.trans.txt").write_text("\n".join(lines) + "\n")
            return tmp_path / "corpus"
        for number in range(len(texts)):
            soundfile.write(tmp_path / f"{number}.wav", tone(800 + number), 8000)
        path = tmp_path / f"list.{kind}"
        rows = [{"path": f"{number}.wav", "text": text} for number, text in enumerate(texts)]
        if kind == "jsonl":
            path.write_text("\n".join(map(json.dumps, rows)) + "\n")
        else:
            between = "," if kind == "csv" else "\t"
            path.write_text("\n".join([f"path{between}text", *(between.join(row.values()) for row in rows)]) + "\n")
        return path

    return make


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "librispeech"])
def test_manifests_are_read(corpus: Callable[..., Path], kind: str) -> None:
    data = SpeechManifest(path=str(corpus(kind)), **MANIFEST)
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [12, 4, 4]
    assert set(data.spec.symbols) == set("word abcde")
    inputs, labels = data.dataset("train").__getitems__(range(2))
    for row in range(2):
        number = int(inputs.lengths[row]) - 800
        text = "".join(data.spec.symbols[place] for place in labels[row].tolist())
        assert text == f"word {'abcde'[number % 5]}"


def test_parts_may_have_lists_of_their_own(corpus: Callable[..., Path]) -> None:
    path = str(corpus("csv"))
    data = SpeechManifest(path=path, **MANIFEST | {"validation_path": path, "test_path": path, "limit": 0.5})
    data.setup()
    assert [data.splits[part] for part in ("train", "validation", "test")] == [10, 20, 20]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.write_text(path.read_text().replace("Word c", "", 1)), r"line 4: the transcript is empty"),
        (lambda path: path.write_text("path,words\n0.wav,x\n"), r"data\.text=text is no column"),
        (lambda path: path.write_text("path,text\n0.wav,x,y\n"), r"line 2: 3 cells, where the first line names 2"),
        (lambda path: path.write_text("path,text\n"), r"lists no recording"),
        (
            lambda path: path.write_text("path,text\nabsent.wav,x\n" * 1 + "0.wav,y\n" * 9),
            r"list\.csv, line 2: .*absent\.wav .*does not exist",
        ),
        (lambda path: path.write_text("path,text\n0.wav,x\n ,y\n"), r"list\.csv, line 3: path is empty"),
        (lambda path: path.write_bytes(b"path,text\n0.wav,caf\xe9\n"), r"list\.csv, line 2: byte 0xe9 is not UTF-8"),
        (
            lambda path: (path.parent / "3.wav").write_bytes(b"RIFF"),
            r"list\.csv, line 5: .*3\.wav cannot be read as audio",
        ),
        (
            lambda path: soundfile.write(path.parent / "3.wav", np.zeros(0), 8000),
            r"list\.csv, line 5: .*3\.wav has no samples",
        ),
        (
            lambda path: soundfile.write(path.parent / "3.wav", tone(900), 16000),
            r"list\.csv, line \d+: .*data\.rate=",
        ),
        (lambda path: path.unlink(), r"does not exist: name a \.csv"),
    ],
)
def test_bad_manifests_are_named(corpus: Callable[..., Path], change: Callable[[Path], Any], sentence: str) -> None:
    path = corpus("csv")
    change(path)
    with pytest.raises(UserError, match=sentence):
        SpeechManifest(path=str(path), **MANIFEST).setup()


def test_what_is_left_out_is_counted(corpus: Callable[..., Path]) -> None:
    texts = [f"word {'abcde'[number % 5]}" for number in range(20)]
    texts[7] = ""
    path = corpus("csv", texts)
    data = SpeechManifest(path=str(path), **MANIFEST | {"empty": "drop"})
    data.setup()
    assert data.splits["empty_dropped"] == 1 and sum(data.splits[part] for part in data.by_split) == 19


def test_unknown_characters_are_named_or_counted(corpus: Callable[..., Path], tmp_path: Path) -> None:
    path = corpus("csv")
    other = tmp_path / "other.csv"
    other.write_text("path,text\n0.wav,word ß!\n")
    with pytest.raises(
        UserError, match=r"other\.csv, line 2: 'ß' is in no training transcript \(2 such in all: 1 'ß', 1 '!'\)"
    ):
        SpeechManifest(path=str(path), **MANIFEST | {"test_path": str(other)}).setup()
    data = SpeechManifest(path=str(path), **MANIFEST | {"test_path": str(other), "unknown": "drop"})
    data.setup()
    assert data.splits["unknown_characters_dropped"] == 2
    kept = SpeechManifest(path=str(path), **MANIFEST | {"test_path": str(other), "unknown": "keep"})
    kept.prepare_data()
    kept.setup()
    assert "unknown_characters_dropped" not in kept.splits and set(data.spec.symbols) < set(kept.spec.symbols)


def test_transcripts_may_be_numbers_long_or_spelled_in_parts(corpus: Callable[..., Path]) -> None:
    path = corpus("jsonl")
    texts = [0, None, "caf\u00e9", "cafe\u0301", "a" * 200_000]
    path.write_text("".join(json.dumps({"path": f"{row}.wav", "text": text}) + "\n" for row, text in enumerate(texts)))
    assert [row.text for row in read_manifest(path, "path", "text")] == ["0", "", *texts[2:]]
    table = path.with_suffix(".csv")
    table.write_text("path,text\n" + "".join(f"{row}.wav,{text}\n" for row, text in enumerate(texts)))
    data = SpeechManifest(path=str(table), **MANIFEST | {"empty": "drop"})
    read = data._kept(data.read()["train"])
    assert read[2].text == read[3].text == "caf\u00e9" and len(read[4].text) == 200_000
    path.write_text('{"path": "0.wav", "text": NaN}\n')
    assert [row.text for row in read_manifest(path, "path", "text")] == [""]  # a gap, and no word
    path.write_text('{"path": null, "text": "a"}\n')
    with pytest.raises(UserError, match=r"list\.jsonl, line 1: path is empty"):
        read_manifest(path, "path", "text")


def test_librispeech_in_another_encoding_is_named(corpus: Callable[..., Path]) -> None:
    folder = corpus("librispeech")
    path = next(folder.rglob("*.trans.txt"))
    path.write_bytes(path.read_bytes().replace(b"WORD B", b"WORD \xe9", 1))
    with pytest.raises(UserError, match=r"trans\.txt, line 2: byte 0xe9 is not UTF-8"):
        SpeechManifest(path=str(folder), **MANIFEST).setup()


def test_librispeech_without_its_recordings_is_named(corpus: Callable[..., Path]) -> None:
    folder = corpus("librispeech")
    next(iter(sorted(folder.rglob("*.flac")))).unlink()
    with pytest.raises(UserError, match=r"trans\.txt, line 1: 84-121-0000\.flac is not beside it"):
        SpeechManifest(path=str(folder), **MANIFEST).setup()
    bare = folder.parent / "bare"
    bare.mkdir()
    with pytest.raises(UserError, match=r"holds no \*\.trans\.txt"):
        SpeechManifest(path=str(bare), **MANIFEST).setup()


def test_folders_are_classes(tmp_path: Path) -> None:
    for name, hertz in (("yes", 300), ("no", 600), ("other", 900)):
        for number in range(8):
            path = tmp_path / "sounds" / name / "deep" / f"{number}.{'wav' if number % 2 else 'flac'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(1000 + number, hertz), 8000)
    data = AudioFolder(root=str(tmp_path / "sounds"), **FOLDER)
    data.setup()
    assert data.spec.classes == ("no", "other", "yes") and [data.splits[part] for part in data.by_split] == [12, 6, 6]
    assert data.class_counts == [4, 4, 4] and len(set(data.by_split["test"].labels.tolist())) == 3
    some = AudioFolder(root=str(tmp_path / "sounds"), **FOLDER | {"classes": ["yes", "no"], "rate": 4000})
    some.setup()
    assert some.spec.classes == ("yes", "no") and some.splits["resampled"] == 16
    split = tmp_path / "split"
    for part in ("train", "val", "test"):
        (split / part).mkdir(parents=True)
        for name in ("yes", "no"):
            (tmp_path / "sounds" / name).rename(split / part / name) if part == "train" else None
            (split / part / name).mkdir(exist_ok=True)
            soundfile.write(split / part / name / "one.wav", tone(1000), 8000)
    given = AudioFolder(root=str(split), **FOLDER)
    given.setup()
    assert [given.splits[part] for part in ("train", "validation", "test")] == [18, 2, 2]
    for root, keys, sentence in (
        (tmp_path / "nowhere", {}, "is no folder"),
        (split / "val" / "yes", {}, "needs two"),
        (split, {"classes": ["yes", "maybe"]}, "maybe, which is no folder"),
    ):
        with pytest.raises(UserError, match=sentence):
            AudioFolder(root=str(root), **FOLDER | keys).setup()
    (split / "test" / "no" / "one.wav").unlink()
    with pytest.raises(UserError, match="holds no recording"):
        AudioFolder(root=str(split), **FOLDER).setup()


def test_training_recordings_change_in_speed_and_noise_and_no_others_do(fsdd: Path) -> None:
    data, plain = (FSDD(root=str(fsdd), **DIGITS, augment=changes) for changes in ({"speed": 0.2, "noise": 0.1}, None))
    data.setup()
    plain.setup()
    assert data.changes == ["speed", "noise"] and plain.changes == []
    first, again, later = (Picks(np.array([3, 1]), 0, epoch, 0, 0) for epoch in (0, 0, 1))
    train = data.train_dataset()
    (a, labels), (b, _), (c, _) = (train.__getitems__(picks) for picks in (first, again, later))  # type: ignore[attr-defined]
    assert torch.equal(a.values, b.values) and not torch.equal(a.lengths, c.lengths)
    alone, _ = train.__getitems__(Picks(np.array([1]), 0, 0, 7, 3))  # type: ignore[attr-defined]
    assert torch.equal(alone.values[0], a.values[1, : alone.lengths[0]])  # whatever stands beside it
    was, same = plain.train_dataset().__getitems__(first)  # type: ignore[attr-defined]
    assert torch.equal(labels, same) and was.lengths.tolist() != a.lengths.tolist()
    assert ((a.lengths / was.lengths) > 0.8).all() and int(a.lengths.max()) <= data.spec.longest
    for part in ("train", "validation", "test"):  # as they are evaluated
        with_changes, two = (some.dataset(part).__getitems__(range(4))[0] for some in (data, plain))
        assert torch.equal(with_changes.values, two.values)
    assert data.digest("train", False) == plain.digest("train", False) != data.digest("train", True)
    loader = data.in_order("train", 2, 8)
    lengths = torch.cat([sound.lengths for sound, _ in loader])
    placed = torch.zeros_like(lengths)
    placed[torch.from_numpy(loader.batch_sampler.order)] = lengths
    assert len(lengths) == 144 and not torch.equal(placed[:72], placed[72:])
    views = [train.__getitems__(Picks(np.arange(72), 0, view, 0, 0))[0].lengths for view in (0, 1)]  # type: ignore[attr-defined]
    assert torch.equal(placed, torch.cat(views))


def test_speed_moves_a_tone_and_noise_keeps_to_its_share() -> None:
    wave = tone(8000, 500)
    fast = [SoundAugment(speed=0.3).apply(wave, 0, 0, number, 9000) for number in range(20)]
    for recording in fast:
        peak = np.abs(np.fft.rfft(recording)).argmax() * 8000 / len(recording)
        assert peak == pytest.approx(500 * 8000 / len(recording), rel=0.01)
    assert {len(recording) for recording in fast} >= {9000} and 6000 < min(len(recording) for recording in fast) < 7000
    noisy = [SoundAugment(noise=0.2).apply(wave, 0, 0, number, 8000) - wave.astype(float) for number in range(20)]
    shares = [recording.std() / wave.std() for recording in noisy]
    assert all(len(recording) == 8000 for recording in noisy) and max(shares) < 0.21 and max(shares) - min(shares) > 0.1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"sped": 0.1}, r"data\.augment\.sped is not a change of sound: did you mean speed\?"),
        ({"speed": 0.9}, r"data\.augment\.speed=0\.9 must be between 0 and 0\.5; 0 is off"),
        ({"noise": -1}, r"data\.augment\.noise=-1 must be at least 0"),
        ({"noise": "loud"}, r"data\.augment\.noise='loud' is not a number"),
    ],
)
def test_changes_that_cannot_be_are_named(fsdd: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        FSDD(root=str(fsdd), **DIGITS, augment=settings)


@pytest.mark.slow
def test_real_recordings_are_read(real_data: Path) -> None:
    data = FSDD(root=str(real_data), **DIGITS)
    data.setup()
    assert data.splits["test"] == 300 and data.splits["train"] + data.splits["validation"] == 2700
    sample = real_data / "librispeech_sample" / "LibriSpeech"
    speech = SpeechManifest(
        path=str(sample), **MANIFEST | {"validation": 1, "test": 1, "rate": 8000, "unknown": "drop"}
    )
    speech.setup()
    assert speech.splits["resampled"] == 4 and speech.spec.rate == 8000

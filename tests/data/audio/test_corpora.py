"""Sets of recordings with transcripts in their published layouts, parts of files, and sound of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from experiments.data.audio.audio_files import ClipSpan, open_clips, read_clip, resample
from experiments.data.audio.common_voice import CommonVoice
from experiments.data.audio.librispeech import LibriSpeech
from experiments.data.audio.ljspeech import LJSpeech
from experiments.data.audio.speech_manifest import SpeechManifest
from experiments.data.audio.yesno import YesNo
from experiments.errors import UserError
from experiments.transcript_rules import rule

KEYS: dict[str, Any] = {
    "normalise": "simple", "empty": "error", "unknown": "drop", "rate": None, "memory": 100, "validation": 0.2, "test": 0.2,
    "limit": None, "split_seed": 0, "bucket": True, "batch_size": 8, "workers": 0, "seed": 0,
}  # fmt: skip
PARTS = {"audio": "path", "text": "text", "offset": "offset", "duration": "duration", "lowercase": False, "clips": None}


def tone(samples: int, hertz: float = 440, rate: int = 8000) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz / rate * np.arange(samples))).astype(np.int16)


def texts(data: Any, part: str) -> list[str]:
    return ["".join(data.spec.symbols[place] for place in label.tolist()) for label in data.by_split[part].labels]


def ready(data: Any) -> Any:
    data.setup()
    return data


@pytest.mark.parametrize("root", ["", "LJSpeech-1.1"])
def test_ljspeech_is_found_by_either_folder(tmp_path: Path, root: str) -> None:
    folder = tmp_path / "LJSpeech-1.1"
    (folder / "wavs").mkdir(parents=True)
    for number in range(10):
        soundfile.write(folder / "wavs" / f"LJ{number}.{'flac' if number else 'wav'}", tone(800), 8000)
    ending = "" if root else ".flac"  # some lists have it
    lines = [f'LJ{number}{ending if number else ""}|Dr. "No" {number}|Doctor “No”, {number}' for number in range(10)]
    (folder / "metadata.csv").write_text("\n".join(lines))
    data = ready(LJSpeech(root=str(tmp_path / root), **KEYS))
    assert [data.splits[part] for part in ("train", "validation", "test")] == [6, 2, 2]
    assert all(text.startswith("doctor no ") for text in texts(data, "train"))
    whole = ready(LJSpeech(root=str(tmp_path / root), **KEYS | {"test": 1.0, "normalise": "none"}))
    assert whole.splits["test"] == 10 and whole.splits["train"] == 0
    assert texts(whole, "test")[3] == "Doctor “No”, 3"
    with pytest.raises(UserError, match=r"data\.test=1\.0 leaves nothing to train on"):
        whole.train_dataloader()
    (folder / "metadata.csv").write_text("LJ1|a|b\nLJ99|a|b\n")
    with pytest.raises(UserError, match=r"metadata\.csv, line 2: .*LJ99\.wav does not exist"):
        ready(LJSpeech(root=str(tmp_path / root), **KEYS))
    (folder / "metadata.csv").write_text("LJ1|a|b|c\n")
    with pytest.raises(UserError, match=r"metadata\.csv, line 1: 4 cells"):
        ready(LJSpeech(root=str(tmp_path / root), **KEYS))


def test_yesno_is_read_from_its_names(tmp_path: Path) -> None:
    folder = tmp_path / "waves_yesno"
    folder.mkdir()
    for number in range(8):
        soundfile.write(folder / f"{'_'.join(format(number, '03b'))}.wav", tone(800), 8000)
    data = ready(YesNo(root=str(tmp_path), **KEYS))
    assert {word for part in data.by_split for text in texts(data, part) for word in text.split()} == {"yes", "no"}
    soundfile.write(folder / "0_1_2.wav", tone(800), 8000)
    with pytest.raises(UserError, match=r"0_1_2\.wav is not named after its words"):
        ready(YesNo(root=str(tmp_path), **KEYS))
    with pytest.raises(UserError, match=r"data=yesno: neither .* nor a folder waves_yesno in it holds"):
        ready(YesNo(root=str(tmp_path / "absent"), **KEYS))


def test_common_voice_has_its_published_parts(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name, count in (("train", 6), ("dev", 2), ("test", 3)):
        rows = []
        for number in range(count):
            soundfile.write(tmp_path / "clips" / f"{name}{number}.wav", tone(800), 8000)
            rows.append(f"id\t{name}{number}.wav\tक्या यह ठीक है? {name}\t2")
        (tmp_path / f"{name}.tsv").write_text("client_id\tpath\tsentence\tup_votes\n" + "\n".join(rows) + "\n")
    data = ready(CommonVoice(root=str(tmp_path), **KEYS))
    assert [data.splits[part] for part in ("train", "validation", "test")] == [6, 2, 3]
    assert texts(data, "train")[0] == "क्या यह ठीक है train"
    assert data.splits["unknown_characters_dropped"] > 0  # letters of dev and test that train has not
    (tmp_path / "train.tsv").unlink()
    with pytest.raises(UserError, match=r"train\.tsv does not exist: fetch it"):
        ready(CommonVoice(root=str(tmp_path), **KEYS))


def test_librispeech_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "LibriSpeech" / "dev" / "1" / "2"
    folder.mkdir(parents=True)
    for number in range(6):
        soundfile.write(folder / f"1-2-{number}.flac", tone(800), 8000)
    (folder / "1-2.trans.txt").write_text("".join(f"1-2-{number} A WORD\n" for number in range(6)))
    data = ready(LibriSpeech(root=str(tmp_path), **KEYS))
    assert set(texts(data, "train")) == {"a word"}


@pytest.mark.parametrize("memory", [100, 0])
def test_parts_of_files_are_read(tmp_path: Path, memory: int) -> None:
    """Of a file of ten seconds, each with another tone, by offset and duration."""
    wave = np.concatenate([tone(8000, 200 + 100 * second) for second in range(10)])
    soundfile.write(tmp_path / "long.wav", wave, 8000)
    lines = [f"long.wav\tword {second}\t{second}.0\t1.0" for second in range(9)]
    (tmp_path / "list.tsv").write_text(
        "path\ttext\toffset\tduration\n" + "\n".join(lines) + "\nlong.wav\tword 9\t9\t\n"
    )
    keys = KEYS | {"memory": memory, "test": 1.0, "normalise": "none"}
    data = ready(SpeechManifest(path=str(tmp_path / "list.tsv"), validation_path=None, test_path=None, **PARTS, **keys))
    assert data.sets["test"].lengths.tolist() == [8000] * 10
    for second, text in enumerate(texts(data, "test")):
        assert text == f"word {second}"
        assert np.array_equal(data.clips.read(second), wave[8000 * second : 8000 * (second + 1)])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("long.wav\ta\t0.5\t9", r"long\.wav is 1\.00 s long and has no part from 0\.5 s of 9\.0 s"),
        ("long.wav\ta\t2\t", r"has no part from 2\.0 s: mend offset and duration"),
        ("long.wav\ta\t-1\t1", r"list\.tsv, line 2: offset=-1 is no number of seconds"),
        ("long.wav\ta\t0\tx", r"list\.tsv, line 2: duration=x is no number of seconds"),
    ],
)
def test_parts_that_are_not_there_are_named(tmp_path: Path, line: str, sentence: str) -> None:
    soundfile.write(tmp_path / "long.wav", tone(8000), 8000)
    (tmp_path / "list.tsv").write_text(f"path\ttext\toffset\tduration\n{line}\n")
    with pytest.raises(UserError, match=sentence):
        ready(
            SpeechManifest(
                path=str(tmp_path / "list.tsv"), validation_path=None, test_path=None, **PARTS, **KEYS | {"test": 1.0}
            )
        )


def test_resampling_is_scipy_s_and_keeps_a_tone(tmp_path: Path) -> None:
    from scipy.signal import resample_poly

    wave = np.sin(2 * np.pi * 1000 / 22050 * np.arange(22050))
    resampled = resample(wave, 22050, 16000)
    assert np.array_equal(resampled, resample_poly(wave, 320, 441)) and len(resampled) == 16000
    true = np.sin(2 * np.pi * 1000 / 16000 * np.arange(16000))
    assert np.abs(resampled - true)[200:-200].max() < 2e-3
    soxr = pytest.importorskip("soxr")
    assert np.abs(resampled - soxr.resample(wave, 22050, 16000))[200:-200].max() < 2e-3


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_24", "FLOAT", "DOUBLE"])
def test_other_kinds_of_samples_are_read_at_full_scale(tmp_path: Path, kind: str) -> None:
    wave = tone(4000) / 32768
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype=kind)
    clip = read_clip(tmp_path / "a.wav", 8000)
    assert np.abs(clip / 32768 - wave).max() < (1 / 100 if kind == "PCM_U8" else 1 / 30000)


def test_what_is_above_full_scale_or_silent_is_counted(tmp_path: Path, caplog: Any) -> None:
    soundfile.write(tmp_path / "0_1.wav", 3 * tone(800) / 8000, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "1_0.wav", np.zeros(800), 8000)
    for name in ("0_0", "1_1", "1_1_1", "0_0_0"):
        soundfile.write(tmp_path / f"{name}.wav", np.stack([tone(800), tone(800, 200)], 1), 8000)
    data = ready(YesNo(root=str(tmp_path), **KEYS))
    assert {data.splits[key] for key in ("above_full_scale", "silent")} == {1} and data.splits["mixed_to_mono"] == 4
    assert "4 mixed to mono, 1 above full scale, 1 silent" in caplog.text
    caplog.clear()
    data.prepare([tmp_path / "0_0.wav", np.zeros(9)])
    assert not caplog.text
    data.prepare([tmp_path / "0_1.wav", np.full(9, 1.5)])
    assert "0_1.wav has samples above full scale" in caplog.text and "a recording has samples" in caplog.text
    caplog.clear()
    (tmp_path / "bad.wav").write_bytes(b"x")
    with pytest.raises(UserError, match=r"bad\.wav cannot be read"):  # whoever asks then reads the others alone
        data.prepare([tmp_path / "0_1.wav", tmp_path / "bad.wav"])
    assert not caplog.text
    left, right = tone(800).astype(float), tone(800, 200).astype(float)
    mixed = read_clip(tmp_path / "0_0.wav", 8000)
    assert np.abs(mixed - (left + right) / 2).max() <= 1  # the mean of the channels
    assert np.abs(read_clip(tmp_path / "0_1.wav", 8000)).max() >= 32767


def test_damaged_samples_are_named(tmp_path: Path) -> None:
    """libsndfile reads what is left of a cut file, and a NaN becomes the loudest negative sample."""
    for kind, name in (("PCM_16", "a.wav"), ("FLOAT", "b.wav"), ("PCM_16", "c.flac"), ("PCM_16", "d.aiff")):
        soundfile.write(tmp_path / name, tone(8000) / 32768, 8000, subtype=kind)
        assert len(read_clip(tmp_path / name, 8000)) == 8000
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(UserError, match=rf"{name} (is cut off: its header names|cannot be read)"):
            read_clip(tmp_path / name, 8000)
    soundfile.write(tmp_path / "long.wav", tone(8000) / 32768, 8000, format="RF64")  # as recorders write beyond 4 GB
    assert len(read_clip(tmp_path / "long.wav", 8000)) == 8000
    (tmp_path / "long.wav").write_bytes((tmp_path / "long.wav").read_bytes()[:8000])
    with pytest.raises(UserError, match=r"long\.wav is cut off: its header names 16000 bytes"):
        read_clip(tmp_path / "long.wav", 8000)
    wave = tone(800) / 32768
    wave[400] = np.nan
    soundfile.write(tmp_path / "e.wav", wave, 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"e\.wav has samples that are no numbers .* the first after 0\.05 s"):
        read_clip(tmp_path / "e.wav", 8000)


@pytest.mark.parametrize("folder", ["clips", "wavs", "elsewhere"])
def test_recordings_may_lie_in_another_folder_than_their_list(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    for number in range(10):
        soundfile.write(tmp_path / folder / f"{number}.wav", tone(800), 8000)
    (tmp_path / "list.tsv").write_text("path\ttext\n" + "".join(f"{number}.wav\ta\n" for number in range(10)))
    own = {"audio": "path", "text": "text", "offset": "", "duration": "", "lowercase": False, "validation_path": None}
    words = own | KEYS | {"path": str(tmp_path / "list.tsv"), "test_path": None}
    if folder == "elsewhere":
        with pytest.raises(UserError, match=r"list\.tsv, line 2: .*0\.wav does not exist: .* data\.clips=FOLDER"):
            ready(SpeechManifest(clips=None, **words))
    for clips in (str(tmp_path / folder), folder, *([None] if folder != "elsewhere" else [])):
        assert ready(SpeechManifest(clips=clips, **words)).splits["train"] == 6


def test_formats_of_ffmpeg_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m4a").write_bytes(b"nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"a\.m4a is read by ffmpeg, which is not installed: .*WAV, FLAC, OGG or MP3"):
        read_clip(tmp_path / "a.m4a", 8000)
    fake = tmp_path / "ffmpeg"
    soundfile.write(tmp_path / "b.wav", tone(800), 8000)
    fake.write_text(f"#!/bin/sh\n/bin/cat {tmp_path}/b.wav\n")
    fake.chmod(0o755)
    assert np.array_equal(read_clip(tmp_path / "a.m4a", 8000), tone(800))
    clips, rate, _ = open_clips([tmp_path / "a.m4a"], None, 10, spans=[ClipSpan(0.05, 0.05)])
    assert rate == 8000 and np.array_equal(clips.read(0), tone(800)[400:])
    fake.write_text("#!/bin/sh\necho moov atom not found >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"a\.m4a cannot be read by ffmpeg \(moov atom not found\)"):
        read_clip(tmp_path / "a.m4a", 8000)


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("none", " It’s No. 5! ", "It’s No. 5!"),
        ("lower", "It's No. 5!", "it's no. 5!"),
        ("simple", "It’s—no. 5!  'Quoted' rock'n'roll", "it's no 5 quoted rock'n'roll"),
        ("simple", "क्‍या यह ठीक है? हाँ।", "क्या यह ठीक है हाँ"),
        ("simple", "क़लम", "क़लम"),
        ("simple", "Ünïcode ﬁne ½", "ünïcode fine 1 2"),
        ("english", "Mr. Smith's twenty-one dogs, um, can't", "mister smith's 21 dogs can not"),
    ],
)
def test_transcripts_are_written_by_one_rule(name: str, text: str, written: str) -> None:
    if name == "english":
        pytest.importorskip("transformers")
        assert rule(name, "data.normalise")(text).split()[:1] == ["mister"]
        assert "21 dogs" in rule(name, "data.normalise")(text) and "can not" in rule(name, "data.normalise")(text)
        return
    assert rule(name, "data.normalise")(text) == rule(name, "data.normalise")(written) or name in ("none", "lower")
    assert rule(name, "data.normalise")(text).replace("\u200d", "") == rule("none", "x")(written)


def test_real_sets_are_read(real_data: Path) -> None:
    for kind, name, count in (
        (YesNo, "yesno", 60),
        (LJSpeech, "ljspeech_lj001", 100),
        (LibriSpeech, "librispeech_sample", 4),
    ):
        if not (real_data / name).is_dir():
            pytest.skip(f"no {name} in {real_data}")
        data = ready(kind(root=str(real_data / name), **KEYS | {"test": 1.0, "memory": 0}))
        assert data.splits["test"] == count

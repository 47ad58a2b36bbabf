"""Speech through the command: clips with labels, strings with transcripts, decoding, figures, prediction."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from experiments.batches import Sequences
from experiments.models.acoustics import Acoustics, SpecAugment
from experiments.models.speech_rnn import SpeechRNN
from experiments.tasks.parts.ctc import greedy, prefix_beam

SMALL = ["model.filters=[8]", "model.hidden=24", "model.layers=1", "model.bands=20", "model.band_mask=2", "optimizer.lr=0.01",
         "trainer.accelerator=cpu"]  # fmt: skip
KEYS: dict[str, Any] = {
    "features": "log_mel", "bands": 20, "coefficients": 13, "window": 25.0, "hop": 10.0, "time_masks": 1, "time_mask": 0.1,
    "band_masks": 1, "band_mask": 2, "filters": [4, 4], "kernel": [5, 5], "stride": 2, "cell": "gru", "hidden": 8,
    "layers": 1, "bidirectional": True, "pooling": "mean", "dropout": 0.0,
}  # fmt: skip


def train(folder: Path, *words: str) -> tuple[Path, dict[str, Any]]:
    from experiments.cli import main

    assert main(["train", *words, *SMALL, f"hydra.run.dir={folder}"]) == 0
    return folder, json.loads((folder / "record.json").read_text())


@pytest.fixture(scope="module")
def strings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("strings") / "run"
    return train(
        folder, "data=generated_words", "data.count=240", "data.most=2", "trainer.max_epochs=1", "logger=tensorboard"
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("clips") / "run"
    words = ("data=generated_tones", "data.count=240", "trainer.max_epochs=4", "callbacks=none", "logger=none")
    return train(folder, *words)


@pytest.mark.slow
def test_clips_are_told_apart(clips: tuple[Path, dict[str, Any]]) -> None:
    _, record = clips
    assert record["metrics"]["test/accuracy"] > 0.6  # a sixth by chance
    assert record["spec"]["kind"] == "AudioSpec" and record["cost"]["flops_per_example"] > 0


@pytest.mark.slow
def test_strings_are_transcribed_recorded_and_drawn(strings: tuple[Path, dict[str, Any]]) -> None:
    folder, record = strings
    assert {"test/wer", "test/cer", "test/loss"} <= record["metrics"].keys()
    assert record["metrics"]["train/too_short"] == 0
    assert all(set(pair) == {"said", "heard"} for pair in record["transcripts"])
    assert (folder / "figures" / "alignment.png").exists()
    assert b"transcripts/text_summary" in b"".join(path.read_bytes() for path in folder.glob("events.out.*"))


@pytest.mark.slow
@pytest.mark.parametrize("run", ["strings", "clips"])
def test_evaluation_repeats_the_test(run: str, request: Any, experiments: Any) -> None:
    folder, record = request.getfixturevalue(run)
    code, output, errors = experiments("evaluate", str(folder))
    assert code == 0, errors
    metrics = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    assert metrics["test/loss"] == pytest.approx(record["metrics"]["test/loss"], abs=1e-3)


@pytest.mark.slow
def test_show_draws_the_alignment(strings: Any, experiments: Any) -> None:
    code, _, errors = experiments("show", str(strings[0]), "--to", "shown")
    assert code == 0, errors
    assert [path.name for path in Path("shown").glob("*.png")] == ["alignment.png"]


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_prediction_resamples_and_answers(
    strings: Any, clips: Any, experiments: Any, tmp_path: Path, suffix: str
) -> None:
    time = np.arange(3200) / 16000
    soundfile.write(tmp_path / f"tone.{suffix}", np.stack([0.3 * np.sin(2 * np.pi * 600 * time)] * 2, 1), 16000)
    code, output, errors = experiments("predict", str(strings[0]), str(tmp_path), "--format", "json")
    assert code == 0, errors
    answer = json.loads(output)[0]
    assert answer["seconds"] == 0.2 and isinstance(answer["transcript"], str)
    code, output, errors = experiments("predict", str(clips[0]), f"tone.{suffix}", "--format", "json", "--top", "6")
    assert code == 0, errors
    assert sum(label["probability"] for label in json.loads(output)[0]["classes"]) == pytest.approx(1, abs=1e-4)


def test_prediction_refuses_what_is_no_sound(clips: Any, experiments: Any, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for name, sentence in (
        ("absent.wav", "does not exist"),
        ("text.wav", "read as audio"),
        ("empty.wav", "no samples"),
    ):
        code, _, errors = experiments("predict", str(clips[0]), name)
        assert code == 2 and name in errors and sentence in errors, errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=generated_words", "task.beam=0"], "task.beam=0 must be 1 or more"),
        (["data=generated_words", "model.features=wavelet"], "model.features=wavelet is unknown"),
        (["data=generated_words", "model.kernel=[4,5]"], "needs two odd sizes"),
        (["data=generated_words", "model.coefficients=99"], "model.coefficients=99 must be 1 to 40"),
        (["data=generated_words", "model=gru"], "model=gru"),
        (["data=generated_tones", "task=speech_recognition"], "task=speech_recognition"),
        (["data=generated_words", "data.least=5"], "data.most=4 must be a whole number, 5 or more"),
    ],
)
def test_bad_choices_are_named(experiments: Any, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("train", *words, "trainer.accelerator=cpu", "hydra.run.dir=run")
    assert code == 2 and sentence in errors, errors


def sound(*lengths: int) -> Sequences:
    values = torch.zeros(len(lengths), max(lengths), dtype=torch.int16)
    generator = torch.Generator().manual_seed(0)
    for row, length in zip(values, lengths, strict=True):
        row[:length] = torch.randint(-9000, 9000, (length,), generator=generator)
    return Sequences(values, torch.tensor(lengths))


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize("features", ["log_mel", "mfcc"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_padding_and_neighbours_change_nothing(every_step: bool, features: str, pooling: str) -> None:
    model = SpeechRNN(8000, 5, every_step=every_step, **KEYS | {"features": features, "pooling": pooling}).eval()
    batch = sound(4000, 100, 2310)  # the second is shorter than a window
    with torch.no_grad():
        together = model(batch)
        for row, length in enumerate(batch.lengths.tolist()):
            alone = model(Sequences(batch.values[row : row + 1, :length], batch.lengths[row : row + 1]))
            if every_step:
                steps = int(alone.lengths)
                assert steps == together.lengths[row]
                assert torch.allclose(alone.values[0, :steps], together.values[row, :steps], atol=1e-5)
            else:
                assert torch.allclose(alone[0], together[row], atol=1e-5)


def test_a_tone_is_brightest_in_its_own_band() -> None:
    """Bands of equal width in mel: the place of a frequency's peak is known."""
    features = Acoustics(8000, kind="log_mel", bands=20, coefficients=13, window=32.0, hop=16.0)
    mel = [2595 * math.log10(1 + hertz / 700) for hertz in (20, 4000)]
    for hertz in (300, 1000, 3000):
        wave = (10000 * torch.sin(2 * math.pi * hertz / 8000 * torch.arange(8000))).to(torch.int16)
        out = features(Sequences(wave[None], torch.tensor([8000])))
        expected = (2595 * math.log10(1 + hertz / 700) - mel[0]) / (mel[1] - mel[0]) * 21 - 1
        assert abs(out.values[0].mean(0).argmax().item() - expected) <= 1
        assert out.lengths.tolist() == [(8000 - 256) // 128 + 1]


def test_features_are_normalised_and_loudness_does_not_matter() -> None:
    features = Acoustics(8000, kind="log_mel", bands=20, coefficients=13, window=25.0, hop=10.0)
    batch = sound(8000)
    out, louder = features(batch).values, features(Sequences(batch.values * 2, batch.lengths)).values
    assert abs(out.mean()) < 1e-4 and out.std() == pytest.approx(1, abs=0.01)
    assert torch.allclose(out, louder, atol=0.02)


def test_masks_hide_stripes_while_training_only() -> None:
    x = Sequences(torch.ones(64, 50, 20), torch.full((64,), 50))
    stage = SpecAugment(time_masks=2, time=0.2, band_masks=1, bands=4)
    hidden = stage(x).values == 0
    steps, bands = hidden.all(2), hidden.all(1)
    assert torch.equal(hidden, steps[..., None] | bands[:, None])
    assert steps.any() and steps.sum(1).max() <= 2 * 10 and bands.sum(1).max() <= 4
    assert stage.eval()(x) is x


def brute(chances: np.ndarray) -> list[int]:
    """The most probable sequence of one recording, over every alignment there is."""
    steps, symbols = chances.shape
    total: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(symbols), repeat=steps):
        key = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        total[key] = total.get(key, 0.0) + float(np.prod(chances[np.arange(steps), list(path)]))
    return list(max(total, key=lambda key: total[key]))


@pytest.mark.slow
def test_a_wide_beam_finds_the_most_probable_sequence() -> None:
    """Against all 4^5 alignments; recordings of one batch do not disturb one another."""
    scores = torch.randn(40, 5, 4, generator=torch.Generator().manual_seed(0)) * 1.5
    chances = scores.softmax(2)
    expected = [brute(row.double().numpy()) for row in chances]
    assert prefix_beam(chances.log(), 200) == expected
    right = [
        sum(a == b for a, b in zip(decoded, expected, strict=True))
        for decoded in (prefix_beam(chances.log(), 8), prefix_beam(chances.log(), 2), greedy(chances.log()))
    ]
    assert right[0] > right[2] and right[0] >= right[1]


def test_decoding_joins_repeats_and_drops_blanks() -> None:
    path = torch.tensor([[0, 1, 1, 0, 1, 2, 2, 0]])
    sure = torch.nn.functional.one_hot(path, 3).float() * 20
    for read in (greedy(sure.log_softmax(2)), prefix_beam(sure.log_softmax(2), 4)):
        assert read == [[1, 1, 2]]
    silent = torch.full((1, 4, 3), float("-inf"))
    silent[..., 0] = 0.0
    assert prefix_beam(silent, 4) == greedy(silent) == [[]]

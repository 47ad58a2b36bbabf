"""Whisper through the command: trained, tested, heard in windows, written as subtitles; the same transcripts as transformers'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from experiments.tasks.parts.transcribing import Segment, repeats_itself, segments, transcribe

transformers = pytest.importorskip("transformers")

from experiments.models.library.whisper import whisper  # noqa: E402
from tests.models.test_whisper import PUBLISHED, SIZES, save, sound, spectrum, tokenizer  # noqa: E402

SMALL = [
    "model=whisper_tiny", "model.window=2", "model.hidden=16", "model.layers=1", "model.heads=2", "model.inner=32", "model.bands=16",
    "model.longest_text=40", "model.projection=8", "trainer.accelerator=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with values that say something, and tokens: letters, and times up to two seconds."""
    folder = tmp_path_factory.mktemp("published")
    save(folder, vocab_size=125, init_std=0.4)
    tokenizer(folder)
    return folder


def loaded(folder: Path) -> tuple[Any, Any]:
    """Ours and the library's."""
    from experiments.transfer.weights import load_weights

    model: Any = whisper(16000, None, ("a",), source=str(folder), **SIZES).eval()
    load_weights(model, str(folder), "whisper_tiny", PUBLISHED, True, ("a",))
    net = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    net.generation_config.no_timestamps_token_id = 23
    return model, net


@pytest.mark.parametrize("times", [False, True])
def test_greedy_transcripts_are_the_library_s(published: Path, tmp_path: Path, times: bool) -> None:
    if not times:  # else the library takes such tokens for ends of segments, and goes on behind them
        save(tmp_path, vocab_size=24, init_std=0.4)
        tokenizer(tmp_path)
    model, net = loaded(published if times else tmp_path)
    batch = sound(20000, 8000, 31000, 3000)
    wanted = net.generate(spectrum(batch, 2, 20), return_timestamps=times, max_new_tokens=20)
    prompt = model.words.prompt(None, False, times)
    with torch.inference_mode():
        transcripts = transcribe(
            model, model.listen(batch), torch.tensor([prompt] * 4), times=times, beams=1, penalty=1.0, longest=20
        )
    for ours, theirs in zip(transcripts, wanted.tolist(), strict=True):
        text = [token for token in theirs if token not in (1, 23)]
        text = text[: text.index(0)] if 0 in text else text
        assert [token for token in ours.tokens if token not in (1, 23)] == text and text


def test_a_wider_beam_finds_what_is_no_less_probable(published: Path) -> None:
    model, _ = loaded(published)
    batch = sound(20000, 8000, 31000, 3000)
    prompts = torch.tensor([model.words.prompt(None, False, False)] * 4)
    with torch.inference_mode():
        state = model.listen(batch)
        first, four = (
            transcribe(model, state, prompts, times=False, beams=beams, penalty=1.0, longest=12) for beams in (1, 4)
        )
        alone = transcribe(
            model, state.take(torch.tensor([2])), prompts[:1], times=False, beams=4, penalty=1.0, longest=12
        )
    assert sum(a.score for a in four) >= sum(a.score for a in first)
    assert alone[0].tokens == four[2].tokens


def test_a_search_in_bf16_converts_weights_once_and_gives_the_same(published: Path) -> None:
    model, _ = loaded(published)
    batch, prompts = sound(20000, 8000), torch.tensor([model.words.prompt(None, False, False)] * 2)
    with torch.inference_mode():
        assert model.for_search() is model
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        light, state = model.for_search(), model.listen(batch)
        for some in (prompts, prompts[:, :1]):
            (wanted, _), (scores, _) = model.advance(some, state), light.advance(some, state)
            assert torch.equal(wanted, scores)
    assert model.head.matrix is None and model.decoder1.layer.fc1.weight.dtype == torch.float32
    assert light.head.matrix.dtype == light.decoder1.layer.fc1.weight.dtype == torch.bfloat16
    assert light.head.tokens.weight is model.head.tokens.weight and light.words is model.words


def test_loops_are_told_from_speech() -> None:
    loop, speech = (
        " the cat" * 30,
        " Printing, in the only sense with which we are at present concerned, differs from most.",
    )
    assert repeats_itself(loop, 25.0) and not repeats_itself(speech, 5.0)
    assert repeats_itself(speech, 1.0) and not repeats_itself("", 0.0) and not repeats_itself(" No no no.", 1.0)


@pytest.mark.slow
def test_a_short_window_is_each_recording_s_own_and_loops_are_heard_in_the_whole(
    published: Path, corpus: Path, experiments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.models.library.whisper import Whisper
    from experiments.tasks import transcription

    heard: list[tuple[int, int | None]] = []
    listen = Whisper.listen

    def watched(self: Any, sound: Any, seconds: int | None = None) -> Any:
        heard.append((len(sound.values), seconds))
        return listen(self, sound, seconds)

    def evaluated(*words: str) -> dict[str, float]:
        heard.clear()
        code, output, problems = experiments(
            "evaluate", "model=whisper_tiny", f"weights={published}", "data=ljspeech", f"data.root={corpus}", "data.test=1.0",
            "model.window=2", "trainer.accelerator=cpu", "data.bucket=false", *words,
        )  # fmt: skip
        assert code == 0, problems
        return {line.split()[0]: float(line.split()[1]) for line in output.splitlines() if line.startswith("test/")}

    monkeypatch.setattr(Whisper, "listen", watched)
    monkeypatch.setattr(transcription, "repeats_itself", lambda text, seconds: False)
    short = evaluated("task.silence=0", "data.batch_size=5")
    # The first recording lasts one second, and the network's window is two.
    assert {seconds for _, seconds in heard} == {1, None} and sum(count for count, seconds in heard if seconds) == 1
    assert evaluated("task.silence=0", "data.batch_size=1") == pytest.approx(short, abs=2e-3)
    whole = evaluated("data.batch_size=5")
    assert {seconds for _, seconds in heard} == {None} and whole != short
    monkeypatch.setattr(transcription, "repeats_itself", lambda text, seconds: True)
    again = evaluated("task.silence=0", "data.batch_size=5")
    assert (again["test/wer"], again["test/cer"]) == (whole["test/wer"], whole["test/cer"])
    evaluated(
        "task.silence=0", "data.batch_size=12", "model.window=1.2"
    )  # some are longer than the window, and have no loss


def test_segments_end_where_the_times_say() -> None:
    first = 100
    pairs = [100, 1, 2, 110, 110, 3, 120, 120, 4]  # the last one is cut off
    assert segments(pairs, first, 30.0, 2.0) == (
        [Segment(30.0, 30.2, [1, 2]), Segment(pytest.approx(30.2), 30.4, [3])],
        pytest.approx(0.4),
    )
    assert segments([100, 1, 110, 110, 2, 130], first, 0.0, 2.0)[1] == 2.0  # nothing behind the last time
    assert segments([100, 1, 2], first, 5.0, 2.0) == ([Segment(5.0, 7.0, [1, 2])], 2.0)
    assert segments([1, 2], None, 0.0, 1.5) == ([Segment(0.0, 1.5, [1, 2])], 1.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve recordings in LJ Speech's layout; the third is silent."""
    folder = tmp_path_factory.mktemp("LJSpeech-1.1")
    (folder / "wavs").mkdir()
    rows = []
    for number in range(12):
        clip = np.random.default_rng(number).normal(0, 0.1, 16000 + 500 * number) * (number != 2)
        soundfile.write(folder / "wavs" / f"LJ-{number:02}.flac", clip, 16000)
        rows.append(f"LJ-{number:02}|{number} Cab,|cab {'abc'[number % 3]}, bad")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return folder


def command(*words: str) -> int:
    from experiments.cli import main

    return main(list(words))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, corpus: Path, published: Path) -> Path:
    """Fine-tuned, from a folder that is gone afterwards."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    gone = folder.parent / "weights"
    shutil.copytree(published, gone)
    words = ["model=whisper_tiny", "model.window=2", f"weights={gone}", "data=ljspeech", f"data.root={corpus}"]
    words += ["trainer.max_epochs=1", "logger=tensorboard", "trainer.accelerator=cpu"]
    assert command("train", *words, f"hydra.run.dir={folder}") == 0
    shutil.rmtree(gone)
    return folder


@pytest.mark.slow
def test_fine_tuning_records_errors_and_needs_the_folder_no_more(run: Path, experiments: Any) -> None:
    record = json.loads((run / "record.json").read_text())
    assert {"test/loss", "test/wer", "test/cer", "test/insertions", "test/deletions", "test/substitutions"} <= record[
        "metrics"
    ].keys()
    assert "val/loss" in record["metrics"] and "val/wer" not in record["metrics"]
    errors = record["errors"]
    assert errors["words"]["said"] == 6 and set(errors["characters"]) == {
        "said",
        "insertions",
        "deletions",
        "substitutions",
    }
    assert len(errors["confusions"]) <= 10 and record["transcripts"]
    assert (run / "published" / "tokenizer.json").exists() and (run / "figures" / "attention.png").exists()
    code, output, problems = experiments("evaluate", str(run))
    assert code == 0, problems
    assert f"{record['metrics']['test/wer']:.4f}" in output


@pytest.mark.slow
def test_weights_are_evaluated_without_a_run(published: Path, corpus: Path, experiments: Any, caplog: Any) -> None:
    """The task follows from the model, as the data's usual one does where none is named."""
    code, output, problems = experiments(
        "evaluate", "model=whisper_tiny", f"weights={published}", "model.window=2", "data=ljspeech", f"data.root={corpus}",
        "data.test=1.0", "trainer.accelerator=cpu",
    )  # fmt: skip
    assert code == 0, problems
    assert {"test/loss", "test/wer", "test/cer"} <= {line.split()[0] for line in output.splitlines()}
    assert "1 silent" in caplog.text
    code, _, problems = experiments(
        "train", *SMALL, "data=ljspeech", f"data.root={corpus}", "data.test=1.0", "hydra.run.dir=x"
    )
    assert code == 2 and "data.test=1.0 leaves nothing to train on" in problems


@pytest.mark.slow
def test_long_recordings_are_heard_in_windows(run: Path, experiments: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(1).normal(0, 0.1, 16000 * 5), 16000)
    soundfile.write(tmp_path / "short.wav", np.random.default_rng(1).normal(0, 0.1, 16000), 16000)
    code, output, problems = experiments("predict", str(run), "long.wav", "short.wav", "--format", "json")
    assert code == 0, problems
    long, short = json.loads(output)
    assert long["seconds"] == 5.0 and short["seconds"] == 1.0
    for answer in (long, short):
        times = [(segment["start"], segment["end"]) for segment in answer["segments"]]
        assert times == sorted(times) and all(0 <= start <= end <= answer["seconds"] for start, end in times)
    code, output, _ = experiments("predict", str(run), "short.wav")
    assert code == 0 and "segments" not in output and "transcript" in output


@pytest.mark.slow
def test_subtitles_are_written(run: Path, experiments: Any, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.random.default_rng(1).normal(0, 0.1, 16000 * 3), 16000)
    code, output, problems = experiments("predict", str(run), "a.wav", "--format", "srt")
    assert code == 0 and output.startswith("1\n00:00:00,000 --> 00:00:0"), problems
    code, output, problems = experiments("predict", str(run), "a.wav", "b.wav", "--format", "vtt")
    assert code == 2 and "--format vtt of 2 recordings makes a file each: add --out FOLDER" in problems
    code, output, problems = experiments("predict", str(run), "a.wav", "b.wav", "--format", "vtt", "--out", "subtitles")
    assert code == 0, problems
    assert (tmp_path / "subtitles" / "b.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:0")


def test_published_weights_predict_without_a_run(published: Path, experiments: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(1).normal(0, 0.1, 16000), 16000)
    words = ["model=whisper_tiny", f"weights={published}", "model.window=2", "a.wav"]
    code, output, problems = experiments("predict", *words, "--format", "json")
    assert code == 0, problems
    assert json.loads(output)[0]["seconds"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "mixed"), [("32-true", False), ("bf16-mixed", True)])
def test_predictions_are_made_in_the_precision_that_is_named(
    published: Path, experiments: Any, tmp_path: Path, monkeypatch: Any, precision: str, mixed: bool
) -> None:
    """And eight recordings at a time, those of like length together; answers keep the order of the files."""
    from experiments.tasks.transcription import Transcription

    heard: list[tuple[list[int], bool]] = []
    whole = Transcription.transcribe

    def watched(task: Any, sound: Any, listened: Any = None) -> Any:
        heard.append((sound.lengths.tolist(), torch.is_autocast_enabled("cpu")))
        return whole(task, sound, listened)

    monkeypatch.setattr(Transcription, "transcribe", watched)
    for number in range(9):
        soundfile.write(tmp_path / f"{number}.wav", np.ones(1600 * (9 - number)) / 9, 16000)
    words = ["model=whisper_tiny", f"weights={published}", "model.window=2", f"precision={precision}"]
    code, output, problems = experiments("predict", *words, ".", "--format", "json")
    assert code == 0, problems
    assert [answer["seconds"] for answer in json.loads(output)] == [(9 - number) / 10 for number in range(9)]
    assert heard == [([1600 * count for count in range(1, 9)], mixed), ([14400], mixed)]


@pytest.mark.slow
def test_the_library_loads_what_a_run_exports(run: Path, experiments: Any) -> None:
    code, output, problems = experiments("export", str(run), "--format", "transformers", "--to", "out")
    assert code == 0 and "scores of test recordings" in output, problems
    assert json.loads(Path("out", "config.json").read_text())["architectures"] == ["WhisperForConditionalGeneration"]
    assert Path("out", "tokenizer.json").read_bytes() == (run / "published" / "tokenizer.json").read_bytes()


@pytest.mark.slow
def test_show_draws_where_tokens_look(run: Path, experiments: Any) -> None:
    code, _, problems = experiments("show", str(run), "--to", "shown")
    assert code == 0, problems
    assert Path("shown/attention.png").exists()


@pytest.mark.slow
def test_characters_are_tokens_where_none_are_published(experiments: Any, tmp_path: Path) -> None:
    words = ["data=generated_words", "data.count=40", "trainer.max_epochs=1", "callbacks=none", "logger=none"]
    code, _, problems = experiments("train", *SMALL, *words, "task.search.beams=2", "hydra.run.dir=run")
    assert code == 0, problems
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["metrics"]["test/wer"] > 0 and not (tmp_path / "run" / "published").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["task.language=hi"], "task.language=hi: this network knows English alone"),
        (["task.translate=true"], "task.translate=true: this network knows English alone"),
        (["task.search.beams=0"], "task.search.beams=0 must be"),
        (["task.normalise=loud"], "task.normalise=loud is unknown: choose one of none, lower, simple, english"),
        (
            ["data.rate=8000"],
            "model=whisper_tiny reads 16000 samples a second and data=ljspeech gives 8000: set data.rate=16000",
        ),
        (["model=wav2vec2_base"], "is of a whisper and not of wav2vec2 or hubert or wavlm or unispeech"),
        (["task.silence=-1"], "task.silence=-1 must be 0 or more"),
        (["model.window=1", "task.windows=false"], "the network looks at 1 s: cut it"),
    ],
)
def test_bad_choices_are_named(
    published: Path, corpus: Path, experiments: Any, words: list[str], sentence: str
) -> None:
    code, _, problems = experiments(
        "evaluate", "model=whisper_tiny", f"weights={published}", "data=ljspeech", f"data.root={corpus}", "data.test=1.0", "trainer.accelerator=cpu", *words,
        *([] if words[0].startswith("model") else ["model.window=2"]),
    )  # fmt: skip
    assert code == 2 and sentence in problems, problems


def test_many_languages_are_named_and_heard(tmp_path: Path) -> None:
    from tokenizers import AddedToken, Tokenizer

    save(tmp_path, vocab_size=140)
    tokenizer(tmp_path)
    made = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    made.add_special_tokens(
        [AddedToken(f"<|{name}|>", special=True) for name in ("en", "hi", "translate", "transcribe")]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "generation_config.json").write_text(json.dumps({"is_multilingual": True, "suppress_tokens": [5]}))
    model: Any = whisper(16000, None, ("a",), source=str(tmp_path), **SIZES)
    assert model.words.languages == {"en": 24, "hi": 25} and model.words.suppressed == [5]
    assert model.words.prompt("hi", True, True) == [1, 25, 26] and model.words.prompt("en", False, False) == [
        1,
        24,
        27,
        23,
    ]
    with pytest.raises(ValueError, match=r"task\.language=fr is no language of this network: choose one of en, hi"):
        model.words.prompt("fr", False, False)


def test_training_refuses_what_is_longer_than_the_window(corpus: Path, experiments: Any) -> None:
    code, _, problems = experiments(
        "train",
        *SMALL,
        "model.window=1",
        "data=ljspeech",
        f"data.root={corpus}",
        "logger=none",
        "callbacks=none",
        "hydra.run.dir=x",
    )
    assert code == 2 and "a recording lasts 1." in problems and "the network looks at 1 s" in problems, problems

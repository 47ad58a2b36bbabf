"""Translation, from one command to a record, pictures and new sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from experiments.batches import Pairs
from experiments.run.loaded import load
from experiments.viz.fonts import latin, writing


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on a few generated pairs."""
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("translation") / "run"
    words = ["data=generated_pairs", "data.count=700", "data.batch_size=32", "optimizer.lr=0.01", "trainer=cpu"]
    small = ["model.embedding=32", "model.hidden=32", "trainer.max_epochs=3", "task.search.beams=2"]
    keys = ["task.validation_bleu=8", "task.scheduled_sampling=0.2", "model.dropout=0.0"]
    assert main(["train", *words, *small, *keys, f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.mark.slow
def test_a_run_keeps_tokenizers_scores_and_samples(finished: Path) -> None:
    record = json.loads((finished / "record.json").read_text())
    metrics = record["metrics"]
    assert {"test/bleu", "test/chrf", "test/loss", "test/perplexity", "val/bleu"} <= set(metrics)
    assert metrics["test/perplexity"] < 40  # of 112 words
    assert metrics["test/perplexity"] == pytest.approx(2.718281828 ** metrics["test/loss"], rel=1e-4)
    assert record["spec"]["kind"] == "PairSpec"
    assert record["data"]["repeated"] == 0
    assert len(record["translations"]) == 8
    assert "tok:intl" in record["sacrebleu"]["bleu"]
    assert {"source_tokenizer.json", "target_tokenizer.json"} <= {path.name for path in finished.iterdir()}
    assert (finished / "figures" / "attention.png").is_file()
    events = b"".join(path.read_bytes() for path in finished.glob("events*"))
    assert record["translations"][0]["source"].encode() in events


@pytest.mark.slow
def test_evaluate_predict_and_show_after_a_move(finished: Path, experiments, tmp_path: Path) -> None:
    moved = shutil.copytree(finished, tmp_path / "elsewhere")
    code, output, _ = experiments("evaluate", str(moved))
    assert code == 0
    shown = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    recorded = json.loads((finished / "record.json").read_text())["metrics"]
    for name in ("test/loss", "test/bleu", "test/chrf"):
        assert shown[name] == pytest.approx(recorded[name], abs=1e-3)
    lines = tmp_path / "lines.txt"
    lines.write_text("the dogs see an apple.\n\nsome old cats liked the river.\n")
    words = ["a bird finds the stone.", str(lines)]
    code, output, _ = experiments("predict", str(moved), *words, "--format", "json", "--top", "2")
    assert code == 0
    answers = json.loads(output)
    assert [answer["pair"] for answer in answers] == [
        words[0],
        *[line for line in lines.read_text().split("\n") if line],
    ]
    assert all(len(answer["translations"]) == 2 and answer["translations"][0]["translation"] for answer in answers)
    code, output, _ = experiments("predict", str(moved), "a bird finds the stone.", "--format", "json", "--top", "2")
    alone = json.loads(output)[0]["translations"]
    assert [answer["translation"] for answer in alone] == [
        answer["translation"] for answer in answers[0]["translations"]
    ]
    code, _, errors = experiments("predict", str(moved), " ")
    assert code == 2 and "empty" in errors
    code, output, _ = experiments("show", str(moved), "a bird finds the stone.", "--only", "attention")
    assert code == 0
    assert (moved / "show" / "attention.png").is_file()
    assert "a bird finds the stone." in (moved / "show" / "index.html").read_text()


@pytest.mark.slow
def test_scheduled_sampling_puts_in_the_model_s_own_words(finished: Path) -> None:
    run = load(finished)
    pairs, _ = run.data.sample("train", 16)
    mixed = run.task._with_own_words(pairs, 1.0)
    assert isinstance(mixed, Pairs)
    assert torch.equal(mixed.source.values, pairs.source.values)
    assert torch.equal(mixed.target.values[:, 0], pairs.target.values[:, 0])
    assert torch.equal(mixed.target.values[~pairs.target.mask()], pairs.target.values[~pairs.target.mask()])
    assert not torch.equal(mixed.target.values, pairs.target.values)
    assert (mixed.target.values[pairs.target.mask()] != 0).all()
    untouched = run.task._with_own_words(pairs, 0.0)
    assert torch.equal(untouched.target.values, pairs.target.values)


def test_writing_without_a_font_is_in_latin_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.viz.fonts._font_with", lambda codes: None)
    how = writing(["plain", "आदमी"])
    assert how.latin
    assert "Devanagari" in how.note
    assert how.written("आदमी") == "ādamī"
    assert latin("स्त्री ज़मीन पढ़ना क्षत्रिय १२ 한") == "strī zamīna paṛhanā kṣatriya 12 □□□"
    assert writing(["naïve", "Straße"]).note == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model=lstm"], ["model=lstm"]),
        (["data=digits", "task=translation"], ["task=translation reads pair", "gives image"]),
        (["model.attention=soft"], ["model.attention=soft"]),
        (["model.share=all"], ["data.tokenizers.shared=true"]),
        (["task.search.beams=0"], ["task.search.beams=0"]),
        (["task.scheduled_sampling=2.0"], ["task.scheduled_sampling=2.0"]),
        (["task.bleu_tokenize=moses"], ["task.bleu_tokenize=moses"]),
        (["data.tokenizers.target.kind=letters"], ["data.tokenizers.target.kind=letters"]),
    ],
)
def test_mistakes_are_named_in_one_line(words: list[str], sentence: list[str], experiments) -> None:
    start = [] if any(word.startswith("data=") for word in words) else ["data=generated_pairs"]
    code, _, errors = experiments("train", *start, "trainer=cpu", "callbacks=none", "logger=none", *words)
    assert code == 2
    assert len(errors.splitlines()) == 1
    assert all(word in errors for word in sentence), errors


@pytest.mark.slow
def test_weights_of_a_run_bring_its_tokenizers(finished: Path, experiments, tmp_path: Path) -> None:
    """Rows of the tables of words belong to the run's words: another text never meets them by number."""
    (tmp_path / "other.txt").write_text("".join(f"fresh words {n} here\tne{n}w wo{n}rds\n" for n in range(40)))
    words = ["train", "data=pairs", "data.path=other.txt", "data.languages=[English,made-up]", f"weights={finished}"]
    words += [
        "model.embedding=32",
        "model.hidden=32",
        "callbacks.figures=null",
        "hydra.run.dir=next",
        "trainer.max_epochs=1",
    ]
    code, _, errors = experiments(*words)
    assert code == 0, errors
    for side in ("source", "target"):
        name = f"{side}_tokenizer.json"
        assert json.loads((tmp_path / "next" / name).read_text()) == json.loads((finished / name).read_text())
    code, _, errors = experiments(*words, "data.tokenizers.target.kind=character")
    assert code == 2 and "would fit a tokenizer unlike that of weights=" in errors
    code, _, errors = experiments(*words, "data.tokenizers.shared=true")
    assert code == 2 and "which have false" in errors
    code, _, errors = experiments("evaluate", str(finished), "data.tokenizers.source.kind=bpe")
    assert code == 2 and "has no effect, as a run is tested with the tokenizer it was trained with" in errors

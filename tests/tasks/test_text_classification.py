"""Text, from one command to a record and to predictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on generated reviews."""
    from experiments.cli import main

    folder = tmp_path_factory.mktemp("text") / "run"
    words = ["data=generated_reviews", "data.count=600", "model.hidden=32", "optimizer.lr=0.01", "trainer=cpu"]
    assert main(["train", *words, "trainer.max_epochs=4", f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.mark.slow
def test_a_run_keeps_its_tokenizer_and_its_record(finished: Path) -> None:
    record = json.loads((finished / "record.json").read_text())
    assert record["metrics"]["test/accuracy"] > 0.8
    assert record["spec"]["kind"] == "TextSpec"
    assert record["data"] | {"train": 540, "validation": 60, "test": 150, "dropped": 0} == record["data"]
    assert (finished / "tokenizer.json").is_file()
    assert {"confusion.png", "curves.png"} <= {path.name for path in (finished / "figures").iterdir()}
    assert not (finished / "figures" / "training_batch.png").exists()


@pytest.mark.slow
def test_evaluate_and_predict_after_a_move(finished: Path, experiments, tmp_path: Path) -> None:
    moved = shutil.copytree(finished, tmp_path / "elsewhere")
    code, output, _ = experiments("evaluate", str(moved))
    assert code == 0
    shown = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    recorded = json.loads((finished / "record.json").read_text())["metrics"]
    assert shown["test/accuracy"] == pytest.approx(recorded["test/accuracy"], abs=1e-4)
    lines = tmp_path / "lines.txt"
    lines.write_text("the plot is superb.\n\nthe cast was dull.\n")
    texts = ["the music is not good.", str(lines)]
    code, output, _ = experiments("predict", str(moved), *texts, "--format", "json", "--top", "1")
    assert code == 0
    answers = json.loads(output)
    assert [answer["text"] for answer in answers] == [texts[0], "the plot is superb.", "the cast was dull."]
    assert [answer["classes"][0]["class"] for answer in answers[1:]] == ["positive", "negative"]
    # An answer does not depend on the company it came in.
    code, output, _ = experiments("predict", str(moved), "the cast was dull.", "--format", "json", "--top", "1")
    alone = json.loads(output)[0]["classes"][0]["probability"]
    assert alone == pytest.approx(answers[2]["classes"][0]["probability"], abs=1e-5)
    code, _, errors = experiments("predict", str(moved), " ")
    assert code == 2
    assert "empty" in errors
    for mistyped in ("line.txt", str(lines.parent)):
        code, _, errors = experiments("predict", str(moved), "the cast was dull.", mistyped)
        assert code == 2 and f"{mistyped} is no file" in errors


def test_other_texts_are_read_with_the_run_s_tokenizer(finished: Path, experiments, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    rows = "".join(f"the {thing} is {word},{label}\n" for thing in ("plot", "zebra", "pace")
                   for word, label in (("superb", "positive"), ("dull", "negative")) for _ in range(10))  # fmt: skip
    table.write_text("text,label\n" + rows)
    code, output, errors = experiments("evaluate", str(finished), "data=text_table", f"data.path={table}")
    assert code == 0, errors
    assert "test/accuracy" in output


@pytest.mark.parametrize(("data", "kind"), [("generated_series", "series"), ("digits", "image")])
def test_data_of_another_kind_are_refused(finished: Path, experiments, data: str, kind: str) -> None:
    code, _, errors = experiments("evaluate", str(finished), f"data={data}")
    assert code == 2
    assert f"data={data} gives {kind} and the run was trained on text: choose data of the same kind" in errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=generated_reviews", "model=lenet5"], ["model=lenet5 reads image", "gives text"]),
        (["data=digits", "model=lstm"], ["model=lstm reads text", "gives image"]),
        (["data=generated_reviews", "data.tokenizer.kind=letters"], ["data.tokenizer.kind=letters"]),
        (["data=text_table", "data.path=nowhere.csv"], ["nowhere.csv"]),
        (["data=generated_reviews", "model.pooling=sum"], ["model.pooling=sum"]),
    ],
)
def test_mistakes_are_named_in_one_line(words: list[str], sentence: list[str], experiments) -> None:
    code, _, errors = experiments("train", *words, "trainer=cpu", "callbacks=none", "logger=none")
    assert code == 2
    assert len(errors.splitlines()) == 1
    assert all(word in errors for word in sentence), errors


@pytest.mark.slow
def test_show_draws_gates_and_words(finished: Path, experiments, tmp_path: Path) -> None:
    text = "the plot is not good but the cast is superb."
    code, _, errors = experiments("show", str(finished), text, "--only", "gates,importance", "--to", "shown")
    assert code == 0, errors
    assert (tmp_path / "shown" / "gates_1.png").stat().st_size > 10_000
    assert (tmp_path / "shown" / "importance_1.png").stat().st_size > 5_000
    assert "superb" in (tmp_path / "shown" / "index.html").read_text()


def test_the_word_that_matters_is_found(finished: Path) -> None:
    import torch

    from experiments import load
    from experiments.commands.show.panel import Look, Wanted
    from experiments.commands.show.sequences import importance

    run = load(str(finished))
    look = Look(run, Wanted(("the music is superb.",)), finished, {})
    (picture,) = list(importance(look))
    widths = [bar.get_width() for bar in picture.figure.axes[0].patches]
    assert len(widths) == 5
    assert max(range(5), key=lambda place: widths[place]) == 3
    assert torch.is_grad_enabled()

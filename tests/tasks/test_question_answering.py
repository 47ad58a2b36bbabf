"""Question answering: torchmetrics' numbers, answers of several windows, and from command to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.batches import Sequences
from experiments.models.bert import Bert
from experiments.spec import QuestionSpec
from experiments.tasks.parts.answer_scores import exact_match, overlap
from experiments.tasks.parts.spans import AnswerSpan, best_spans
from experiments.tasks.question_answering import QuestionAnswering


def test_scores_are_torchmetrics() -> None:
    from torchmetrics.functional.text import squad

    answers = ["The Denver Broncos!", "in 1975", "a cat", "", "Santa  Clara, California", "दिल्ली में"]
    right = [["Denver Broncos", "Broncos"], ["1976", "the year 1975"], ["dogs"], ["no"], ["Santa Clara"], ["दिल्ली"]]
    theirs = squad(
        [{"prediction_text": text, "id": str(number)} for number, text in enumerate(answers)],
        [{"answers": {"answer_start": [0] * len(text), "text": text}, "id": str(number)} for number, text in enumerate(right)],
    )  # fmt: skip
    pairs = list(zip(answers, right, strict=True))
    assert 100 * sum(exact_match(*text) for text in pairs) / 6 == pytest.approx(float(theirs["exact_match"]), abs=1e-4)
    assert 100 * sum(overlap(*text) for text in pairs) / 6 == pytest.approx(float(theirs["f1"]), abs=1e-4)
    assert exact_match("", []) == overlap("", []) == 1.0 and exact_match("x", []) == overlap("x", []) == 0.0


def test_best_spans_are_those_of_trying_all() -> None:
    scores = torch.randn(3, 12, 2)
    scores[:, 1:4] = -torch.inf  # the question
    best, firsts, lasts = best_spans(scores, 4, 5)
    for row in range(3):
        tried = sorted(
            ((float(scores[row, a, 0] + scores[row, b, 1]), a, b) for a in range(4, 12) for b in range(a, min(a + 4, 12))),
            reverse=True,
        )  # fmt: skip
        spans = list(zip(best[row].tolist(), firsts[row].tolist(), lasts[row].tolist(), strict=True))
        assert [span[1:] for span in spans] == [span[1:] for span in tried[:5]]
        assert [span[0] for span in spans] == pytest.approx([span[0] for span in tried[:5]])


def task(unanswerable: bool, **given: Any) -> QuestionAnswering:
    model = Bert(30, 2, every_step=True, size=16, heads=2, layers=1, inner=16, positions=40, dropout=0.0)
    spec = QuestionSpec(30, 12, 12, marks=(0, 1, 2, 3), unanswerable=unanswerable)
    keys: dict[str, Any] = {"answer_length": 5, "no_answer": 0.0} | given
    return QuestionAnswering(model, spec, torch.optim.SGD, None, **keys)


def test_only_passages_have_answers_and_padding_none() -> None:
    inputs = Sequences(torch.randint(4, 30, (2, 12)), torch.tensor([12, 8]))
    of = task(False).eval()
    scores = of.scores(inputs, torch.tensor([4, 3]))
    inside = scores[..., 0] > -torch.inf
    assert inside[0].nonzero()[:, 0].tolist() == [0, *range(4, 11)]
    assert inside[1].nonzero()[:, 0].tolist() == [0, *range(3, 7)]
    loss, _, _ = of.step((inputs, torch.tensor([[5, 6, 4, 0, 0], [0, 0, 3, 1, 1]])))
    assert loss.isfinite()


def test_the_best_window_answers_and_none_where_all_say_so() -> None:
    from experiments.data.text.question_windows import Window

    passage = "one two three four"
    windows = [Window([2, 5, 3, 6, 7, 3], 3, [(0, 3), (4, 7)], (0, 0), 0), Window([2, 5, 3, 8, 9, 3], 3, [(8, 13), (14, 18)], (0, 0), 0)]  # fmt: skip
    spans = [AnswerSpan(1.0, 0, 3, 4), AnswerSpan(2.0, 1, 4, 4)]
    assert task(True)._answer(spans, 1.5, windows, passage) == "four"
    assert task(True)._answer(spans, 2.5, windows, passage) == ""
    assert task(True, no_answer=1.0)._answer(spans, 2.5, windows, passage) == "four"
    assert task(False)._answer(spans, 2.5, windows, passage) == "four"


@pytest.mark.slow
@pytest.mark.parametrize("unanswerable", ["0.0", "0.4"])
def test_from_command_to_answer(unanswerable: str, experiments) -> None:
    words = ["data=generated_questions", "data.count=60", f"data.unanswerable={unanswerable}", "data.max_length=40"]
    words += [
        "model.size=16",
        "model.layers=1",
        "model.inner=16",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "callbacks.figures=null",
    ]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads(Path("run/record.json").read_text())
    metrics = record["metrics"]
    assert {"test/exact_match", "test/f1", "val/f1", "test/loss"} <= set(metrics)
    assert 0 <= metrics["test/exact_match"] <= metrics["test/f1"] <= 100
    assert record["spec"]["kind"] == "QuestionSpec" and record["spec"]["unanswerable"] == (unanswerable != "0.0")
    assert len(record["answers"]) >= 8 and {"question", "answer", "right"} == set(record["answers"][0])
    long = "Where does Anna live? ||| " + "Ravi likes tea. " * 12 + "Anna lives in Oslo."
    code, output, errors = experiments(
        "predict", "run", long, "What?\tJohn likes maps.", "--format", "json", "--top", "2"
    )
    assert code == 0, errors
    answers = json.loads(output)
    assert [len(answer["answers"]) for answer in answers] == [2, 2]
    for first, passage in zip(answers, (long.split("||| ")[1], "John likes maps."), strict=True):
        assert all(entry["answer"] in passage for entry in first["answers"])
    code, _, errors = experiments("predict", "run", "no passage here")
    assert code == 2 and "write the two with |||" in errors
    code, output, errors = experiments("evaluate", "run", "data.batch_size=7")
    assert code == 0, errors
    assert float(output.split("test/f1")[1].split()[0]) == pytest.approx(metrics["test/f1"], abs=1e-3)
    code, output, errors = experiments("show", "run", "Wo? ||| Anna lives in Oslo. मीरा पुणे में रहती है।")
    assert code == 0, errors
    assert "answers.png" in output and "attention_1.png" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=generated_reviews", "task=question_answering"], "task=question_answering reads question"),
        (["data=generated_questions", "model=lstm"], "model=lstm reads"),
        (["data=generated_questions", "task.answer_length=0"], "task.answer_length=0 must be 1 or more"),
        (["data=generated_questions", "model.positions=40"], "max_length=64"),
    ],
)
def test_what_cannot_be(words: list[str], sentence: str, experiments) -> None:
    code, _, errors = experiments("train", *words, "trainer=quick", "callbacks=none", "logger=none")
    assert code == 2 and sentence in errors

"""Labels that a run has never seen, by a language model and by entailment."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def small(experiments):
    """Trains for two batches."""

    def train(*words: str) -> None:
        code, _, errors = experiments("train", *words, "trainer=quick", "logger=none", "callbacks.figures=null", "hydra.run.dir=run")  # fmt: skip
        assert code == 0, errors

    return train


@pytest.mark.slow
def test_labels_by_a_language_model(small, experiments) -> None:
    small("data=generated_text", "data.count=200", "model=gpt_mini", "model.size=16", "model.layers=1", "model.inner=16", "model.heads=2")  # fmt: skip
    words = ["predict", "run", "the plot is good.", "the cast is bad.", "--format", "json"]
    code, output, errors = experiments(*words, "--labels", "sport,politics,science")
    assert code == 0, errors
    answers = json.loads(output)
    assert [len(answer["labels"]) for answer in answers] == [3, 3]
    assert sum(label["probability"] for label in answers[0]["labels"]) == pytest.approx(1, abs=1e-4)
    assert {label["label"] for label in answers[0]["labels"]} == {"sport", "politics", "science"}
    for given, sentence in (
        (["--labels", "sport"], "two labels or more"),
        (["--labels", "a,b", "--template", "x"], "has no {}"),
    ):
        code, _, errors = experiments(*words, *given)
        assert code == 2 and sentence in errors


def test_a_classifier_knows_its_own_labels_alone(small, experiments) -> None:
    small("data=generated_reviews", "data.count=40", "model=gpt_mini", "model.size=16", "model.layers=1", "model.inner=16", "model.heads=2")  # fmt: skip
    code, _, errors = experiments("predict", "run", "a text", "--labels", "sport,politics")
    assert code == 2 and "data=snli" in errors

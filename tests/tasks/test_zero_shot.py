"""Labels never seen: judged by likelihood and by entailment, without training, with the numbers written out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.batches import Sequences, pad
from experiments.config.labels_never_seen import problems
from experiments.errors import UserError
from experiments.models.gpt import GPT
from experiments.spec import TextSpec
from experiments.tasks.zero_shot import ZeroShot

SPEC = TextSpec(40, 6, 8, classes=("sport", "war"))
TAILS = [[7, 8, 9], [7, 8, 10, 11]]


def task(model: Any, spec: TextSpec = SPEC, **keys: Any) -> ZeroShot:
    given = {"by": "likelihood", "judged": [], "labels": None, "template": "about {}.", "calibrated": False} | keys
    made = ZeroShot(model, spec, None, None, **given)
    made.tails = TAILS
    return made.eval()


def gpt(positions: int = 30) -> GPT:
    return GPT(40, 40, every_step=True, size=16, heads=2, layers=2, inner=16, positions=positions, dropout=0.0)


def test_likelihood_is_that_of_the_whole_text() -> None:
    model = gpt()
    of = task(model)
    rows = [torch.tensor([4, 5, 6]), torch.tensor([12, 13, 14, 15, 16])]
    with torch.inference_mode():
        scores = of.scores(pad(rows))
        for row, score in zip(rows, scores, strict=True):
            for tail, likelihood in zip(TAILS, score, strict=True):
                whole = torch.cat([row, torch.tensor(tail)])
                logits = model(Sequences(whole[None], torch.tensor([len(whole)])))[0].log_softmax(1)
                expected = sum(logits[len(row) - 1 + place, token] for place, token in enumerate(tail))
                assert likelihood == pytest.approx(float(expected), abs=1e-4)
        calibrated = task(model, calibrated=True).scores(pad(rows))
        assert torch.allclose((scores - calibrated)[0], (scores - calibrated)[1], atol=1e-5)  # the same for every text
    assert not of.learns and of.sentences == ["about sport.", "about war."]


def test_long_texts_leave_room_for_the_sentence() -> None:
    of = task(gpt(positions=8))
    long = Sequences(torch.randint(4, 40, (2, 8)), torch.tensor([8, 3]))
    assert [len(row) for row in of._rows(long, keep_first=False)] == [4, 3] and of.cut == 1
    assert of.scores(long).shape == (2, 2)


def test_entailment_is_weighed_against_contradiction() -> None:
    class Judge(torch.nn.Module):
        def forward(self, x: Sequences) -> torch.Tensor:
            follows = (x.values == 10).any(1).float()
            return torch.stack([torch.full_like(follows, 5.0), -follows, follows], dim=1)

    of = task(Judge(), by="entailment", judged=["neutral", "contradiction", "entailment"])
    scores = of.scores(pad([torch.tensor([4, 5]), torch.tensor([6, 5, 4])])).exp()
    assert torch.allclose(scores[:, 0], torch.tensor(0.5)) and torch.allclose(scores[:, 1], torch.tensor(2.0).sigmoid())


def test_refusals() -> None:
    with pytest.raises(UserError, match="give one word a class"):
        task(gpt(), labels=["one", "two", "three"])
    config: dict[str, Any] = {
        "task": {"by": "likelihood", "labels": None, "template": "about {}.", "judged": []},
        "model": {"makes": ["classes"]}, "data": {}, "weights": None, "run": {"choices": {"model": "lstm", "data": "d"}},
    }  # fmt: skip
    assert "learns nothing" in problems(config)[0]
    assert "writes no text" in problems(config | {"weights": "w"})[0]
    for key, value, sentence in (
        ("template", "x", "no {}"),
        ("labels", ["a", "a"], "each once"),
        ("by", "x", "unknown"),
    ):
        assert any(
            sentence in problem
            for problem in problems(config | {"weights": "w", "task": config["task"] | {key: value}})
        )


SMALL = ("model.size=16", "model.layers=1", "model.inner=16", "model.heads=2")


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path, experiments: Any) -> None:
    quick = ("trainer=quick", "logger=none", "callbacks.figures=null")
    code, _, errors = experiments("train", "data=generated_text", "data.count=200", "model=gpt_mini", *SMALL, *quick, "hydra.run.dir=lm")  # fmt: skip
    assert code == 0, errors
    words = ("task=zero_shot", "model=gpt_mini", *SMALL, "data=generated_reviews", "data.count=60", "weights=lm")
    code, output, errors = experiments("evaluate", *words, "task.labels=[bad,good]")
    assert code == 0 and "test/accuracy" in output, errors
    code, _, errors = experiments("train", *words, *quick, "hydra.run.dir=zero", "task.labels=[bad,good]")
    assert code == 0, errors
    record = json.loads(Path("zero/record.json").read_text(encoding="utf-8"))
    assert record["cost"]["trainable_parameters"] == 0 and 0 <= record["metrics"]["test/accuracy"] <= 1
    assert record["zero_shot"]["sentences"][0] == "This text is about bad."
    code, output, errors = experiments("predict", "zero", "the plot is good.", "--format", "json")
    assert code == 0 and {label["class"] for label in json.loads(output)[0]["classes"]} == set(
        record["spec"]["classes"]
    ), errors
    code, _, errors = experiments("predict", "lm", "the plot is good.", "--labels", "☃,good")
    assert code == 2 and "nothing of '☃' is a token" in errors
    code, _, errors = experiments("evaluate", *words, "task.labels=['☃',good]")
    assert code == 2 and "nothing of '☃' is a token" in errors

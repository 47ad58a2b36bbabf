"""Masked language models: what is hidden, that metrics are of the dataset, and masks that are filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.batches import Sequences
from experiments.data.text import tokens
from experiments.models.bert import Bert
from experiments.spec import TextSpec
from experiments.tasks.masked_language_modelling import MaskedLanguageModelling, settled

SPEC = TextSpec(60, 12, 12, mask=4, special=(0, 1, 2, 3, 4))


def task(**keys: Any) -> MaskedLanguageModelling:
    model = Bert(60, masked=True, size=16, heads=2, layers=1, inner=16, positions=40, dropout=0.0)
    given = {"share": 0.15, "hidden": 0.8, "replaced": 0.1, "whole_words": False} | keys
    return MaskedLanguageModelling(model, SPEC, torch.optim.SGD, None, **given)


def texts(count: int = 400, length: int = 30) -> Sequences:
    return Sequences(torch.randint(5, 60, (count, length)), torch.randint(1, length + 1, (count,)))


def seen(of: MaskedLanguageModelling, inputs: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model is shown, and which tokens are asked for."""
    shown: list[Any] = []
    of.scores = lambda given, places: (shown.append((given.values, places)), torch.zeros(int(places.sum()), 60))[1]  # type: ignore[method-assign]
    of.step((inputs, None))
    return shown[0]


def test_so_many_tokens_are_hidden_replaced_and_left() -> None:
    inputs = texts()
    values, places = seen(task().train(), inputs)
    assert not places[~inputs.mask()].any()
    asked = places.sum() / inputs.mask().sum()
    assert 0.13 < asked < 0.2  # at least one of every text
    truth, given = inputs.values[places], values[places]
    assert 0.76 < (given == 4).float().mean() < 0.84
    left = (given == truth).float().mean()
    assert 0.07 < left < 0.14
    assert torch.equal(values[~places], inputs.values[~places])


def test_masks_are_new_in_training_and_settled_in_a_test() -> None:
    inputs, of = texts(20), task()
    assert not torch.equal(seen(of.train(), inputs)[1], seen(of.train(), inputs)[1])
    values, places = seen(of.eval(), inputs)
    again = Sequences(torch.cat([inputs.values.flip(0), torch.full((20, 6), 7)], 1), inputs.lengths.flip(0))
    other, others = seen(of.eval(), again)
    assert torch.equal(others[:, :30].flip(0), places) and not others[:, 30:].any()
    assert torch.equal(other[:, :30].flip(0)[places], values[places])
    draws = settled(texts(2000))
    assert draws.min() >= 0 and draws.max() < 1 and abs(draws.mean() - 0.5) < 0.01
    assert abs(torch.corrcoef(draws.flatten(1))[0, 1]) < 0.02


@pytest.mark.parametrize(
    ("kind", "lowercase", "text", "words"),
    [
        ("wordpiece", True, "unbelievable stories retold", 3),
        ("bpe", False, "वह कितना कृतघ्न", 3),
        ("character", False, "two words", 3),
        ("word", False, "two words", 2),
    ],
)
def test_whole_words(kind: str, lowercase: bool, text: str, words: int) -> None:
    fitted = tokens.fit(tokens.Rule(kind, 60, 1, lowercase, True), [text, "un be told re ble"])
    starts, behind = tokens.word_starts(fitted)
    row = tokens.encode(fitted, [text], frame=False)[0]
    begun = [
        starts[token] or (number > 0 and behind[row[number - 1]]) or number == 0 for number, token in enumerate(row)
    ]
    assert sum(begun) == words
    of = task(whole_words=True)
    of.starts = torch.zeros(2, 60, dtype=torch.bool)
    of.starts[0, 5:20] = True  # tokens 5 to 19 begin words
    inputs = texts()
    _, places = seen(of.train(), inputs)
    begins = (inputs.values < 20) & inputs.mask()
    inside = inputs.mask() & ~begins
    inside[:, 0] = False
    assert torch.equal(places[:, 1:][inside[:, 1:]], places[:, :-1][inside[:, 1:]])


def test_texts_without_a_word_cost_nothing() -> None:
    loss, logits, _ = task().train().step((Sequences(torch.full((2, 3), 1), torch.tensor([3, 2])), None))
    assert loss.item() == 0 and len(logits) == 0


@pytest.mark.slow
def test_from_command_to_filled_masks(experiments) -> None:
    words = ["task=masked_language_modelling", "data.tokenizer.kind=word", "trainer=cpu", "trainer.max_epochs=2"]
    words += ["model.size=16", "model.layers=1", "model.inner=16", "callbacks.figures=null"]
    code, _, errors = experiments("train", "data=generated_text", "data.count=300", "data.steps=16", *words, "hydra.run.dir=a")  # fmt: skip
    assert code == 0, errors
    record = json.loads(Path("a/record.json").read_text())
    assert record["metrics"]["test/perplexity"] < 150 and 0 <= record["metrics"]["test/accuracy"] <= 1
    code, output, _ = experiments(
        "predict", "a", "the [MASK] was <mask>", "the [MASK]", "--format", "json", "--top", "2"
    )
    answers = json.loads(output)
    assert code == 0 and [len(answer["candidates"]) for answer in answers] == [4, 2]
    assert [candidate["mask"] for candidate in answers[0]["candidates"]] == [1, 1, 2, 2]
    code, _, errors = experiments("predict", "a", "the plot")
    assert code == 2 and "hides no word: write [MASK]" in errors
    # The same numbers whatever the size of a batch.
    code, output, errors = experiments("evaluate", "a", "data.batch_size=7")
    assert code == 0, errors
    assert float(output.split("test/perplexity")[1]) == pytest.approx(record["metrics"]["test/perplexity"], rel=1e-4)


@pytest.mark.slow
def test_labelled_texts_and_their_words(experiments) -> None:
    words = ["data=generated_reviews", "data.count=200", "task=masked_language_modelling", "task.whole_words=true"]
    words += ["model=bert_mini", "model.size=16", "model.layers=1", "model.inner=16", "trainer=quick", "callbacks=none"]
    code, _, errors = experiments("train", *words, "logger=none")
    assert code == 0, errors


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data.tokenizer.ends=false"], "data.tokenizer.ends=true"),
        (["model=gpt_mini"], "makes masked"),
        (["task.share=1.5"], "task.share=1.5 must lie above 0 and below 1"),
        (["task.hidden=0.95"], "task.hidden and task.replaced together"),
    ],
)
def test_what_cannot_be(words: list[str], sentence: str, experiments) -> None:
    code, _, errors = experiments(
        "train", "data=generated_text", "task=masked_language_modelling", *words, "trainer=quick", "callbacks=none", "logger=none"
    )  # fmt: skip
    assert code == 2 and sentence in errors


def test_encoders_of_the_library_learn_it_too() -> None:
    pytest.importorskip("transformers")
    from experiments.models.library.language_encoders import Encoder

    sizes: dict[str, Any] = {"size": 16, "layers": 1, "heads": 2, "inner": 16, "positions": 40, "dropout": 0.0}
    model = Encoder(60, masked=True, name="bert", pooling="first", settings={}, **sizes)
    of = MaskedLanguageModelling(model, SPEC, torch.optim.SGD, None, share=0.15, hidden=0.8, replaced=0.1, whole_words=False)  # fmt: skip
    inputs = texts(4)
    places = of.eval().chosen(inputs.values, inputs.mask(), settled(inputs)[0])
    assert torch.equal(of.scores(inputs, places), model(inputs)[places])
    loss, scores, truth = of.step((inputs, None))
    assert loss.isfinite() and scores.shape == (len(truth), 60)

"""Language models: streams that go on, perplexity, and texts that are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.batches import IGNORED
from experiments.data.text.text_stream import Streams, TextFile
from experiments.errors import UserError
from experiments.tasks.language_modelling import Perplexity

TOKENIZER = {"kind": "character", "size": 100, "min_count": 1, "lowercase": False}


def test_streams_hold_every_token_once_and_go_on() -> None:
    ids = np.arange(1, 104)
    streams = Streams(ids, streams=4, steps=10)
    batches = [streams.__getitems__(range(number, number + 1)) for number in range(len(streams))]
    values = torch.cat([inputs.values for inputs, _ in batches], dim=1)
    targets = torch.cat([target for _, target in batches], dim=1)
    judged = targets[targets != IGNORED]
    assert judged.tolist() == list(range(2, 104))
    assert (targets[targets != IGNORED] == values[targets != IGNORED] + 1).all()
    shares = [Streams(ids, 4, 10, rank, 2) for rank in range(2)]
    assert torch.equal(torch.stack([shares[0].inputs, shares[1].inputs], 1).flatten(0, 1), values)


def test_perplexity_of_knowing_nothing_is_the_size_of_the_vocabulary() -> None:
    metric = Perplexity()
    metric.update(torch.zeros(3, 50), torch.tensor([1, 2, 3]))
    metric.update(torch.zeros(7, 50), torch.zeros(7, dtype=torch.long))
    assert metric.compute().item() == pytest.approx(50, rel=1e-5)


def text_file(tmp_path: Path, text: bytes, **given: object) -> TextFile:
    (tmp_path / "text.txt").write_bytes(text)
    keys: dict = {
        "path": str(tmp_path / "text.txt"), "encoding": "utf-8", "tokenizer": TOKENIZER | {"file": tmp_path / "t.json"},
        "steps": 8, "batch_size": 2, "validation": 0.1, "test": 0.1, "limit": None, "seed": 0,
    }  # fmt: skip
    return TextFile(**(keys | given))


def test_parts_of_a_text_stand_in_its_order(tmp_path: Path) -> None:
    text = "".join(chr(97 + number % 7) for number in range(500)) + "Z" * 50 + "q" * 50
    data = text_file(tmp_path, text.encode())
    data.setup()
    assert (data.splits["train"], data.splits["validation"], data.splits["test"]) == (480, 60, 60)
    assert data.decode([data.ids["test"][-3:]]) == [""] or data.splits["unknown"] > 0.8  # q was not in training
    assert data.spec.vocabulary == 7 + 4


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        (b"   \n", {}, ["is empty"]),
        (b"too short", {"batch_size": 64}, ["data.batch_size=64", "too few"]),
        (b"caf\xe9" * 99, {}, ["text.txt:1", "data.encoding"]),
        (b"abc" * 99, {"test": 0.7}, ["data.test=0.7"]),
    ],
)
def test_texts_that_cannot_be_used(text: bytes, given: dict, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        text_file(tmp_path, text, **given).setup()
    assert all(word in str(caught.value) for word in words)


@pytest.mark.slow
def test_a_language_model_from_command_to_text(experiments) -> None:
    words = ["data=generated_text", "data.count=400", "model.hidden=32", "optimizer.lr=0.02", "trainer=cpu"]
    words += ["trainer.max_epochs=2", "callbacks.figures=null", "task.sample.length=20"]
    code, _, errors = experiments("train", *words, "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads(Path("run/record.json").read_text())
    assert record["metrics"]["test/perplexity"] < 8
    assert record["metrics"]["test/perplexity"] == pytest.approx(np.exp(record["metrics"]["test/loss"]), rel=1e-4)
    code, output, _ = experiments("predict", "run", "the plot", "the cast", "--format", "json")
    answers = json.loads(output)
    assert code == 0
    assert [answer["text"] for answer in answers] == ["the plot", "the cast"]
    assert all(answer["continuation"].strip() for answer in answers)
    again = json.loads(experiments("predict", "run", "the cast", "--format", "json")[1])
    assert len(again[0]["continuation"]) > 5
    _, output, _ = experiments("predict", "run", "the plot\nthe cast")
    assert output.splitlines()[2].startswith("the plot⏎the cast  ") and len(output.splitlines()) == 3
    assert '"the plot\nthe cast"' in experiments("predict", "run", "the plot\nthe cast", "--format", "csv")[1]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert "sample/text_summary" in EventAccumulator("run").Reload().Tags()["tensors"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.bidirectional=true"], "model.bidirectional=false"),
        (["model=text_cnn"], "makes"),
        (["task.sample.temperature=0.0"], "temperature"),
    ],
)
def test_models_that_cannot_tell_what_comes_next(words: list[str], sentence: str, experiments) -> None:
    code, _, errors = experiments(
        "train", "data=generated_text", *words, "trainer=quick", "callbacks=none", "logger=none"
    )
    assert code == 2
    assert sentence in errors

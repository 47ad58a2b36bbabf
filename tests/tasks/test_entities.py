"""Entities as seqeval counts them, and a run that learns to find them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from experiments.tasks.parts.entities import EntityScore, entities, is_scheme

CLASSES = ("O", *(f"{prefix}-{kind}" for kind in ("per", "loc") for prefix in "BIES"))


def drawn(draw: random.Random) -> list[list[str]]:
    return [[draw.choice(CLASSES) for _ in range(draw.randint(1, 9))] for _ in range(30)]


@pytest.mark.parametrize("seed", range(5))
def test_entities_and_scores_are_seqeval_s(seed: int) -> None:
    metrics = pytest.importorskip("seqeval.metrics")
    from seqeval.metrics.sequence_labeling import get_entities

    draw = random.Random(seed)
    true = drawn(draw)
    guessed = [[draw.choice([tag, draw.choice(CLASSES)]) for tag in tags] for tags in true]
    for tags in true:
        assert [(kind, start, end - 1) for kind, start, end in entities(tags)] == get_entities(tags)
    number = {name: place for place, name in enumerate(CLASSES)}
    flat = [torch.tensor([number[tag] for tags in rows for tag in tags]) for rows in (guessed, true)]
    starts = torch.tensor([place == 0 for tags in true for place in range(len(tags))])
    for which, theirs in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
        metric = EntityScore(CLASSES, which)
        metric.update(torch.nn.functional.one_hot(flat[0], len(CLASSES)).float(), flat[1], starts)
        assert metric.compute().item() == pytest.approx(getattr(metrics, theirs)(true, guessed), abs=1e-6)


def test_which_labels_mark_entities() -> None:
    assert is_scheme(CLASSES) and is_scheme(("O", "B-a", "I-a"))
    assert not is_scheme(("NOUN", "VERB")) and not is_scheme(("O", "B-"))


@pytest.mark.slow
def test_a_run_finds_entities(experiments, tmp_path: Path) -> None:
    """Generated sentences whose names the training split has: nearly all are found after two epochs."""
    words = ["data=generated_entities", "data.count=400", "model=lstm", "optimizer.lr=0.02", "model.hidden=32"]
    words += ["model.bidirectional=true", "data.tokenizer.kind=word", "trainer.max_epochs=3", "trainer.accelerator=cpu"]
    code, _, errors = experiments("train", *words, "logger=none", "hydra.run.dir=run")
    assert code == 0, errors
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["metrics"]["test/f1"] > 0.9
    assert set(record["per_class"]) == {"person", "place", "firm"}
    code, output, errors = experiments(
        "predict", "run", "Asha Rao lives in Delhi .", "रवि पुणे में रहते हैं ।", "--format", "json"
    )
    assert code == 0, errors
    first, second = json.loads(output)
    assert first["entities"] == "Asha Rao (person), Delhi (place)"
    assert [label["word"] for label in second["labels"]] == ["रवि", "पुणे", "में", "रहते", "हैं", "।"]


@pytest.mark.slow
def test_a_transformer_labels_words(experiments, tmp_path: Path) -> None:
    words = ["data=generated_entities", "data.count=60", "trainer=quick", "logger=none", "hydra.run.dir=run"]
    code, _, errors = experiments("train", *words, "model.size=16", "model.inner=16", "freezing=last_stage")
    assert code == 0, errors
    metrics = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert {"test/accuracy", "test/precision", "test/recall", "test/f1"} <= metrics.keys()


def test_classification_of_words_is_refused(experiments) -> None:
    code, _, errors = experiments("train", "data=generated_entities", "task=classification", "trainer=quick")
    assert code == 2 and "data=generated_entities gives words" in errors

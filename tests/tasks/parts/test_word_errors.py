"""Word and character errors: against torchmetrics, by kind, and what is confused."""

from __future__ import annotations

import random

import pytest
from torchmetrics.text import CharErrorRate, WordErrorRate

from experiments.tasks.parts.ctc import lines_of, word_times
from experiments.tasks.parts.word_errors import WordErrors, align
from experiments.transcript_rules import rule


def test_rates_are_torchmetrics() -> None:
    draw = random.Random(0)
    ours, words, letters = WordErrors(rule("none", "x")), WordErrorRate(), CharErrorRate()
    for _ in range(5):
        spoken, heard = (
            [" ".join(draw.choices(["a", "bc", "bcd", "e"], k=draw.randint(1, 8))) for _ in range(4)] for _ in range(2)
        )
        for metric in (ours, words, letters):
            metric.update(heard, spoken)
    rates = ours.compute()
    assert float(rates["wer"]) == pytest.approx(float(words.compute()))
    assert float(rates["cer"]) == pytest.approx(float(letters.compute()))
    kinds = [float(rates[kind]) for kind in ("insertions", "deletions", "substitutions")]
    assert sum(kinds) == pytest.approx(float(rates["wer"]))


def test_errors_are_told_apart_and_confusions_counted() -> None:
    assert align(["a", "b", "c"], ["a", "x", "c", "d"]) == [("a", "a"), ("b", "x"), ("c", "c"), (None, "d")]
    assert align([], ["a"]) == [(None, "a")] and align(["a"], []) == [("a", None)] and align([], []) == []
    metric = WordErrors(rule("simple", "x"))
    metric.update(["The cat sad", "the bad sad"], ["the cat sat.", "The bad, old cat sat"])
    details = metric.details(metric.confused)
    assert details["words"] == {"said": 8, "insertions": 0, "deletions": 2, "substitutions": 2}
    assert details["confusions"] == [{"said": "sat", "heard": "sad", "count": 2}]
    metric.reset()
    assert float(metric.compute()["wer"]) == 0 and not metric.confused


def test_words_have_times() -> None:
    import torch

    path = torch.tensor([0, 1, 1, 0, 2, 3, 0, 0, 2, 2])  # "ab b", a blank step first
    chances = torch.nn.functional.one_hot(path, 4).float()
    assert word_times(chances, ("a", "b", " "), 2.0) == [(0.2, 1.0, "ab"), (1.6, 2.0, "b")]
    assert (
        word_times(torch.nn.functional.one_hot(torch.zeros(4, dtype=torch.long), 4).float(), ("a", "b", " "), 1.0) == []
    )
    lines = lines_of([(0.0, 0.5, "one"), (0.6, 1.0, "two"), (3.0, 3.5, "three"), (3.6, 10.5, "four")])
    assert [line["text"] for line in lines] == ["one two", "three", "four"]
    assert (lines[0]["start"], lines[0]["end"]) == (0.0, 1.0)

"""`check -m` refuses what `train` refuses, with the same sentence, and builds no more runs than it has to."""

from __future__ import annotations

import pytest

from experiments.run import rehearse
from experiments.sweep import rehearse_runs

DIGITS = ("data=digits", "trainer=cpu", "callbacks=none", "logger=none")


@pytest.mark.parametrize(
    "words",
    [
        ("model=mlp", "data.augment.crop=-3,1"),
        ("model=mlp", "data.limit=1,100"),
        ("model=mlp,lenet5", "freezing=stages", "freezing.learn=[layer4]"),
    ],
)
def test_a_sweep_is_refused_with_the_sentence_of_its_run(experiments, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("train", *DIGITS, *(word.partition(",")[0] for word in words))
    assert code == 2
    sentence = errors.strip().removeprefix("error: ")
    code, _, errors = experiments("check", "-m", *DIGITS, *words)
    assert code == 2 and sentence in errors, errors


def test_runs_of_one_kind_are_built_once_and_not_all_where_there_are_many(
    experiments, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setattr(rehearse, "rehearse", built.append)
    monkeypatch.setattr(rehearse_runs, "MOST", 2)
    code, output, errors = experiments("check", "-m", *DIGITS, "model=mlp", "data.limit=50,60,70", "seed=0,1,2")
    assert code == 0, errors
    assert len(built) == 2
    assert "1 of 3 kinds of runs were checked by rules alone" in output
    code, output, _ = experiments("check", "-m", *DIGITS, "model=mlp", "optimizer.lr=0.1,0.2", "seed=0,1,2")
    assert code == 0 and len(built) == 2 and "by rules alone" not in output

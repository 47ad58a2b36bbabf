"""What a choice does, against SciPy and by hand."""

from __future__ import annotations

import pytest

from experiments.compare.cells import Cell
from experiments.compare.effects import effects

stats = pytest.importorskip("scipy.stats")


class Scored(Cell):
    """A cell whose values are given, by seed."""

    def __init__(self, values: dict[str, float], **choices: str) -> None:
        super().__init__({"task": "classification", "data": "digits", **choices})
        self.given = values

    def values(self, metric: str) -> dict[str, float]:
        return self.given


def test_the_effect_is_that_of_matched_combinations() -> None:
    values = {("mlp", "adam"): (0.8, 0.82, 0.81), ("mlp", "sgd"): (0.7, 0.75, 0.74),
              ("cnn", "adam"): (0.9, 0.93, 0.9), ("cnn", "sgd"): (0.86, 0.85, 0.88)}  # fmt: skip
    cells = [
        Scored(dict(zip("012", row, strict=True)), model=model, optimizer=optimizer)
        for (model, optimizer), row in values.items()
    ]
    model, optimizer = effects(cells, ["optimizer", "model"], "test/accuracy", lower=False)
    assert (model.factor, optimizer.factor) == ("model", "optimizer")  # the strongest first
    mlp = [(a + b) / 2 for a, b in zip(values["mlp", "adam"], values["mlp", "sgd"], strict=True)]
    cnn = [(a + b) / 2 for a, b in zip(values["cnn", "adam"], values["cnn", "sgd"], strict=True)]
    assert list(model.means) == ["cnn", "mlp"] and model.contexts == 2
    assert model.means["cnn"] == pytest.approx(sum(cnn) / 3)
    assert model.span == pytest.approx((sum(cnn) - sum(mlp)) / 3)
    adam = [(a + b) / 2 for a, b in zip(values["mlp", "adam"], values["cnn", "adam"], strict=True)]
    sgd = [(a + b) / 2 for a, b in zip(values["mlp", "sgd"], values["cnn", "sgd"], strict=True)]
    plain = [stats.ttest_rel(cnn, mlp).pvalue, stats.ttest_rel(adam, sgd).pvalue]
    smaller, larger = min(plain) * 2, max(max(plain), min(plain) * 2)  # Holm's correction of two
    corrected = (smaller, larger) if plain[0] < plain[1] else (larger, smaller)
    assert (model.p, optimizer.p) == pytest.approx(corrected)


def test_a_number_that_never_differs_alone_has_a_rank() -> None:
    depths, scores = [1, 2, 3, 4, 5], [0.5, 0.7, 0.6, 0.8, 0.8]
    cells = [
        Scored({"0": score}, depth=str(depth), width=str(depth)) for depth, score in zip(depths, scores, strict=True)
    ]
    (depth, _) = effects(cells, ["depth", "width"], "test/accuracy", lower=False)
    assert depth.difference is None and depth.rank == pytest.approx(stats.spearmanr(depths, scores).statistic)

"""Which of two cells is the better: as the runs say that were judged by a metric, by its name, or nobody knows, which is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compare.records import make_run


@pytest.mark.parametrize(
    ("metric", "judged", "best", "unclear"),
    [
        ("val/my_loss", None, "mlp", False),
        ("val/mean_accuracy", None, "lenet5", False),
        ("val/drift", ("val/drift", "min"), "mlp", False),
        ("test/drift", ("val/drift", "min"), "mlp", False),
        ("val/drift", ("val/drift", "max"), "lenet5", False),
        ("val/drift", ("val/loss", "min"), "lenet5", True),
        ("val/drift", ("val/drift", "sideways"), "lenet5", True),
        ("val/accuracy_gap", None, "lenet5", True),
        ("val/loss_reduction", None, "lenet5", True),
    ],
)
def test_the_better_way_is_known_or_said_to_be_unknown(
    experiments: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    metric: str,
    judged: tuple[str, str] | None,
    best: str,
    unclear: bool,
) -> None:
    for model, value in (("mlp", 0.2), ("lenet5", 0.5)):
        for seed in range(3):
            run = make_run(
                tmp_path / "runs" / f"{model}{seed}", 0.9, seed, model=model, metrics={metric: value + seed / 100}
            )
            record = json.loads((run / "record.json").read_text())
            if judged:
                record["judged"] = {"metric": judged[0], "mode": judged[1]}
            (run / "record.json").write_text(json.dumps(record))
    code, output, errors = experiments("compare", "runs", "--metric", metric, "--html", "report.html")
    assert code == 0 and f"{best}: {metric}" in " ".join(output.split()), output + errors
    for sentence in (output, (tmp_path / "report.html").read_text()):
        assert ("does not say which way it improves" in " ".join(sentence.split())) == unclear, sentence[:2000]
    assert "which way" not in experiments("compare", "runs", "--metric", metric, "--lower-is-better")[1]


@pytest.mark.parametrize(("metric", "best"), [("val/drift", "lenet5"), ("test/drift", "lenet5"), ("val/loss", "mlp")])
def test_runs_that_disagree_are_said_to(
    experiments: Callable[..., tuple[int, str, str]], tmp_path: Path, metric: str, best: str
) -> None:
    for model, value, mode in (("mlp", 0.2, "min"), ("lenet5", 0.5, "max")):
        for seed in range(2):
            run = make_run(
                tmp_path / "runs" / f"{model}{seed}", 0.9, seed, model=model, metrics={metric: value + seed / 100}
            )
            record = json.loads((run / "record.json").read_text())
            record["judged"] = {"metric": metric.replace("test/", "val/"), "mode": mode}
            (run / "record.json").write_text(json.dumps(record))
    code, output, errors = experiments("compare", "runs", "--metric", metric)
    message = " ".join(output.split())
    assert code == 0 and f"{best}: {metric}" in message and "does not say which way" not in message, output + errors
    assert f"the {'greatest' if best == 'lenet5' else 'least'} is taken as the best" in message, output
    assert "is taken as the best" not in experiments("compare", "runs", "--metric", metric, "--higher-is-better")[1]

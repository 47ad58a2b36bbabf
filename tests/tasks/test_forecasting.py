"""Forecasting through the command: models, quantiles, autoregression, figures, prediction, evaluation."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.batches import Sequences
from experiments.models.linear_forecaster import LinearForecaster
from experiments.models.naive_forecaster import NaiveForecaster
from experiments.tasks.parts.forecast_errors import MAE, MASE, MSE, SMAPE, Coverage

SMALL = ["trainer.accelerator=cpu", "logger=none", "data.batch_size=16", "data.limit=200"]


def waves(path: Path, rows: int = 400) -> Path:
    """Two columns with a period of 12 hours and a little noise."""
    rng = np.random.default_rng(0)
    t = np.arange(rows)
    values = np.stack([10 * np.sin(t * np.pi / 6), 5 + np.cos(t * np.pi / 6)], 1) + rng.normal(0, 0.05, (rows, 2))
    times = np.datetime64("2024-01-01T00") + t.astype("timedelta64[h]")
    lines = [f"{str(time).replace('T', ' ')}:00,{a:.4f},{b:.4f}" for time, (a, b) in zip(times, values, strict=True)]
    path.write_text("\n".join(["time,sine,cosine", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return waves(tmp_path_factory.mktemp("table") / "waves.csv")


def train(folder: Path, table: Path, *words: str) -> tuple[Path, dict[str, Any]]:
    from experiments.cli import main

    words = ("data=series_table", f"data.path={table}", "data.history=24", "data.horizon=6", "data.season=12", *words)
    assert main(["train", *words, *SMALL, f"hydra.run.dir={folder}"]) == 0
    return folder, json.loads((folder / "record.json").read_text())


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory, table: Path) -> tuple[Path, dict[str, Any]]:
    return train(
        tmp_path_factory.mktemp("linear") / "run", table, "trainer.max_epochs=6", "optimizer.lr=0.02",
        "task.quantiles=[0.1,0.5,0.9]",
    )  # fmt: skip


@pytest.fixture(scope="module")
def naive(tmp_path_factory: pytest.TempPathFactory, table: Path) -> tuple[Path, dict[str, Any]]:
    return train(tmp_path_factory.mktemp("naive") / "run", table, "model=naive_forecaster", "callbacks=none")


@pytest.mark.slow
def test_a_linear_forecast_learns_and_reports(linear: tuple[Path, dict[str, Any]]) -> None:
    folder, record = linear
    assert record["metrics"]["test/mse"] < 0.1
    assert {"test/mse", "test/mae", "test/mase", "test/smape", "test/coverage"} <= record["metrics"].keys()
    assert len(record["per_step"]["mse"]) == 6 and set(record["per_column"]) == {"sine", "cosine"}
    assert np.isclose(np.mean(record["per_step"]["mse"]), record["metrics"]["test/mse"], atol=1e-4)
    assert record["data"]["rows"] == 400
    pictures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert pictures == {"curves", "forecast", "error_by_step"}


def test_what_has_nothing_to_learn_is_tested(naive: tuple[Path, dict[str, Any]]) -> None:
    """The last season over again is nearly perfect on a wave; training is one pass that changes nothing."""
    folder, record = naive
    assert record["status"] == "finished" and record["cost"]["parameters"] == 0
    assert record["metrics"]["test/mse"] < 0.01
    # Twice independent noise, relative to the same in the training split.
    assert 0.8 < record["metrics"]["test/mase"] < 1.2
    assert (folder / "checkpoints" / "best.ckpt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("run", ["linear", "naive"])
def test_evaluation_repeats_the_test(run: str, request: Any, experiments: Any) -> None:
    folder, record = request.getfixturevalue(run)
    code, output, errors = experiments("evaluate", str(folder))
    assert code == 0, errors
    metrics = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    assert metrics["test/mse"] == pytest.approx(record["metrics"]["test/mse"], abs=1e-4)


def test_evaluation_on_another_horizon_is_refused(linear: Any, experiments: Any) -> None:
    code, _, errors = experiments("evaluate", str(linear[0]), "data.horizon=5")
    assert code == 2
    assert "gives features 2, history 24, 6 values a step, horizon 5 and the run was trained on" in errors


def test_prediction_writes_a_table_and_a_picture(linear: Any, experiments: Any, table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join([lines[0], *lines[101:141]]))
    code, output, errors = experiments("predict", str(linear[0]), str(short), "--format", "json", "--out", "told")
    assert code == 0, errors
    answer = json.loads(output)[0]
    assert answer["first"] == "2024-01-06 20:00" and answer["steps"] == 6
    rows = list(csv.DictReader(Path(answer["forecast"]).read_text().splitlines()))
    assert [row["time"] for row in rows][-1] == "2024-01-07 01:00" == answer["last"]
    truth = [float(line.split(",")[1]) for line in lines[141:147]]
    assert np.abs(np.array([float(row["sine_0.5"]) for row in rows]) - truth).mean() < 3
    assert Path(answer["picture"]).read_bytes().startswith(b"\x89PNG")
    from experiments import load

    assert load(linear[0]).predict([short]).shape == (1, 6, 2, 3)


def test_prediction_refuses_what_it_cannot_read(linear: Any, experiments: Any, table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines()
    files = {
        "few": (lines[:20], "has 19 rows and the model reads the last 24"),
        "other": ([line.replace("sine", "price", 1) for line in lines], "was trained on sine, cosine"),
        "gap": ([*lines[:-1], lines[-1].rpartition(",")[0] + ","], "line 401: cosine is missing"),
    }
    for name, (content, sentence) in files.items():
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(content))
        code, _, errors = experiments("predict", str(linear[0]), str(path))
        assert code == 2 and sentence in errors, errors
    code, _, errors = experiments("predict", str(linear[0]), "absent.csv")
    assert code == 2 and "absent.csv does not exist" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["task.block=1", "model.form=linear"],
        ["task.block=4", "model.form=linear"],
        ["model=gru", "model.hidden=24", "data.horizon=4"],
        ["model=rnn", "model.hidden=24", "task.block=2", "data.horizon=4"],
    ],
)
def test_direct_and_autoregressive_forecasts_fill_the_horizon(experiments: Any, table: Path, words: list[str]) -> None:
    """A wave's value is known from its past, so feeding forecasts back must not spoil them."""
    code, _, errors = experiments(
        "train", "data=series_table", f"data.path={table}", "data.history=24", "data.horizon=6", "task.centre=window",
        "trainer.max_epochs=5", "optimizer.lr=0.02", "callbacks=none", "hydra.run.dir=run", *SMALL, *words,
    )  # fmt: skip
    assert code == 0, errors
    record = json.loads(Path("run/record.json").read_text())
    assert len(record["per_step"]["mse"]) == record["spec"]["horizon"] and record["metrics"]["test/mse"] < 0.15


@pytest.mark.slow
def test_show_draws_forecasts_and_errors(linear: Any, experiments: Any, table: Path) -> None:
    code, printed, errors = experiments("show", str(linear[0]), "--to", "shown")
    assert code == 0, errors
    assert {path.name for path in Path("shown").glob("*.png")} == {"forecast.png", "error_by_step.png"}
    assert printed.splitlines() == [
        "forecast      forecast.png",
        "error_by_step error_by_step.png",
        "page          shown/index.html",
    ]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("task.quantiles=[0.9,0.1]", r"task.quantiles=[0.9, 0.1] must increase between 0 and 1"),
        ("task.block=0", "task.block=0 must be 1 or more"),
        ("task.centre=first", "task.centre=first is unknown"),
        ("task.loss=mape", "task.loss=mape is unknown"),
        ("model.kernel=4", "model.kernel=4 must be odd"),
        ("model.form=cubic", "model.form=cubic is unknown"),
        ("model=lenet5", "model=lenet5"),
        ("task=classification", "task=classification"),
    ],
)
def test_bad_choices_are_named(experiments: Any, word: str, sentence: str) -> None:
    code, _, errors = experiments("train", "data=generated_series", word, *SMALL[:2], "hydra.run.dir=run")
    assert code == 2 and sentence in errors, errors


def past(batch: int = 2, history: int = 12, columns: int = 3) -> Sequences:
    values = torch.randn(batch, history, columns, generator=torch.Generator().manual_seed(0))
    return Sequences(values, torch.full((batch,), history))


@pytest.mark.parametrize("form", ["linear", "dlinear", "nlinear"])
@pytest.mark.parametrize("individual", [False, True])
@pytest.mark.parametrize("quantiles", [1, 3])
def test_linear_forecasts_begin_as_means_and_keep_columns_apart(form: str, individual: bool, quantiles: int) -> None:
    model = LinearForecaster(3, 12, 3 * quantiles, 5, form=form, kernel=5, individual=individual)
    x = past()
    out = model(x).unflatten(2, (3, quantiles))
    assert out.shape == (2, 5, 3, quantiles)
    mean = x.values.mean(1)[:, None, :, None].expand_as(out)
    assert torch.allclose(out, mean, atol=1e-6)
    x.values.requires_grad_()
    model(x).unflatten(2, (3, quantiles))[:, :, 1].sum().backward()
    assert x.values.grad is not None
    touched = x.values.grad.abs().sum((0, 1)) > 0
    assert touched.tolist() == [False, True, False]


def test_moving_average_and_rest_add_up_to_the_past() -> None:
    model = LinearForecaster(3, 12, 3, 5, form="dlinear", kernel=5, individual=False)
    x = past()
    trend, rest = model.get_submodule("parts")(x).values
    assert torch.allclose((trend + rest).transpose(1, 2), x.values, atol=1e-6)
    assert torch.allclose(trend[:, :, 4], x.values[:, 2:7].mean(1), atol=1e-6)


def test_nlinear_follows_a_shift() -> None:
    model = LinearForecaster(3, 12, 3, 5, form="nlinear", kernel=5, individual=False)
    x = past()
    moved = model(Sequences(x.values + 100, x.lengths))
    assert torch.allclose(moved, model(x) + 100, atol=1e-4)


def test_naive_forecasts_repeat() -> None:
    x = past()
    last = NaiveForecaster(3, 12, 3, 5, form="last", season=None)(x)
    assert torch.equal(last, x.values[:, -1:].expand(2, 5, 3))
    seasonal = NaiveForecaster(3, 12, 3, 5, form="seasonal", season=4)(x)
    assert torch.equal(seasonal, torch.cat([x.values[:, -4:], x.values[:, -4:-3]], 1))
    assert torch.equal(NaiveForecaster(3, 12, 6, 5, form="seasonal", season=4)(x)[..., ::2], seasonal)


def test_errors_are_those_of_their_definitions() -> None:
    """By hand with numpy; MASE and sMAPE in the data's own units."""
    rng = np.random.default_rng(0)
    truth, guess = rng.normal(size=(2, 7, 5, 2))
    spread = np.stack([guess - 0.5, guess, guess + 1.0], -1)
    mean, std, naive = np.array([3.0, -1.0]), np.array([2.0, 0.5]), np.array([0.8, 0.0])
    settings = (5, mean.tolist(), std.tolist(), naive.tolist(), 1)
    expected: dict[Callable[..., Any], float] = {
        MSE: ((guess - truth) ** 2).mean(),
        MAE: np.abs(guess - truth).mean(),
        MASE: (np.abs(guess - truth)[..., 0] / 0.8).mean(),  # the other column never changed
        SMAPE: 100
        * (2 * np.abs(guess - truth) * std / (np.abs(guess * std + mean) + np.abs(truth * std + mean))).mean(),
        Coverage: ((truth >= guess - 0.5) & (truth <= guess + 1)).mean(),
    }
    for kind, value in expected.items():
        metric = kind(*settings)
        for part in (slice(0, 3), slice(3, 7)):  # whatever the batches
            metric.update(torch.tensor(spread[part]), torch.tensor(truth[part]))
        assert float(metric.compute()) == pytest.approx(value, rel=1e-5)

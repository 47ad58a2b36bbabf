"""Windows of a series through an autoencoder, as a user runs it: errors beside PCA's, curves, prediction, what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TABLE = ["data=series_table", "data.history=24", "data.horizon=1", "data.season=12", "data.batch_size=16"]
QUICK = ["task=reconstruction", "trainer.accelerator=cpu", "logger=none", "model.latent_size=4"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two columns of unlike size, waves of 12 hours whose heights change slowly: four numbers say nearly all of a window."""
    path = tmp_path_factory.mktemp("table") / "waves.csv"
    hours = np.arange(400)
    tall = np.sin(hours * np.pi / 6) * (1.5 + np.sin(hours / 40))
    values = np.stack([10 * tall, 500 + np.cos(hours * np.pi / 6)], 1)
    values += np.random.default_rng(0).normal(0, 0.02, values.shape)
    times = np.datetime64("2024-01-01T00") + hours.astype("timedelta64[h]")
    rows = [f"{str(time).replace('T', ' ')}:00,{a:.4f},{b:.4f}" for time, (a, b) in zip(times, values, strict=True)]
    path.write_text("\n".join(["time,load,pressure", *rows]) + "\n")
    return path


def train(folder: Path, table: Path, *words: str) -> tuple[Path, dict[str, Any]]:
    from experiments.cli import main

    assert main(["train", *TABLE, f"data.path={table}", *QUICK, *words, f"hydra.run.dir={folder}"]) == 0
    return folder, json.loads((folder / "record.json").read_text())


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory, table: Path) -> tuple[Path, dict[str, Any]]:
    return train(tmp_path_factory.mktemp("dense") / "run", table, "trainer.max_epochs=20", "optimizer.lr=0.003")


@pytest.mark.slow
def test_windows_come_back_and_pca_stands_beside(dense: tuple[Path, dict[str, Any]]) -> None:
    from experiments import load

    folder, record = dense
    tested = {name: value for name, value in record["metrics"].items() if name.startswith("test/")}
    assert set(tested) == {"test/loss", "test/mse", "test/mae", "test/pca_mse"}
    assert set(load(folder).task.metric_names("test")) == set(tested), "what is announced is what is measured"
    assert tested["test/mse"] < 0.2, "1 is what the mean alone would give"
    assert 0 < tested["test/pca_mse"] < 0.1
    pictures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert pictures == {"curves", "reconstructions", "latent", "code_activity", "against_pca"}


@pytest.mark.parametrize("model", ["pca", "conv_autoencoder"])
def test_other_networks_read_windows_of_any_length(tmp_path: Path, table: Path, model: str) -> None:
    words = ["data.history=25", f"model={model}", "trainer.max_epochs=3", "optimizer.lr=0.01", "callbacks=none"]
    metrics = train(tmp_path / "run", table, *words)[1]["metrics"]
    if model == "pca":
        assert metrics["test/mse"] == pytest.approx(metrics["test/pca_mse"], rel=0.01)
    else:
        assert metrics["test/pca_mse"] < metrics["test/mse"] < 0.9


@pytest.mark.slow
def test_prediction_gives_the_window_back_in_its_units(
    dense: Any, experiments: Any, table: Path, tmp_path: Path
) -> None:
    code, output, errors = experiments("predict", str(dense[0]), str(table), "--format", "json", "--out", "told")
    assert code == 0, errors
    answer = json.loads(output)[0]
    given = [row.split(",")[1:] for row in table.read_text().splitlines()[-24:]]
    rows = list(csv.DictReader(Path(answer["reconstruction"]).read_text().splitlines()))
    assert list(rows[0]) == ["load", "pressure"] and len(rows) == 24
    ours, truth = np.array([list(row.values()) for row in rows], float), np.array(given, float)
    scale = np.array([dense[1]["spec"]["std"]])
    assert (((ours - truth) / scale) ** 2).mean() == pytest.approx(answer["mse"], rel=1e-2)
    assert np.corrcoef(ours[:, 0], truth[:, 0])[0, 1] > 0.8
    assert Path(answer["picture"]).read_bytes().startswith(b"\x89PNG")
    from experiments import load

    assert np.allclose(load(dense[0]).predict([table])[0], ours, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_evaluation_and_pictures_again(dense: Any, experiments: Any, tmp_path: Path) -> None:
    code, output, errors = experiments("evaluate", str(dense[0]))
    assert code == 0, errors
    metrics = {line.split()[0]: float(line.split()[1]) for line in output.splitlines()}
    assert metrics["test/mse"] == pytest.approx(dense[1]["metrics"]["test/mse"], abs=1e-4)
    code, _, errors = experiments("show", str(dense[0]), "--to", "shown", "--examples", "40")
    assert code == 0, errors
    assert {"reconstructions", "latent"} <= {path.stem for path in (tmp_path / "shown").rglob("*.png")}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["task=denoising"], "task=denoising reads image and data=series_table gives series"),
        (["model=vae"], "model=vae reads image and data=series_table gives series"),
        (["task.loss=bce"], "task.loss=bce takes pixels from 0 to 1"),
        (["model=conv_autoencoder", "data.history=3"], "reads 4 steps or more, not 3: set data.history="),
        (["model=pca", "data.history=1"], "model.latent_size=4 must be from 1 to 2, the number of values in a window"),
    ],
)
def test_what_does_not_fit_is_refused(experiments: Any, table: Path, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("train", *TABLE, f"data.path={table}", *QUICK, *words)
    assert code == 2 and sentence in errors and len(errors.splitlines()) == 1, errors

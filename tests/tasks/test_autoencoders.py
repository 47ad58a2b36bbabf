"""Every task of the autoencoders as a user runs it, on scanned digits: metrics, peers, pictures, prediction, encoders reused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from experiments.config.options import content, option_files

TASKS = ("reconstruction", "denoising", "variational", "anomaly_detection", "compression", "colourisation")
PICTURES = {
    "reconstruction": {"reconstructions", "latent", "code_activity", "against_pca", "few_labels"},
    "denoising": {"reconstructions", "latent"},
    "variational": {"kl_by_dimension", "samples", "samples_by_class", "traversals", "interpolations", "manifold", "latent"},
    "anomaly_detection": {"scores", "most_unusual", "latent"},
    "compression": {"rate_distortion", "reconstructions"},
    "colourisation": {"reconstructions", "latent"},
}  # fmt: skip
QUICK = ["trainer=cpu", "trainer.max_epochs=1", "data.limit=200", "data.batch_size=50", "logger=none"]
MORE = {
    "reconstruction": ["task.few_labels=[40]", "task.sparse.kind=l1", "task.contractive=0.01"],
    "denoising": ["task.peer_examples=8"],
    "variational": ["task.few_labels=[40]", "model=conv_vae", "model.latent_size=2", "task.binarise=sample", "task.importance_samples=3",
                    "task.warm_up=2", "task.free_bits=0.1"],
    "anomaly_detection": ["task.anomalous=[3]"],
    "compression": ["task.rate=0.001"],
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One short run of each task."""
    from experiments import train

    folder = tmp_path_factory.mktemp("runs")
    random = torch.Generator().manual_seed(0)
    for part, count in (("train", 30), ("test", 8)):
        for number in range(count):
            values = torch.nn.functional.interpolate(torch.rand(1, 3, 3, 3, generator=random), size=12, mode="bilinear")
            path = folder / "photos" / part / f"class{number % 2}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((255 * values[0].permute(1, 2, 0)).byte().numpy()).save(path)
    made = {}
    for task in TASKS:
        words = ["data=digits", *QUICK, *MORE.get(task, [])]
        if task == "colourisation":
            words = [
                "data=image_folder",
                f"data.root={folder / 'photos'}",
                "trainer=cpu",
                "trainer.max_epochs=1",
                "logger=none",
            ]
        made[task] = Path(train(f"task={task}", *words, f"hydra.run.dir={folder / task}")["dir"])
    return made


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "record.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_metrics_peers_and_pictures(runs: dict[str, Path], task: str) -> None:
    from experiments import load

    metrics = record(runs[task])["metrics"]
    assert {"test/mse", "test/psnr", "test/ssim", "val/psnr"} <= set(metrics)
    named = set(load(str(runs[task])).task.metric_names("test"))
    assert named == {name for name in metrics if name.startswith("test/")}, "what is announced is what is measured"
    assert all(value is not None for value in metrics.values())
    pictures = {path.stem for path in (runs[task] / "figures").glob("*.png")}
    assert PICTURES[task] <= pictures
    config = (runs[task] / "projector_config.pbtxt").read_text()
    vectors, labels = (
        len((runs[task] / "projector" / f"{name}.tsv").read_text().splitlines()) for name in ("codes", "labels")
    )
    assert vectors == labels > 0 and "pictures.png" in config


@pytest.mark.slow
def test_figures_of_a_run_are_what_they_say(runs: dict[str, Path]) -> None:
    metrics = {task: record(folder)["metrics"] for task, folder in runs.items()}
    variational = metrics["variational"]
    assert variational["test/elbo"] == pytest.approx(
        variational["test/reconstruction"] - variational["test/kl"], abs=1e-3
    )
    assert variational["test/iw_bound"] > variational["test/elbo"] - 0.5
    assert len(record(runs["variational"])["kl_by_dimension"]) == 2
    denoising = metrics["denoising"]
    assert denoising["test/filter_psnr"] > denoising["test/noisy_psnr"]
    assert {"median", "gaussian", "non-local means"} <= set(record(runs["denoising"]))
    compression = metrics["compression"]
    assert 0 < compression["test/bytes"] < 32 * 4
    assert compression["test/pca_bytes"] <= compression["test/bytes"]
    assert metrics["reconstruction"]["test/pca_mse"] < 0.01
    assert metrics["colourisation"]["test/true_colourfulness"] > 5


def test_what_is_left_out_is_never_trained_on(runs: dict[str, Path]) -> None:
    from experiments import load

    content = record(runs["anomaly_detection"])
    data = load(str(runs["anomaly_detection"])).data
    whole = {part: (data.sets[part].labels != 3).sum() for part in ("train", "validation")}
    assert {part: content["data"][part] for part in whole} == whole
    assert content["data"]["test"] == len(data.sets["test"].labels)
    assert content["anomalous"] == ["3"]
    assert 0 <= content["metrics"]["test/false_alarm_rate"] <= 0.2


@pytest.mark.parametrize("task", ["denoising", "variational", "anomaly_detection"])
def test_evaluating_again_gives_the_same(runs: dict[str, Path], task: str) -> None:
    from experiments.run.evaluation import evaluate

    again, recorded = evaluate(runs[task]), record(runs[task])["metrics"]
    for name, value in again.items():
        assert value == pytest.approx(recorded[name], rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize(
    ("task", "columns"),
    [
        ("reconstruction", ["image", "mse", "psnr", "reconstruction"]),
        ("denoising", ["image", "change", "denoised"]),
        ("variational", ["image", "kl", "mse", "psnr", "reconstruction"]),
        ("anomaly_detection", ["image", "score", "threshold", "anomalous", "reconstruction", "heat"]),
        ("colourisation", ["image", "colourfulness", "coloured"]),
    ],
)
def test_predict_writes_pictures_beside_a_table(
    runs: dict[str, Path], experiments, tmp_path: Path, task: str, columns: list[str]
) -> None:
    Image.new("L", (20, 20), 80).save(tmp_path / "a.png")
    Image.new("RGB", (9, 14), (250, 20, 20)).save(tmp_path / "b.jpg")
    code, output, errors = experiments("predict", str(runs[task]), "a.png", "b.jpg", "--out", "out", "--format", "csv")
    assert code == 0, errors
    rows = list(csv.DictReader((tmp_path / "out" / "predictions.csv").open()))
    assert list(rows[0]) == columns and len(rows) == 2
    assert output.splitlines()[0] == ",".join(columns)
    if task == "anomaly_detection":
        threshold = record(runs[task])["threshold"]
        assert all(float(row["threshold"]) == pytest.approx(threshold, abs=1e-4) for row in rows)
        assert all((row["anomalous"] == "True") == (float(row["score"]) > threshold) for row in rows)
    size = (12, 12) if task == "colourisation" else (8, 8)
    for row in rows:
        for key in set(columns) & {"reconstruction", "denoised", "heat", "coloured"}:
            with Image.open(tmp_path / row[key]) as picture:
                assert picture.size == size
                assert picture.mode == ("RGB" if key in ("heat", "coloured") else "L")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["reconstruction", "variational", "anomaly_detection", "compression"])
def test_show_draws_them_again(runs: dict[str, Path], experiments, tmp_path: Path, task: str) -> None:
    code, _, errors = experiments("show", str(runs[task]), "--to", "shown", "--examples", "60")
    assert code == 0, errors
    drawn = {path.stem for path in (tmp_path / "shown").rglob("*.png")}
    assert {name for name in PICTURES[task] if name not in ("against_pca", "few_labels")} <= drawn


@pytest.mark.slow
def test_an_autoencoder_is_exported(runs: dict[str, Path], experiments, tmp_path: Path) -> None:
    code, _, errors = experiments("export", str(runs["compression"]), "--format", "torch-export", "--to", "net.pt2")
    assert code == 0, errors
    assert torch.export.load(tmp_path / "net.pt2").module()(torch.zeros(3, 1, 8, 8)).shape == (3, 1, 8, 8)


def test_the_sweep_over_sizes_can_run(experiments) -> None:
    code, output, errors = experiments("check", "-m", "sweep=latent_size", "data=digits")
    assert code == 0, errors
    assert "72 runs" in output


@pytest.mark.slow
def test_an_encoder_becomes_part_of_a_classifier(runs: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    from experiments import load, train

    monkeypatch.chdir(tmp_path)
    words = ["data=digits", "model=encoder_classifier", f"weights={runs['reconstruction']}", *QUICK, "callbacks=none"]
    done = train(*words)
    ours, theirs = load(done["dir"]).model, load(str(runs["reconstruction"])).model
    assert done["status"] == "finished"
    assert ours.encoder[1].weight.shape == theirs.encoder[1].weight.shape
    still = train(*words, "optimizer.lr=1e-30")
    assert torch.allclose(load(still["dir"]).model.encoder[1].weight, theirs.encoder[1].weight)
    assert torch.allclose(load(still["dir"]).model.latent[0].weight, theirs.latent[0].weight)


@pytest.mark.slow
def test_generated_images_are_judged_by_a_classifier(tmp_path: Path, monkeypatch, experiments) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    judge = train("data=digits", "model=mlp", *QUICK, "callbacks=none", "hydra.run.dir=judge")
    words = ["task=variational", *QUICK, "callbacks=none", f"task.judge={judge['dir']}"]
    done = train("data=digits", *words, "task.likelihood=gaussian")
    distances = [done["metrics"][f"test/{name}"] for name in ("train_frechet", "pca_frechet", "frechet")]
    assert 0 < distances[0] < distances[1] < distances[2], "one epoch on 200 digits generates less than PCA does"
    assert not any("judge" in key for key in torch.load(Path(done["dir"]) / "checkpoints/best.ckpt")["state_dict"])
    code, _, errors = experiments("train", "data=shapes", *words)
    assert code == 2 and len(errors.splitlines()) == 1
    assert "task.judge was trained on 1×8×8 images and the data give 1×28×28 images: choose another run" in errors


BAD = [
    (["data=digits", "task=classification", "model=autoencoder"], ["model=autoencoder makes image", "task=reconstruction"]),
    (["data=digits", "task=variational", "model=autoencoder"], ["model that makes distribution", "task=reconstruction"]),
    (["data=digits", "task=colourisation"], ["grey", "data=cifar10"]),
    (["data=digits", "task=reconstruction", "task.loss=l3"], ["task.loss=l3", "bce"]),
    (["data=digits", "task=reconstruction", "task.sparse.kind=kl"], ["model.code=sigmoid"]),
    (["data=digits", "task=reconstruction", "task.contractive=-1.0"], ["task.contractive=-1.0"]),
    (["data=digits", "task=denoising", "task.noise=fog"], ["task.noise=fog", "salt_and_pepper"]),
    (["data=digits", "task=denoising", "task.level=-1"], ["task.level=-1", "above 0"]),
    (["data=digits", "task=variational", "task.binarise=yes"], ["task.binarise=", "threshold"]),
    (["data=digits", "task=variational", "task.beta=-1"], ["task.beta=-1"]),
    (["data=digits", "task=anomaly_detection", "task.anomalous=[cat]"], ["task.anomalous=cat", "0, 1"]),
    (["data=digits", "task=anomaly_detection", "task.usual=[1]"], ["give one of the two"]),
    (["data=digits", "task=compression", "task.step=0.0"], ["task.step=0.0"]),
    (["data=digits", "task=compression", "task.scatter=umap"], ["task.scatter=umap", "tsne"]),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_values_end_in_one_sentence(experiments, words: list[str], sentence: list[str]) -> None:
    code, _, errors = experiments("train", *words, "logger=none", "callbacks=none", "hydra.run.dir=run")
    assert code == 2
    assert len(errors.strip().splitlines()) == 1, errors
    assert all(part in errors for part in sentence), errors


def test_one_class_may_stand_against_all(tmp_path: Path, monkeypatch) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    words = ["task.anomalous=null", "task.usual=[1]", "task.peers=false", "callbacks=none"]
    done = train("data=digits", "task=anomaly_detection", *QUICK, *words)
    assert len(done["anomalous"]) == 9
    assert "test/pca_auroc" not in done["metrics"] and done["metrics"]["test/auroc"] is not None


def test_every_model_that_makes_pictures_reconstructs() -> None:
    made = {name for name, file in option_files("model").items() if "image" in (content(file).get("makes") or [])}
    assert made >= {"autoencoder", "conv_autoencoder", "vae", "conv_vae", "vq_autoencoder"}


@pytest.mark.slow
@pytest.mark.parametrize("words", [["model=vq_autoencoder", "task=compression"], ["model=conv_vae", "task=reconstruction"],
                                   ["model=autoencoder", "task=reconstruction", "model.code=sigmoid", "task.sparse.kind=kl",
                                    "task.loss=bce", "precision=bf16-mixed"]])  # fmt: skip
def test_other_pairs(tmp_path: Path, monkeypatch, words: list[str]) -> None:
    from experiments import train

    monkeypatch.chdir(tmp_path)
    done = train("data=shapes", *words, "trainer=quick", "trainer.accelerator=cpu", "callbacks=none", "logger=none",
                 "task.peers=false")  # fmt: skip
    assert done["status"] == "finished"

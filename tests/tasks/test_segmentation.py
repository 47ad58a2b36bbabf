"""Segmentation as a user runs it: train, evaluate, predict, weights of an earlier run, freezing, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.masks.conftest import fake_camvid, fake_pairs, save

SMALL = ["data.count=16", "data.side=32", "data.batch_size=4"]
QUICK = ["trainer=cpu", "trainer.max_epochs=1", "logger=none", "model=unet", "model.width=2", "model.depth=2"]
PICTURES = {
    "curves", "confusion", "predictions", "best_images", "worst_images", "iou_per_class", "iou_histogram", "training_batch", "filters"
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One short run on generated pictures, with every augmentation and border weights."""
    from experiments import train

    folder = tmp_path_factory.mktemp("segmentation") / "run"
    changes = "data.augment={flip: true, flip_down: 0.5, turn: true, rotation: 10, scale: [0.8, 1.2], crop: 24, elastic: 1, brightness: 0.1}"
    train("data=generated_masks", *SMALL, *QUICK, changes, "data.border_weight=5.0", "task.loss=cross_entropy+dice",
          "task.class_weights=balanced", f"hydra.run.dir={folder}")  # fmt: skip
    return folder


@pytest.mark.slow
def test_record_and_pictures(run: Path) -> None:
    record = json.loads((run / "record.json").read_text())
    metrics = record["metrics"]
    for name in ("loss", "mean_iou", "dice", "pixel_accuracy", "boundary_f1", "frequent_mean_iou"):
        assert metrics[f"test/{name}"] >= 0
    assert record["spec"]["kind"] == "MaskSpec" and "val/mean_iou" in metrics
    per_class = record["per_class"]
    assert list(per_class) == ["background", "disc", "square", "triangle", "cross"]
    assert {"iou", "dice", "precision", "recall", "boundary_f1", "pixels"} == set(per_class["disc"])
    counts = np.array(record["confusion"])
    assert counts.sum() == 4 * 32 * 32
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    there = union > 0
    assert metrics["test/mean_iou"] == pytest.approx((counts.diagonal()[there] / union[there]).mean(), abs=1e-5)
    assert {path.stem for path in (run / "figures").iterdir()} == PICTURES


@pytest.mark.slow
def test_evaluate_gives_the_same(run: Path) -> None:
    from experiments.run.evaluation import evaluate

    metrics = json.loads((run / "record.json").read_text())["metrics"]
    for size in (1, 3):
        evaluated = evaluate(run, f"data.batch_size={size}")
        evaluated.pop("test/loss")  # class weights are of the training alone
        assert {name: pytest.approx(value, abs=2e-5) for name, value in evaluated.items()} == {
            name: value for name, value in metrics.items() if name in evaluated
        }


def test_predict_writes_masks_of_the_image_s_size(experiments: Any, run: Path, tmp_path: Path) -> None:
    save(tmp_path / "large.png", np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8))
    save(tmp_path / "small.png", np.full((9, 5), 40, np.uint8))
    code, output, errors = experiments(
        "predict", str(run), "large.png", "small.png", "--top", "2", "--format", "json", "--out", "said"
    )
    assert code == 0, errors
    large, small = json.loads(output)
    assert large["image"] == "large.png" and len(large["classes"]) == 2
    mask = Image.open(large["mask"])
    assert mask.mode == "P" and mask.size == (90, 70) and Image.open(small["mask"]).size == (5, 9)
    values = np.asarray(mask)
    first = large["classes"][0]
    names = ["background", "disc", "square", "triangle", "cross"]
    assert first["share"] == pytest.approx((values == names.index(first["class"])).mean(), abs=1e-6)
    assert Image.open(large["overlay"]).size == (90, 70)
    assert len(list(csv.reader(open(tmp_path / "said" / "predictions.csv")))) == 5  # noqa: SIM115


def test_answers_in_python(run: Path) -> None:
    from experiments import load

    loaded = load(run)
    chances = loaded.predict([np.zeros((32, 32, 3), np.uint8)])
    assert chances.shape == (1, 5, 32, 32) and torch.allclose(chances.sum(1), torch.ones(1, 32, 32), atol=1e-5)


@pytest.mark.slow
def test_camvid_as_it_is_laid_out(experiments: Any, tmp_path: Path) -> None:
    fake_camvid(tmp_path / "camvid", count=4, size=(12, 20))
    code, output, errors = experiments(
        "train", "data=camvid", "data.root=camvid", *QUICK, "callbacks=none", "hydra.run.dir=run"
    )
    assert code == 0, errors
    assert "test/mean_iou" in output and "test/dice" in output
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert list(record["per_class"])[:3] == ["sky", "building", "pole"]


def test_two_classes_have_a_threshold_beside_them(experiments: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(8):
        mask = (rng.random((16, 16)) < 0.3).astype(np.uint8)
        save(
            tmp_path / "set" / "images" / f"{number}.png", (mask * 90 + rng.integers(0, 60, (16, 16))).astype(np.uint8)
        )
        save(tmp_path / "set" / "masks" / f"{number}.png", mask * 255)
    code, _, errors = experiments(
        "train", "data=mask_folder", "data.root=set", "data.grey=true", *QUICK, "callbacks=none", "hydra.run.dir=run"
    )
    assert code == 0, errors
    metrics = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert metrics["test/threshold_mean_iou"] == 1.0 and metrics["test/frequent_mean_iou"] < 0.5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["data=digits", "task=segmentation"], "task=segmentation reads masks and data=digits gives image"),
        (["data=generated_masks", "task=classification"], "data=generated_masks gives masks"),
        (["data=generated_masks", "model=lenet5"], "model that makes masks"),
        (["data=digits", "model=unet"], "model=unet makes masks"),
        (["data=generated_masks", "data.size=[10]"], "data.size=[10] must be"),
        (["data=generated_masks", "task.loss=hinge"], "task.loss=hinge"),
        (["data=generated_masks", "data.fit=squeeze"], "data.fit=squeeze"),
        (["data=generated_masks", "task.overlap=0.95"], "task.overlap=0.95"),
        (
            ["data=generated_masks", "task.class_weights=[1,2]"],
            "task.class_weights has 2 values and the data 5 classes",
        ),
        (["data=generated_masks", "data.augment.scale=2"], "data.augment.scale=2"),
        (["data=generated_masks", "model=deeplabv3_mobilenet", "data.batch_size=1"], "set data.batch_size=2 or more"),
        (["data=mask_folder", "data.root=nowhere"], "data.root=nowhere does not exist"),
        (["data=camvid", "data.root=nowhere"], "data.root=nowhere does not exist"),
    ],
)
def test_what_is_refused(experiments: Any, tmp_path: Path, words: list[str], sentence: str) -> None:
    code, _, errors = experiments("train", *words, "trainer=quick", "hydra.run.dir=run")
    assert code == 2 and sentence in errors, errors
    assert errors.strip().count("\n") <= 1 and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_frozen_backbone_with_the_weights_of_a_classifier(experiments: Any, tmp_path: Path) -> None:
    from experiments.models.mobilenet import MobileNetV3

    first = {f"model.{name}": value for name, value in MobileNetV3(num_classes=4).state_dict().items()}
    torch.save({"state_dict": first}, tmp_path / "classifier.ckpt")
    words = [
        "data=generated_masks",
        *SMALL,
        "model=lraspp_mobilenet",
        "weights=classifier.ckpt",
        "freezing=feature_extraction",
    ]
    code, _, errors = experiments(
        "train", *words, "trainer=quick", "callbacks.figures=null", "logger=none", "hydra.run.dir=run"
    )
    assert code == 0, errors
    second = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    backbone = [name for name in second if name.startswith("model.") and not name.startswith("model.head.")]
    assert len(backbone) > 100 and all(torch.equal(first[name], second[name]) for name in backbone)


@pytest.mark.parametrize("strategy", ["lora", "discriminative", "gradual", "last_stage", "norm_only"])
def test_every_strategy_knows_the_stages(strategy: str) -> None:
    from experiments.config.compose import compose
    from experiments.models.library.torchvision_segmenters import TorchvisionSegmenter
    from experiments.run.build import build_freezing

    model = TorchvisionSegmenter(num_classes=3, method="lraspp", backbone="mobilenet_v3_large", auxiliary=False)
    freezing = build_freezing(
        compose([f"freezing={strategy}", "data=generated_masks", "model=lraspp_mobilenet"]), model
    )
    assert [row.stage for row in freezing.rows(0.1)][-2:] == ["last", "head"]
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any(name.startswith("head.") for name in learning)
    assert (strategy in ("discriminative", "gradual")) == ("stem.0.weight" in learning)


def test_masks_in_colours_by_command(experiments: Any, tmp_path: Path) -> None:
    fake_pairs(tmp_path / "set" / "images", tmp_path / "set" / "masks", 6, size=(16, 16))
    for path in (tmp_path / "set" / "masks").iterdir():
        values = np.asarray(Image.open(path))
        save(path, np.array([[128, 64, 128], [0, 0, 0], [128, 128, 0]], np.uint8)[values])
    words = ["data=mask_folder", "data.root=set", "data.colours={road: [128,64,128], tree: '#808000'}"]
    code, _, errors = experiments("train", *words, *QUICK, "callbacks=none", "hydra.run.dir=run")
    assert code == 2 and "#000000, which no class has" in errors
    code, _, errors = experiments(
        "train", *words, "data.ignore='#000000'", *QUICK, "callbacks=none", "hydra.run.dir=run"
    )
    assert code == 0, errors


@pytest.mark.slow
def test_four_images_are_learned_by_heart(experiments: Any, tmp_path: Path) -> None:
    """On four pictures that are training, validation and test at once, the mean IoU reaches 0.95."""
    from experiments.data.masks.generated_masks import draw

    for part in ("train", "val", "test"):
        for number in range(4):
            image, mask = draw(0, number, 48)
            save(tmp_path / "four" / part / "images" / f"{number}.png", image.transpose(1, 2, 0).copy())
            save(tmp_path / "four" / part / "masks" / f"{number}.png", mask)
    code, _, errors = experiments(
        "train", "data=mask_folder", "data.root=four", "data.batch_size=4", "model=unet", "model.width=8", "model.depth=3", "model.norm=batch",
        "model.dropout=0", "optimizer.lr=0.01", "scheduler=one_cycle", "trainer=cpu", "trainer.max_epochs=80",
        "trainer.check_val_every_n_epoch=20", "callbacks.figures=null", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, errors
    assert json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]["test/mean_iou"] > 0.95


@pytest.mark.slow
def test_published_weights_answer_without_a_run(experiments: Any, tmp_path: Path) -> None:
    """A file as torchvision publishes it: 21 classes, its names, images with a shorter side of 520 pixels or what is asked for."""
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    torch.save(lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict(), tmp_path / "lraspp.pth")
    save(tmp_path / "photo.png", np.full((40, 60, 3), 90, np.uint8))
    words = ["model=lraspp_mobilenet", "weights=lraspp.pth", "photo.png", "data.size=64", "--format", "json"]
    code, output, errors = experiments("predict", *words)
    assert code == 0, errors
    [answer] = json.loads(output)
    assert answer["classes"][0]["class"] and Image.open(answer["mask"]).size == (60, 40)
    code, _, errors = experiments("predict", "model=unet", "weights=lraspp.pth", "photo.png")
    assert code == 2 and "model=unet has no published weights" in errors


@pytest.mark.slow
def test_show_draws_masks_and_chances(experiments: Any, run: Path, tmp_path: Path) -> None:
    code, _, errors = experiments("show", str(run), "--class", "disc", "--to", "own")
    assert code == 0, errors
    assert {path.stem for path in (tmp_path / "own").glob("*.png")} == {"masks", "chances", "filters"}
    save(tmp_path / "photo.png", np.full((40, 30, 3), 90, np.uint8))
    code, _, errors = experiments("show", str(run), "photo.png", "--only", "masks", "--to", "given")
    assert code == 0 and (tmp_path / "given" / "masks.png").exists(), errors


@pytest.mark.slow
def test_the_exported_network_agrees(experiments: Any, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    code, output, errors = experiments("export", str(run), "--format", "onnx", "--to", "net.onnx")
    assert code == 0 and "largest difference" in output, errors
    about = json.loads((tmp_path / "net.onnx.json").read_text())
    assert about["input"]["shape"] == ["batch", 3, 32, 32] and len(about["classes"]) == 5


@pytest.mark.slow
def test_classes_of_other_data_are_met_by_name(experiments: Any, tmp_path: Path) -> None:
    """The same masks with their classes in another order, and ignored pixels, give the same measures."""
    from experiments.run.evaluation import evaluate

    fake_pairs(tmp_path / "one" / "images", tmp_path / "one" / "masks", 8, size=(16, 16))
    for path in (tmp_path / "one" / "masks").iterdir():
        values = np.asarray(Image.open(path)).copy()
        values[:4] = 255
        save(path, values)
        save(tmp_path / "two" / "masks" / path.name, np.array([2, 0, 1] + [255] * 253, np.uint8)[values])
        save(tmp_path / "two" / "images" / path.name, np.asarray(Image.open(tmp_path / "one" / "images" / path.name)))
    words = ["data=mask_folder", "data.root=one", "data.classes=[sky,road,tree]"]
    code, _, errors = experiments("train", *words, *QUICK, "callbacks.figures=null", "hydra.run.dir=run")
    assert code == 0, errors
    evaluated = evaluate(tmp_path / "run", f"data.root={tmp_path / 'two'}", "data.classes=[road,tree,sky]")
    metrics = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert evaluated == {name: pytest.approx(metrics[name], abs=2e-5) for name in evaluated}

"""Runs that find boxes and masks, from the command line: training, test, prediction, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.data.boxes.generated_boxes import draw

Run = Callable[..., tuple[int, str, str]]
QUICK = ("trainer=cpu", "trainer.max_epochs=1", "logger=csv", "hydra.run.dir=run")
SSD = ("model=ssdlite", "model.size=64")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Four drawings with XML files, the same as training, validation and test split."""
    pytest.importorskip("faster_coco_eval")
    return save(tmp_path / "voc", 96)


def save(root: Path, side: int, count: int = 4) -> Path:
    for part in ("train", "val", "test"):
        (root / part).mkdir(parents=True)
        for number, picture in enumerate(draw(count, side, 0)):
            assert isinstance(picture.source, np.ndarray)
            Image.fromarray(picture.source).save(root / part / f"{number}.png")
            objects = "".join(
                f"<object><name>{thing.name}</name><bndbox>"
                + "".join(
                    f"<{key}>{value}</{key}>"
                    for key, value in zip(("xmin", "ymin", "xmax", "ymax"), thing.box, strict=True)
                )
                + "</bndbox></object>"
                for thing in picture.objects
            )
            size = f"<size><width>{side}</width><height>{side}</height></size>"
            (root / part / f"{number}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    return root


@pytest.mark.slow
def test_features_of_a_frozen_backbone_are_computed_once(experiments: Run, voc: Path, tmp_path: Path) -> None:
    """Training and validation read them, the test reads images; no number differs, and evaluate needs none."""
    words = ["data=voc", f"data.root={voc}", *SSD, *QUICK[:1], "logger=csv", "trainer.max_epochs=2", "seed=1"]
    words += ["freezing=stages", "freezing.learn=[extra,head]", "features.dir=features", "callbacks.figures=null"]
    metrics = []
    for name in ("cached", "plain"):
        code, _, errors = experiments("train", *words, f"features.cache={name == 'cached'}", f"hydra.run.dir={name}")
        assert code == 0, errors
        record = json.loads((tmp_path / name / "record.json").read_text())
        metrics.append({key: value for key, value in record["metrics"].items() if value is not None and "/" in key})
        parts = [row["part"] for row in record["features"]["kept"]]
        assert parts == (["train", "validation"] if name == "cached" else [])
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-3, abs=1e-5, nan_ok=True)
    code, _, errors = experiments(
        "train", *words, "data.augment.flip=true", "trainer.max_epochs=1", "hydra.run.dir=flipped"
    )
    assert "features: not cached, because data.augment.flip makes other images of them in every epoch" in errors
    assert code == 0, errors


@pytest.mark.slow
def test_a_run_from_training_to_prediction(experiments: Run, voc: Path, tmp_path: Path) -> None:
    code, output, errors = experiments("train", "data=voc", f"data.root={voc}", "data.augment.flip=true", *SSD, *QUICK)
    assert code == 0, errors
    assert "test/map50" in output
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    for name in ("test/map", "test/map50", "test/map75", "test/recall", "val/map", "train/loss", "train/loss"):
        assert record["metrics"][name] is not None
    assert "test/map_large" in record["metrics"]  # no such object: not a number
    assert set(record["per_class"]) == {"cross", "disc", "square", "triangle"}
    assert len(record["confusion"]) == 5
    assert set(record["objects"]) == {"right", "confused", "badly_placed", "invented", "missed"}
    assert record["data"]["train_objects"] == 12
    pictures = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert {"predictions", "confusion", "curves", "precision_recall"} <= pictures

    code, output, errors = experiments("evaluate", "run")
    assert code == 0, errors
    assert f"{record['metrics']['test/map']:.4f}" in output
    code, _, errors = experiments("evaluate", "run", "data=generated_boxes", "data.count=4", "data.side=64")
    assert code == 0, errors

    (tmp_path / "folder").mkdir()
    Image.new("L", (50, 40), 128).save(tmp_path / "folder" / "grey.png")
    words = ("predict", "run", str(voc / "test" / "0.png"), "folder", "--out", "found", "--format", "json")
    code, output, errors = experiments(*words)
    assert code == 0, errors
    answers = json.loads(output)
    assert [set(answer) for answer in answers] == [{"image", "objects", "drawn"}] * 2
    with Image.open(answers[1]["drawn"]) as drawn:
        assert drawn.size == (350, 280), "seven times as large, for its names to be read"
    predicted = json.loads((tmp_path / "found" / "predictions.json").read_text())
    assert [image["file_name"] for image in predicted["images"]] == [str(voc / "test" / "0.png"), "folder/grey.png"]
    assert (predicted["images"][1]["width"], predicted["images"][1]["height"]) == (50, 40)
    assert [category["name"] for category in predicted["categories"]] == ["cross", "disc", "square", "triangle"]
    assert len(predicted["annotations"]) == sum(len(answer["objects"]) for answer in answers)
    assert (
        len(list(csv.DictReader((tmp_path / "found" / "predictions.csv").open()))) >= 2
    )  # a row of an image without any

    words = ("predict", "run", "folder", "--out", "found", "--format", "json")
    code, output, errors = experiments(*words, "task.threshold=0", "task.tile=32")
    assert code == 0 and len(json.loads(output)[0]["objects"]) > len(answers[1]["objects"]), errors
    code, _, errors = experiments(*words, "task.lr=1")
    assert code == 2 and "task.lr=1 changes nothing of what the run answers: name task.threshold or task." in errors

    code, output, errors = experiments("show", "run")
    assert code == 0, errors
    drawn = {path.name for path in (tmp_path / "run" / "show").glob("*.png")}
    assert {"objects.png", "errors.png", "worst.png", "best.png", "thresholds.png", "pyramid.png"} <= drawn
    assert "one pass, without proposals" in output
    code, output, errors = experiments("export", "run", "--format", "safetensors", "--to", "net.safetensors")
    assert code == 0, errors
    assert "agreement      largest difference 0.0e+00" in output
    code, _, errors = experiments("export", "run", "--format", "torch-export")
    assert code == 2 and "the number of its objects depends on the image: take --format onnx" in errors

    if find_spec("onnx") and find_spec("onnxscript") and find_spec("onnxruntime"):
        import onnxruntime

        code, output, errors = experiments("export", "run", "--format", "onnx", "--to", "net.onnx")
        assert code == 0, errors
        assert "objects in test images of unlike sizes" in output
        about = json.loads((tmp_path / "net.onnx.json").read_text())
        assert about["classes"] == ["cross", "disc", "square", "triangle"]
        session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
        boxes, labels, scores = session.run(None, {"image": np.zeros((3, 50, 70), np.float32)})
        assert boxes.shape == (len(labels), 4) and boxes.max() <= 70 and len(scores) == len(labels)
    else:
        assert "pip install 'lightning-experiments[export]'" in experiments("export", "run", "--format", "onnx")[2]

    # The run's own folder gives its weights to a new one.
    code, _, errors = experiments(
        "train",
        "data=voc",
        f"data.root={voc}",
        "weights=run",
        *SSD,
        *QUICK[:-1],
        "callbacks=none",
        "hydra.run.dir=again",
    )
    assert code == 0, errors


@pytest.mark.slow
def test_published_detectors_predict(experiments: Run, tmp_path: Path) -> None:
    """A file in the form of torchvision's, whose classes are COCO's."""
    pytest.importorskip("faster_coco_eval")
    import torch
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    torch.save(ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).state_dict(), tmp_path / "coco.pth")
    Image.new("RGB", (60, 50), (200, 80, 90)).save("photo.png")
    words = ("model=ssdlite", "weights=coco.pth", "task.threshold=0.0", "photo.png", "--out", "out", "--top", "2")
    code, output, errors = experiments("predict", *words)
    assert code == 0, errors
    assert output.count("photo.png") == 2
    categories = json.loads((tmp_path / "out" / "predictions.json").read_text())["categories"]
    assert (categories[0], len(categories)) == ({"id": 1, "name": "person"}, 90)


@pytest.mark.slow
def test_a_run_goes_on_where_it_stopped(experiments: Run, voc: Path, tmp_path: Path) -> None:
    words = ("train", "data=voc", f"data.root={voc}", "data.batch_size=2", "data.augment.crop=0.5", *SSD, "trainer=cpu", "logger=none", "callbacks.figures=null")  # fmt: skip
    assert experiments(*words, "trainer.max_epochs=2", "hydra.run.dir=whole")[0] == 0
    assert experiments(*words, "trainer.max_epochs=1", "hydra.run.dir=parts")[0] == 0
    code, _, errors = experiments("train", "resume=parts", "trainer.max_epochs=2")
    assert code == 0, errors
    whole, parts = (json.loads((tmp_path / name / "record.json").read_text())["metrics"] for name in ("whole", "parts"))
    assert whole == parts


@pytest.mark.slow
def test_masks_of_instances(experiments: Run, tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    code, _, errors = experiments(
        "train", "data=generated_boxes", "task=instance_segmentation", "data.count=6", "data.side=64", "data.batch_size=2",
        "model.backbone=resnet18", "model.min_size=64", "model.max_size=64", "model.samples=16", "model.detections=5",
        "task.threshold=0.0", *QUICK,
    )  # fmt: skip
    assert code == 0, errors
    metrics = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert "test/mask_map50" in metrics and "test/map" in metrics and metrics["train/loss_mask"] > 0
    Image.fromarray(draw(1, 64, 3)[0].source).save("photo.png")  # type: ignore[arg-type]
    code, output, errors = experiments("show", "run", "photo.png", "--only", "proposals")
    assert code == 0 and (tmp_path / "run" / "show" / "proposals.png").exists(), errors
    code, output, errors = experiments("predict", "run", "photo.png", "--format", "json")
    assert code == 0, errors
    answer = json.loads(output)[0]
    with Image.open(answer["masks"]) as owner:
        assert owner.size == (64, 64) and np.asarray(owner).max() <= len(answer["objects"])
        assert owner.getpalette()[:6] == [0, 0, 0, 230, 159, 0], "a viewer shows more than black"  # type: ignore[index]
    with Image.open(answer["drawn"]) as drawn:
        assert drawn.size == (320, 320), "names of objects do not cover a small image"
    predicted = json.loads((tmp_path / "run" / "predictions" / "predictions.json").read_text())
    assert all(set(annotation["segmentation"]) == {"size", "counts"} for annotation in predicted["annotations"])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["data=bccd", "task=instance_segmentation"], "task=instance_segmentation reads instances and data=bccd gives boxes"),
        (["data=bccd", "model=resnet18"], "model that makes boxes and model=resnet18 makes classes"),
        (["data=generated_boxes", "task=instance_segmentation", "model=ssdlite"], "makes instances and model=ssdlite makes boxes"),
        (["data=voc", "data.root=nowhere"], "data.root=nowhere is no folder"),
        (["data=voc"], "data.root has no default"),
        (["data=generated_boxes", "data.bad_boxes=ignore"], "data.bad_boxes=ignore must be refuse, drop or clip"),
        (["data=generated_boxes", "task.threshold=2"], "task.threshold=2 must be"),
        (["data=generated_boxes", "task.tile=3"], "task.tile=3 must be"),
        (["data=digits", "model=ssdlite", "task=detection"], "task=detection reads boxes or instances and data=digits gives image"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_it_runs(
    experiments: Run, tmp_path: Path, words: list[str], why: str
) -> None:
    for command in ("check", "train"):
        code, _, errors = experiments(command, *words, *(["hydra.run.dir=run"] if command == "train" else []))
        assert (code, why in errors) == (2, True), errors
    assert not (tmp_path / "run").exists()


def test_bad_annotations_leave_nothing_behind(experiments: Run, voc: Path, tmp_path: Path) -> None:
    (voc / "train" / "2.png").unlink()
    code, _, errors = experiments("train", "data=voc", f"data.root={voc}", *SSD, *QUICK)
    assert code == 2 and "2.xml has no image of its name" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_two_images_are_learned_by_heart(experiments: Run, tmp_path: Path) -> None:
    pytest.importorskip("faster_coco_eval")
    root = save(tmp_path / "two", 96, 2)
    code, _, errors = experiments(
        "train", "data=voc", f"data.root={root}", "data.batch_size=2", "model=fasterrcnn_resnet18", "model.min_size=96",
        "model.max_size=96", "optimizer=adamw", "optimizer.lr=0.001", "scheduler=one_cycle", "trainer=cpu",
        "trainer.max_epochs=30", "trainer.check_val_every_n_epoch=30", "logger=none", "callbacks.figures=null",
        "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, errors
    metrics: dict[str, Any] = json.loads((tmp_path / "run" / "record.json").read_text())["metrics"]
    assert metrics["test/map50"] >= 0.95

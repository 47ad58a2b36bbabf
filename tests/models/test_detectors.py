"""Detectors are torchvision's to the bit, their stages freeze, and backbones of classifiers move into them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.callbacks.use_cached_features import FrozenFeatures
from experiments.config.compose import compose
from experiments.errors import UserError
from experiments.models.library.detectors import Detector, FasterRCNN, OnePass, SSDLite
from experiments.models.mobilenet import MobileNetV2
from experiments.models.resnet import ResNet
from experiments.run.build import build_freezing, build_model
from experiments.spec import DetectionSpec
from experiments.transfer.weights import load_weights

SMALL = {"min_size": 64, "max_size": 96}
DETECTORS = {
    "fasterrcnn_resnet50_fpn": lambda: FasterRCNN(3, **SMALL),
    "fasterrcnn_mobilenet_v3_large_320_fpn": lambda: FasterRCNN(3, backbone="mobilenet_v3_large", **SMALL),
    "retinanet_resnet50_fpn": lambda: OnePass(3, **SMALL),
    "fcos_resnet50_fpn": lambda: OnePass(3, method="fcos", score=0.2, detections=100, **SMALL),
    "maskrcnn_resnet50_fpn": lambda: FasterRCNN(3, masks=True, detections=10, **SMALL),
    "ssdlite320_mobilenet_v3_large": lambda: SSDLite(3),
}


def batch() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images of unlike sizes, the second without any object."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, 70, 90, generator=generator), torch.rand(3, 64, 64, generator=generator)]
    boxes = torch.tensor([[5.0, 5.0, 40.0, 50.0], [20.0, 20.0, 60.0, 60.0]])
    masks = torch.zeros(2, 70, 90, dtype=torch.uint8)
    masks[:, 20:40, 20:40] = 1
    empty = {
        "boxes": boxes[:0],
        "labels": torch.zeros(0, dtype=torch.long),
        "masks": torch.zeros(0, 64, 64, dtype=torch.uint8),
    }
    return images, [{"boxes": boxes, "labels": torch.tensor([0, 2]), "masks": masks}, empty]


def test_fcos_begins_with_boxes_that_have_a_size() -> None:
    """Distances of 0 to the sides pass no gradient through the ReLU behind them, and most never come back."""
    torch.manual_seed(0)
    net = OnePass(3, method="fcos", backbone="resnet18", **SMALL).net
    net.eval()
    with torch.no_grad():
        images, _ = net.transform(batch()[0])
        distances = net.head(list(net.backbone(images.tensors).values()))["bbox_regression"]
    assert (distances > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_copied_weights_give_torchvision_s_outputs(name: str) -> None:
    from torchvision.models import detection

    more = {} if "ssdlite" in name else SMALL
    more = more | ({"box_detections_per_img": 10} if "maskrcnn" in name else {})
    theirs: Any = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=4, **more)
    ours = DETECTORS[name]()
    state, kept = ours.fitted(theirs.state_dict())
    assert not kept
    ours.load_state_dict(state)
    stages = [stage for stage, _ in ours.named_children()]
    assert (stages[0], stages[-1]) == ("stem", "head")
    images, targets = batch()
    with torch.no_grad():
        for first, other in zip(ours.eval()(images), theirs.eval()(images), strict=True):
            other["labels"] = other["labels"] - 1
            assert all(torch.equal(first[key], other[key]) for key in other)
    torch.manual_seed(1)
    expected = theirs.train()(images, [{**target, "labels": target["labels"] + 1} for target in targets])
    torch.manual_seed(1)
    losses = ours.train()(images, targets)
    assert losses.keys() == expected.keys()
    assert all(torch.equal(losses[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("classifier", "detector"),
    [
        (lambda: ResNet(depth=18, num_classes=5), lambda: FasterRCNN(2, backbone="resnet18", **SMALL)),
        (lambda: MobileNetV2(num_classes=5), lambda: FasterRCNN(2, backbone="mobilenet_v2", norm="frozen", **SMALL)),
    ],
    ids=["resnet18", "mobilenet_v2"],
)
@pytest.mark.parametrize("names", ["ours", "torchvision's"])
def test_backbones_of_classifiers_move_into_detectors(
    tmp_path: Path, classifier: Any, detector: Any, names: str
) -> None:
    given, model = classifier(), detector()
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    state = given.state_dict()
    if names != "ours":
        state = {name: state[ours] for name, ours in given.published_names.items()}
    torch.save(state, tmp_path / "weights.pt")
    load_weights(model, str(tmp_path / "weights.pt"), "detector")
    loaded = model.state_dict()
    for name, value in given.state_dict().items():
        if name.split(".")[0] in model.backbone_stages and name in loaded:
            assert torch.equal(loaded[name], value)
    assert all(torch.equal(loaded[name], fresh[name]) for name in loaded if name.startswith(("fpn.", "head.")))


def test_weights_of_another_backbone_are_refused_in_one_sentence(tmp_path: Path) -> None:
    torch.save(MobileNetV2().state_dict(), tmp_path / "v2.pt")
    with pytest.raises(UserError, match=r"v2\.pt is of another model than fasterrcnn_mobilenet: it lacks"):
        load_weights(
            FasterRCNN(2, backbone="mobilenet_v3_large", **SMALL), str(tmp_path / "v2.pt"), "fasterrcnn_mobilenet"
        )


@pytest.mark.slow
def test_a_detector_for_other_classes_keeps_its_predictors(tmp_path: Path) -> None:
    given, model = FasterRCNN(5, backbone="resnet18", **SMALL), FasterRCNN(2, backbone="resnet18", **SMALL)
    torch.save(given.state_dict(), tmp_path / "five.pt")
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    load_weights(model, str(tmp_path / "five.pt"), "fasterrcnn_resnet18")
    for name, value in model.state_dict().items():
        assert torch.equal(value, (fresh if "box_predictor" in name else given.state_dict())[name])
    with pytest.raises(UserError, match="no head for the classes"):
        load_weights(model, str(tmp_path / "five.pt"), "fasterrcnn_resnet18", with_head=True)


@pytest.mark.parametrize(
    "words", [["freezing=feature_extraction"], ["freezing=last_stage"], ["freezing=lora"], ["freezing=discriminative"]]
)
def test_stages_freeze(words: list[str]) -> None:
    """What does not learn stays as it is to the bit, whatever the mode."""
    spec = DetectionSpec(64, 64, ("a", "b", "c"))
    config = compose(["data=generated_boxes", "model=ssdlite", "model.size=64", *words])
    model = build_model(config, spec)
    freezing = build_freezing(config, model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    freezing.rest()
    images, targets = batch()
    sum(model(images, targets).values()).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    stages = [stage for stage, _ in model.named_children()]
    if "discriminative" in words[0]:
        assert moved == set(stages)
    elif "lora" in words[0]:
        weights = [name for name in before if name.endswith("original")]
        assert weights and all(torch.equal(model.state_dict()[name], before[name]) for name in weights)
    else:
        assert moved == set(stages[-1:] if "feature" in words[0] else stages[-2:])


def test_losses_are_there_where_nothing_is_in_training_mode() -> None:
    model = SSDLite(2, size=64).eval()
    images, targets = batch()
    targets[0]["labels"] = torch.tensor([0, 1])
    assert isinstance(model(images, targets), dict)
    assert len(model(images)) == 2


def test_backbones_are_checked() -> None:
    with pytest.raises(ValueError, match=r"model\.backbone=vgg16 is unknown"):
        FasterRCNN(2, backbone="vgg16")
    with pytest.raises(ValueError, match=r"model\.norm=group is unknown"):
        OnePass(2, norm="group")
    assert isinstance(FasterRCNN(2, backbone="resnet18", **SMALL), (Detector, nn.Module))


CACHED = {
    "maskrcnn_resnet18": lambda: FasterRCNN(3, backbone="resnet18", masks=True, detections=10, **SMALL),
    "fasterrcnn_mobilenet": lambda: FasterRCNN(3, backbone="mobilenet_v3_large", **SMALL),
    "fcos_resnet18": lambda: OnePass(3, method="fcos", backbone="resnet18", **SMALL),
    "ssdlite": lambda: SSDLite(3, size=64),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CACHED)
def test_what_frozen_stages_make_is_read_as_images_are(name: str) -> None:
    """From the middle of the backbone and from its end: the same losses and the same objects."""
    model = CACHED[name]()
    for stage in model.backbone_stages:
        getattr(model, stage).eval()
    images, targets = batch()
    images = [images[0], images[0].flip(2)]
    targets = [targets[0], targets[0]]
    sizes = [(70, 90), (70, 90)]
    for start in (2, len(model.backbone_stages)):
        with torch.no_grad():
            rows = model.reads.rows(images, start)
        torch.manual_seed(1)
        expected = model(images, targets)
        torch.manual_seed(1)
        losses = model.from_features(rows, start, sizes, targets)
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-5)
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(model.from_features(rows, start, sizes), model(images), rtol=1e-3, atol=1e-4)


def test_features_are_kept_of_images_that_no_batch_pads_otherwise() -> None:
    ssd, pyramid = SSDLite(3, size=64), FasterRCNN(3, backbone="mobilenet_v3_large", **SMALL)
    assert {ssd.reads.padded(size) for size in ((70, 90), (90, 70))} == {(64, 64)}
    assert pyramid.reads.padded((70, 90)) == pyramid.reads.padded((66, 88)) == (64, 96)
    assert pyramid.reads.padded((90, 70)) == (96, 64)

    data = SimpleNamespace(changes=[], sizes=lambda part: [(70, 90), (90, 70)])
    listener: Any = FrozenFeatures(None, None, 0)  # type: ignore[arg-type]
    assert listener._reason_of_boxes(ssd, data) is None
    assert "unlike sizes (96×64 and 64×96 when scaled)" in listener._reason_of_boxes(pyramid, data)
    data.changes = ["flip"]
    assert "data.augment.flip=0" in listener._reason_of_boxes(ssd, data)

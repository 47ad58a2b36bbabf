"""Transforms of torchvision beside our own: draws by example, sizes and types refused, in check as in train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from experiments.config.compose import compose
from experiments.data.boxes.augment import BoxAugment
from experiments.data.common.sampling import Picks
from experiments.data.common.transforms import augmented, listed
from experiments.data.images.shapes import Shapes
from experiments.data.masks.augment import MaskAugment
from experiments.data.masks.mask_store import MaskBatch, StoredMasks
from experiments.errors import UserError
from experiments.run.instantiate import make
from tests.data.conftest import PLAIN

Experiments = Callable[..., tuple[int, str, str]]
V2 = "torchvision.transforms.v2"
SMALL = ("data=digits", "model=lenet5", "data.limit=32", "trainer.max_epochs=1", "callbacks=none", "logger=none")


def shapes(**changed: Any) -> Shapes:
    data = Shapes(count=100, **{**PLAIN, **changed})
    data.setup()
    return data


def test_draws_depend_on_the_place_in_the_epoch_alone() -> None:
    images = torch.randint(0, 256, (6, 3, 9, 9), dtype=torch.uint8)
    jitter = (v2.ColorJitter(brightness=0.9),)
    before = torch.get_rng_state()
    whole = augmented(jitter, images, Picks(np.arange(6), 1, 2, 3, 0))
    share = augmented(jitter, images[4:], Picks(np.arange(4, 6), 1, 2, 3, 4))
    assert torch.equal(whole[4:], share), "a share of another process gets what the whole batch gets"
    assert not torch.equal(whole, augmented(jitter, images, Picks(np.arange(6), 1, 3, 3, 0)))
    assert torch.equal(before, torch.get_rng_state()), "nobody else's draws shift"


@pytest.mark.parametrize("workers", [0, 2])
def test_training_images_alone_are_augmented(workers: int) -> None:
    plain, other = shapes(), shapes(augment={"invert": v2.RandomInvert(p=1.0), "crop": 2}, workers=workers)
    assert other.changes == ["crop", "transforms"]
    mine, theirs = (next(iter(data.val_dataloader())).images for data in (plain, other))
    assert torch.equal(mine, theirs)
    inverted = next(iter(other.train_dataloader())).images
    cropped = next(iter(shapes(augment={"crop": 2}).train_dataloader())).images
    assert torch.equal(inverted, 255 - cropped)


def test_every_image_is_transformed_and_new_ones_too() -> None:
    data = shapes(transform=[v2.Pad(2), v2.Grayscale()])
    assert data.spec.inputs["image_size"] == (PLAIN.get("size") or 32) + 4 or data.spec.height == data.spec.width
    new = np.zeros((50, 40, 3), np.uint8)
    assert data.prepare([new]).shape[1:] == (1, data.spec.height, data.spec.width)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"transform": v2.ToDtype(torch.float32)}, "must give bytes"),
        ({"transform": "Grayscale"}, "data.transform takes transforms"),
        ({"augment": {"cut": v2.CenterCrop(3)}}, "only training images are augmented"),
        ({"augment": {"spin": 3}}, "is not an augmentation"),
        ({"transform": v2.LinearTransformation(torch.eye(2), torch.zeros(2))}, "LinearTransformation cannot change"),
    ],
)
def test_what_does_not_fit_is_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        shapes(**keys)


def test_a_list_and_a_mapping_are_several() -> None:
    assert len(listed([v2.Grayscale(), v2.Pad(1)], "data.transform")) == 2 == len(listed({"a": len, "b": len}, "x"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (f"data.augment.jitter._target_={V2}.ColorJitter", "data.augment.jitter.hue=0.1"),
        (f"data.augment.jitter={{_target_: {V2}.ColorJitter, hue: 0.1}}",),
        (f"data.augment._target_={V2}.RandomRotation", "data.augment.degrees=10"),
        (f"data.transform._target_={V2}.Resize", "data.transform.size=[32,32]", "data.size=8"),
    ],
)
def test_the_command_line_gives_them(experiments: Experiments, words: tuple[str, ...]) -> None:
    code, _, errors = experiments("check", *SMALL, *words)
    assert code == 0, errors


def test_check_says_what_train_says(experiments: Experiments) -> None:
    words = (*SMALL, f"data.augment.small={{_target_: {V2}.CenterCrop, size: 5}}")
    answers = [experiments(command, *words) for command in ("check", "train")]
    assert answers[0][0] == answers[1][0] == 2 and answers[0][2] == answers[1][2]
    assert "into (1, 5, 5)" in answers[0][2]


@pytest.mark.parametrize("data", ["digits", "generated_masks", "generated_boxes"])
@pytest.mark.parametrize(
    "words",
    [
        [f"data.augment={{_target_: {V2}.ColorJitter, brightness: 0.5}}"],
        [f"data.augment._target_={V2}.ColorJitter", "data.augment.brightness=0.5"],
    ],
)
def test_one_transform_stands_beside_the_keys_of_the_data(data: str, words: list[str]) -> None:
    augment = compose([f"data={data}", *words]).data.augment
    assert dict(augment.transforms) == {"_target_": f"{V2}.ColorJitter", "brightness": 0.5}
    assert augment.get("brightness") in (None, 0.0) and "flip" in augment


@pytest.mark.parametrize("data", ["generated_masks", "generated_boxes"])
def test_one_transform_in_a_file_leaves_the_keys_of_the_data_alone(tmp_path: Path, data: str) -> None:
    (tmp_path / "experiment").mkdir()
    text = f"# @package _global_\ndefaults:\n  - override /data: {data}\ndata:\n  augment: {{_target_: {V2}.RandomInvert, p: 1.0}}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    augment = compose(["experiment=mine"], [str(tmp_path)]).data.augment
    assert dict(augment.transforms) == {"_target_": f"{V2}.RandomInvert", "p": 1.0} and "flip" in augment


@pytest.mark.parametrize(
    "data", ["generated_masks data.border_weight=5", "generated_boxes", "generated_boxes data.targets=instances"]
)
def test_batches_of_masks_and_boxes_come_through_a_transform_of_the_config(data: str) -> None:
    def batch(*words: str) -> tuple[Any, ...]:
        chosen = [f"data={data.split()[0]}", *data.split()[1:], "data.batch_size=4", "data.count=20", *words]
        module = make(compose(chosen).data)
        module.setup()
        return module.on_after_batch_transfer(next(iter(module.train_dataloader())), 0)

    flip = f"data.augment={{_target_: {V2}.RandomHorizontalFlip, p: 1.0}}"
    (images, targets, *weights), (flipped, moved, *others) = batch(), batch(flip)
    assert all(torch.allclose(first.flip(-1), other) for first, other in zip(weights, others, strict=True))
    assert bool(weights) == ("border_weight" in data)
    for image, mirrored, target, other in zip(images, flipped, targets, moved, strict=True):
        assert torch.allclose(image.flip(-1), mirrored)
        if isinstance(target, torch.Tensor):
            assert torch.equal(target.flip(-1), other)
            continue
        width, (left, top, right, bottom) = image.shape[-1], target["boxes"].T
        assert len(target["boxes"]) and torch.allclose(
            torch.stack([width - right, top, width - left, bottom], 1), other["boxes"]
        )
        if "masks" in target:
            assert torch.equal(target["masks"].flip(-1), other["masks"])


@pytest.mark.parametrize("fill", [0, 127])
def test_what_comes_from_outside_an_image_is_ignored_and_no_object(fill: int) -> None:
    turn = v2.RandomRotation((45, 45), fill=fill)
    images, masks = torch.ones(2, 1, 8, 8, dtype=torch.uint8), torch.ones(2, 8, 8, dtype=torch.uint8)
    batch = StoredMasks(images, masks, None, MaskAugment.of({"turn_it": turn})).__getitems__(
        Picks(np.arange(2), 0, 0, 0, 0)
    )
    assert isinstance(batch, MaskBatch)
    assert (
        batch.masks.unique().tolist() == [1, 255]
        and (batch.masks[:, 0, 0] == 255).all()
        and (batch.masks[:, 4, 4] == 1).all()
    )
    target = {
        "boxes": torch.tensor([[0.0, 0.0, 8.0, 8.0]]), "labels": torch.tensor([1]), "iscrowd": torch.tensor([0]),
        "masks": torch.ones(1, 8, 8, dtype=torch.uint8),
    }  # fmt: skip
    _, moved = BoxAugment.of({"turn_it": turn})(images[0].expand(3, 8, 8), target, seed=0)
    assert moved["masks"].unique().tolist() == [0, 1] and moved["masks"][0, 0, 0] == 0


def test_a_transform_that_gives_back_no_masks_is_refused_and_null_takes_one_away() -> None:
    images = torch.ones(1, 1, 4, 4, dtype=torch.uint8)
    data = StoredMasks(images, images[:, 0], None, MaskAugment.of({"mine": lambda given: {"image": given["image"]}}))
    error = data.__getitems__(Picks(np.arange(1), 0, 0, 0, 0))
    assert isinstance(error, UserError) and "gives back no inside and no masks" in str(error)
    assert MaskAugment.of({"mine": None}) == MaskAugment.of({}) and BoxAugment.of({"mine": None}) == BoxAugment.of({})


@pytest.mark.parametrize("data", ["generated_masks", "generated_boxes", "generated_reviews"])
@pytest.mark.parametrize(
    "value", ["._target_=torchvision.transforms.v2.Grayscale", "={_target_: torchvision.transforms.v2.Grayscale}"]
)
def test_transforms_of_every_image_are_refused_where_no_label_is_alone(
    experiments: Experiments, data: str, value: str
) -> None:
    code, _, errors = experiments("check", f"data={data}", f"data.transform{value}")
    assert (
        code == 2
        and "data.transform is no key of this config" in errors
        and "write data.augment.NAME._target_=…" in errors
    )


def test_masks_lie_on_their_images_after_a_transform() -> None:
    images = torch.randint(0, 200, (4, 1, 6, 6), dtype=torch.uint8)
    augment = MaskAugment.of({"flip": 0.0, "theirs": v2.RandomHorizontalFlip(1.0)})
    data = StoredMasks(images, images[:, 0].clone(), None, augment)
    batch = data.__getitems__(Picks(np.arange(4), 0, 0, 0, 0))
    assert isinstance(batch, MaskBatch)
    assert torch.equal(batch.images, images.flip(3)) and torch.equal(batch.masks, images[:, 0].flip(2))
    refused = StoredMasks(images, images[:, 0], None, MaskAugment.of({"smaller": v2.Resize(3)}))
    error = refused.__getitems__(Picks(np.arange(4), 0, 0, 0, 0))
    assert isinstance(error, UserError) and "keep their size" in str(error)


def test_boxes_move_with_their_images_by_a_transform() -> None:
    image = torch.randint(0, 200, (3, 10, 20), dtype=torch.uint8)
    target = {"boxes": torch.tensor([[0.0, 0.0, 5.0, 4.0]]), "labels": torch.tensor([1]), "iscrowd": torch.tensor([0])}
    moved_image, moved = BoxAugment.of({"theirs": v2.RandomHorizontalFlip(1.0)})(image, target, seed=2**40)
    assert torch.equal(moved_image, image.flip(2)) and moved["boxes"].tolist() == [[15.0, 0.0, 20.0, 4.0]]
    empty = torch.tensor([[0.0, 0.0, 5.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    both = {"boxes": empty, "labels": torch.tensor([1, 2]), "iscrowd": torch.tensor([0, 0])}
    _, cleaned = BoxAugment.of({"theirs": v2.SanitizeBoundingBoxes()})(image, both, seed=0)
    assert cleaned["labels"].tolist() == [1] and len(cleaned["boxes"]) == len(cleaned["iscrowd"]) == 1
    alone = v2.SanitizeBoundingBoxes(labels_getter=None)
    for wrong, transform in ((both | {"iscrowd": torch.tensor([0, 1])}, v2.SanitizeBoundingBoxes()), (both, alone)):
        with pytest.raises(UserError, match="give SanitizeBoundingBoxes its labels, or leave it out"):
            BoxAugment.of({"theirs": transform})(image, wrong, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["digits", "generated_masks", "generated_boxes"])
def test_an_object_may_have_the_name_of_a_key_of_ours(data: str, experiments: Experiments) -> None:
    transform = f"{{_target_: {V2}.RandomVerticalFlip, p: 1.0}}"
    for word in (f"data.augment={{flip: {transform}}}", f"data.augment.flip={transform}"):
        code, _, errors = experiments("check", f"data={data}", "data.limit=32", word)
        assert code == 0, errors
    augment = make(compose([f"data={data}", f"data.augment={{flip: {transform}}}"]).data).augment
    assert isinstance(augment.transforms[0], v2.RandomVerticalFlip) and not augment.flip

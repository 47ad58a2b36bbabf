"""Transforms of torchvision beside our own: draws by example, sizes and types refused, in check as in train."""

from __future__ import annotations

from collections.abc import Callable
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
    said = [experiments(command, *words) for command in ("check", "train")]
    assert said[0][0] == said[1][0] == 2 and said[0][2] == said[1][2]
    assert "into (1, 5, 5)" in said[0][2]


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
    found, moved = BoxAugment.of({"theirs": v2.RandomHorizontalFlip(1.0)})(image, target, seed=2**40)
    assert torch.equal(found, image.flip(2)) and moved["boxes"].tolist() == [[15.0, 0.0, 20.0, 4.0]]
    empty = torch.tensor([[0.0, 0.0, 5.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    both = {"boxes": empty, "labels": torch.tensor([1, 2]), "iscrowd": torch.tensor([0, 0])}
    with pytest.raises(UserError, match="leave out SanitizeBoundingBoxes"):
        BoxAugment.of({"theirs": v2.SanitizeBoundingBoxes()})(image, both, seed=0)

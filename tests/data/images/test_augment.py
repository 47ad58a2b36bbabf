from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.data.common.sampling import Picks, TrainSampler
from experiments.data.images import augment as changes
from experiments.data.images.augment import Augment
from experiments.data.images.image_store import Batch, StoredImages
from experiments.data.images.shapes import Shapes
from experiments.errors import UserError
from tests.data.conftest import PLAIN

CROP_FLIP = {"crop": 4, "flip": True}
ALL = {"crop": 2, "flip": 0.5, "rotation": 20, "resized_crop": 0.5, "cutout": 6, "mixup": 0.3, "cutmix": 1.0}


def shapes(**changed: object) -> Shapes:
    data = Shapes(count=100, **{**PLAIN, **changed})
    data.prepare_data()
    data.setup()
    return data


def batches(data: Shapes) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]


def one_by_one(image: torch.Tensor, place: np.ndarray, crop: int, mean: list[float], std: list[float]) -> torch.Tensor:
    """What a crop, a flip and the normalisation of one image are, spelled out: (C, H, W) uint8 -> float."""
    channels, height, width = image.shape
    result = torch.zeros(channels, height, width)
    for row in range(height):
        for column in range(width):
            y = int(place[0]) + row - crop
            x = int(place[1]) + (width - 1 - column if place[2] else column) - crop
            if 0 <= y < height and 0 <= x < width:
                result[:, row, column] = image[:, y, x]
    for channel in range(channels):
        shift, scale = np.float32(mean[channel] * 255), np.float32(1 / (std[channel] * 255))
        result[channel] = (result[channel] - float(shift)) * float(scale)
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("settings", [CROP_FLIP, {"crop": 3}, {"flip": True}])
@pytest.mark.parametrize("on_device", [False, True])
def test_crop_and_flip_equal_the_reference_bit_for_bit(channels: int, settings: dict, on_device: bool) -> None:
    data = shapes(augment=settings)
    mean, std = [0.3, 0.4, 0.5][:channels], [0.2, 0.25, 0.3][:channels]
    object.__setattr__(data.spec, "mean", tuple(mean))
    object.__setattr__(data.spec, "std", tuple(std))
    images = torch.randint(0, 256, (20, channels, 10, 14), dtype=torch.uint8)
    crop = data.augment.crop
    store = images if on_device or not crop else changes.border(images, crop)
    picks = Picks(np.array([3, 19, 0, 7, 7, 12]), seed=1, epoch=2, batch=3, position=4)
    batch = StoredImages(store, torch.arange(20), data.augment, on_device).__getitems__(picks)
    got, targets = data.on_after_batch_transfer(batch, 0)
    places = changes.draw_places(data.augment, picks)
    wanted = [one_by_one(images[i], p, crop, mean, std) for i, p in zip(picks.indices, places, strict=True)]
    assert torch.equal(got, torch.stack(wanted))
    assert targets.tolist() == picks.indices.tolist()


def test_draws_cover_their_ranges() -> None:
    picks = Picks(np.arange(4000), 0, 0, 0, 0)
    places = changes.draw_places(Augment(crop=4, flip=0.25), picks)
    assert np.bincount(places[:, 0], minlength=9).min() > 300
    assert np.bincount(places[:, 1], minlength=9).min() > 300
    assert places.min() == 0
    assert places.max() == 8
    assert places[:, 2].mean() == pytest.approx(0.25, abs=0.03)


def test_draws_depend_on_position_not_on_the_share() -> None:
    augment = Augment(**{**ALL, "flip": 0.5})
    whole = Picks(np.arange(10), 1, 2, 3, 0)
    part = Picks(np.arange(5), 1, 2, 3, 5)
    for draw in (changes.draw_places, changes.draw_extra):
        assert np.array_equal(draw(augment, whole)[5:], draw(augment, part))
        for other in (whole._replace(seed=2), whole._replace(epoch=3), whole._replace(batch=4)):
            assert not np.array_equal(draw(augment, whole), draw(augment, other))


@pytest.mark.parametrize("settings", [CROP_FLIP, ALL])
def test_workers_change_nothing(settings: dict) -> None:
    alone, helped = batches(shapes(augment=settings)), batches(shapes(augment=settings, workers=2))
    for first, other in zip(alone, helped, strict=True):
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[1], other[1])


def test_two_processes_see_the_batches_of_one() -> None:
    data = shapes(augment=ALL)  # 80 training examples, five batches of 16
    dataset = data.dataset("train", data.augment, False)
    shares = [
        [data.on_after_batch_transfer(dataset.__getitems__(picks), 0) for picks in TrainSampler(80, 8, 7, rank, 2)]
        for rank in range(2)
    ]
    for whole, left, right in zip(batches(data), *shares, strict=True):
        for place in range(2):
            # Sampling a grid takes other rounding paths for other batch sizes.
            assert torch.allclose(whole[place], torch.cat([left[place], right[place]]), atol=1e-5)


def test_global_generators_are_left_alone() -> None:
    data = shapes(augment=ALL)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    batches(data)
    list(data.val_dataloader())
    data.sample("train", 8)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_evaluation_is_never_augmented() -> None:
    plain, changed = shapes(), shapes(augment=ALL)
    for name in ("val_dataloader", "test_dataloader"):
        for first, other in zip(getattr(plain, name)(), getattr(changed, name)(), strict=True):
            assert torch.equal(plain.on_after_batch_transfer(first, 0)[0], changed.on_after_batch_transfer(other, 0)[0])


def test_sample_shows_what_training_sees() -> None:
    for settings in (CROP_FLIP, ALL):
        data = shapes(augment=settings)
        shown, first = data.sample("train", 16), batches(data)[0]
        assert torch.equal(shown[0], first[0])
        assert torch.equal(shown[1], first[1])
        assert torch.equal(data.sample("train", 16)[0], first[0])


def test_rotation_by_a_quarter_turn() -> None:
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 0, 2] = 1.0
    extra = torch.full((1, changes.CUTMIX + 1), 1.0)  # the largest angle
    turned = changes.warp(image, Augment(rotation=90), extra)
    assert turned[0, 0, 2].max() == pytest.approx(1, abs=1e-5)
    assert turned[0, 0, 0].abs().max() < 1e-5
    assert torch.allclose(changes.warp(image, Augment(rotation=90), extra * 0 + 0.5), image, atol=1e-6)


def test_resized_crop_of_a_quarter_enlarges_it() -> None:
    image = torch.arange(64.0).view(1, 1, 8, 8)
    extra = torch.zeros(1, changes.CUTMIX + 1)
    extra[:, changes.RATIO] = 0.5  # square, smallest, in the upper left corner
    large = changes.warp(image, Augment(resized_crop=0.25), extra)
    wanted = torch.nn.functional.interpolate(image[..., :5, :5], size=10, mode="bilinear")[..., :7, :7]
    assert torch.allclose(large[..., :7, :7], wanted, atol=1e-4)


def test_cutout_and_cutmix_take_boxes() -> None:
    images = torch.ones(2, 1, 8, 8)
    extra = torch.full((2, changes.CUTMIX + 1), 0.5)
    assert (changes.cut_out(images.clone(), 4, extra) == 0).sum(dim=(1, 2, 3)).tolist() == [16, 16]
    images[1] = 2
    extra[:, changes.CUTMIX] = 0.75  # a box of a quarter of the area
    mixed, targets = changes.mix(images, torch.tensor([0, 1]), 3, Augment(cutmix=1.0), extra)
    assert (mixed == torch.tensor([2.0, 1.0]).view(2, 1, 1, 1)).sum(dim=(1, 2, 3)).tolist() == [16, 16]
    assert targets.tolist() == [[0.75, 0.25, 0], [0.25, 0.75, 0]]


def test_mixup_mixes_neighbours_and_spares_an_odd_last() -> None:
    images = torch.tensor([0.0, 1.0, 5.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    extra = torch.full((3, changes.CUTMIX + 1), 0.75)
    mixed, targets = changes.mix(images, torch.tensor([0, 1, 2]), 3, Augment(mixup=1.0), extra)
    assert mixed[:, 0, 0, 0].tolist() == [0.25, 0.75, 5.0]
    assert targets.tolist() == [[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0, 1]]


def test_mixed_targets_are_probabilities() -> None:
    for settings in ({"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}):
        for images, targets in batches(shapes(augment=settings)):
            assert targets.shape == (len(images), 4)
            assert torch.allclose(targets.sum(dim=1), torch.ones(len(images)), atol=1e-6)
            assert targets.min() >= 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cropp": 4}, "did you mean crop"),
        ({"zoom": 4}, "known are crop, flip"),
        ({"crop": 1.5}, "not a whole number"),
        ({"crop": -1}, "at least 0"),
        ({"flip": 2}, "between 0 and 1"),
        ({"rotation": 200}, "between 0 and 180"),
        ({"mixup": True}, "not a number"),
        ({"cutout": "big"}, "not a whole number"),
    ],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Augment.of(settings)


def test_off_is_zero_false_or_null() -> None:
    assert Augment.of({"crop": 0, "flip": False, "mixup": None}) == Augment()
    assert Augment.of({"flip": True}).flip == 0.5


def test_a_batch_made_by_others_passes_untouched() -> None:
    batch = (torch.zeros(2, 1, 4, 4), torch.zeros(2))
    assert shapes().on_after_batch_transfer(batch, 0) is batch
    assert isinstance(next(iter(shapes().val_dataloader())), Batch)

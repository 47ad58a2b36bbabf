"""Augmentation moves masks with their images: the same draws whatever the batch, one value a class, nothing invented."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.data.common.sampling import Picks
from experiments.data.masks.augment import MaskAugment, Plane, draw, move, relight

EVERY = {"flip": True, "flip_down": 0.5, "turn": True, "rotation": 30, "scale": [0.7, 1.5], "elastic": 2.0}


def picks(count: int = 8, position: int = 0) -> Picks:
    return Picks(np.arange(count), 3, 1, 2, position)


def draws(count: int = 8) -> torch.Tensor:
    return torch.from_numpy(draw(picks(count)))


def smooth(count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose value tells the class, in large areas: value 50 · class."""
    rng = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 4, (count, 1, 4, 4), generator=rng).float()
    masks = masks.repeat_interleave(height // 4, 2).repeat_interleave(width // 4, 3)
    return 50 * masks, masks


@pytest.mark.parametrize(
    "change", [{key: value} for key, value in EVERY.items()] + [EVERY, {**EVERY, "crop": 24}, {"crop": [16, 24]}]
)
def test_masks_move_with_their_images(change: dict) -> None:
    augment = MaskAugment.of(change)
    images, masks = smooth(8, 40, 40)
    planes = [
        Plane(images.clone(), 0.0, True),
        Plane(masks.clone(), 255.0, False),
        Plane(torch.ones_like(masks), 0.0, True),
    ]
    moved, marked, ones = move(planes, augment, draws())
    assert moved.shape == marked.shape and (augment.crop is None or tuple(marked.shape[2:]) == augment.crop)
    assert set(marked.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 255.0}
    labelled = marked < 255
    alike = (moved / 50 - marked).abs() < 0.5
    assert alike[labelled].float().mean() > 0.93 if augment.warps else bool(alike.all())
    assert not torch.equal(marked, masks)
    outside = ones < 0.4
    assert bool((marked[outside] == 255).all())


def test_draws_depend_on_the_place_alone() -> None:
    whole = draw(picks(8))
    assert np.array_equal(np.concatenate([draw(picks(3)), draw(picks(5, position=3))]), whole)
    assert not np.array_equal(draw(picks(8)._replace(epoch=2)), whole)


def test_turns_are_quarters_and_flips_are_exact() -> None:
    images, _ = smooth(64, 8, 8)
    images = images + torch.arange(64.0).view(1, 1, 8, 8)
    for change, ways in (({"flip": 0.5}, 2), ({"turn": True}, 4), ({"flip": 0.5, "flip_down": 0.5, "turn": True}, 8)):
        [moved] = move([Plane(images.clone(), 0.0, True)], MaskAugment.of(change), draws(64))
        moves = {
            next(
                (turn, flip)
                for turn in range(4)
                for flip in (False, True)
                if torch.equal((first.flip(2) if flip else first).rot90(turn, (1, 2)), now)
            )
            for first, now in zip(images, moved, strict=True)
        }
        assert len(moves) == ways


def test_light_changes_nothing_else() -> None:
    pixels = torch.rand(8, 3, 6, 6) * 255
    changed = relight(pixels.clone(), MaskAugment.of({"brightness": 0.2, "contrast": 0.3}), draws())
    assert changed.min() >= 0 and changed.max() <= 255 and not torch.equal(changed, pixels)
    assert torch.equal(relight(pixels.clone(), MaskAugment.of({"flip": True}), draws()), pixels)
    assert MaskAugment.of({"flip": False, "scale": [1.0, 1.0], "crop": None}).changes == ()

"""Outputs by stage, Grad-CAM, saliency and reach, on networks whose answers are known."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.commands.show.inside import channels_last, grad_cam, last_map, outputs, reach, saliency, stage_of
from experiments.commands.show.panel import Look, Wanted
from experiments.commands.show.survey import check
from experiments.errors import UserError
from experiments.spec import ImageSpec


def network() -> nn.Sequential:
    """Two maps, the image itself and its negative; class 0 is the mean of the first, class 1 of the second."""
    copy = nn.Conv2d(1, 2, 1, bias=False)
    copy.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
    mean = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(OrderedDict(copy=copy, mean=mean, head=nn.Identity())).eval()


def spot(value: float, row: int, column: int) -> Tensor:
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, row, column] = value
    return image


def test_outputs_are_kept_from_what_follows_in_place() -> None:
    kept = outputs(network(), spot(-2.0, 1, 1))
    assert list(kept) == ["copy", "mean"]
    assert kept["copy"][0, 0, 1, 1] == -2  # and not what the ReLU made of it
    assert last_map({name: tuple(value.shape) for name, value in kept.items()}) == "copy"


def test_grad_cam_finds_the_place_that_speaks_for_the_class() -> None:
    images = torch.cat([spot(3.0, 2, 5), spot(-3.0, 6, 1)])
    heat = grad_cam(network(), images, torch.tensor([0, 1]), "copy")
    assert heat.shape == (2, 8, 8)
    assert heat[0].argmax() == 2 * 8 + 5 and heat[1].argmax() == 6 * 8 + 1
    assert heat[0, 2, 5] == 1 and heat[0].sum() == 1
    against = grad_cam(network(), images[:1], torch.tensor([1]), "copy")
    assert not against.any()  # nothing speaks for class 1


class Last(nn.Module):
    """Channels to the end, as Swin passes them on, or back to the front."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, images: Tensor) -> Tensor:
        return images.permute(self.order)


def test_channels_that_come_last_are_taken_to_the_front() -> None:
    usual = network()
    last = nn.Sequential(
        OrderedDict(
            maps=nn.Sequential(usual.copy, Last(0, 2, 3, 1)),
            mean=nn.Sequential(Last(0, 3, 1, 2), *usual.mean),
            head=nn.Identity(),
        )
    )
    images = torch.cat([spot(3.0, 2, 5), spot(-3.0, 6, 1)])
    assert torch.equal(outputs(last, images)["maps"], outputs(usual, images)["copy"])
    labels = torch.tensor([0, 1])
    assert torch.equal(grad_cam(last, images, labels, "maps"), grad_cam(usual, images, labels, "copy"))
    places = torch.tensor([2 * 8 + 5, 6 * 8 + 1])
    assert reach(last, images, "maps", 1, places) == reach(usual, images, "copy", 1, places)
    assert channels_last((1, 7, 10, 96), (1, 3, 224, 320)) and not channels_last((1, 96, 7, 10), (1, 3, 224, 320))


def test_saliency_is_where_the_score_depends_on_the_image() -> None:
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images[:, :, :2, :3].flatten(1).sum(1, keepdim=True)

    heat = saliency(Corner(), torch.randn(2, 1, 8, 8), torch.zeros(2, dtype=torch.long))
    assert (heat[:, :2, :3] == 1).all()
    assert heat.sum() == 2 * 6


def test_saliency_is_the_same_every_time() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 2))
    images, labels = torch.randn(1, 1, 8, 8), torch.tensor([1])
    assert torch.equal(saliency(model, images, labels), saliency(model, images, labels))


def test_reach_lies_around_the_receptive_field() -> None:
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 1, 3, bias=False), head=nn.Flatten()))
    nn.init.ones_(model.conv.weight)
    boxes = reach(model, torch.randn(2, 1, 9, 9), "conv", 0, torch.tensor([0, 7 * 3 + 4]))
    (left, top, width, height), other = boxes
    assert (left, top) == (0, 0)
    assert width == height == pytest.approx(1.5 + 2 * (2 / 3) ** 0.5)  # three columns alike: middle ± two deviations
    assert other[0] + other[2] / 2 == pytest.approx(5.5) and other[1] + other[3] / 2 == pytest.approx(4.5)


class Tokens(nn.Module):
    """Nine tokens of 16 numbers; `helper` is there for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Sequential(nn.Conv2d(1, 16, 3, 3), nn.Flatten(2), Last(0, 2, 1))
        self.helper = nn.Linear(16, 3)
        self.head = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.tokens(images).mean(1))


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Wanted(unit=15), None),
        (Wanted(unit=16), "--unit 16 is outside 0 to 15, the units of tokens: choose one of these"),
        (Wanted(stage="helper"), "--stage helper takes no part in an answer: choose one of tokens"),
    ],
)
def test_units_of_tokens_and_a_stage_for_training_alone(wanted: Wanted, sentence: str | None) -> None:
    spec = ImageSpec(1, 9, 9, ("one", "two", "three"), (0.5,), (0.5,))
    run: Any = SimpleNamespace(model=Tokens().eval(), spec=spec)
    look = Look(run, wanted, Path("show"), {})
    if sentence is None:
        check(look)
    else:
        with pytest.raises(UserError, match=sentence):
            check(look)


def test_unknown_stage() -> None:
    with pytest.raises(UserError, match=r"--stage conv is no stage of this model: choose one of copy, mean"):
        stage_of(network(), "conv")

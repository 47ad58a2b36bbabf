"""The gradient of RoIAlign by matrix products is torchvision's, and the switch turns it off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign, poolers
from torchvision.ops import roi_align as theirs

from experiments.speedups import roi_align


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Puts torchvision's own function back."""
    before = poolers.roi_align
    poolers.roi_align = theirs
    yield
    poolers.roi_align = before


def boxes() -> torch.Tensor:
    """Some inside, some at the edges and beyond them, one smaller than a cell, of two images."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(40, 2, generator=generator) * 90 - 10
    some = torch.cat([corners, corners + torch.rand(40, 2, generator=generator) * 80], 1)
    edges = torch.tensor(
        [[0.0, 0, 96, 64], [-30, -30, -20, -20], [120, 90, 140, 99], [40, 30, 40.5, 30.5], [95, 63, 96, 64]]
    )
    every = torch.cat([some, edges])
    return torch.cat([(torch.arange(len(every)) % 2).float()[:, None], every], 1)


@pytest.mark.parametrize(("size", "samples", "scale"), [((7, 7), 2, 0.25), ((14, 10), 1, 0.125), ((3, 5), 3, 1.0)])
def test_the_gradient_is_torchvision_s(size: tuple[int, int], samples: int, scale: float) -> None:
    maps = torch.randn(2, 6, int(64 * scale), int(96 * scale), generator=torch.Generator().manual_seed(1))
    maps.requires_grad_()
    pooled = theirs(maps, boxes(), size, scale, samples)
    grad = torch.randn(pooled.shape, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.grad(pooled, maps, grad)[0]
    gradient = roi_align.gradient(grad, boxes(), tuple(maps.shape), scale, samples)
    assert float((gradient - expected).abs().max()) <= 6e-6 * float(expected.abs().max())


def test_poolers_use_it_until_the_switch_says_no(monkeypatch: pytest.MonkeyPatch, as_it_was: None) -> None:
    pooler = MultiScaleRoIAlign(["0", "1"], 7, 2)
    maps = {name: torch.randn(2, 4, side, side) for name, side in (("0", 32), ("1", 16))}
    inside = torch.tensor([[4.0, 5, 60, 70], [0, 0, 127, 120], [30, 40, 55, 66]])

    def gradients() -> tuple[list[torch.Tensor], str]:
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in maps.items()}
        pooled = pooler(leaves, [inside, inside[:2]], [(128, 128)] * 2)
        used = "_Products" in str(graph(pooled))
        pooled.square().sum().backward()
        return [tensor.grad for tensor in leaves.values() if tensor.grad is not None], str(used)

    monkeypatch.setenv("EXPERIMENTS_PLAIN", "1")
    assert not roi_align.install()
    plain, used = gradients()
    assert used == "False"
    monkeypatch.setenv("EXPERIMENTS_PLAIN", "0")
    assert roi_align.install() and roi_align.install()
    assert "roi_align" in roi_align.speedups.in_use()
    quick, used = gradients()
    assert used == "True"
    torch.testing.assert_close(quick, plain, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        assert pooler(maps, [inside, inside[:2]], [(128, 128)] * 2).shape == (5, 4, 7, 7)


def graph(value: torch.Tensor) -> list[str]:
    """Names of the operations that made a tensor."""
    names, open_ = [], [value.grad_fn]
    while open_:
        node = open_.pop()
        if node is not None:
            names.append(type(node).__name__)
            open_ += [parent for parent, _ in node.next_functions]
    return names

"""Times the backward pass of RoIAlign, torchvision's and ours, on one thread: python scripts/benchmark_roi_align.py"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torchvision.ops import roi_align

from experiments.speedups.roi_align import gradient

CASES = (
    # height and width of the map, boxes, scale, their least and greatest side in pixels
    (64, 80, 64, 1 / 4, 10, 112),
    (16, 20, 64, 1 / 16, 100, 300),
    (8, 10, 64, 1 / 32, 20, 250),
    (50, 68, 256, 1 / 16, 100, 400),
    (200, 272, 512, 1 / 4, 10, 112),
)


def main() -> None:
    """Prints a line for each size of map."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for height, width, count, scale, least, most in CASES:
        maps = torch.randn(2, 256, height, width, requires_grad=True)
        corners = torch.rand(count, 2) * torch.tensor([width, height]) / scale * 0.7
        sizes = least + torch.rand(count, 2) * (most - least)
        boxes = torch.cat([torch.randint(0, 2, (count, 1)).float(), corners, corners + sizes], 1)
        pooled = roi_align(maps, boxes, (7, 7), scale, 2)
        grad = torch.randn_like(pooled)
        theirs, slow = clock(lambda: torch.autograd.grad(pooled, maps, grad, retain_graph=True)[0])  # noqa: B023
        with torch.no_grad():
            ours, fast = clock(lambda: gradient(grad, boxes, tuple(maps.shape), scale, 2))  # noqa: B023
        apart = float((ours - theirs).abs().max() / theirs.abs().max())
        print(
            f"{height} × {width}, {count} boxes: {slow:.4f} s, by products {fast:.4f} s, {slow / fast:.1f} ×, apart {apart:.1e}"
        )


def clock(work: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    """Return what comes out, and the least CPU seconds of five times."""
    times = []
    for _ in range(5):
        began = time.process_time()
        made = work()
        times.append(time.process_time() - began)
    return made, min(times)


if __name__ == "__main__":
    main()

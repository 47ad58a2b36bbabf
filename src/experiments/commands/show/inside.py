"""What happens inside a network of named stages: outputs by stage, and what a class's score depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import log
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.errors import UserError


def stages(model: nn.Module) -> dict[str, nn.Module]:
    """Return the named stages before the head, in forward order."""
    by_name = dict(model.named_children())
    by_name.pop("head", None)
    return by_name


def stage_of(model: nn.Module, name: str) -> nn.Module:
    """Return a stage by its name.

    Raises:
        UserError: the model has none of this name.
    """
    by_name = stages(model)
    if name not in by_name:
        raise UserError(f"--stage {name} is no stage of this model: choose one of {', '.join(by_name)}")
    return by_name[name]


def values(output: Any) -> Any:
    """Return the tensor of what a stage gives: itself, or the first field of a NamedTuple."""
    return output[0] if isinstance(output, tuple) else output


def channels_last(shape: tuple[int, ...], images: tuple[int, ...]) -> bool:
    """Tell whether maps of this shape, made of images (B, C, H, W), are (B, h, w, c), as Swin passes them on, instead
    of (B, c, h, w): whether the sides of the image are found in the first two numbers rather than in the last two.
    """
    if len(shape) != 4 or len(images) != 4:
        return False
    (_, first, two, three), (*_, high, wide) = shape, images
    return abs(log(first * wide / (two * high))) < abs(log(two * wide / (three * high)))


@contextmanager
def watching(model: nn.Module, names: Sequence[str], *, keep_graph: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collects what the named stages give, and what `head` reads, during forward passes within.

    Maps come as (B, C, H, W), also from a network that passes them on with the channels last. What a later layer
    changes in place is kept as it was. With `keep_graph` the tensors are those that the result was computed from, so
    that gradients can be taken with respect to them.
    """
    seen: dict[str, Tensor] = {}
    images: tuple[int, ...] = ()

    def begin(module: nn.Module, args: Any) -> None:
        nonlocal images
        images = tuple(getattr(args[0], "shape", ()))

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            value = values(output)
            last = channels_last(tuple(value.shape), images)
            maps = value.permute(0, 3, 1, 2) if last else value
            if not keep_graph:
                seen[name] = maps.detach().clone()
                return None
            seen[name] = maps
            rest = (maps.permute(0, 2, 3, 1) if last else maps).clone()  # whatever follows in place works on this one
            if not isinstance(output, tuple):
                return rest
            named = cast(Any, output)  # a NamedTuple, as stages pass them on
            return named._replace(**{named._fields[0]: rest})

        return hook

    def before(module: nn.Module, args: Any) -> None:
        value = values(args[0])
        last = channels_last(tuple(value.shape), images)
        seen["head"] = (value.permute(0, 3, 1, 2) if last else value).detach().clone()

    children = dict(model.named_children())
    hooks = [model.register_forward_pre_hook(begin)]
    hooks += [children[name].register_forward_hook(keep(name)) for name in names]
    if "head" in children:
        hooks.append(children["head"].register_forward_pre_hook(before))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def outputs(model: nn.Module, inputs: Any) -> dict[str, Tensor]:
    """Return what every stage gives for a batch, without gradients."""
    names = list(stages(model))
    with torch.no_grad(), watching(model, names) as seen:
        model(inputs)
    return {name: seen[name] for name in names if name in seen}


def last_map(shapes: dict[str, tuple[int, ...]]) -> str | None:
    """Return the last stage that still has places: output (B, C, H, W) with H × W above 1."""
    spatial = [name for name, shape in shapes.items() if len(shape) == 4 and shape[2] * shape[3] > 1]
    return spatial[-1] if spatial else None


def grad_cam(model: nn.Module, images: Tensor, labels: Tensor, stage: str) -> Tensor:
    """Where the evidence for a class lies (Selvaraju et al., Grad-CAM, 2017).

    Args:
        model: in evaluation mode.
        images: (B, C, H, W), normalised.
        labels: (B,) int64, the class to explain of each image.
        stage: whose maps to weigh; its output is (B, K, h, w).

    Returns:
        (B, H, W) from 0 to 1; zero everywhere where no map speaks for the class.
    """
    with torch.enable_grad(), watching(model, [stage], keep_graph=True) as seen:
        scores = model(images.requires_grad_(True))
        chosen = scores.gather(1, labels[:, None]).sum()
        maps = seen[stage]
        (slope,) = torch.autograd.grad(chosen, maps)
    weights = slope.mean(dim=(2, 3), keepdim=True)
    cam = (weights * maps.detach()).sum(1, keepdim=True).relu()
    cam = F.interpolate(cam, size=images.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    return cam / cam.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


def saliency(model: nn.Module, images: Tensor, labels: Tensor, *, copies: int = 16, noise: float = 0.1) -> Tensor:
    """Tell how strongly each pixel moves a class's score (Simonyan et al., 2013), averaged over noisy copies of the
    image, which takes out the speckle (Smilkov et al., SmoothGrad, 2017).

    Args:
        model: in evaluation mode.
        images: (B, C, H, W), normalised.
        labels: (B,) int64.
        copies: how many.
        noise: its standard deviation, as a share of each image's range.

    Returns:
        (B, H, W) from 0 to 1: the largest slope over the channels, cut at its 99th percentile.
    """
    source = torch.Generator(images.device).manual_seed(0)
    images = images.detach()
    spread = noise * (images.amax(dim=(1, 2, 3), keepdim=True) - images.amin(dim=(1, 2, 3), keepdim=True))
    total = torch.zeros_like(images)
    for _ in range(copies):
        drawn = torch.randn(images.shape, generator=source, device=images.device)
        noisy = (images + spread * drawn).requires_grad_(True)
        with torch.enable_grad():
            chosen = model(noisy).gather(1, labels[:, None]).sum()
            total += torch.autograd.grad(chosen, noisy)[0].abs()
    slopes = total.amax(dim=1)
    top = slopes.flatten(1).quantile(0.99, dim=1).clamp(min=1e-12)
    return (slopes / top[:, None, None]).clamp(max=1)


def reach(
    model: nn.Module, images: Tensor, stage: str, unit: int, places: Tensor
) -> list[tuple[float, float, float, float]]:
    """Return the part of each image that moves a unit at one place of its map: two standard deviations of its slopes to
    each side of their middle (Luo et al., Effective receptive field, 2016).

    Args:
        model: in evaluation mode.
        images: (B, C, H, W), normalised.
        stage: its output is (B, K, h, w).
        unit: number of the map.
        places: (B,) int64, row by row.

    Returns:
        B times left, top, width and height in pixels, within the image.
    """
    images = images.detach().requires_grad_(True)
    with torch.enable_grad(), watching(model, [stage], keep_graph=True) as seen:
        model(images)
        answers = seen[stage][:, unit].flatten(1).gather(1, places[:, None]).sum()
        slopes = torch.autograd.grad(answers, images)[0].abs().sum(1).double().cpu()
    boxes = []
    for image in slopes:
        ends = []
        for axis in (1, 0):  # across, then down
            line = image.sum(1 - axis)
            total = float(line.sum())
            length = len(line)
            at = torch.arange(length, dtype=torch.float64) + 0.5
            middle = float((line * at).sum()) / total if total else length / 2
            spread = float((line * (at - middle) ** 2).sum() / total) ** 0.5 if total else length / 2
            low, high = max(middle - 2 * spread, 0.0), min(middle + 2 * spread, float(length))
            ends.append((low, high - low))
        boxes.append((ends[0][0], ends[1][0], ends[0][1], ends[1][1]))
    return boxes

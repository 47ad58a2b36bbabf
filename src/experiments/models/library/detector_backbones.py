"""Backbones of torchvision's detectors, and their stages as our classifiers have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from experiments.models.stages import Stages, one_of, tensors

NORMS = ("batch", "frozen")
MOBILENETS = ("mobilenet_v2", "mobilenet_v3_large")


def frozen_norm() -> type[nn.Module]:
    from torchvision.ops import FrozenBatchNorm2d

    return FrozenBatchNorm2d


def pyramid(backbone: str, norm: str, **more: Any) -> Any:
    """Return a backbone with a feature pyramid, all of it free to learn."""
    from torchvision.models.detection.backbone_utils import mobilenet_backbone, resnet_fpn_backbone

    layer = nn.BatchNorm2d if one_of("norm", norm, NORMS) == "batch" else frozen_norm()
    chosen = {"backbone_name": backbone, "weights": None, "norm_layer": layer, **more}
    if backbone in MOBILENETS:
        return mobilenet_backbone(fpn=True, trainable_layers=6, **chosen)
    return resnet_fpn_backbone(trainable_layers=5, **chosen)


def backbone_stages(backbone: str, body: Any) -> tuple[Stages, dict[str, Tensor]]:
    """Return the stages of our classifier with this backbone, and its tensors by torchvision's names."""
    if backbone in MOBILENETS:
        names = {f"features.{name}": tensor for name, tensor in tensors(body).items()}
        return mobilenet_stages(list(body.children())), names
    stem = nn.Sequential()
    for name in ("conv1", "bn1", "relu", "maxpool"):
        stem.add_module(name, body[name])
    return {"stem": stem, **{name: body[name] for name in ("layer1", "layer2", "layer3", "layer4")}}, tensors(body)


def mobilenet_stages(blocks: Sequence[nn.Module]) -> Stages:
    """`stem`, a stage wherever the resolution halves, and `last`, as our MobileNets have them."""
    groups = [nn.Sequential(blocks[1])]
    for block in blocks[2:-1]:
        if halves(block):
            groups.append(nn.Sequential())
        groups[-1].append(block)
    return {
        "stem": blocks[0],
        **{f"stage{number}": group for number, group in enumerate(groups, 1)},
        "last": blocks[-1],
    }


def halves(block: nn.Module) -> bool:
    """Tell whether a block halves the resolution."""
    return any(isinstance(layer, nn.Conv2d) and layer.stride[0] > 1 for layer in block.modules())

"""DeepLab v3 (Chen et al., 2017), FCN (Long et al., 2015) and LR-ASPP (Howard et al., 2019), as torchvision builds them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from experiments.models.library.segmenter import Segmenter, upsampled
from experiments.models.mobilenet import MobileNetV3
from experiments.models.stages import Supervised, one_of, reads_channels, tensors

BACKBONES_OF = {
    "deeplabv3": ("resnet50", "resnet101", "mobilenet_v3_large"),
    "fcn": ("resnet50", "resnet101"),
    "lraspp": ("mobilenet_v3_large",),
}
AUXILIARY = 0.5  # weight of the auxiliary loss in torchvision's reference training


class DilatedHead(nn.Module):
    """torchvision's classifier on the last stage, and another on an earlier one that learns beside it.

    Args:
        classifier: (B, C, h, w) -> (B, num_classes, h, w).
        auxiliary: likewise, or None.
    """

    def __init__(self, classifier: nn.Module, auxiliary: nn.Module | None) -> None:
        super().__init__()
        self.classifier = classifier
        self.auxiliary = auxiliary

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor | Supervised:
        """Return what the earlier stage, if it is read, and the last one give -> logits (B, num_classes, H, W)."""
        logits = upsampled(self.classifier(maps[-1]), size)
        if self.auxiliary is None or not self.training:
            return logits
        return Supervised(logits, (upsampled(self.auxiliary(maps[0]), size),), AUXILIARY)


class LiteHead(nn.Module):
    """torchvision's LR-ASPP head."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Blocks at an eighth and a sixteenth of the resolution -> logits (B, num_classes, H, W)."""
        return upsampled(self.classifier({"low": maps[0], "high": maps[1]}), size)


class TorchvisionSegmenter(Segmenter):
    """DeepLab v3, FCN or LR-ASPP on a dilated ResNet or MobileNet v3.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: classes of a pixel.
        method: "deeplabv3", "fcn" or "lraspp".
        backbone: "resnet50", "resnet101" or "mobilenet_v3_large".
        auxiliary: whether a second head learns on an earlier stage.

    Raises:
        ValueError: there is no such method or backbone.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (520, 520),
        num_classes: int = 21,
        *,
        method: str,
        backbone: str,
        auxiliary: bool,
    ) -> None:
        one_of("method", method, tuple(BACKBONES_OF))
        one_of("backbone", backbone, BACKBONES_OF[method])
        if method == "lraspp" and auxiliary:
            raise ValueError(
                "model.auxiliary=true is for deeplabv3 and fcn, and LR-ASPP has no second head: set model.auxiliary=false"
            )
        from torchvision.models import segmentation  # type: ignore[import-untyped]

        lite = method == "lraspp"
        build = getattr(segmentation, f"{method}_{backbone}")
        net = build(
            weights=None, weights_backbone=None, num_classes=num_classes, **({} if lite else {"aux_loss": auxiliary})
        )
        library = tensors(net)
        if backbone.startswith("resnet"):
            stages, names = resnet_stages(net.backbone, in_channels)
            reads = (["layer3"] if auxiliary else []) + ["layer4"]
        else:
            stages, names = mobilenet_stages(net.backbone, in_channels)
            reads = ([_block(names, 4)] if auxiliary or lite else []) + ["last"]
        if lite:
            head: nn.Module = LiteHead(net.classifier)
            classes = ["head.classifier.low_classifier", "head.classifier.high_classifier"]
        else:
            head = DilatedHead(net.classifier, net.aux_classifier)
            layers = [("classifier", net.classifier), ("auxiliary", net.aux_classifier)]
            classes = [f"head.{name}.{len(stack) - 1}" for name, stack in layers if stack is not None]
        super().__init__(stages, head, reads, {}, names, classes)
        self.published_names = _published(self, library)


def resnet_stages(backbone: Any, in_channels: int) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Stages of a ResNet as `ResNet` has them, and the name here of each tensor of torchvision's classifier."""
    stem = nn.Sequential()
    for part in ("conv1", "bn1", "relu", "maxpool"):
        layer = getattr(backbone, part)
        stem.add_module(part, reads_channels(layer, in_channels) if part == "conv1" else layer)
    stages: dict[str, nn.Module] = {"stem": stem} | {f"layer{n}": getattr(backbone, f"layer{n}") for n in range(1, 5)}
    named = {
        (inner if stage == "stem" else f"{stage}.{inner}"): f"{stage}.{inner}"
        for stage, module in stages.items()
        for inner in module.state_dict()
    }
    return stages, named


def mobilenet_stages(backbone: Any, in_channels: int) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """Stages of a MobileNet v3 as `MobileNetV3` has them, and the name here of each tensor of torchvision's classifier."""
    import torch

    with torch.device("meta"):
        classifier = MobileNetV3(size="large")
    places = {key.split(".")[1]: ".".join(name.split(".")[:2]) for key, name in classifier.published_names.items()
              if key.startswith("features.")}  # fmt: skip
    backbone["0"][0] = reads_channels(backbone["0"][0], in_channels)
    stages: dict[str, nn.Module] = {}
    for number, block in backbone.items():
        stage, inner = places[number].split(".")
        if stage in ("stem", "last"):
            stages[stage] = block
        else:
            stages.setdefault(stage, nn.Sequential()).add_module(inner, block)
    return stages, {key: name for key, name in classifier.published_names.items() if key.startswith("features.")}


def _block(names: dict[str, str], number: int) -> str:
    """Return the stage and the place in it of a block of torchvision's MobileNet."""
    return next(".".join(name.split(".")[:2]) for key, name in names.items() if key.startswith(f"features.{number}."))


def _published(model: nn.Module, library: dict[str, Tensor]) -> dict[str, str]:
    ours = {id(tensor): name for name, tensor in tensors(model).items()}
    return {name: ours[id(tensor)] for name, tensor in library.items() if id(tensor) in ours}

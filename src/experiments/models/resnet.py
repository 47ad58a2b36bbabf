"""ResNet (He, Zhang, Ren and Sun, 2015, "Deep residual learning for image recognition"), as torchvision builds it.

As in torchvision, a bottleneck halves the resolution in its 3×3 convolution, where the paper does in the first 1×1.
"""

from __future__ import annotations

from torch import nn

from experiments.models.stages import Staged, first_convolution, one_of, reads_channels, tensors

DEPTHS = (18, 34, 50, 101, 152)
STEMS = ("full", "small")


class ResNet(Staged):
    """Residual network of basic blocks (18, 34) or bottlenecks (50, 101, 152); stages `stem`, `layer1` … `head`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: length of the output.
        depth: 18, 34, 50, 101 or 152 layers.
        stem: "full", 7×7 with stride 2 and max pooling, for photographs; "small", 3×3 with stride 1, for images
            of some 32 pixels.

    Raises:
        ValueError: when there is no such depth or stem.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        depth: int = 18,
        stem: str = "full",
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"model.depth={depth} is unknown: choose one of {', '.join(map(str, DEPTHS))}")
        one_of("stem", stem, STEMS)
        from torchvision.models import resnet  # type: ignore[import-untyped]

        net = getattr(resnet, f"resnet{depth}")(num_classes=num_classes)
        net.conv1 = reads_channels(net.conv1, in_channels)
        first = nn.Sequential()
        if stem == "small":
            net.conv1 = first_convolution(in_channels, 64, 3, 1, 1)
        for name in ("conv1", "bn1", "relu") if stem == "small" else ("conv1", "bn1", "relu", "maxpool"):
            first.add_module(name, getattr(net, name))
        super().__init__(
            {
                "stem": first,  # (B, 64, H/4, W/4); small: (B, 64, H, W)
                "layer1": net.layer1,  # (B, 64, H/4, W/4); from 50 layers up, four times the channels
                "layer2": net.layer2,  # (B, 128, H/8, W/8)
                "layer3": net.layer3,  # (B, 256, H/16, W/16)
                "layer4": net.layer4,  # (B, 512, H/32, W/32)
                "pool": nn.Sequential(net.avgpool, nn.Flatten()),  # (B, 512)
                "head": net.fc,  # (B, num_classes)
            },
            tensors(net),
        )

"""VGG (Simonyan and Zisserman, 2014, "Very deep convolutional networks"), as torchvision builds it."""

from __future__ import annotations

from typing import Any

from torch import nn

from experiments.models.stages import Staged, at_least, one_of, reads_channels, tensors

DEPTHS = (11, 13, 16, 19)
CLASSIFIERS = ("full", "small")


class VGG(Staged):
    """3×3 convolutions in five blocks that each end in max pooling, and three dense layers.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 32 or more each.
        num_classes: length of the output.
        depth: 11, 13, 16 or 19 layers.
        batch_norm: batch norm after each convolution.
        classifier: "full", dense layers of 4096-4096; "small", none but the head, which is usual for images of 32×32.

    Raises:
        ValueError: when there is no such depth or classifier, or images are too small.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        depth: int = 16,
        batch_norm: bool = False,
        classifier: str = "full",
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"model.depth={depth} is unknown: choose one of {', '.join(map(str, DEPTHS))}")
        one_of("classifier", classifier, CLASSIFIERS)
        at_least("VGG", image_size, 32)
        from torchvision.models import vgg  # type: ignore[import-untyped]

        net: Any
        if classifier == "full":
            net = getattr(vgg, f"vgg{depth}{'_bn' if batch_norm else ''}")(num_classes=num_classes)
        else:  # never makes the 120 million parameters that it leaves out
            net = nn.Module()
            letter = {11: "A", 13: "B", 16: "D", 19: "E"}[depth]  # columns of the paper's table
            net.features = vgg.make_layers(vgg.cfgs[letter], batch_norm)
            for layer in net.features:
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        layers = net.features
        layers[0] = reads_channels(layers[0], in_channels)
        blocks = [nn.Sequential()]
        for layer in layers:
            blocks[-1].append(layer)
            if isinstance(layer, nn.MaxPool2d):
                blocks.append(nn.Sequential())
        stages: dict[str, nn.Module] = {
            f"block{number}": block for number, block in enumerate(blocks[:-1], 1)
        }  # (B, 64, H/2, W/2), (B, 128, H/4, W/4), … (B, 512, H/32, W/32)
        if classifier == "full":
            dense = net.classifier
            stages |= {
                "pool": nn.Sequential(net.avgpool, nn.Flatten()),  # (B, 25088)
                "fc1": nn.Sequential(*dense[:3]),  # (B, 4096)
                "fc2": nn.Sequential(*dense[3:6]),  # (B, 4096)
                "head": dense[6],  # (B, num_classes)
            }
        else:
            stages |= {
                "pool": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # (B, 512)
                "head": nn.Linear(512, num_classes),  # (B, num_classes)
            }
        super().__init__(stages, tensors(net))

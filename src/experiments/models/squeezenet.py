"""SqueezeNet (Iandola et al., 2016), as torchvision builds it."""

from __future__ import annotations

from torch import nn

from experiments.models.stages import Staged, at_least, first_convolution, one_of, reads_channels, tensors

VERSIONS = ("1_0", "1_1")
STEMS = ("full", "small")


class SqueezeNet(Staged):
    """Fire modules, squeezing to few channels and expanding again; 1,248,424 parameters at 1000 classes.

    Its head is a 1×1 convolution with dropout, averaged over the image.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 21 or more each (1_1: 17).
        num_classes: length of the output.
        version: "1_0", or "1_1" with the same accuracy for less arithmetic.
        stem: "full", for photographs; "small", 3×3 with stride 1 and no pooling, for images of some 32 pixels.

    Raises:
        ValueError: when there is no such version, or images are too small.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        version: str = "1_0",
        stem: str = "full",
    ) -> None:
        one_of("version", version, VERSIONS)
        one_of("stem", stem, STEMS)
        at_least("SqueezeNet", image_size, 7 if stem == "small" else 21 if version == "1_0" else 17)
        from torchvision.models import squeezenet  # type: ignore[import-untyped]

        net = getattr(squeezenet, f"squeezenet{version}")(num_classes=num_classes)
        net.features[0] = reads_channels(net.features[0], in_channels)
        if stem == "small":
            net.features[0] = first_convolution(in_channels, net.features[0].out_channels, 3, 1, 1, bias=True)
            net.features[2] = nn.Identity()
        parts: list[nn.Sequential] = [nn.Sequential()]
        for layer in net.features:  # each stage ends in max pooling, and the last at the head
            parts[-1].append(layer)
            if isinstance(layer, (nn.MaxPool2d, nn.Identity)):
                parts.append(nn.Sequential())
        first, fires1, fires2, fires3 = parts
        super().__init__(
            {
                "stem": first,  # (B, 96, H/4, W/4); 1_1: 64 channels
                "fires1": fires1,  # (B, 256, H/8, W/8); 1_1: 128
                "fires2": fires2,  # (B, 512, H/16, W/16); 1_1: 256
                "fires3": fires3,  # (B, 512, H/16, W/16)
                "head": nn.Sequential(*net.classifier, nn.Flatten()),  # (B, num_classes)
            },
            tensors(net),
        )

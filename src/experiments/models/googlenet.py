"""GoogLeNet, Inception v1 (Szegedy et al., 2014, "Going deeper with convolutions"), as torchvision builds it.

torchvision adds batch norm, and (as the first release of its weights did) takes 3×3 filters where the paper has 5×5.
"""

from __future__ import annotations

from torch import nn

from experiments.models.stages import (
    After,
    Staged,
    WithAuxiliaryHeads,
    at_least,
    first_convolution,
    one_of,
    reads_channels,
    tensors,
)

STEMS = ("full", "small")


class GoogLeNet(Staged):
    """Nine inception modules: 13,004,888 parameters with two auxiliary heads at 1000 classes, 6,624,904 without.

    In training mode a forward pass gives `Supervised` with the logits of the auxiliary heads, which sit behind modules
    4a and 4d; otherwise logits.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 15 or more each.
        num_classes: length of the output.
        auxiliary: weight of the auxiliary heads' losses, 0.3 in the paper; 0 builds none.
        stem: "full", for photographs; "small", 3×3 with stride 1 and no pooling, for images of some 32 pixels.

    Raises:
        ValueError: when the weight is below 0, the stem is unknown or images are too small.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        auxiliary: float = 0.3,
        stem: str = "full",
    ) -> None:
        one_of("stem", stem, STEMS)
        at_least("GoogLeNet", image_size, 15)
        if auxiliary < 0:
            raise ValueError(f"model.auxiliary={auxiliary} is a weight, 0 or more: try model.auxiliary=0.3")
        from torchvision.models import GoogLeNet as Library  # type: ignore[import-untyped]

        net = Library(num_classes=num_classes, aux_logits=auxiliary > 0, init_weights=False)
        # He's first values: torchvision's own (deviation 0.01) are meant for its old recipe and take seconds to draw.
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        net.conv1.conv = reads_channels(net.conv1.conv, in_channels)
        if stem == "small":
            net.conv1.conv = first_convolution(in_channels, 64, 3, 1, 1)
            first, second = nn.Sequential(net.conv1), nn.Sequential(net.conv2, net.conv3)
        else:
            first = nn.Sequential(net.conv1, net.maxpool1)
            second = nn.Sequential(net.conv2, net.conv3, net.maxpool2)
        fourth = {f"inception4{letter}": getattr(net, f"inception4{letter}") for letter in "abcde"}
        heads = {"inception4a": net.aux1, "inception4d": net.aux2} if auxiliary else {}
        super().__init__(
            {
                "conv1": first,  # (B, 64, H/4, W/4)
                "conv2": second,  # (B, 192, H/8, W/8)
                "inception3": nn.Sequential(net.inception3a, net.inception3b, net.maxpool3),  # (B, 480, H/16, W/16)
                "inception4": WithAuxiliaryHeads(fourth, heads, auxiliary),  # (B, 832, H/16, W/16)
                "inception5": After(net.maxpool4, net.inception5a, net.inception5b),  # (B, 1024, H/32, W/32)
                "pool": After(net.avgpool, nn.Flatten()),  # (B, 1024)
                "head": After(net.dropout, net.fc),  # (B, num_classes)
            },
            tensors(net),
        )
        self.classifiers = ("inception4.heads",)
        self.unused_names = () if auxiliary else ("aux1.", "aux2.")

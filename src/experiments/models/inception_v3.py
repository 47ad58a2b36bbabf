"""Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2015, "Rethinking the Inception architecture"), as torchvision builds it."""

from __future__ import annotations

from torch import nn

from experiments.models.stages import After, Staged, WithAuxiliaryHeads, at_least, reads_channels, tensors

LEAST, LEAST_WITH_HEAD = 75, 299


class InceptionV3(Staged):
    """Factorised convolutions: 27,161,264 parameters with an auxiliary head at 1000 classes, 23,834,568 without.

    In training mode a forward pass gives `Supervised` with the logits of the auxiliary head; otherwise logits.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 299 or more each; without the auxiliary head 75.
        num_classes: length of the output.
        auxiliary: weight of the auxiliary head's loss, usually 0.4; 0 builds none.

    Raises:
        ValueError: when the weight is below 0 or images are too small.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (299, 299),
        num_classes: int = 1000,
        *,
        auxiliary: float = 0.4,
    ) -> None:
        if auxiliary < 0:
            raise ValueError(f"model.auxiliary={auxiliary} is a weight, 0 or more: try model.auxiliary=0.4")
        at_least("Inception v3", image_size, LEAST)
        if auxiliary and min(image_size) < LEAST_WITH_HEAD:
            raise ValueError(
                f"the auxiliary head of Inception v3 reads images of {LEAST_WITH_HEAD}×{LEAST_WITH_HEAD} or more, not "
                f"{image_size[0]}×{image_size[1]}: set data.size={LEAST_WITH_HEAD}, or leave it out with model.auxiliary=0"
            )
        from torchvision.models import Inception3  # type: ignore[import-untyped]

        net = Inception3(num_classes=num_classes, aux_logits=auxiliary > 0, init_weights=False)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        net.Conv2d_1a_3x3.conv = reads_channels(net.Conv2d_1a_3x3.conv, in_channels)
        sixth = {f"mixed6{letter}": getattr(net, f"Mixed_6{letter}") for letter in "abcde"}
        super().__init__(
            {
                "stem": nn.Sequential(
                    net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, net.maxpool1
                ),  # (B, 64, 73, 73)
                "conv": nn.Sequential(net.Conv2d_3b_1x1, net.Conv2d_4a_3x3, net.maxpool2),  # (B, 192, 35, 35)
                "mixed5": nn.Sequential(net.Mixed_5b, net.Mixed_5c, net.Mixed_5d),  # (B, 288, 35, 35)
                "mixed6": WithAuxiliaryHeads(
                    sixth, {"mixed6e": net.AuxLogits} if auxiliary else {}, auxiliary
                ),  # (B, 768, 17, 17)
                "mixed7": After(net.Mixed_7a, net.Mixed_7b, net.Mixed_7c),  # (B, 2048, 8, 8)
                "pool": After(net.avgpool, nn.Flatten()),  # (B, 2048)
                "head": After(net.dropout, net.fc),  # (B, num_classes)
            },
            tensors(net),
        )
        self.classifiers = ("mixed6.heads",)
        self.unused_names = () if auxiliary else ("AuxLogits.",)

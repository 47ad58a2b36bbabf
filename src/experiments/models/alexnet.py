"""AlexNet (Krizhevsky, Sutskever and Hinton, 2012), and the smaller variant of 2014 that torchvision publishes."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from experiments.models.stages import Staged, at_least, one_of, reads_channels, tensors

CLASSIFIERS = ("full", "small")


def _dense(in_features: int, out_features: int) -> nn.Sequential:
    """Map (B, in_features) -> (B, out_features), with dropout before and ReLU after."""
    return nn.Sequential(nn.Dropout(), nn.Linear(in_features, out_features), nn.ReLU())


class AlexNet2012(nn.Sequential):
    """The network as published: 62,378,344 parameters at 1000 classes, 60,965,224 with the groups of the paper.

    Filters of 96-256-384-384-256, local response normalisation after the first two convolutions, overlapping max pooling.
    The paper's 224×224 images need two pixels of padding to give its 55×55 maps. Other sizes are averaged to the same
    6×6 before the dense layers. First values are He's instead of the paper's, which need days to get going.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 63 or more each.
        num_classes: length of the output.
        groups: 2 parts the second, fourth and fifth convolution in two, as the paper did over its two GPUs; 1 does not.
        classifier: "full", dense layers of 4096-4096; "small", none but the head, as VGG has it for small images:
            3,726,538 parameters on grey images and ten classes in place of 58,299,082.

    Raises:
        ValueError: when images are too small, groups are neither 1 nor 2, or the classifier is unknown.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 1000,
        *,
        groups: int = 1,
        classifier: str = "full",
    ) -> None:
        at_least("AlexNet", image_size, 63)
        one_of("classifier", classifier, CLASSIFIERS)
        if groups not in (1, 2):
            raise ValueError(f"model.groups={groups} must be 1, or 2 as in the paper")

        def normalised() -> list[nn.Module]:
            return [nn.ReLU(), nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0), nn.MaxPool2d(3, 2)]

        stages: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(in_channels, 96, 11, 4, padding=2), *normalised()),  # (B, 96, 27, 27)
            conv2=nn.Sequential(nn.Conv2d(96, 256, 5, padding=2, groups=groups), *normalised()),  # (B, 256, 13, 13)
            conv3=nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),  # (B, 384, 13, 13)
            conv4=nn.Sequential(nn.Conv2d(384, 384, 3, padding=1, groups=groups), nn.ReLU()),  # (B, 384, 13, 13)
            conv5=nn.Sequential(
                nn.Conv2d(384, 256, 3, padding=1, groups=groups), nn.ReLU(), nn.MaxPool2d(3, 2)
            ),  # (B, 256, 6, 6)
        )
        if classifier == "full":
            stages["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.Flatten())  # (B, 9216)
            stages["fc1"] = _dense(9216, 4096)  # (B, 4096)
            stages["fc2"] = _dense(4096, 4096)  # (B, 4096)
            stages["head"] = nn.Linear(4096, num_classes)  # (B, num_classes)
        else:
            stages["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # (B, 256)
            stages["head"] = nn.Linear(256, num_classes)  # (B, num_classes)
        super().__init__(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) or (isinstance(module, nn.Linear) and module is not self.head):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)


class AlexNet(Staged):
    """torchvision's variant ("One weird trick", Krizhevsky, 2014): 61,100,840 parameters at 1000 classes.

    Filters of 64-192-384-256-256, and no local response normalisation.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels, 63 or more each.
        num_classes: length of the output.

    Raises:
        ValueError: when images are too small.
    """

    def __init__(self, in_channels: int = 3, image_size: tuple[int, int] = (224, 224), num_classes: int = 1000) -> None:
        at_least("AlexNet", image_size, 63)
        from torchvision.models import alexnet  # type: ignore[import-untyped]

        net = alexnet(num_classes=num_classes)
        layers, dense = net.features, net.classifier
        layers[0] = reads_channels(layers[0], in_channels)
        super().__init__(
            {
                "conv1": nn.Sequential(*layers[:3]),  # (B, 64, 27, 27)
                "conv2": nn.Sequential(*layers[3:6]),  # (B, 192, 13, 13)
                "conv3": nn.Sequential(*layers[6:8]),  # (B, 384, 13, 13)
                "conv4": nn.Sequential(*layers[8:10]),  # (B, 256, 13, 13)
                "conv5": nn.Sequential(*layers[10:]),  # (B, 256, 6, 6)
                "pool": nn.Sequential(net.avgpool, nn.Flatten()),  # (B, 9216)
                "fc1": nn.Sequential(*dense[:3]),  # (B, 4096)
                "fc2": nn.Sequential(*dense[3:6]),  # (B, 4096)
                "head": dense[6],  # (B, num_classes)
            },
            tensors(net),
        )

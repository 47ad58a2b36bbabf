"""U-Net with a ResNet on its way down, as segmentation_models_pytorch builds it (Iakubovskii, 2019)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from experiments.models.library.segmenter import Segmenter
from experiments.models.library.torchvision_segmenters import resnet_stages
from experiments.models.stages import one_of, tensors

BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


class SmpHead(nn.Module):
    """The library's decoder and its last convolution."""

    def __init__(self, decoder: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.classifier = classifier

    def forward(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Outputs of all stages at 1/2 … 1/32 of the resolution -> logits (B, num_classes, H, W)."""
        whole = maps[0].new_empty(1, 0, *size)
        return self.classifier(self.decoder([whole, *maps]))  # the decoder looks at the image for its size alone


class SmpUnet(Segmenter):
    """U-Net on a ResNet: stages `stem`, `layer1` … `layer4`, `head`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels; any.
        num_classes: classes of a pixel.
        backbone: "resnet18" … "resnet152".

    Raises:
        ValueError: there is no such backbone, or the library is not installed.
    """

    def __init__(
        self,
        in_channels: int = 3,
        image_size: tuple[int, int] = (224, 224),
        num_classes: int = 21,
        *,
        backbone: str,
    ) -> None:
        one_of("backbone", backbone, BACKBONES)
        try:
            from segmentation_models_pytorch import Unet  # type: ignore[import-untyped]
        except ImportError:
            raise ValueError(
                f"model=unet_{backbone} needs the package segmentation_models_pytorch, which is not installed: "
                "pip install 'lightning-experiments[segmentation]'"
            ) from None
        net: Any = Unet(backbone, encoder_weights=None, in_channels=3, classes=num_classes)
        library = tensors(net)
        stages, names = resnet_stages(net.encoder, in_channels)
        reads = ["stem.relu", *(f"layer{number}" for number in range(1, 5))]
        super().__init__(
            stages, SmpHead(net.decoder, net.segmentation_head), reads, {}, names, ["head.classifier.0"], 32
        )
        ours = {id(tensor): name for name, tensor in tensors(self).items()}
        self.published_names = {name: ours[id(tensor)] for name, tensor in library.items() if id(tensor) in ours}

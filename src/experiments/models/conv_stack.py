"""Convolutions in blocks of one form, for questions about that form: the size of filters, pooling, and how maps become numbers."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from experiments.models.stages import one_of

POOLINGS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d, "none": None}
ENDS = ("flatten", "average", "max")


class ConvStack(nn.Sequential):
    """A 3×3 convolution, blocks of convolutions with ReLU and pooling, and one dense layer; 4,970 parameters with the defaults.

    All convolutions of the blocks have `width` channels on both sides and keep the size. Two of 3×3 see as far as one of
    5×5, three as far as one of 7×7 (Simonyan and Zisserman, 2014, section 2.3).

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        num_classes: length of the output.
        width: channels.
        kernel: side of the blocks' filters, odd.
        convolutions: in a block.
        blocks: how many.
        pooling: after each block: "max" or "average" of 2×2, or "none".
        end: what the head reads: all places ("flatten"), or the mean ("average") or largest ("max") value of each map.

    Raises:
        ValueError: when a name is unknown, a number too small, the kernel even, or pooling leaves nothing of the images.
    """

    def __init__(
        self,
        in_channels: int = 1,
        image_size: tuple[int, int] = (28, 28),
        num_classes: int = 10,
        *,
        width: int = 16,
        kernel: int = 3,
        convolutions: int = 1,
        blocks: int = 2,
        pooling: str = "max",
        end: str = "average",
    ) -> None:
        one_of("pooling", pooling, tuple(POOLINGS))
        one_of("end", end, ENDS)
        for key, value in (("width", width), ("convolutions", convolutions), ("blocks", blocks)):
            if value < 1:
                raise ValueError(f"model.{key}={value} must be 1 or more: try model.{key}=1")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"model.kernel={kernel} must be odd, so that maps keep their size: try model.kernel=3")
        pool = POOLINGS[pooling]
        height, breadth = (side // 2**blocks if pool else side for side in image_size)
        if not min(height, breadth):
            raise ValueError(
                f"{blocks} poolings leave nothing of {image_size[0]}×{image_size[1]} pixels: "
                f"set model.blocks to fewer, or data.size={2**blocks} or more"
            )
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            stem=nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU())  # (B, width, H, W)
        )
        for number in range(1, blocks + 1):
            layers: list[nn.Module] = []
            for _ in range(convolutions):
                layers += [nn.Conv2d(width, width, kernel, padding=kernel // 2), nn.ReLU()]
            if pool:
                layers.append(pool(2))
            stages[f"block{number}"] = nn.Sequential(*layers)  # (B, width, H/2, W/2), or of the same size
        if end == "flatten":
            stages["gather"] = nn.Flatten()  # (B, width*H*W)
            features = width * height * breadth
        else:
            over = nn.AdaptiveAvgPool2d(1) if end == "average" else nn.AdaptiveMaxPool2d(1)
            stages["gather"] = nn.Sequential(over, nn.Flatten())  # (B, width)
            features = width
        stages["head"] = nn.Linear(features, num_classes)  # (B, num_classes)
        super().__init__(stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

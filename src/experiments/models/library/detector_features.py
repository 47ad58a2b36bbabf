"""What the frozen stages of a detector's backbone make of images: one row an image, and the detector that reads it.

A feature pyramid reads several of the backbone's maps, so a row holds all of those that the frozen stages give, and what the
next stage reads.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]

Size = tuple[int, int]  # height and width


class Rows(NamedTuple):
    """In place of the pixels of a batch.

    Attributes:
        values: (B, D).
        start: how many stages have made them.
        shape: (B, 3, H, W) of the scaled and padded images that they were made of.
    """

    values: Tensor
    start: int
    shape: torch.Size


class Chain:
    """The layers of a detector's backbone, one after the other.

    Args:
        net: torchvision's detector.
        stages: of its backbone, in forward order.

    Attributes:
        layers: in forward order.
        read: the name of the map that each layer gives to the pyramid, by the layer's number.
        ends: of each stage, the number of layers up to its end.
    """

    def __init__(self, net: Any, stages: Sequence[nn.Module]) -> None:
        self.layers: list[nn.Module] = []
        self.read: dict[int, str] = {}
        body = getattr(net.backbone, "body", None)
        if body is not None:  # torchvision's IntermediateLayerGetter
            for number, (name, layer) in enumerate(body.items()):
                self.layers.append(layer)
                if name in body.return_layers:
                    self.read[number] = body.return_layers[name]
        else:  # of an SSD, which reads in the middle of a block
            for number, part in enumerate(net.backbone.features):
                self.layers += list(part)
                self.read[len(self.layers) - 1] = str(number)
        owners = [{id(inner) for inner in stage.modules()} for stage in stages]
        places = [next(at for at, own in enumerate(owners) if _first(layer) in own) for layer in self.layers]
        self.ends = [sum(place <= stage for place in places) for stage in range(len(stages))]
        self._shapes: dict[tuple[int, Size], list[torch.Size]] = {}

    def through(self, images: Tensor, start: int) -> list[Tensor]:
        """(B, 3, H, W) -> the maps that the first stages give to the pyramid, and what the next stage reads."""
        values, parts, end = images, [], self.ends[start - 1]
        for number in range(end):
            values = self.layers[number](values)
            if number in self.read:
                parts.append(values)
        return parts if end - 1 in self.read else [*parts, values]

    def rest(self, rows: Rows) -> OrderedDict[str, Tensor]:
        """Return the maps by name, the missing ones made by the layers behind the first stages."""
        end = self.ends[rows.start - 1]
        parts = self._parts(rows)
        names = [name for number, name in self.read.items() if number < end]
        maps = OrderedDict(zip(names, parts, strict=False))
        values = parts[-1]
        for number in range(end, len(self.layers)):
            values = self.layers[number](values)
            if number in self.read:
                maps[self.read[number]] = values
        return maps

    def _parts(self, rows: Rows) -> list[Tensor]:
        """Cut rows into the maps that they were made of."""
        height, width = rows.shape[-2:]
        weight = next(self.layers[0].parameters())
        if (rows.start, (height, width)) not in self._shapes:
            with torch.no_grad():
                parts = self.through(weight.new_zeros(1, 3, height, width), rows.start)
            self._shapes[rows.start, (height, width)] = [part.shape[1:] for part in parts]
        shapes = self._shapes[rows.start, (height, width)]
        pieces = rows.values.split([shape.numel() for shape in shapes], 1)
        maps = [piece.unflatten(1, shape) for piece, shape in zip(pieces, shapes, strict=True)]
        last = any(_channels_last(layer) for inner in self.layers for layer in inner.modules())
        kind = torch.channels_last if last else torch.contiguous_format
        return [tensor.contiguous(memory_format=kind) for tensor in maps]


class Reader:
    """A detector that shares all layers with another, and reads rows in place of images.

    Args:
        net: torchvision's detector.
        stages: of its backbone, in forward order.

    Attributes:
        net: the one that reads rows.
    """

    def __init__(self, net: Any, stages: Sequence[nn.Module]) -> None:
        self.chain = Chain(net, stages)
        self.scaling = net.transform
        self.net = copy.deepcopy(
            net, {id(layer): layer for layer in net.children()}
        )  # the same layers, in another module
        self.net.transform = _Sizes(net.transform)
        self.net.backbone = _Rest(net.backbone, self.chain)

    def rows(self, images: Sequence[Tensor], start: int) -> Tensor:
        """Images (3, H, W) from 0 to 1, all of one size when scaled and padded -> (B, D)."""
        self.scaling.training = False
        scaled, _ = self.scaling(list(images))
        parts = self.chain.through(scaled.tensors.contiguous(memory_format=torch.channels_last), start)
        return torch.cat([tensor.flatten(1) for tensor in parts], 1)

    def padded(self, size: Size) -> Size:
        """Return the size that an image of some size has, scaled and padded alone."""
        self.scaling.training = False
        shape = self.net.transform.batch([torch.empty(3, *size, device="meta")], None)[0]
        return int(shape[-2]), int(shape[-1])


class Blanks(list[Tensor]):
    """Images without pixels, and what the frozen stages have made of them.

    Args:
        sizes: of the images before they are scaled.
        values: (B, D).
        start: how many stages have made them.
    """

    def __init__(self, sizes: Sequence[Size], values: Tensor, start: int) -> None:
        super().__init__(torch.empty(3, *size, device="meta") for size in sizes)
        self.values, self.start = values, start


class _Sizes(nn.Module):
    """In place of a detector's scaling: sizes and boxes as it makes them, and no pixel touched."""

    def __init__(self, scaling: Any) -> None:
        super().__init__()
        self.__dict__["scaling"] = scaling

    def batch(self, images: Sequence[Tensor], targets: Any) -> tuple[torch.Size, list[Size], Any]:
        """Return the shape of the padded batch, the images' sizes in it, and the targets scaled."""
        scaling = self.__dict__["scaling"]
        given = [None] * len(images) if targets is None else [dict(target) for target in targets]
        pairs = [scaling.resize(image, target) for image, target in zip(images, given, strict=True)]
        scaled = [image for image, _ in pairs]
        sizes = [(image.shape[-2], image.shape[-1]) for image in scaled]
        shape = scaling.batch_images(scaled, size_divisible=scaling.size_divisible).shape
        return shape, sizes, None if targets is None else [target for _, target in pairs]

    def forward(self, images: Blanks, targets: Any = None) -> tuple[Any, Any]:
        scaling = self.__dict__["scaling"]
        scaling.training = self.training
        shape, sizes, targets = self.batch(images, targets)
        rows: Any = Rows(images.values, images.start, shape)  # of which torchvision reads the shape alone
        return ImageList(rows, sizes), targets

    def postprocess(self, *detections: Any) -> Any:
        return self.__dict__["scaling"].postprocess(*detections)


class _Rest(nn.Module):
    """In place of a detector's backbone: what follows the frozen stages, and the pyramid."""

    def __init__(self, backbone: Any, chain: Chain) -> None:
        super().__init__()
        self.__dict__["backbone"], self.__dict__["chain"] = backbone, chain

    def forward(self, rows: Rows) -> OrderedDict[str, Tensor]:
        backbone, maps = self.__dict__["backbone"], self.__dict__["chain"].rest(rows)
        if hasattr(backbone, "fpn"):
            return backbone.fpn(maps)
        values = next(reversed(maps.values()))
        for number, block in enumerate(backbone.extra, len(maps)):
            values = block(values)
            maps[str(number)] = values
        return maps


def _first(layer: nn.Module) -> int:
    """Return who the first layer inside of some is: a group may have been made anew, its layers are not."""
    inner = [part for part in layer.modules() if not any(part.children())]
    return id(inner[0])


def _channels_last(layer: nn.Module) -> bool:
    weight = layer.weight if isinstance(layer, nn.Conv2d) else None
    return weight is not None and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last)

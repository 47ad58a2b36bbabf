"""Detectors of torchvision as named stages: a backbone, a feature pyramid, and a head that finds boxes or masks.

A detector is no chain: its head reads several feature maps. Its stages are its children in forward order, so freezing,
rates by stage, low-rank updates and weights treat it as any other network. Images are scaled and normalised inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from experiments.models.library.detector_backbones import (
    MOBILENETS,
    NORMS,
    backbone_stages,
    frozen_norm,
    halves,
    mobilenet_stages,
    pyramid,
)
from experiments.models.stages import Stages, one_of, tensors

Target = dict[str, Tensor]  # boxes (N, 4) as x1, y1, x2, y2 in pixels, labels (N,) from 0, perhaps masks (N, H, W)
CLASSIFIERS = ("fc", "classifier", "hidden", "head")  # what a classifier has and a backbone has not
COUNTER = "num_batches_tracked"
CLASS_LAYERS = {  # and how many rows a class has together at each place
    r"head\.roi_heads\.box_predictor\.cls_score": 1,
    r"head\.roi_heads\.box_predictor\.bbox_pred": 4,
    r"head\.roi_heads\.mask_predictor\.mask_fcn_logits": 1,
    r"head\.classification_head\.cls_logits": 1,  # RetinaNet and FCOS
    r"head\.classification_head\.module_list\.\d+\.1": 1,  # SSDLite
}
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")


class Detector(nn.Module):
    """A detector of torchvision, its layers put into stages that end in `head`.

    Args:
        net: computes; its background is class 0, and the classes of the data begin at 1.
        backbone: stages that a classifier with the same backbone has too, under the same names.
        rest: further stages, in forward order, the last of them `head`.
        classifier: tensors of the backbone by the names that the published weights of a classifier have.

    Attributes:
        published_names: the name here of each tensor of the library's detector.
        backbone_names: the name here of each tensor of the library's classifier that the backbone comes from.
        class_layers: how many rows a class has together in each layer that has rows of classes.
        background: how many rows there are before those of the classes.
    """

    background = 1

    def __init__(self, net: Any, backbone: Stages, rest: Stages, classifier: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, stage in {**backbone, **rest}.items():
            self.add_module(name, stage)
        self.__dict__["net"] = net  # not a child: its layers are those of the stages
        self.backbone_stages = tuple(backbone)
        ours = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        self.published_names = {name: ours[id(tensor)] for name, tensor in tensors(net).items()}
        self.backbone_names = {name: ours[id(tensor)] for name, tensor in classifier.items() if id(tensor) in ours}
        self.class_layers = {
            layer: together
            for layer in dict.fromkeys(name.rpartition(".")[0] for name in self.state_dict())
            for pattern, together in CLASS_LAYERS.items()
            if re.fullmatch(pattern, layer)
        }

    def forward(self, images: Sequence[Tensor], targets: Sequence[Target] | None = None) -> Any:
        """Images (3, H, W) from 0 to 1, of any sizes -> losses by name where there are targets, else found objects.

        What is found in an image is a dictionary of boxes (N, 4) in its pixels, labels (N,) from 0, scores (N,), and of
        a mask R-CNN masks (N, 1, H, W) from 0 to 1; the best first.
        """
        return self._run(self.__dict__["net"], list(images), targets)

    @staticmethod
    def _run(net: Any, images: list[Tensor], targets: Sequence[Target] | None) -> Any:
        # Whether it gives losses or objects, not whether its norms learn: the mode of the stages stays theirs.
        for part in (net, *(getattr(net, name, net) for name in ("transform", "rpn", "roi_heads"))):
            part.training = targets is not None
        if targets is not None:
            return net(images, [{**target, "labels": target["labels"] + 1} for target in targets])
        return [{**answer, "labels": answer["labels"] - 1} for answer in net(images)]

    # For features that are computed once.

    @property
    def reads(self) -> Any:
        """The detector that reads what frozen stages of the backbone have made; it shares all layers with this one."""
        from experiments.models.library.detector_features import Reader

        if "reader" not in self.__dict__:
            stages = [getattr(self, name) for name in self.backbone_stages]
            self.__dict__["reader"] = Reader(self.__dict__["net"], stages)
        return self.__dict__["reader"]

    def from_features(self, values: Tensor, start: int, sizes: Sequence[tuple[int, int]], targets: Any = None) -> Any:
        """Do as `forward` does, from what the first stages have made of images.

        Args:
            values: (B, D), as `reads.rows` gives them.
            start: the number of stages.
            sizes: height and width of the images.
            targets: as of `forward`.
        """
        from experiments.models.library.detector_features import Blanks

        return self._run(self.reads.net, Blanks(sizes, values, start), targets)

    def fitted(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return a state dict of this detector made of another's, or of a classifier's with the same backbone.

        Returns:
            The tensors under the names here, where what a classifier lacks and what is made for other classes keeps
            the values here; and the names of what was kept of the head. What belongs to neither stays as it is.
        """
        own = self.state_dict()
        same = {name: name for name in own}
        names = max(
            (same, self.published_names, self.backbone_names), key=lambda spelling: len(state.keys() & spelling.keys())
        )
        named = {names.get(name, name): tensor for name, tensor in state.items()}
        named = {name: tensor for name, tensor in named.items() if name in own or not name.endswith(COUNTER)}
        others = [name for name in own if name.split(".")[0] not in self.backbone_stages]
        if not any(name in named for name in others):
            named = {name: tensor for name, tensor in named.items() if name.split(".")[0] not in CLASSIFIERS}
            return {name: own[name] for name in others} | named, others
        unlike = [name for name in others if name in named and named[name].shape != own[name].shape]
        return named | {name: own[name] for name in unlike}, unlike


class FasterRCNN(Detector):
    """Faster R-CNN (Ren, He, Girshick and Sun, 2015) with a feature pyramid (Lin et al., 2017).

    Args:
        num_classes: of the data, without background.
        backbone: a ResNet, or MobileNet v2 or v3, whose detector proposes less.
        min_size: pixels that the shorter side of an image is brought to.
        max_size: pixels that the longer side may have.
        norm: of the backbone: "batch" follows the data, "frozen" keeps what weights bring.
        samples: proposals an image that the head learns from.
        score: least probability of an object.
        detections: objects in an image at most.
        mean: a value a channel, that images are normalised with.
        std: standard deviation, likewise.
        masks: find the mask of each object too, as a mask R-CNN (He, Gkioxari, Dollár and Girshick, 2017).

    Raises:
        ValueError: when backbone or norm is unknown.
    """

    def __init__(
        self,
        num_classes: int = 90,
        *,
        backbone: str = "resnet50",
        min_size: int = 800,
        max_size: int = 1333,
        norm: str = "batch",
        samples: int = 512,
        score: float = 0.05,
        detections: int = 100,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        masks: bool = False,
    ) -> None:
        from torchvision.models.detection import faster_rcnn, mask_rcnn  # type: ignore[import-untyped]
        from torchvision.models.detection.anchor_utils import AnchorGenerator  # type: ignore[import-untyped]

        one_of("backbone", backbone, (*RESNETS, *MOBILENETS))
        body = pyramid(backbone, norm)
        extra: dict[str, Any] = {}
        if backbone in MOBILENETS:  # as torchvision's for 320 pixels
            sizes = ((32, 64, 128, 256, 512),) * 3
            extra = {
                "rpn_anchor_generator": AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 3),
                "rpn_pre_nms_top_n_test": 150,
                "rpn_post_nms_top_n_test": 150,
                "rpn_score_thresh": 0.05,
            }
        make = mask_rcnn.MaskRCNN if masks else faster_rcnn.FasterRCNN
        net = make(
            body,
            num_classes + 1,
            **_common(min_size, max_size, mean, std),
            box_batch_size_per_image=samples,
            box_score_thresh=score,
            box_detections_per_img=detections,
            **extra,
        )
        stages, classifier = backbone_stages(backbone, net.backbone.body)
        head = nn.ModuleDict({"rpn": net.rpn, "roi_heads": net.roi_heads})
        super().__init__(net, stages, {"fpn": net.backbone.fpn, "head": head}, classifier)


class OnePass(Detector):
    """A detector without proposals, every place of a feature pyramid telling of an object there or not.

    RetinaNet (Lin, Goyal, Girshick, He and Dollár, 2017) has anchors and the focal loss; FCOS (Tian, Shen, Chen and He,
    2019) has no anchors. Its distances to the sides of a box begin at one stride, not near 0 as torchvision's: these pass
    through a ReLU, which in training from random values let no gradient through any more after some steps.

    Args:
        num_classes: as in `FasterRCNN`, and so the rest.
        method: "retinanet" or "fcos".
        backbone: a ResNet.
        min_size: as above.
        max_size: as above.
        norm: as above.
        score: as above.
        detections: as above.
        mean: as above.
        std: as above.

    Raises:
        ValueError: when method, backbone or norm is unknown.
    """

    def __init__(
        self,
        num_classes: int = 90,
        *,
        method: str = "retinanet",
        backbone: str = "resnet50",
        min_size: int = 800,
        max_size: int = 1333,
        norm: str = "batch",
        score: float = 0.05,
        detections: int = 300,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        from torchvision.models import detection  # type: ignore[import-untyped]
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7  # type: ignore[import-untyped]

        one_of("method", method, ("retinanet", "fcos"))
        one_of("backbone", backbone, RESNETS)
        body = pyramid(backbone, norm, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))
        make = detection.RetinaNet if method == "retinanet" else detection.FCOS
        net = make(
            body,
            num_classes + 1,
            **_common(min_size, max_size, mean, std),
            score_thresh=score,
            detections_per_img=detections,
        )
        if method == "fcos":
            nn.init.ones_(net.head.regression_head.bbox_reg.bias)
        stages, classifier = backbone_stages(backbone, net.backbone.body)
        super().__init__(net, stages, {"fpn": net.backbone.fpn, "head": net.head}, classifier)


class SSDLite(Detector):
    """SSD (Liu et al., 2016) of separable convolutions on MobileNet v3 (Howard et al., 2019).

    Args:
        num_classes: as in `FasterRCNN`.
        size: pixels of both sides, that every image is brought to.
        reduced_tail: half the channels in the last layers of the backbone, as torchvision's; false for the weights of a
            classifier.
        norm: as in `FasterRCNN`.
        score: likewise.
        detections: likewise.
        mean: likewise; torchvision's brings pixels to [-1, 1].
        std: likewise.

    Raises:
        ValueError: when norm is unknown.
    """

    def __init__(
        self,
        num_classes: int = 90,
        *,
        size: int = 320,
        reduced_tail: bool = True,
        norm: str = "batch",
        score: float = 0.001,
        detections: int = 300,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> None:
        from torchvision.models import mobilenet_v3_large
        from torchvision.models.detection import ssdlite
        from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
        from torchvision.models.detection.ssd import SSD

        layer = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
        of_backbone = layer if one_of("norm", norm, NORMS) == "batch" else frozen_norm()
        classifier = mobilenet_v3_large(weights=None, norm_layer=of_backbone, reduced_tail=reduced_tail)
        for part in classifier.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, mean=0.0, std=0.03)
        blocks = classifier.features
        last = max(place for place, block in enumerate(blocks) if halves(block))
        body = ssdlite.SSDLiteFeatureExtractorMobileNet(blocks, last, layer)
        anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
        channels = [blocks[last].block[0].out_channels, blocks[-1].out_channels, 512, 256, 256, 128]
        head = ssdlite.SSDLiteHead(channels, anchors.num_anchors_per_location(), num_classes + 1, layer)
        net = SSD(
            body,
            anchors,
            (size, size),
            num_classes + 1,
            **_colours(mean, std),
            head=head,
            score_thresh=score,
            nms_thresh=0.55,
            detections_per_img=detections,
            topk_candidates=300,
        )
        names = {f"features.{name}": tensor for name, tensor in tensors(blocks).items()}
        super().__init__(net, mobilenet_stages(list(blocks)), {"extra": body.extra, "head": net.head}, names)


def _common(min_size: int, max_size: int, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    return {"min_size": min_size, "max_size": max_size, **_colours(mean, std)}


def _colours(mean: Sequence[float], std: Sequence[float]) -> dict[str, list[float]]:
    for key, values in (("mean", mean), ("std", std)):
        if len(values) != 3 or (key == "std" and min(values) <= 0):
            above = ", each above 0" if key == "std" else ""
            raise ValueError(f"model.{key}={list(values)} must be three numbers{above}, for red, green and blue")
    return {"image_mean": list(mean), "image_std": list(std)}

"""Networks that put a head for the classes of pixels on the backbone of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from experiments.models.stages import Stages, Supervised

AUXILIARY = ("aux_classifier.", "head.auxiliary.")  # names of auxiliary heads in torchvision's files and ours


class Segmenter(nn.Module):
    """The stages of a backbone in forward order, then `head`, which reads what some of them, or blocks in them, give.

    Args:
        stages: of the backbone; named as in the classifier with this backbone, so that its weights fit.
        head: a list of what it reads -> logits (B, num_classes, h, w), or `Supervised`.
        reads: names of stages, or of blocks such as `stem.relu`, whose outputs the head reads, in forward order.
        published_names: the name here of each tensor of the library's segmenter.
        backbone_names: likewise of the library's classifier.
        class_layers: names of the layers whose shape depends on the number of classes.
        multiple: sides are extended with zeros to a multiple of it, and the logits cut.
    """

    def __init__(
        self,
        stages: Stages,
        head: nn.Module,
        reads: Sequence[str],
        published_names: Mapping[str, str],
        backbone_names: Mapping[str, str],
        class_layers: Sequence[str],
        multiple: int = 1,
    ) -> None:
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.head = head
        self.backbone, self.reads, self.multiple = tuple(stages), tuple(reads), multiple
        self.published_names, self.backbone_names = dict(published_names), dict(backbone_names)
        self.class_layers = tuple(class_layers)

    def forward(self, images: Tensor) -> Tensor | Supervised:
        """Map (B, in_channels, H, W) -> logits (B, num_classes, H, W); `Supervised` where an auxiliary head learns too."""
        height, width = images.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        x = F.pad(images, (0, right, 0, below)) if below or right else images
        maps: list[Tensor] = []
        for name in self.backbone:
            stage = self.get_submodule(name)
            inner = {read.partition(".")[2] for read in self.reads if read.startswith(f"{name}.")}
            if inner:
                for block, layer in stage.named_children():
                    x = layer(x)
                    maps += [x] if block in inner else []
            else:
                x = stage(x)
            maps += [x] if name in self.reads else []
        return _cut(self.head(maps, (height + below, width + right)), height, width)

    def fitted(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """Return a state dict of this network made of another's, or of a classifier's with the same backbone.

        Returns:
            The tensors under the names here, where what a classifier lacks and what is made for other classes keeps the values
            here; and the names of what was kept of the head. What belongs to neither stays as it is.
        """
        own = self.state_dict()
        same = {name: name for name in own}
        names = max(
            (same, self.published_names, self.backbone_names), key=lambda spelling: len(state.keys() & spelling.keys())
        )
        named = {names.get(name, name): tensor for name, tensor in state.items()}
        head = [name for name in own if name.startswith("head.")]
        if not any(name in named for name in head):
            named = {name: tensor for name, tensor in named.items() if name.split(".")[0] in self.backbone}
            return {name: own[name] for name in head} | named, head
        # An auxiliary head is of training alone: whether a file has one does not matter.
        spare = {name: own[name] for name in head if name.startswith("head.auxiliary.") and name not in named}
        named = {name: tensor for name, tensor in named.items() if name in own or not name.startswith(AUXILIARY)}
        unlike = [name for name in head if name in named and named[name].shape != own[name].shape]
        layers = tuple(f"{layer}." for layer in self.class_layers)
        kept = [name for name in unlike if name.startswith(layers)]
        return named | spare | {name: own[name] for name in kept}, kept


def _cut(x: Tensor | Supervised, height: int, width: int) -> Tensor | Supervised:
    if isinstance(x, Supervised):
        return Supervised(
            x.values[..., :height, :width], tuple(scores[..., :height, :width] for scores in x.auxiliary), x.weight
        )
    return x if x.shape[-2:] == (height, width) else x[..., :height, :width]


def upsampled(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Map (B, K, h, w) -> (B, K, H, W), bilinear."""
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)

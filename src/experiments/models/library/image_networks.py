"""Every other image classifier of torchvision and timm, by name, cut into stages."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from experiments.models.stages import Staged, Stages, reads_channels, tensors


class Torchvision(Staged):
    """Any image classifier of torchvision.

    Its stages are its top-level blocks, `head` the last dense layer; where the blocks cannot be told apart, all before the
    head is one stage, `body`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        num_classes: length of the output.
        name: as torchvision lists it: efficientnet_b0, convnext_tiny, vit_b_16.

    Raises:
        ValueError: when torchvision has no such network, or it cannot read images of this size.
    """

    def __init__(
        self, in_channels: int = 3, image_size: tuple[int, int] = (224, 224), num_classes: int = 1000, *, name: str
    ) -> None:
        from torchvision import models  # type: ignore[import-untyped]

        names = models.list_models(module=models)
        if name not in names:
            raise ValueError(_unknown(name, names, "torchvision.models.list_models(module=torchvision.models)"))
        if name in ("googlenet", "inception_v3"):
            raise ValueError(f"model.name={name} has auxiliary heads that learn with it: use model={name}")
        net = models.get_model(name, num_classes=num_classes)
        _same_size(name, getattr(net, "image_size", None), image_size)
        if in_channels != 3:
            place, first = next((place, layer) for place, layer in net.named_modules() if isinstance(layer, nn.Conv2d))
            net.set_submodule(place, reads_channels(first, in_channels))
        _try_size(name, net, in_channels, image_size)
        dense = [place for place, layer in net.named_modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
        library = tensors(net)
        super().__init__(stages_of(net, dense[-1]), library)


class Timm(Staged):
    """Any image classifier of timm.

    Its stages are its top-level blocks, `head` its classifier; where the blocks cannot be told apart, all before the
    head is one stage, `body`.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: height and width in pixels.
        num_classes: length of the output.
        name: as timm lists it: resnet10t, convnext_atto, vit_tiny_patch16_224.

    Raises:
        ValueError: when timm is not installed or has no such network, or it cannot read images of this size.
    """

    def __init__(
        self, in_channels: int = 3, image_size: tuple[int, int] = (224, 224), num_classes: int = 1000, *, name: str
    ) -> None:
        try:
            import timm  # type: ignore[import-untyped]
        except ImportError:
            raise ValueError(
                "model=timm needs the package timm, which is not installed: pip install 'lightning-experiments[timm]'"
            ) from None
        plain = name.partition(".")[0]  # what follows the dot names one of several published weights
        names = timm.list_models()
        if plain not in names:
            raise ValueError(_unknown(name, names, "timm.list_models()"))
        net: Any = timm.create_model(name, num_classes=num_classes, in_chans=in_channels)
        stated = net.pretrained_cfg or {}
        _same_size(name, stated.get("input_size", (0, 0))[-1] if stated.get("fixed_input_size") else None, image_size)
        classifier = net.get_classifier()
        place = next((place for place, layer in net.named_modules() if layer is classifier), None)
        if place is None or isinstance(classifier, nn.Identity):
            raise ValueError(f"model.name={name} has no single classifier in timm: choose another network")
        _try_size(name, net, in_channels, image_size)
        library = tensors(net)
        super().__init__(stages_of(net, place), library)


def _unknown(name: str, names: Sequence[str], listing: str) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    cure = f"did you mean {' or '.join(near)}?" if near else f"{listing} lists them"
    return f"model.name={name} is no network of {listing.partition('.')[0]}: {cure}"


def _same_size(name: str, only: int | None, image_size: tuple[int, int]) -> None:
    if only and tuple(image_size) != (only, only):
        raise ValueError(
            f"model.name={name} reads {only}×{only} images, not {image_size[0]}×{image_size[1]}: set data.size={only}"
        )


def _try_size(name: str, net: nn.Module, channels: int, image_size: tuple[int, int]) -> None:
    """Lets a network read one image, as the libraries do not say which sizes one can read.

    Raises:
        ValueError: when it cannot, with a size that it can read.
    """

    @torch.no_grad()
    def fault(height: int, width: int) -> Exception | None:
        try:
            net(torch.zeros(1, channels, height, width))
        except Exception as error:  # each layer has its own kind
            return error
        return None

    net.eval()
    given = fault(*image_size)
    if given is not None:
        near = sorted(range(32, 417, 32), key=lambda size: abs(size - min(image_size)))
        works = next((size for size in near if fault(size, size) is None), None)
        if works is None:
            raise given
        raise ValueError(f"model.name={name} cannot read {image_size[0]}×{image_size[1]} images: set data.size={works}")
    net.train()


def stages_of(net: nn.Module, classifier: str) -> Stages:
    """Return a network's blocks as stages, cut where a single value goes on to the next; `pool` and `head` are the
    last.

    Args:
        net: gives logits; its forward pass is followed once, symbolically, down to its blocks.
        classifier: dotted name of the layer that makes the logits.
    """
    try:
        graph = _Blocks(net, classifier).trace(net)
    except Exception:  # its forward pass depends on values or shapes: no block can be told from the next
        return _body_and_head(net, classifier)
    _fix_arguments(graph)
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "output")]
    cuts = _cuts(net, graph, nodes, classifier)
    if cuts is None:
        return _body_and_head(net, classifier)
    stages: dict[str, nn.Module] = {}
    start = 0
    for stop, name in cuts:
        stages[name] = _part(net, nodes[start:stop], nodes[start - 1] if start else None)
        start = stop
    return stages


class _Blocks(fx.Tracer):
    """Follows a forward pass through top-level blocks, into the one that holds the classifier, and into sequences where
    these are nearly all there is at the top."""

    def __init__(self, net: nn.Module, classifier: str) -> None:
        super().__init__()
        self.classifier = classifier
        learning = [
            name for name, child in net.named_children() if _learns(child) and not f"{classifier}.".startswith(name)
        ]
        self.enters = len(learning) <= 3

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        holds = self.classifier.startswith(f"{module_qualified_name}.")
        sequence = "." not in module_qualified_name and type(m) is nn.Sequential
        return not (holds or (sequence and self.enters))


def _learns(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _fix_arguments(graph: fx.Graph) -> None:
    """Puts the default in the place of every argument of the forward pass but the first."""

    def replaced(arguments: Any, given: fx.Node, value: Any) -> Any:
        return fx.node.map_arg(arguments, lambda node: value if node is given else node)

    for given in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        default = given.args[0] if given.args else None
        for user in list(given.users):
            user.args, user.kwargs = (replaced(argument, given, default) for argument in (user.args, user.kwargs))
        graph.erase_node(given)


def _cuts(net: nn.Module, graph: fx.Graph, nodes: list[fx.Node], classifier: str) -> list[tuple[int, str]] | None:
    """(end, name) of each stage: where one value alone goes on, before a block that learns; None if the head is not apart."""
    place = {node: index for index, node in enumerate(nodes)}
    last_use = {node: max((place.get(user, len(nodes)) for user in node.users), default=-1) for node in nodes}
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    input_end = max((place[user] for node in inputs for user in node.users), default=0)
    blocks = {
        index: str(node.target)
        for index, node in enumerate(nodes)
        if node.op == "call_module" and _learns(net.get_submodule(str(node.target)))
    }
    head = next((index for index, name in blocks.items() if name == classifier), None)

    def narrow(end: int) -> bool:
        """Whether, after `end` nodes, only the last one's value is used further on."""
        alive = [node for node in nodes[:end] if last_use[node] >= end]
        return input_end < end and alive == [nodes[end - 1]]

    before = [index for index in blocks if head is None or index < head]
    if head is None or not before or not narrow(head) or any("training" in node.kwargs for node in nodes):
        return None  # the last: a function that was told in which mode it runs would stay in it
    while isinstance(_module(net, nodes[head - 1]), nn.Dropout) and narrow(head - 1):
        head -= 1  # dropout belongs to the head, and is frozen with it
    ends = [index for index in before[1:] if narrow(index)]
    if before[-1] + 1 < head and narrow(before[-1] + 1):
        ends.append(before[-1] + 1)
    starts = [0, *ends]
    names = [next((blocks[index] for index in before if index >= start), "pool") for start in starts]
    return [*zip([*ends, head], (name.replace(".", "_") for name in names), strict=True), (len(nodes), "head")]


def _module(net: nn.Module, node: fx.Node) -> nn.Module | None:
    return net.get_submodule(str(node.target)) if node.op == "call_module" else None


def _part(net: nn.Module, nodes: list[fx.Node], before: fx.Node | None) -> nn.Module:
    """Return a module that runs some nodes of the graph on one value."""
    calls = [node for node in nodes if node.op == "call_module"]
    if len(nodes) == 1 and calls:
        return net.get_submodule(str(nodes[0].target))
    graph, values = fx.Graph(), {}
    given = graph.placeholder("x")
    if before is not None:
        values[before] = given

    def value(node: fx.Node) -> fx.Node:
        return values.get(node, given)

    for node in nodes:
        values[node] = graph.node_copy(node, value)
    graph.output(values[nodes[-1]])
    return fx.GraphModule(net, graph)


class _Body(nn.Module):
    """A network whose classifier is taken out: what the classifier was given comes out."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Any) -> Any:
        return self.net(x)


def _body_and_head(net: nn.Module, classifier: str) -> Stages:
    head = net.get_submodule(classifier)
    net.set_submodule(classifier, nn.Identity())
    return {"body": _Body(net), "head": head}

"""What a picture of a network holds: a panel a stage, its boxes, and the arrows between them.

Activations and normalisations stand in the box of the layer before them; blocks and stages that repeat are drawn once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from experiments.run.layer_words import filters
from experiments.run.network_graph import Node

MANY = 18  # boxes of a stage; with more, one block of each kind is drawn in full

_FOLLOWERS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid, nn.ELU, nn.Softmax,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_WORDS = {
    "Conv2d": "conv", "Conv1d": "conv", "ConvTranspose2d": "up-conv", "Linear": "dense", "MaxPool2d": "max pool",
    "AvgPool2d": "average pool", "AdaptiveAvgPool2d": "global average", "Flatten": "flatten", "BatchNorm2d": "batch norm",
    "BatchNorm1d": "batch norm", "LayerNorm": "layer norm", "Dropout": "dropout", "Embedding": "embedding",
    "GELUActivation": "GELU", "Softmax": "softmax", "NewGELUActivation": "GELU", "Conv1D": "dense", "T5LayerNorm": "layer norm",
    "MultiScaleRoIAlign": "RoI align", "AnchorGenerator": "anchors", "LastLevelMaxPool": "max pool",
}  # fmt: skip
_PARTS = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "query_key_value")
_OF_ATTENTION = ("scaled_dot_product", "softmax")


@dataclass
class Box:
    """A layer with what follows it, a whole block, or an operator.

    Attributes:
        lines: what stands in it.
        kind: `layer`, `operator`, or of a recurrent layer `rnn`, `lstm` or `gru`.
        parameters: in it.
        trainable: those of them that learn.
        sources: numbers of the boxes that it reads.
        times: how often it stands there in a row.
    """

    lines: list[str]
    kind: str
    parameters: int
    trainable: int
    sources: set[int]
    times: int = 1


@dataclass
class PlanPanel:
    """A stage: its name, what comes out, and the numbers of its boxes.

    Attributes:
        frames: blocks that stand several times in a row: the numbers of their boxes, and how often.
    """

    name: str
    output: str
    parameters: int
    trainable: int
    boxes: list[int] = field(default_factory=list)
    frames: list[tuple[list[int], int]] = field(default_factory=list)
    times: int = 1


@dataclass
class NetworkPlan:
    """Panels in forward order, and all boxes by number."""

    panels: list[PlanPanel]
    boxes: dict[int, Box]


def plan(nodes: Sequence[Node], only: str | None = None) -> NetworkPlan:
    """Puts the nodes of a network into panels and boxes.

    Args:
        nodes: of `network_graph`.
        only: name of the one stage to draw, with every block in full.
    """
    kept = {number: node for number, node in enumerate(nodes) if only is None or node.stage == only}
    sources = {number: {one for one in node.sources if one in kept} for number, node in kept.items()}
    follows = _followers(kept, sources)
    boxes = {number: _box(kept[number], sources[number]) for number in kept if number not in follows}
    for number, before in follows.items():
        root = before
        while root in follows:
            root = follows[root]
        if type(kept[number].module) is not nn.Identity:
            _add(boxes[root], kept[number])
        for used in sources.values():
            if number in used:
                used.discard(number)
                used.add(root)
    stages = {number: _stage(number, kept) for number in boxes}
    panels: list[PlanPanel] = []
    for number in boxes:
        if not panels or panels[-1].name != stages[number]:
            last = [node for node in nodes if node.stage == stages[number]]
            shape = next((_shape(node.output) for node in reversed(last) if node.output is not None), "")
            counts = [(node.parameters, node.trainable) for node in last]
            panels.append(PlanPanel(stages[number], shape, sum(a for a, _ in counts), sum(b for _, b in counts)))
        panels[-1].boxes.append(number)
    whole = NetworkPlan(panels, boxes)
    for panel in panels:
        _repeat_blocks(panel, kept, boxes)
        if len(panel.boxes) > MANY and only is None:
            _fold(panel, kept, boxes)
    _repeat_panels(whole, kept)
    return whole


def _followers(kept: dict[int, Node], sources: dict[int, set[int]]) -> dict[int, int]:
    """Layers that stand in the box of the one before them."""
    readers: dict[int, int] = {}
    for used in sources.values():
        for one in used:
            readers[one] = readers.get(one, 0) + 1
    return {
        number: next(iter(sources[number]))
        for number, node in kept.items()
        if isinstance(node.module, (*_FOLLOWERS, nn.Identity))
        and len(sources[number]) == 1
        and (readers[next(iter(sources[number]))] == 1 or isinstance(node.module, nn.Identity))
        and kept[next(iter(sources[number]))].kind != "input"
        and kept[next(iter(sources[number]))].stage == node.stage
    }


def _stage(number: int, kept: dict[int, Node]) -> str:
    node = kept[number]
    return node.stage or ("input" if node.kind == "input" else "")


def _box(node: Node, sources: set[int]) -> Box:
    shape = _shape(node.output)
    if isinstance(node.module, nn.RNNBase):
        line = f"{node.kind}, {filters(node.module)} units"
        return Box([line, _below(shape, node.parameters)], node.kind.lower(), node.parameters, node.trainable, sources)
    if node.module is None and node.kind != "input":
        return Box([_operator(node.kind)], "operator", 0, 0, sources)
    if node.kind == "input":
        return Box(["input", shape], "layer", 0, 0, sources)
    count = filters(node.module) if node.module is not None else ""
    words = _WORDS.get(node.kind, _spaced(node.kind))
    if isinstance(node.module, nn.AdaptiveAvgPool2d) and node.output is not None and node.output[-2:] != (1, 1):
        words = "average pool to"
        count = " × ".join(str(side) for side in node.output[-2:])
    part = node.name.rpartition(".")[2]
    if isinstance(node.module, nn.Embedding):  # with the family in its name, as BartScaledWordEmbedding
        words = "positions" if "Positional" in node.kind else "embedding"
    if isinstance(node.module, nn.Linear) and part in _PARTS:
        words = f"{part}: {words}"
    lines = [f"{words} {count}".strip(), _below(shape, node.parameters)]
    return Box([line for line in lines if line], "layer", node.parameters, node.trainable, sources)


def _add(box: Box, node: Node) -> None:
    """Writes an activation, a normalisation or a dropout into the box before it."""
    word = _WORDS.get(node.kind, node.kind)
    place = 1 if len(box.lines) > 1 else len(box.lines)
    if len(box.lines) > 2:
        box.lines[1] += f", {word}"
    else:
        box.lines.insert(place, f"+ {word}" if box.kind != "operator" else word)
    if node.output is not None and len(box.lines) > 2:
        box.lines[-1] = _below(_shape(node.output), box.parameters + node.parameters)
    box.parameters += node.parameters
    box.trainable += node.trainable


def _repeat_blocks(panel: PlanPanel, kept: dict[int, Node], boxes: dict[int, Box]) -> None:
    """Leaves out blocks that are the same as the one before, and frames that one with how often it stands there."""
    blocks: list[tuple[str, list[int]]] = []
    names = _block_names(panel.boxes, kept)
    for number in panel.boxes:
        name = names[number]
        if not blocks or blocks[-1][0] != name:
            blocks.append((name, []))
        blocks[-1][1].append(number)
    place = 0
    while place < len(blocks):
        first, times = blocks[place][1], 1
        while place + times < len(blocks) and len(first) > 1 and _same(first, blocks[place + times][1], boxes):
            _leave_out(blocks[place + times][1], first, panel, boxes)
            times += 1
        if times > 1:
            panel.frames.append((first, times))
        place += times


def _block_names(numbers: Sequence[int], kept: dict[int, Node]) -> dict[int, str]:
    """Return the block of each box: the first part of its name in which the names of a stage differ."""
    parts = {number: kept[number].name.split(".") for number in numbers}
    shortest = min((len(one) for one in parts.values() if len(one) > 1), default=1)
    common = 0
    while common < shortest - 1 and len({tuple(one[: common + 1]) for one in parts.values() if len(one) > common}) == 1:
        common += 1
    return {number: ".".join(one[: common + 1]) for number, one in parts.items()}


def _same(first: list[int], other: list[int], boxes: dict[int, Box]) -> bool:
    if len(first) != len(other):
        return False
    shift = {a: place for place, a in enumerate(first)}, {b: place for place, b in enumerate(other)}
    return all(
        boxes[a].lines == boxes[b].lines
        and (boxes[a].trainable > 0) == (boxes[b].trainable > 0)
        and {shift[0].get(one, -1) for one in boxes[a].sources} == {shift[1].get(one, -1) for one in boxes[b].sources}
        for a, b in zip(first, other, strict=True)
    )


def _leave_out(gone: list[int], stays: list[int], panel: PlanPanel, boxes: dict[int, Box]) -> None:
    """Takes boxes away; who read them reads those that stay in their place."""
    instead = dict(zip(gone, stays, strict=True))
    for number in gone:
        del boxes[number]
    panel.boxes = [number for number in panel.boxes if number not in instead]
    for box in boxes.values():
        box.sources = {instead.get(one, one) for one in box.sources}


def _fold(panel: PlanPanel, kept: dict[int, Node], boxes: dict[int, Box]) -> None:
    """Draws one block of each shape of graph in full, and the others as one box each."""
    groups: dict[str, list[int]] = {}
    for number, name in _block_names(panel.boxes, kept).items():
        groups.setdefault(name, []).append(number)
    seen: set[int] = set()
    framed = {number for numbers, _ in panel.frames for number in numbers}
    for name, numbers in groups.items():
        if len(numbers) < 3 or len(numbers) not in seen or set(numbers) & framed:
            seen.add(len(numbers))
            continue
        first, inside = numbers[0], set(numbers)
        read = {one for number in numbers for one in boxes[number].sources} - inside
        parameters = sum(boxes[number].parameters for number in numbers)
        trainable = sum(boxes[number].trainable for number in numbers)
        shape = _shape(kept[numbers[-1]].output)
        lines = [f"{name.rpartition('.')[2]}, built alike", _below(shape, parameters)]
        boxes[first] = Box(lines, "layer", parameters, trainable, read)
        for number in numbers[1:]:
            del boxes[number]
        panel.boxes = [number for number in panel.boxes if number not in inside or number == first]
        for box in boxes.values():
            box.sources = {first if one in inside else one for one in box.sources}


def _repeat_panels(whole: NetworkPlan, kept: dict[int, Node]) -> None:
    """Draws stages that are the same as the one before, such as the layers of BERT, once."""
    place = 0
    while place < len(whole.panels):
        first = whole.panels[place]
        while place + 1 < len(whole.panels):
            other = whole.panels[place + 1]
            if (
                len(first.boxes) < 2
                or len(first.boxes) != len(other.boxes)
                or not _same(first.boxes, other.boxes, whole.boxes)
            ):
                break
            gone = other.boxes
            _leave_out(gone, first.boxes, other, whole.boxes)
            for number in first.boxes:  # what the second read of the first is a step from the end to the begin
                whole.boxes[number].sources.discard(first.boxes[-1])
            first.times += 1
            first.name = f"{first.name.partition(' to ')[0]} to {other.name}"
            first.parameters, first.trainable = first.parameters + other.parameters, first.trainable + other.trainable
            del whole.panels[place + 1]
        place += 1


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if not shape else " × ".join(f"{one}" for one in shape)


def _below(shape: str, parameters: int) -> str:
    return " · ".join(filter(None, [shape, f"{parameters:,}" if parameters else ""]))


def _operator(sign: str) -> str:
    return "attention" if sign.lstrip("_").startswith(_OF_ATTENTION) else sign.replace("_", " ").strip()


def _spaced(name: str) -> str:
    """`SelfAttention` is `self attention`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()

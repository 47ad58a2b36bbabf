"""What a picture of a network holds: a panel a stage, its boxes, and the arrows between them.

Activations and normalisations stand in the box of the layer before them; blocks and stages that repeat are drawn once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from experiments.run.layer_words import filters
from experiments.run.network_graph import PADDED, Node
from experiments.run.network_merging import ATTENTION, SCORED, merged

_FOLLOWERS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid, nn.ELU, nn.Softmax,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Dropout, nn.Dropout2d,
)  # fmt: skip
_WORDS = {
    "Conv2d": "conv", "Conv1d": "conv", "ConvTranspose2d": "up-conv", "Linear": "dense", "MaxPool2d": "max pool",
    "AvgPool2d": "average pool", "AdaptiveAvgPool2d": "global average", "Flatten": "flatten", "BatchNorm2d": "batch norm",
    "BatchNorm1d": "batch norm", "LayerNorm": "layer norm", "Dropout": "dropout", "Embedding": "embedding",
    "ReLU": "ReLU", "ReLU6": "ReLU6", "LeakyReLU": "leaky ReLU", "ELU": "ELU", "SiLU": "SiLU", "GELU": "GELU",
    "GELUActivation": "GELU", "GELUTanh": "GELU", "QuickGELUActivation": "GELU", "Softmax": "softmax", "NewGELUActivation": "GELU", "Conv1D": "dense", "T5LayerNorm": "layer norm",
    "MultiScaleRoIAlign": "RoI align", "AnchorGenerator": "anchors", "LastLevelMaxPool": "max pool",
}  # fmt: skip
AUXILIARY = "auxiliary head, in training alone"
_PARTS = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "query_key_value", "key_value")
_PROJECTED = {"q": "query", "k": "key", "v": "value"}
_OF_ATTENTION = ("scaled_dot_product", "softmax")
_ATTENTIONS = {ATTENTION: "softmax(q · k) · v", SCORED: "softmax(scores) · v"}


@dataclass
class Box:
    """A layer with what follows it, a whole block, or an operator.

    Attributes:
        lines: what stands in it.
        kind: `layer`, `operator`, or of a recurrent layer `rnn`, `lstm` or `gru`.
        parameters: in it.
        trainable: those of them that learn.
        sources: numbers of the boxes that it reads.
        output: shape of what comes out.
        words: of a source that is a block what is read of it, where that is not what comes out last.
    """

    lines: list[str]
    kind: str
    parameters: int
    trainable: int
    sources: set[int]
    output: str = ""
    words: dict[int, str] = field(default_factory=dict)


@dataclass
class PlanPanel:
    """A stage: its name, what comes out, and the numbers of its boxes.

    Attributes:
        frames: blocks that stand several times in a row: the numbers of their boxes, and `× 3`.
        times: how many stages like this one stand in a row.
    """

    name: str
    output: str
    parameters: int
    trainable: int
    boxes: list[int] = field(default_factory=list)
    frames: list[tuple[list[int], str]] = field(default_factory=list)
    times: int = 1


@dataclass
class NetworkPlan:
    """Panels in forward order, all boxes by number, and the nodes behind these."""

    panels: list[PlanPanel]
    boxes: dict[int, Box]
    nodes: dict[int, Node]


def plan(nodes: Sequence[Node], only: str | None = None) -> NetworkPlan:
    """Puts the nodes of a network into panels and boxes.

    Args:
        nodes: of `network_graph`.
        only: name of the one stage or block to draw.
    """
    kept = {number: node for number, node in merged(nodes).items() if only is None or _inside(node, only)}
    sources = {number: set(node.sources) for number, node in kept.items()}  # those outside of `only` are what comes in
    _pass_through(kept, sources)
    follows = _followers(kept, sources)
    boxes = {number: _box(kept[number], sources[number]) for number in kept if number not in follows}
    for number, box in boxes.items():
        box.output = "" if box.lines[0] == ATTENTION else _shape(kept[number].output)  # of attention that of one head
    for number, before in follows.items():
        root = _root(before, follows)
        if type(kept[number].module) is not nn.Identity:
            _add(boxes[root], kept[number])
        for used in sources.values():
            if number in used:
                used.discard(number)
                used.add(root)
    panels: list[PlanPanel] = []
    for number, node in kept.items():
        stage = _stage(number, kept)
        if number not in boxes:
            number = _root(number, follows)
        elif not panels or panels[-1].name != stage:
            panels.append(PlanPanel(stage, "", 0, 0))
        panel = next(earlier for earlier in reversed(panels) if earlier.name == stage)
        if node.output is not None and not node.auxiliary:
            several = node.kind == "input" and panel.output
            panel.output = f"{panel.output} and {_shape(node.output)}" if several else _shape(node.output)
        panel.parameters, panel.trainable = panel.parameters + node.parameters, panel.trainable + node.trainable
        if number not in panel.boxes:
            panel.boxes.append(number)
    whole = NetworkPlan(panels, boxes, kept)
    for panel in panels:
        _repeat_blocks(panel, kept, boxes)
        _name_auxiliary(panel, kept, boxes)
    _repeat_panels(whole, kept)
    return whole


def _inside(node: Node, name: str) -> bool:
    return node.name == name or node.name.startswith(f"{name}.")


def _pass_through(kept: dict[int, Node], sources: dict[int, set[int]]) -> None:
    """Takes out layers that give what they get: dropout of nothing, and what stands on a shortcut that enters a stage; it
    is an arrow there as in other blocks.
    """
    for number, node in list(kept.items()):
        readers = [reader for reader, used in sources.items() if number in used]
        dropped = isinstance(node.module, (nn.Dropout, nn.Dropout1d, nn.Dropout2d)) and not node.module.p
        if len(sources[number]) != 1 or not readers or not (dropped or type(node.module) is nn.Identity):
            continue
        (before,) = sources[number]
        enters = before not in kept or kept[before].stage != node.stage
        shortcut = enters and all(
            kept[reader].stage == node.stage and kept[reader].kind in ("+", PADDED) for reader in readers
        )
        alone = not any(other.stage == node.stage for place, other in kept.items() if place != number)
        if shortcut or (dropped and not alone):
            for reader in readers:
                sources[reader] = sources[reader] - {number} | {before}
            if not enters:
                kept[before] = replace(kept[before], output=node.output)
            del kept[number], sources[number]


def _root(number: int, follows: dict[int, int]) -> int:
    while number in follows:
        number = follows[number]
    return number


def _followers(kept: dict[int, Node], sources: dict[int, set[int]]) -> dict[int, int]:
    """Layers that stand in the box of the one before them."""
    readers: dict[int, int] = {}
    for used in sources.values():
        for source in used:
            readers[source] = readers.get(source, 0) + 1
    return {
        number: next(iter(sources[number]))
        for number, node in kept.items()
        if (isinstance(node.module, (*_FOLLOWERS, nn.Identity)) or _WORDS.get(node.kind) == "GELU")
        and len(sources[number]) == 1
        and next(iter(sources[number])) in kept
        and (readers[next(iter(sources[number]))] == 1 or isinstance(node.module, nn.Identity))
        and kept[next(iter(sources[number]))].kind != "input"
        and kept[next(iter(sources[number]))].stage == node.stage
        and kept[next(iter(sources[number]))].auxiliary == node.auxiliary
        and (not node.parameters or kept[next(iter(sources[number]))].module is not None)  # an operator has no numbers
    }


def _stage(number: int, kept: dict[int, Node]) -> str:
    node = kept[number]
    return node.stage or ("input" if node.kind == "input" else "")


def _box(node: Node, sources: set[int]) -> Box:
    shape = _shape(node.output)
    if isinstance(node.module, nn.RNNBase):
        line = f"{node.kind}, {filters(node.module)} units"
        line += ", backwards" if node.name.endswith(".directions.1") else ""
        return Box([line, _below(shape, node.parameters)], node.kind.lower(), node.parameters, node.trainable, sources)
    if node.kind in _ATTENTIONS:
        return Box([ATTENTION, _ATTENTIONS[node.kind]], "operator", node.parameters, node.trainable, sources)
    if node.module is None and node.parameters:  # such as positions that learn
        return Box([node.kind, _below(shape, node.parameters)], "layer", node.parameters, node.trainable, sources)
    if node.kind == PADDED:
        return Box([node.kind, shape], "operator", 0, 0, sources)
    if node.module is None and node.kind != "input":
        return Box([_operator(node.kind)], "operator", 0, 0, sources)
    if node.kind == "input":
        return Box(["input", shape], "layer", 0, 0, sources)
    count = filters(node.module) if node.module is not None else ""
    words = _WORDS.get(node.kind, spaced(node.kind))
    if isinstance(node.module, nn.AdaptiveAvgPool2d) and node.output is not None and node.output[-2:] != (1, 1):
        words = "average pool to"
        count = " × ".join(str(side) for side in node.output[-2:])
    part = node.name.rpartition(".")[2]
    if isinstance(node.module, nn.Embedding):  # with the family in its name, as BartScaledWordEmbedding
        words = "positions" if "position" in f"{node.kind} {part}".lower() or part in ("wpe", "places") else "embedding"
        words = (
            "token types"
            if "token_type" in part or part == "segments"
            else "relative positions"
            if part.startswith("relative")
            else words
        )
    if isinstance(node.module, nn.Linear) and part in _PARTS:
        words = f"{_PROJECTED.get(part[0], part) if 'proj' in part else part.replace('_', ', ')}: {words}"
    if node.times > 1 and node.parameters:
        shape = f"{shape}, runs {node.times} times"
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
    box.output = _shape(node.output) or box.output


def _repeat_blocks(panel: PlanPanel, kept: dict[int, Node], boxes: dict[int, Box]) -> None:
    """Leaves out blocks that are the same as the one before, and frames that one with how often it stands there: those right
    inside the stage, then those inside of these.
    """
    deepest = max(len(kept[number].path) for number in panel.boxes)
    for depth in range(_common(panel.boxes, kept), deepest):
        if panel.frames:
            return
        _repeat_at(depth, panel, kept, boxes)


def _repeat_at(depth: int, panel: PlanPanel, kept: dict[int, Node], boxes: dict[int, Box]) -> None:
    blocks: list[tuple[tuple[str, ...], list[int]]] = []
    for number in panel.boxes:
        name = kept[number].path[: depth + 1]
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
            panel.frames.append((first, f"× {times}"))
        place += times


def _common(numbers: Sequence[int], kept: dict[int, Node]) -> int:
    """Return how many first parts the names of all boxes of a stage share."""
    paths, common = [kept[number].path for number in numbers], 0
    while len({path[common] for path in paths if len(path) > common + 1}) == 1 and all(
        len(path) <= common or path[common] == next(each[common] for each in paths if len(each) > common)
        for path in paths
    ):
        common += 1
    return common


def _name_auxiliary(panel: PlanPanel, kept: dict[int, Node], boxes: dict[int, Box]) -> None:
    """Says in the first box of each head that runs in training alone what it is."""
    for number in panel.boxes:
        if kept[number].auxiliary and not any(
            source in kept and kept[source].auxiliary for source in boxes[number].sources
        ):
            boxes[number].lines.insert(1, AUXILIARY)


def _same(first: list[int], other: list[int], boxes: dict[int, Box]) -> bool:
    if len(first) != len(other):
        return False
    shift = {a: place for place, a in enumerate(first)}, {b: place for place, b in enumerate(other)}
    return all(
        boxes[a].lines == boxes[b].lines
        and (boxes[a].trainable > 0) == (boxes[b].trainable > 0)
        and {shift[0].get(source, -1) for source in boxes[a].sources}
        == {shift[1].get(source, -1) for source in boxes[b].sources}
        for a, b in zip(first, other, strict=True)
    )


def _leave_out(gone: list[int], stays: list[int], panel: PlanPanel, boxes: dict[int, Box]) -> None:
    """Takes boxes away; who read them reads those that stay in their place."""
    instead = dict(zip(gone, stays, strict=True))
    for number in gone:
        del boxes[number]
    panel.boxes = [number for number in panel.boxes if number not in instead]
    for box in boxes.values():
        box.sources = {instead.get(source, source) for source in box.sources}


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
    return "" if not shape else " × ".join(f"{side}" for side in shape)


def _below(shape: str, parameters: int) -> str:
    return " · ".join(filter(None, [shape, f"{parameters:,}" if parameters else ""]))


def _operator(sign: str) -> str:
    return "attention" if sign.lstrip("_").startswith(_OF_ATTENTION) else sign.replace("_", " ").strip()


def spaced(name: str) -> str:
    """`SelfAttention` is `self attention`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()

"""A plan with less detail, where a picture of all of it could not be read: blocks as one box each, then stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

from experiments.run.network_graph import Node
from experiments.run.network_merging import ATTENTION
from experiments.run.network_plan import AUXILIARY, Box, NetworkPlan, PlanPanel, spaced

_PLAIN = ("", "Sequential", "ModuleList", "ModuleDict", "NoneType")


SMALL_BLOCK = 5  # boxes; of blocks that are no larger, those of the fullest stage go first

BlockPath = tuple[str, ...]


def legible(drawn: NetworkPlan, fits: Callable[[NetworkPlan], bool]) -> tuple[NetworkPlan, bool]:
    """Return the plan with as much detail as fits, and whether anything was left out.

    Cells of recurrent layers go first, the first of them last. Small blocks become a box each before large ones, and of
    equal ones those of the stage with the most boxes.
    """
    drawn = _one_box_behind(drawn)
    if fits(drawn):
        return drawn, False
    recurrent = [number for number, box in drawn.boxes.items() if box.kind in ("rnn", "lstm", "gru")]
    for first in (1, 0) if recurrent else ():
        drawn = NetworkPlan(drawn.panels, {**drawn.boxes}, drawn.nodes)
        for number in recurrent[first:]:
            drawn.boxes[number] = replace(drawn.boxes[number], kind="layer")
        if fits(drawn):
            return drawn, True
    levels = [0] * len(drawn.panels)
    coarse = drawn
    while not fits(coarse):
        foldable = [place for place, panel in enumerate(coarse.panels) if _foldable(panel, coarse)]
        if not foldable:
            return coarse, True
        place = max(
            reversed(foldable),
            key=lambda place: (-_size(_innermost(coarse.panels[place], coarse)), len(coarse.panels[place].boxes)),
        )
        levels[place] += 1
        coarse = _folded(drawn, levels)
    without_place: list[set[str]] = []  # of equal blocks the first are drawn in full, not one here and one there
    for place in range(len(levels)):  # what was folded early may have its place since a larger one was
        inside = drawn.panels[place].boxes
        kinds = {kind for number in inside for kind in drawn.nodes[number].block_kinds[-1:]} - {*_PLAIN}
        while levels[place] and not (kinds and kinds in without_place):
            finer = _folded(drawn, [level - (index == place) for index, level in enumerate(levels)])
            if not fits(finer):
                without_place.append(kinds)
                break
            coarse = finer
            levels[place] -= 1
    return coarse, True


def _one_box_behind(drawn: NetworkPlan) -> NetworkPlan:
    """Return a copy in which what is computed behind the last stage, such as boxes from scores, is one box."""
    last = drawn.panels[-1]
    if last.name or last.parameters or len(last.boxes) < 2:
        return drawn
    coarse = NetworkPlan(deepcopy(drawn.panels), deepcopy(drawn.boxes), dict(drawn.nodes))
    _contract(list(last.boxes), "", coarse.panels[-1], coarse)
    return coarse


def _folded(drawn: NetworkPlan, levels: list[int]) -> NetworkPlan:
    """Return a copy with so many folds of each stage."""
    coarse = NetworkPlan(deepcopy(drawn.panels), deepcopy(drawn.boxes), dict(drawn.nodes))
    for panel, level in zip(coarse.panels, levels, strict=True):
        for _ in range(level):
            for path, numbers in _innermost(panel, coarse):
                node = coarse.nodes[numbers[0]]
                _contract(numbers, _title(path, node) if len(path) > 1 else "", panel, coarse)
                coarse.nodes[numbers[0]] = replace(node, block=path[:-1])
    return coarse


def _foldable(panel: PlanPanel, drawn: NetworkPlan) -> bool:
    return len(panel.boxes) > 1 and drawn.nodes[panel.boxes[0]].kind != "input"


def _innermost(panel: PlanPanel, drawn: NetworkPlan) -> list[tuple[BlockPath, list[int]]]:
    """Return the innermost blocks that hold several boxes, in the end the stage itself."""
    for depth in range(max(len(drawn.nodes[number].block) for number in panel.boxes), 1, -1):
        runs: list[tuple[BlockPath, list[int]]] = []
        for number in panel.boxes:
            path = drawn.nodes[number].block[:depth]
            if not runs or runs[-1][0] != path or len(path) < depth:
                runs.append((path, []))
            runs[-1][1].append(number)
        repeated = [(path, numbers) for path, numbers in runs if len(numbers) > 1]
        if repeated and len(repeated[0][1]) < len(panel.boxes):
            return repeated
    return [((panel.name,), list(panel.boxes))]


def _size(groups: list[tuple[BlockPath, list[int]]]) -> int:
    whole = len(groups[0][0]) == 1  # a stage of which only its name would stay
    return max(SMALL_BLOCK, *(len(numbers) for _, numbers in groups)) + whole


def _contract(numbers: list[int], title: str, panel: PlanPanel, drawn: NetworkPlan) -> None:
    boxes, inside, first = drawn.boxes, set(numbers), numbers[0]
    frames = [(framed, text) for framed, text in panel.frames if set(framed) & inside]
    around = [text for framed, text in frames if set(framed) == inside]
    parameters = sum(boxes[number].parameters for number in numbers)
    trainable = sum(boxes[number].trainable for number in numbers)
    words = _contents(
        numbers, drawn, {number: text for framed, text in frames if set(framed) < inside for number in framed}
    )
    if (
        any(boxes[number].lines[0] == ATTENTION for number in numbers)
        and title
        and ATTENTION not in title
        and len(numbers) < 6
    ):
        title += f" {ATTENTION}"
    repeats = next((text for text in around if text.startswith("×")), "")
    alone = all(drawn.nodes[number].auxiliary for number in numbers)
    title, aside = AUXILIARY.split(", ") if alone else (title, "")
    shape = next((boxes[number].output for number in reversed(numbers) if boxes[number].output), "")
    each = " each" if repeats and parameters else ""
    below = " · ".join(filter(None, [shape, f"{parameters:,}{each}" if parameters else ""])) if title else ""
    head = " ".join(filter(None, [title, repeats]))
    lines = [line for line in (head, aside, *words, below) if line]
    sources = {source for number in numbers for source in boxes[number].sources} - inside
    names = {number: _first_words(boxes[number].lines[0]) for number in numbers[:-1] if boxes[number].kind == "layer"}
    told = {source: word for number in numbers for source, word in boxes[number].words.items() if source in sources}
    boxes[first] = Box(lines, "layer", parameters, trainable, sources, shape, told)
    for number in numbers[1:]:
        del boxes[number]
    for box in boxes.values():
        box.words = {first if source in inside else source: word for source, word in box.words.items()}
        if read := box.sources & names.keys():
            box.words.setdefault(first, names[min(read)])
        box.sources = {first if source in inside else source for source in box.sources}
    panel.boxes = [kept_box for kept_box in panel.boxes if kept_box not in inside or kept_box == first]
    panel.frames = [
        ([kept_box for kept_box in framed if kept_box not in inside or kept_box == first], text)
        for framed, text in panel.frames
        if set(framed) - inside or not inside
    ]


def _title(path: BlockPath, node: Node) -> str:
    """Return the name of a block, or where that is a number the words of its class."""
    part = path[-1].split(".")[-1]
    if not part.isdigit():
        return spaced(part.replace("_", " ")).replace("attn", "attention")
    kind = node.block_kinds[len(path) - 1]
    return f"block {part}" if kind in _PLAIN else spaced(kind)


def _contents(numbers: list[int], drawn: NetworkPlan, repeats: dict[int, str]) -> list[str]:
    """Return what is inside in two lines at most, as `6 conv, max pool, concat`."""
    counts: Counter[str] = Counter()
    for number in numbers:
        box, node = drawn.boxes[number], drawn.nodes[number]
        times = int(repeats[number][2:]) if repeats.get(number, "").startswith("× ") else 1
        word = box.lines[0] if box.kind == "operator" or node.module is None else _first_words(box.lines[0])
        word, _, more = word.partition(" × ")
        counts[word] += times * int(more or 1)
    words = [f"{count} {word}" if count > 1 else word for word, count in counts.items()]
    if len(words) > 6:
        words = [*words[:5], "…"]
    return [", ".join(words[:3]) + ("," if words[3:] else ""), ", ".join(words[3:])]


def _first_words(line: str) -> str:
    """`conv 64 of 3 × 3` is `conv`, `average pool to 4 × 4` is `average pool`, `query: dense 128` is `dense`; of blocks, `bottleneck × 3` stays."""
    return re.split(r",?(?<!×)\s+(?:to\s+)?\d", line.partition(": ")[2] or line)[0]

"""What a graph says in several nodes and a picture in one: attention, and layers that run several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from experiments.run.network_graph import Node

ATTENTION, SCORED = "attention", "attention of scores"
_BETWEEN = ("+", "−", "×", "÷", "where", "masked_fill")  # from the products of queries and keys to their softmax

Nodes = dict[int, Node]


def merged(nodes: Sequence[Node]) -> Nodes:
    """Return the nodes by number, with products around a softmax as one node, and layers that run several times as one;
    without what is computed for a loss alone.
    """
    return _run_once(_attention(_read_by_some(dict(enumerate(nodes)))))


def _read_by_some(nodes: Nodes) -> Nodes:
    """Leaves out what has no parameters and no reader before the last stage, such as the terms of a loss."""
    last = next((node.stage for node in reversed(nodes.values()) if node.stage), "")
    read: set[int] = set()
    for number, node in reversed(list(nodes.items())):
        if number in read or node.parameters or node.auxiliary or node.stage in ("", last):
            read.update(node.sources)
        else:
            del nodes[number]
    return nodes


def _attention(nodes: Nodes) -> Nodes:
    """Makes one node of softmax(query · key) · value."""
    readers: dict[int, set[int]] = {}
    for number, node in nodes.items():
        for before in node.sources:
            readers.setdefault(before, set()).add(number)
    for number, node in list(nodes.items()):
        if node.kind != "·":
            continue
        for source in node.sources:
            inside, kind = _scores(source, nodes)
            if not inside or not all(readers[part] <= {*inside, number} for part in inside):
                continue
            read = {behind for part in (*inside, number) for behind in nodes[part].sources} - set(inside)
            nodes[number] = replace(
                node, kind=kind, sources=tuple(sorted(read)), parameters=sum(nodes[part].parameters for part in inside),
                trainable=sum(nodes[part].trainable for part in inside),
            )  # fmt: skip
            for part in inside:
                del nodes[part]
            break
    return nodes


def _scores(number: int, nodes: Mapping[int, Node]) -> tuple[list[int], str]:
    """Return the nodes from a softmax (and dropout behind it) back to the products that it reads; none where it is none."""
    inside: list[int] = []
    while number in nodes and isinstance(nodes[number].module, nn.Dropout) and len(nodes[number].sources) == 1:
        inside.append(number)
        (number,) = nodes[number].sources
    if number not in nodes or not isinstance(nodes[number].module, nn.Softmax):
        return [], ""
    inside.append(number)
    behind, way = nodes[number].sources, list(inside)
    while behind:
        before = max(
            behind,
            key=lambda candidate: (
                nodes[candidate].kind == "·" or nodes[candidate].kind.startswith(_BETWEEN),
                candidate,
            ),
        )
        if nodes[before].module is not None or nodes[before].kind == "input":
            break
        way.append(before)
        if nodes[before].kind == "·":
            return way, ATTENTION
        if not nodes[before].kind.startswith(_BETWEEN):
            break
        behind = nodes[before].sources
    single = nodes[number].sources  # queries and keys of one layer meet in a product that joins nothing
    joint = len(single) == 1 and getattr(nodes[single[0]].module, "out_features", 0) != 1
    return inside, ATTENTION if joint else SCORED


def _run_once(nodes: Nodes) -> Nodes:
    """Makes one node of all runs of a layer with parameters, and of functions that then read the same."""
    first: dict[tuple[object, ...], int] = {}
    instead: dict[int, int] = {}
    out: Nodes = {}
    for number, node in nodes.items():
        sources = tuple(sorted({instead.get(source, source) for source in node.sources}))
        key: tuple[object, ...] = (node.name, node.kind, str(node.module))
        if node.module is None or next(node.module.parameters(), None) is None:
            key = (*key, sources)
        if node.kind == "input" or key not in first:
            first[key] = number
            out[number] = replace(node, sources=sources)
            continue
        stays = instead[number] = first[key]
        old = out[stays]
        more = {source for source in sources if source < stays}  # what it reads of itself is a loop
        out[stays] = replace(
            old, sources=tuple(sorted({*old.sources, *more})), times=old.times + 1,
            parameters=old.parameters + node.parameters, trainable=old.trainable + node.trainable,
        )  # fmt: skip
    return out

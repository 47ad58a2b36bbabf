"""What a model is made of: a table of its layers, and the arithmetic of one forward pass.

Both come from one pass over a single example of zeros, in eval mode and without gradients; the model is
left as it was found, and no random number is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import Pairs, Sequences
from experiments.run.arithmetic import Arithmetic
from experiments.run.layer_words import filters
from experiments.spec import (
    AudioSpec,
    ControlSpec,
    DetectionSpec,
    ImageSpec,
    PairSpec,
    SequenceSpec,
    SeriesSpec,
    TextSpec,
)


@dataclass(frozen=True)
class Layer:
    """One row: a stage (depth 0) or a layer inside it.

    Attributes:
        name: dotted name inside the model.
        kind: class name.
        depth: 0 for a stage.
        output: shape of the output without the batch; None where the pass did not reach it or it is no
            tensor.
        parameters: number of them in it, each shared one once.
        trainable: those of them that learn.
        filters: how many of which size, as `96 of 11 × 11, stride 4`; of a dense layer its units.
        since: the first epoch, counted from 1, in which any of them learns.
    """

    name: str
    kind: str
    depth: int
    output: tuple[int, ...] | None
    parameters: int
    trainable: int
    filters: str = ""
    since: int = 1


@dataclass(frozen=True)
class LayerTable:
    """The rows, in the order they are defined, with their totals.

    `flops` are those of one example's forward pass; a multiply-add counts as two. `output` is the shape of what the model
    gives, without the batch; None where that is no tensor.
    """

    rows: tuple[Layer, ...]
    parameters: int
    trainable: int
    flops: int
    output: tuple[int, ...] | None

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def totals(self) -> str:
        """Return one line: parameters, those that learn, arithmetic of one example."""
        share = "all" if self.trainable == self.parameters else f"{self.trainable:,}"
        last = max((row.since for row in self.rows), default=1)
        later = f" from epoch {last} on" if last > 1 else ""
        return f"{self.parameters:,} parameters, {share} trainable{later}; {short(self.flops)}FLOPs an example, forward"


def layer_table(model: nn.Module, spec: Any, *, depth: int = 1, begins: Mapping[str, int] | None = None) -> LayerTable:
    """Stages and the layers in them, with totals and the arithmetic of one forward pass.

    Args:
        model: takes what `example_input(spec)` gives.
        spec: what the data says of itself.
        depth: 0 lists the stages alone, 1 also the layers directly inside them, and so on.
        begins: the epoch, counted from 1, in which a parameter begins to learn, by its name; the first where none is said.

    Raises:
        TypeError: the spec is of a kind that `example_input` does not know.
    """
    shapes: dict[nn.Module, tuple[int, ...] | None] = {}

    def keep_shape(module: nn.Module, args: Any, output: Any) -> None:
        shapes[module] = output_shape(output)

    with evaluating(model), Arithmetic() as arithmetic:
        hooks = [m.register_forward_hook(keep_shape) for m in model.modules()]
        for m in model.modules():
            if isinstance(m, nn.RNNBase):
                hooks += [m.register_forward_pre_hook(arithmetic.enter), m.register_forward_hook(arithmetic.leave)]
        try:
            model(example_input(spec, model))
        finally:
            for hook in hooks:
                hook.remove()

    rows = tuple(
        Layer(name, type(m).__name__, level, shapes.get(m), *count(m), filters(m), _since(name, m, begins or {}))
        for name, m, level in _walk(model, depth)
    )
    return LayerTable(rows, *count(model), arithmetic.flops, shapes.get(model))


def as_text(table: LayerTable, purposes: Mapping[str, str] | None = None) -> str:
    """Return the table for a terminal: aligned columns, thousands separated.

    Args:
        table: of a network.
        purposes: what a layer is for, by its type: one more column.
    """
    head, *body = [[*cells[:2], extra, *cells[2:]] for cells, extra in zip(_cells(table), _filters(table), strict=True)]
    if purposes is not None:
        kinds = ["", *(row.kind for row in table.rows)]
        head, *body = [[*row, purposes.get(kind, "")] for row, kind in zip([head, *body], kinds, strict=True)]
        head[-1] = "purpose"
    widths = [max(len(row[i]) for row in (head, *body)) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        ends = [cell.rjust if 4 <= i <= 5 else cell.ljust for i, cell in enumerate(cells)]
        return "  ".join(end(width) for end, width in zip(ends, widths, strict=True)).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(head), rule, *map(line, body), rule, table.totals()])


def as_markdown(table: LayerTable) -> str:
    """Return the table for TensorBoard's text tab."""
    head, *body = _cells(table)
    rows = [[cell.replace("  ", "&nbsp;&nbsp;") for cell in row] for row in body]
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * 3 + ["---:"] * 2, *rows]]
    return "\n".join([*lines, "", table.totals()])


def flops_per_example(model: nn.Module, spec: Any) -> int:
    """Floating point operations of one example's forward pass: products of matrices, convolutions,
    recurrences.

    A multiply-add counts as two. Element-wise work (activations, norms, pooling, biases) is left out, as is
    usual.
    """
    return layer_table(model, spec, depth=0).flops


def example_input(spec: Any, model: nn.Module | None = None) -> Any:
    """Return a batch of one example of zeros in the form the model reads: for images (1, C, H, W), for sequences one of
    usual length.

    Args:
        spec: what the data says of itself.
        model: on whose device the example lies, and in whose precision where it is made of real numbers.

    Raises:
        TypeError: no example is known for this kind of spec.
    """
    if model is not None:
        return _like(model, example_input(spec))
    if isinstance(spec, ImageSpec):
        return torch.zeros(1, spec.channels, spec.height, spec.width)
    if isinstance(spec, DetectionSpec):
        return torch.zeros(1, 3, spec.height, spec.width)
    if isinstance(spec, TextSpec):
        return Sequences(torch.zeros(1, spec.length, dtype=torch.long), torch.tensor([spec.length]))
    if isinstance(spec, PairSpec):
        lengths = (spec.length, spec.target_length)
        return Pairs(
            *(Sequences(torch.zeros(1, length, dtype=torch.long), torch.tensor([length])) for length in lengths)
        )
    if isinstance(spec, SequenceSpec):
        return Sequences(torch.zeros(1, spec.length, spec.features), torch.tensor([spec.length]))
    if isinstance(spec, AudioSpec):
        return Sequences(torch.zeros(1, spec.length, dtype=torch.int16), torch.tensor([spec.length]))
    if isinstance(spec, SeriesSpec):
        return Sequences(torch.zeros(1, spec.history, len(spec.columns)), torch.tensor([spec.history]))
    if isinstance(spec, ControlSpec):
        return torch.zeros(1, len(spec.observations))
    raise TypeError(f"no example input is known for a {type(spec).__name__}: add it to example_input()")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients and without the fused transformer layer, which hides its products."""
    # The flags are set one by one: train() and eval() may be overridden, by frozen stages for instance.
    modes = {m: m.training for m in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for m in modes:
            m.training = False
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for m, mode in modes.items():
            m.training = mode


def _like(model: nn.Module, example: Any) -> Any:
    """Return the example on the model's device, and in its precision if it is made of real numbers."""
    first = next(model.parameters(), None)
    if first is None:
        return example
    if isinstance(example, tuple):
        return type(example)(*(_like(model, part) for part in example))
    return example.to(first.device, first.dtype if example.is_floating_point() else example.dtype)


def _walk(model: nn.Module, depth: int) -> Iterator[tuple[str, nn.Module, int]]:
    """Modules down to a depth, parents first. A model that is one layer is its own only stage."""
    if not any(model.children()):
        yield type(model).__name__.lower(), model, 0
        return
    for name, module in model.named_modules():
        level = name.count(".")
        if name and level <= depth:
            yield name, module, level


def count(module: nn.Module) -> tuple[int, int]:
    parameters = list(module.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def _since(name: str, module: nn.Module, begins: Mapping[str, int]) -> int:
    learning = [inner for inner, parameter in module.named_parameters(prefix=name) if parameter.requires_grad]
    return min((begins.get(inner, 1) for inner in learning), default=1)


def output_shape(output: Any) -> tuple[int, ...] | None:
    if isinstance(output, Tensor):
        return tuple(output.shape[1:])
    if isinstance(output, tuple) and output:  # a NamedTuple's values, or what a recurrent layer gives
        return output_shape(output[0])
    return None


def _cells(table: LayerTable) -> list[list[str]]:
    rows = [["layer", "type", "output", "parameters", "trainable"]]
    for r in table.rows:
        name = "  " * r.depth + (r.name.rpartition(".")[2] if r.depth else r.name)
        shape = "" if r.output is None else " × ".join(map(str, r.output)) or "scalar"
        rows.append([name, r.kind, shape, f"{r.parameters:,}" if r.parameters else "", _learns(r)])
    return rows


def _filters(table: LayerTable) -> list[str]:
    return ["filters", *(row.filters for row in table.rows)]


def _learns(row: Layer) -> str:
    if row.parameters == 0:
        return ""
    share = {0: "no", row.parameters: "yes"}.get(row.trainable, f"{row.trainable:,}")
    later = f"from epoch {row.since}"
    return share if row.since == 1 else later if share == "yes" else f"{share} {later}"


def short(number: int) -> str:
    """1234567 -> '1.23 M', with the blank a unit needs."""
    value, unit = float(number), ""
    for unit in ("", "k", "M", "G", "T"):
        if value < 1000 or unit == "T":
            break
        value /= 1000
    return f"{number} " if not unit else f"{value:.3g} {unit}"

"""The graph of a network, from one forward pass: which layer reads what another gives.

Every tensor is followed from the input through all layers and operators, so branches, shortcuts and sums are found in any
network that runs, without symbolic tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from experiments.run.layer_table import count, evaluating, example_input, output_shape
from experiments.run.operation_counts import WatchedOperations

_SYMBOLS = {"add": "+", "sub": "−", "mul": "×", "cat": "concat", "bmm": "·", "mm": "·", "div": "÷"}
_FUNCTIONS: dict[str, Callable[..., nn.Module]] = {  # of torch.nn.functional, and the layers that say the same
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU, "hardtanh": nn.ReLU6, "hardswish": nn.Hardswish,
    "_softmax": nn.Softmax, "_safe_softmax": nn.Softmax,
}  # fmt: skip
_WEIGHTY = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear, nn.Bilinear,
    nn.RNNBase,
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A layer, a function that could be one, an input, or an operator that joins several tensors.

    Attributes:
        name: dotted name inside the model; of an operator, of the block that holds it; empty for what stands outside of all.
        kind: class name of a layer, sign of an operator, `input`.
        module: the layer itself; of a function a layer that does the same.
        output: shape without the batch, or None.
        sources: numbers of the nodes that it reads.
        parameters: in it.
        trainable: those of them that learn.
    """

    name: str
    kind: str
    module: nn.Module | None
    output: tuple[int, ...] | None
    sources: tuple[int, ...]
    parameters: int = 0
    trainable: int = 0

    @property
    def stage(self) -> str:
        return self.name.partition(".")[0]


def network_graph(model: nn.Module, spec: Any, whole: Callable[[str, nn.Module], bool] | None = None) -> list[Node]:
    """Return the nodes in the order in which they run.

    Args:
        model: takes what `example_input(spec)` gives; left as it was.
        spec: what the data says of itself.
        whole: says of a module by its name whether it is one node; by default what has no modules inside.
    """
    names = {module: name for name, module in model.named_modules()}
    tracer = _Tracer(names, whole or (lambda name, module: not any(module.children())))
    with evaluating(model), tracer:
        hooks = []
        for module in model.modules():
            hooks += [
                module.register_forward_pre_hook(tracer.enter, with_kwargs=True),
                module.register_forward_hook(tracer.leave, with_kwargs=True),
            ]
        try:
            inputs = example_input(spec, model)
            tracer.read(inputs)
            model(inputs)
        finally:
            for hook in hooks:
                hook.remove()
    return tracer.nodes


def depth(nodes: list[Node]) -> int:
    """Layers with weights on the longest way through the network, as papers count them: 50 of a ResNet-50."""
    longest: list[int] = []
    for node in nodes:
        before = max((longest[one] for one in node.sources), default=0)
        longest.append(before + (isinstance(node.module, _WEIGHTY) or node.kind == "Conv1D"))  # that of GPT-2 is dense
    return max(longest, default=0)


class _Tracer(WatchedOperations):
    """Knows for each tensor which nodes it comes from; tensors are kept alive, so that their identity is theirs alone."""

    def __init__(self, names: dict[nn.Module, str], whole: Callable[[str, nn.Module], bool]) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self._names, self._whole = names, whole
        self._from: dict[int, frozenset[int]] = {}
        self._alive: list[Tensor] = []
        self._open: list[nn.Module] = []  # modules that run, outermost first
        self._inside: tuple[nn.Module, int] | None = None  # the layer that runs, and its node

    def read(self, inputs: Any) -> None:
        """Makes a node of each input's values."""
        parts = inputs if isinstance(inputs, tuple) and not isinstance(inputs[0], Tensor) else (inputs,)
        for part in parts:
            values = part if isinstance(part, Tensor) else part[0]
            self.nodes.append(Node("", "input", None, tuple(values.shape[1:]), ()))
            self._mark(values, frozenset({len(self.nodes) - 1}))

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._open.append(module)
        name = self._names[module]
        if self._inside is None and name and self._whole(name, module):
            sources = self._sources([*_tensors(args), *_tensors(kwargs)])
            self.nodes.append(Node(name, type(module).__name__, module, None, tuple(sorted(sources)), *count(module)))
            self._inside = module, len(self.nodes) - 1

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        self._open.pop()
        if self._inside is None or self._inside[0] is not module:
            return None
        number = self._inside[1]
        self._inside = None
        self.nodes[number] = replace(self.nodes[number], output=output_shape(output))
        if isinstance(output, Tensor) and any(output is one for one in args):
            output = output.view_as(output)  # so that the input keeps its own source
        for tensor in _tensors(output):
            self._mark(tensor, frozenset({number}))
        return output

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._inside is not None:
            sources = frozenset({self._inside[1]})
        else:
            given = {self._from[id(one)] for one in [*_tensors(args), *_tensors(kwargs)] if id(one) in self._from}
            sources = next(iter(given), frozenset())
            if len(given) > 1 and func.overloadpacket.__name__ not in ("native_dropout", "index"):
                sign = func.overloadpacket.__name__.rstrip("_")
                block = self._names[self._open[-1]] if self._open else ""
                joined = tuple(sorted(frozenset().union(*given)))
                self.nodes.append(Node(block, _SYMBOLS.get(sign, sign), None, output_shape(out), joined))
                sources = frozenset({len(self.nodes) - 1})
            elif len(sources) == 1 and (layer := _as_layer(func.overloadpacket.__name__.rstrip("_"), args)) is not None:
                (source,) = sources
                block = (self._names[self._open[-1]] if self._open else "") or self.nodes[source].stage
                values = out[0] if isinstance(out, tuple) else out
                self.nodes.append(Node(block, type(layer).__name__, layer, output_shape(values), (source,)))
                sources = frozenset({len(self.nodes) - 1})
        for tensor in _tensors(out):
            if sources:
                self._mark(tensor, sources)
        return out

    def _sources(self, tensors: list[Tensor]) -> frozenset[int]:
        return frozenset().union(*(self._from.get(id(one), frozenset()) for one in tensors))

    def _mark(self, tensor: Tensor, sources: frozenset[int]) -> None:
        self._from[id(tensor)] = sources
        self._alive.append(tensor)


def _as_layer(function: str, args: Any) -> nn.Module | None:
    """Return the layer that does what a function does; None where the function is none that a picture shows."""
    if function in _FUNCTIONS:
        return _FUNCTIONS[function]()
    values, *rest = args
    if function in ("max_pool2d_with_indices", "avg_pool2d"):
        size, stride = rest[0], (rest[1] if len(rest) > 1 and rest[1] else rest[0])
        kind = nn.AvgPool2d if function == "avg_pool2d" else nn.MaxPool2d
        return kind(_pair(size), _pair(stride))
    if function == "_adaptive_avg_pool2d":
        return nn.AdaptiveAvgPool2d(_pair(rest[0]))
    if function == "mean" and values.dim() == 4 and rest and {one % 4 for one in rest[0]} == {2, 3}:
        return nn.AdaptiveAvgPool2d(1)
    return None


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the floating-point tensors in a nested value; lengths and masks carry no output of a layer."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _tensors(one)

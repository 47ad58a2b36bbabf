"""The graph of a network, from one forward pass: which layer reads what another gives.

Every tensor is followed from the input through all layers and operators, so branches, shortcuts and sums are found in any
network that runs, without symbolic tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from experiments.run.functional_layers import as_layer
from experiments.run.layer_table import evaluating, example_input, output_shape
from experiments.run.network_weights import Span, WeightLedger
from experiments.run.operation_counts import WatchedOperations

_SYMBOLS = {"add": "+", "sub": "−", "mul": "×", "cat": "concat", "bmm": "·", "mm": "·", "div": "÷"}
PADDED = "zero-padded shortcut"
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
        parameters: in it, but those that a layer before it shares with it.
        trainable: those of them that learn.
        path: the name in parts; a container that never runs itself, as a ModuleList, is one part with what follows it.
        block: the path of the block that holds it.
        block_kinds: the class of each part of that.
        auxiliary: whether it runs in training alone.
        times: how often it runs.
        weights: names of its parameters.
    """

    name: str
    kind: str
    module: nn.Module | None
    output: tuple[int, ...] | None
    sources: tuple[int, ...]
    parameters: int = 0
    trainable: int = 0
    path: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    block_kinds: tuple[str, ...] = ()
    auxiliary: bool = False
    times: int = 1
    weights: tuple[str, ...] = ()

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
    whole = whole or _is_layer
    tracer = _traced(model, spec, whole, ())
    heads = [name for name in tracer.weights.missed() if "." in name]
    if not heads:
        return tracer.finished()
    try:  # once more with what looks at auxiliary heads in training, and all layers as they are in use
        fuller = _traced(model, spec, whole, _holders(model, heads))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):  # a detector asks for targets
        return tracer.finished()
    return fuller.finished(heads)


def _is_layer(name: str, module: nn.Module) -> bool:
    """Tell whether nothing runs inside, but what computes a weight."""
    return not any(module.children()) or hasattr(module, "parametrizations")


def _traced(
    model: nn.Module, spec: Any, whole: Callable[[str, nn.Module], bool], training: Iterable[nn.Module]
) -> _Tracer:
    tracer = _Tracer(model, whole)
    with evaluating(model), tracer:
        hooks = []
        for module in training:
            module.training = True
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
    return tracer


def _holders(model: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Return what may run an auxiliary head: the modules that hold those whose parameters were not reached."""
    modules = dict(model.named_modules())
    owners = {name.rpartition(".")[0] for name in names}
    holders = {".".join(owner.split(".")[:count]) for owner in owners for count in range(owner.count(".") + 1)}
    return [modules[name] for name in holders if any(modules[name].children())]


def depth(nodes: list[Node]) -> int:
    """Layers with weights on the longest way through the network, as papers count them: 50 of a ResNet-50."""
    longest: list[int] = []
    for node in nodes:
        before = max((longest[source] for source in node.sources), default=0)
        longest.append(before + (isinstance(node.module, _WEIGHTY) or node.kind == "Conv1D"))  # that of GPT-2 is dense
    return max(longest, default=0)


class _Tracer(WatchedOperations):
    """Knows for each tensor which nodes it comes from; tensors are kept alive, so that their identity is theirs alone."""

    def __init__(self, model: nn.Module, whole: Callable[[str, nn.Module], bool]) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.weights = WeightLedger(model)
        self._modules = dict(model.named_modules())
        self._names = {module: name for name, module in self._modules.items()}
        self._whole = whole
        self._from: dict[int, frozenset[int]] = {}
        self._alive: list[Tensor] = []
        self._open: list[nn.Module] = []  # modules that run, outermost first
        self._inside: tuple[nn.Module, int] | None = None  # the layer that runs, and its node
        self._read: set[int] = set()  # nodes that its operations read

    def finished(self, heads: Sequence[str] = ()) -> list[Node]:
        """Return the nodes with their paths; those of `heads`, names of parameters, are auxiliary."""
        first = {name.rpartition(".")[0] for name in heads}
        blocks = {self._path(name)[0][:2] for name in first}
        nodes = []
        for node in self.nodes:
            path, _ = self._path(node.name)
            holder = self._modules.get(node.name)
            alone = node.name and (holder is None or not any(holder.children()) or holder is node.module)
            block = node.name.rpartition(".")[0] if alone and "." in node.name else node.name
            inside, kinds = self._path(block)
            nodes.append(replace(node, path=path, block=inside, block_kinds=kinds))
        apart = {
            block
            for block in blocks
            if all(node.name in first or not node.parameters for node in nodes if node.path[:2] == block)
            and any(node.parameters for node in nodes if node.path[:2] == block)  # not a parameter beside layers
        }
        return [replace(node, auxiliary=True) if node.path[:2] in apart else node for node in nodes]

    def _path(self, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the parts of a name, and their classes."""
        parts: list[str] = []
        kinds: list[str] = []
        holder = ""
        for part in filter(None, name.split(".")):
            if isinstance(self._modules.get(holder), (nn.ModuleList, nn.ModuleDict)) and "." in holder:
                parts[-1] += f".{part}"
                kinds.pop()
            else:
                parts.append(part)
            holder = f"{holder}.{part}" if holder else part
            kinds.append(type(self._modules.get(holder)).__name__)
        return tuple(parts), tuple(kinds)

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
            spans = self.weights.whole(module)
            counts, names = self.weights.take(spans), _names(spans)
            kind = type(module).__name__.removeprefix("Parametrized")
            self.nodes.append(Node(name, kind, module, None, tuple(sorted(sources)), *counts, weights=names))
            self._inside, self._read = (module, len(self.nodes) - 1), set()

    def leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        self._open.pop()
        if self._inside is None or self._inside[0] is not module:
            return None
        number = self._inside[1]
        self._inside = None
        rows = isinstance(module, nn.Embedding) and output.dim() == 2 and len(output) > 1  # of one example: its places
        shape = tuple(output.shape) if rows else output_shape(output)
        # Of what a layer is given it may read a part: the last of several maps.
        sources = tuple(sorted(self._read - {number})) or self.nodes[number].sources
        self.nodes[number] = replace(self.nodes[number], output=shape, sources=sources)
        if isinstance(output, Tensor) and any(output is argument for argument in args):
            output = output.view_as(output)  # so that the input keeps its own source
        given = list(_tensors(output))
        for tensor in [value for value in given if value.is_floating_point()] or given:
            self._mark(tensor, frozenset({number}))
        return output

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._inside is not None:
            sources = frozenset({self._inside[1]})
            self._read |= self._sources([*_tensors(args), *_tensors(kwargs)])
        else:
            sources = self._outside(func.overloadpacket.__name__, [*_tensors(args), *_tensors(kwargs)], args, out)
        for tensor in _tensors(out):
            if sources and (
                self._inside is None or tensor.is_floating_point()
            ):  # lengths and masks of a layer say nothing
                self._mark(tensor, sources)
        return out

    def _outside(self, name: str, tensors: Sequence[Tensor], args: Any, out: Any) -> frozenset[int]:
        """Make a node of an operation outside of all layers where it joins, weighs or is drawn; return what its result
        comes from.
        """
        function = name.rstrip("_")
        given = {self._from[id(value)] for value in tensors if id(value) in self._from}
        sources = next(iter(given), frozenset())
        spans = self.weights.of(tensors)
        if not given:
            for tensor in _tensors(out) if spans else ():
                self.weights.follow(function, spans, tensor)
                self._alive.append(tensor)
            return sources
        joined = frozenset().union(*given)
        if spans:
            return self._weigh(function, spans, joined, out)
        if len(given) > 1 and name not in ("native_dropout", "index"):
            block = self._block(joined)
            return self._add(
                Node(block, _SYMBOLS.get(function, function), None, output_shape(out), tuple(sorted(joined)))
            )
        if len(sources) == 1 and function == "constant_pad_nd" and _widens(args):
            return self._add(Node(self._block(sources), PADDED, None, output_shape(out), tuple(sources)))
        if len(sources) == 1 and (layer := as_layer(function, args)) is not None:
            values = out[0] if isinstance(out, tuple) else out
            kind = type(layer).__name__
            return self._add(Node(self._block(joined), kind, layer, output_shape(values), tuple(sources)))
        if len(sources) == 1 and function in ("view", "_unsafe_view") and out.dim() == 3:
            (source,) = sources
            node = self.nodes[source]
            if node.kind == "Linear" and node.output == tuple(out.shape[2:]):  # all places were rows of one product
                first, second, size = out.shape  # some layers have the steps first, and some the one example
                self.nodes[source] = replace(node, output=(second if first == 1 else first, size))
        return sources

    def _weigh(self, function: str, spans: frozenset[Span], sources: frozenset[int], out: Any) -> frozenset[int]:
        """Make a node of an operation with parameters; a bias belongs to the product before it."""
        sign = _SYMBOLS.get(function, function.replace("_", " "))
        counts = self.weights.take(spans)
        if len(sources) == 1 and function == "add" and all(name.endswith("bias") for name, *_ in spans):
            (source,) = sources
            node = self.nodes[source]
            self.nodes[source] = replace(
                node, parameters=node.parameters + counts[0], trainable=node.trainable + counts[1],
                weights=(*node.weights, *_names(spans)),
            )  # fmt: skip
            return sources
        name, kind, module = self.weights.layer(function, spans, sign, out)
        values = out[0] if isinstance(out, (tuple, list)) else out
        return self._add(
            Node(name, kind, module, output_shape(values), tuple(sorted(sources)), *counts, weights=_names(spans))
        )

    def _add(self, node: Node) -> frozenset[int]:
        self.nodes.append(node)
        return frozenset({len(self.nodes) - 1})

    def _block(self, sources: frozenset[int]) -> str:
        """Return the name of the block that an operation belongs to: what runs, or of a stage that runs a list of blocks
        itself, the block of what was read last.
        """
        running = self._names[self._open[-1]] if self._open else ""
        last = self.nodes[max(sources)]
        if not running:
            return last.stage if last.module is not None and len(sources) == 1 else ""
        parts = last.name.removeprefix(f"{running}.").split(".") if last.name.startswith(f"{running}.") else []
        listed = isinstance(self._modules.get(f"{running}.{parts[0]}" if parts else ""), (nn.ModuleList, nn.ModuleDict))
        return f"{running}.{parts[0]}.{parts[1]}" if listed and len(parts) > 1 else running

    def _sources(self, tensors: list[Tensor]) -> frozenset[int]:
        return frozenset().union(*(self._from.get(id(tensor), frozenset()) for tensor in tensors))

    def _mark(self, tensor: Tensor, sources: frozenset[int]) -> None:
        self._from[id(tensor)] = sources
        self._alive.append(tensor)


def _names(spans: Iterable[Span]) -> tuple[str, ...]:
    return tuple(sorted(name for name, *_ in spans))


def _widens(args: Any) -> bool:
    """Tell whether a map is padded with channels, as on shortcuts without parameters."""
    values, pads = args[0], args[1]
    return values.dim() == 4 and len(pads) >= 6 and any(pads[4:6])


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a nested value."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)

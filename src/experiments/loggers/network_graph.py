"""A network as the graph that TensorBoard's GRAPHS tab shows, from a trace of it."""

from __future__ import annotations

import io
import tempfile
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from experiments.loggers.event_file import records
from experiments.spec import ImageSpec


def traceable(module: Any, given: Any) -> tuple[Any, Any]:
    """Return the network and a batch for it; no batch where none is known."""
    example = given if given is not None else getattr(module, "example_input_array", None)
    if example is not None:
        return module, example
    spec, network = getattr(module, "spec", None), getattr(module, "model", None)
    if not isinstance(spec, ImageSpec) or network is None:
        return module, None
    like = next(network.parameters(), None)
    batch = (like if like is not None else _zero()).new_zeros(1, spec.channels, spec.height, spec.width)
    return network, batch


def traced(network: Any, example: Any) -> bytes:
    """Return the graph that SummaryWriter makes of a network, taken from a file of its own."""
    from tensorboard.compat.proto.event_pb2 import Event
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with SummaryWriter(folder) as writer:
            writer.add_graph(network, example)
        events = (Event.FromString(data) for path in Path(folder).iterdir() for data in records(path))
        return next(bytes(event.graph_def) for event in events if event.graph_def)


def _zero() -> Any:
    import torch

    return torch.zeros(())

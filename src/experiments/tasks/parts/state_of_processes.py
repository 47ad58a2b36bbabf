"""State that every process of a run has of its own, gathered into the checkpoint that the first one writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def of_all_processes(state: Any) -> list[Any]:
    """Return a list of what each process gives, on the CPU; to be called by all of them."""
    state = on_cpu(state)
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def own_share(states: Sequence[Any], joined: Callable[[Sequence[Any]], Any]) -> Any:
    """This process's part of what `of_all_processes` gave; where their number has changed, what `joined` makes of all."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if several else (0, 1)
    if len(states) == world:
        return states[rank]
    return joined(states if rank == 0 else ())


def on_cpu(state: Any) -> Any:
    """Plain Python with its tensors on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: on_cpu(item) for key, item in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(on_cpu(item) for item in state)
    return state

"""Whether a network fits into memory, told while it is built and before its values are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from omegaconf import DictConfig

from experiments.errors import UserError
from experiments.system.memory import require_memory, total_memory

_LARGE = 1 << 29  # bytes of weights that take seconds to fill with first values


@contextmanager
def require_model_memory(config: DictConfig, build: Callable[[], Any] | None = None) -> Iterator[None]:
    """Refuse a network that is built inside, where its weights, gradients and the optimizer's state cannot fit.

    Each parameter counts from its registration, which comes before its first values: memory that nothing was written to costs
    nothing. Where those so far are large, `build` is called once more on torch's meta device, which counts them all at once.

    Args:
        config: of the run.
        build: what is called inside.

    Raises:
        UserError: with the number of parameters so far.
    """
    if total_memory() is None:
        yield
        return
    from torch.nn.modules.module import register_module_parameter_registration_hook
    from torch.nn.parameter import is_lazy

    copies, counted = _copies(config), {"parameters": 0, "bytes": 0}
    seen: set[int] = set()  # weights that two layers share count once

    def count(module: Any, name: str, parameter: Any) -> None:
        if id(parameter) in seen or is_lazy(parameter) or parameter.is_meta:
            return
        seen.add(id(parameter))
        counted["parameters"] += parameter.numel()
        counted["bytes"] += parameter.numel() * parameter.element_size()
        require(counted["parameters"], counted["bytes"], " or more")
        nonlocal build
        if counted["bytes"] > _LARGE and build is not None:
            ahead, build = build, None
            require(*_size_of(ahead), "")

    def require(parameters: int, size: int, more: str) -> None:
        what = f"{_name(config)} has {parameters:,} parameters{more}, which in training"
        require_memory(copies * size, what, "take a smaller one")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except RuntimeError as error:
        asked = re.search(r"allocate memory.*?allocate (\d+) bytes", str(error), re.DOTALL)
        if asked is None and "Storage size calculation overflowed" not in str(error):
            raise
        if asked is not None:
            require_memory(
                copies * (counted["bytes"] + int(asked[1])), f"{_name(config)} in training", "take a smaller one"
            )
        raise UserError(f"{_name(config)} needs more memory than there is: take a smaller one") from error
    finally:
        hook.remove()


def _size_of(build: Callable[[], Any]) -> tuple[int, int]:
    """Return the parameters of a network and their bytes, from a copy without values; none where it cannot be made."""
    import torch
    from torch.nn.parameter import is_lazy

    before = torch.get_rng_state()
    parameters: list[Any] = []
    with suppress(Exception), torch.device("meta"):
        parameters = [parameter for parameter in build().parameters() if not is_lazy(parameter)]
    torch.set_rng_state(before)
    return sum(each.numel() for each in parameters), sum(each.numel() * each.element_size() for each in parameters)


def _copies(config: DictConfig) -> int:
    """Return how often a parameter's memory is taken: by itself and, where all learn on the CPU, its gradient and moments."""
    import torch

    on_cpu = config.trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()
    if not on_cpu or config.run.choices.get("freezing") != "none":
        return 1
    return 4 if "adam" in str(config.optimizer.get("_target_")).lower() else 3


def _name(config: DictConfig) -> str:
    given = ", ".join(word for word in config.run.overrides if word.startswith("model."))
    return f"model={config.run.choices.get('model')}{f' with {given}' if given else ''}"

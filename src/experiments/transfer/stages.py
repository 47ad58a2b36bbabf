"""The stages of a model: its named blocks in forward order, the last of them the head."""

from __future__ import annotations

from torch import nn

# Modules of these files of torch.nn neither learn nor remember nor draw: what comes out depends on what goes in.
_PLAIN = ("pooling", "flatten", "activation", "padding", "container")


def stages_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and modules of a model's stages; a model that is one layer is its own only stage, without a name."""
    return list(model.named_children()) or [("", model)]


def is_plain(module: nn.Module) -> bool:
    """Tell whether a module without parameters gives the same for the same input at any time: pooling and the like."""
    return all(
        type(inner).__module__.removeprefix("torch.nn.modules.") in _PLAIN
        or isinstance(inner, nn.Identity)
        or getattr(inner, "plain", False)  # as a class of ours says of itself
        for inner in module.modules()
    ) and not any(isinstance(inner, nn.RReLU) for inner in module.modules())

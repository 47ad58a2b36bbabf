"""What is fastest on this machine: the rule behind `precision=auto` and `trainer.memory_format=auto`.

A rule, not a trial in each run: a trial costs seconds, and its noise would give the cells of one sweep unlike precisions.
`experiments benchmark` measures the same choices for one's own network; docs/networks.md shows what was measured for the rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

LITTLE = 20e6  # FLOPs of an example's forward pass below which converting numbers costs more than it saves
SMALL = 2**16  # numbers of a weight that costs nothing to keep with channels last


class Speed(NamedTuple):
    """Attributes:
    precision: of Lightning's names, never `auto`.
    memory_format: `contiguous` or `channels_last`.
    """

    precision: str
    memory_format: str


def fastest(precision: str, memory_format: str, model: nn.Module, flops: int, device: str) -> Speed:
    """Settles what is `auto`; what was named stays.

    Args:
        precision: "auto", or one of Lightning's names.
        memory_format: "auto", "contiguous" or "channels_last".
        model: whose convolutions decide on the memory format.
        flops: of one example's forward pass.
        device: "cpu", "gpu" or another of Lightning's accelerators.
    """
    if precision == "auto":
        gains = flops >= LITTLE and not (device == "cpu" and depthwise(model))
        precision = half_precision(device) if gains else "32-true"
    if memory_format == "auto":
        convolves = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
        # On a GPU, 32-bit kernels are as fast or faster in the usual order.
        pays = device == "cpu" or precision not in ("32-true", "64-true")
        memory_format = "channels_last" if convolves and pays else "contiguous"
    return Speed(precision, memory_format)


def depthwise(model: nn.Module) -> bool:
    """Tell whether a network works on each channel by itself, as MobileNets do: a CPU gains nothing from 16 bits there."""
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)]
    apart = [layer for layer in convolutions if layer.groups > 1 and layer.groups == layer.in_channels]
    return len(apart) > len(convolutions) / 2


def half_precision(device: str) -> str:
    """Return the fastest precision for much arithmetic: 16 bits where the device multiplies them itself, else 32."""
    if device == "gpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device == "cpu":
        # Without such instructions bfloat16 is emulated, and was measured to take over ten times as long.
        able = torch.cpu.get_capabilities()
        return "bf16-mixed" if able.get("amx_tile") or able.get("avx512_bf16") else "32-true"
    return "32-true"


def arrange(model: nn.Module, memory_format: str, device: str = "cpu") -> None:
    """Puts the weights of convolutions, and with them what passes between these, into a memory format.

    A convolution follows the format of its images or that of its weight. On a CPU small weights set the format, and large
    ones stay contiguous: torch copies a weight with channels last in each backward pass and in each step of a fused AdamW.
    Values are the same bit for bit. Of 512 to 512 channels on 4 × 4 pixels, 77 ms in place of 96 ms for both passes of eight
    images, and 9 ms in place of 18 ms for AdamW.
    """
    if memory_format != "channels_last":
        return
    for weight in model.parameters():
        if weight.ndim == 4 and (device != "cpu" or weight.numel() <= SMALL):
            weight.data = weight.data.to(memory_format=torch.channels_last)  # also of one channel


def settle(config: Any, model: nn.Module, spec: Any) -> None:
    """Replaces `auto` in a run's config by what is fastest for its model here, and arranges the model."""
    from experiments.config.devices import accelerator, flattening

    device = accelerator(config.trainer)
    precision, memory_format = config.precision.name, config.trainer.get("memory_format", "contiguous")
    if memory_format == "auto" and flattening(config):
        memory_format = "contiguous"
    if "auto" in (precision, memory_format):
        from experiments.run.layer_table import flops_per_example

        flops = flops_per_example(model, spec) if precision == "auto" else 0  # nothing else asks for them
        precision, memory_format = fastest(precision, memory_format, model, flops, device)
        config.precision.name = precision
    if "memory_format" in config.trainer:
        config.trainer.memory_format = memory_format
    arrange(model, memory_format, device)

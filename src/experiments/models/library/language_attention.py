"""The attention of all networks of the library here: fused, or plain where plain is faster."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from experiments.models.attention import attend

NAME = "experiments"


def attend_as_library(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **unused: Any,
) -> tuple[Tensor, None]:
    """Queries, keys and values (B, heads, T, size) -> (B, T, heads, size), as the library's own attention functions do.

    Args:
        module: the layer; its `is_causal` says whether a token sees only those before it.
        query: (B, heads, T, size).
        key: (B, heads or a part of them, S, size).
        value: likewise.
        attention_mask: bool, true where a token may look; or a number to add; broadcast to (B, heads, T, S). None: everywhere.
        dropout: share of the weights dropped.
        scaling: of the products; None: the root of the size.
        is_causal: in place of the module's.
        position_bias: (1, heads, T, S), a number to add to each score.
        unused: what the library passes on for other kernels.
    """
    if key.shape[1] != query.shape[1]:  # several queries share a key (grouped attention)
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    causal = bool(causal) and attention_mask is None and query.shape[2] > 1
    if position_bias is not None:
        if causal:
            ahead = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
            attention_mask, causal = ahead[None, None], False
        if attention_mask is None:
            attention_mask = position_bias
        elif attention_mask.dtype is torch.bool:
            attention_mask = position_bias.masked_fill(~attention_mask, torch.finfo(query.dtype).min)
        else:
            attention_mask = attention_mask + position_bias
    return attend(query, key, value, attention_mask, dropout, causal, scaling).transpose(1, 2), None


def install(net: nn.Module) -> None:
    """Has a network of the library attend as all networks here do."""
    from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend_as_library)
    AttentionMaskInterface.register(NAME, sdpa_mask)  # for whoever calls the library's network as a whole
    for module in net.modules():
        if isinstance(module, PreTrainedModel):
            module.set_attn_implementation(NAME)

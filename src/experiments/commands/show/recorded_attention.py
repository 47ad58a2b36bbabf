"""Where the tokens of a text look, of any network: the weights of every attention in it, recorded while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


@torch.no_grad()
def attention_weights(run: Callable[[], Any]) -> list[Tensor]:
    """(B, heads, T, S) of each attention that `run` computes, in order; T tokens look at S tokens."""
    recorder = _Recorder()
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one kernel for a whole layer, which tells no weights
    try:
        with recorder:
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return recorder.weights


class _Recorder(TorchFunctionMode):
    """Notes the weights of torch's two functions for attention, by which all networks here compute theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            self.weights.append(weights(*args, **kwargs).cpu())
        elif func is F.multi_head_attention_forward:
            out, looks = func(*args, **kwargs | {"need_weights": True, "average_attn_weights": False})
            assert looks is not None
            self.weights.append(looks.cpu())
            return out, None
        return func(*args, **kwargs)


def weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Return what `scaled_dot_product_attention` multiplies the values by: (B, heads, T, size) and (B, heads, S, size)
    -> (B, heads, T, S).
    """
    if key.shape[1] != query.shape[1]:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    scores = query.float() @ key.float().transpose(2, 3) * (query.shape[3] ** -0.5 if scale is None else scale)
    if is_causal:
        later = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(3)

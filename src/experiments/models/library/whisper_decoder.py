"""The parts of Whisper's decoder, with the library's weights: positions, layers, and the matrix of the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.models.attention import attend


class Positions(nn.Module):
    """Vectors of tokens with their positions: (R, n, hidden) -> the same."""

    def __init__(self, positions: nn.Module, config: Any) -> None:
        super().__init__()
        self.positions, self.dropout = positions, nn.Dropout(config.dropout)

    def forward(self, x: Tensor, start: int) -> Tensor:
        weight: Any = self.positions.weight
        return self.dropout(x + weight[start : start + x.shape[1]])


class DecoderLayer(nn.Module):
    """One layer of the decoder, with the library's weights: attends to the tokens so far and to the sound."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.heads = int(layer.self_attn.num_heads)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (R, heads, n, width)

    def listen(self, encoded: Tensor) -> list[Tensor]:
        """Keys and values of the sound, (B, heads, steps, width)."""
        sound: Any = self.layer.encoder_attn
        projected = (self._heads(sound.k_proj(encoded)), self._heads(sound.v_proj(encoded)))
        return [tensor.contiguous() for tensor in projected]  # read at every token, four times as fast in bf16

    def _asks(self, values: Tensor, part: str, rows: int) -> Tensor:
        """Queries to the sound; rows that share a recording stand side by side: (B, heads, rows · n, width)."""
        layer: Any = self.layer
        queries = self._heads(getattr(layer, part).q_proj(values))
        times = len(queries) // rows
        return queries.unflatten(0, (rows, times)).transpose(1, 2).flatten(2, 3)

    def forward(self, values: Tensor, before: Sequence[Tensor], sound: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(R, n, hidden) -> the same, and the keys and values (R, heads, tokens so far, width)."""
        layer: Any = self.layer
        drop = layer.self_attn.dropout if self.training else 0.0
        normed = layer.self_attn_layer_norm(values)
        asks = self._heads(layer.self_attn.q_proj(normed))
        keys, looked_at = self._heads(layer.self_attn.k_proj(normed)), self._heads(layer.self_attn.v_proj(normed))
        if before[0].shape[2]:
            keys, looked_at = torch.cat([before[0], keys], 2), torch.cat([before[1], looked_at], 2)
        count, total = asks.shape[2], keys.shape[2]
        mask = None
        if count > 1:
            mask = torch.ones(count, total, dtype=torch.bool, device=values.device).tril(total - count)
        out = attend(asks, keys, looked_at, mask, drop)
        values = values + self._dropped(layer.self_attn.out_proj(out.transpose(1, 2).flatten(2)))

        rows = len(sound[0])
        asks = self._asks(layer.encoder_attn_layer_norm(values), "encoder_attn", rows)
        out = attend(asks, sound[0], sound[1], dropout=drop)
        out = out.unflatten(2, (-1, count)).transpose(1, 2).flatten(0, 1)  # (R, heads, n, width)
        values = values + self._dropped(layer.encoder_attn.out_proj(out.transpose(1, 2).flatten(2)))

        inner = layer.activation_fn(layer.fc1(layer.final_layer_norm(values)))
        return values + self._dropped(layer.fc2(self._dropped(inner))), [keys, looked_at]

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.layer.dropout, self.training)  # type: ignore[arg-type]

    def looks(self, values: Tensor, keys: Tensor) -> Tensor:
        """Where each token looks in the sound, the mean over heads: (B, n, steps); its own attention is left out."""
        layer: Any = self.layer
        asks = self._heads(layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(values)))
        return (asks @ keys.transpose(2, 3) / asks.shape[3] ** 0.5).softmax(3).mean(1)


class WhisperWords(nn.Module):
    """The matrix of the tokens, which reads them and scores them: (R, n, hidden) -> (R, n, tokens).

    Attributes:
        matrix: what scores in its place, such as the same in another precision; None: itself.
    """

    def __init__(self, tokens: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.tokens, self.norm = tokens, norm
        self.matrix: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight: Any = self.tokens.weight if self.matrix is None else self.matrix
        return F.linear(self.norm(x), weight)

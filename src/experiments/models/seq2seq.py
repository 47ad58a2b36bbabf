"""Recurrent encoder-decoder, with attention or without.

Sutskever et al., "Sequence to sequence learning with neural networks" (2014), without attention; Luong et al.,
"Effective approaches to attention-based neural machine translation" (2015), its "general" score; Bahdanau et al.,
"Neural machine translation by jointly learning to align and translate" (2015).

Without attention, and with Luong's, the decoder's state does not depend on what is attended to, so in training every
layer is one fused kernel over the whole target and attention one product of matrices. Bahdanau's attention, and Luong's
with `input_feeding`, hand what was attended to on to the next step's recurrence: by their nature these take one step
after another, in training too, and are several times slower.

Deviations: the decoder begins from the ends of both directions of the encoder, by one affine map and tanh; Bahdanau's
output is an affine map and tanh of state and context in place of maxout units.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from experiments.batches import PADDING, Decoding, Pairs, Sequences
from experiments.models.recurrent_layer import CELLS, RecurrentLayer, TokenEmbedding
from experiments.models.translator import OnSource, Translator, TranslatorDecoder, check_sharing, from_mask, shared_head

ATTENTIONS = ("none", "luong", "bahdanau")


class Attention(nn.Module):
    """Weights of the source's places for each query, and the vectors so weighed.

    Args:
        query: length of a query.
        memory: length of an encoded source vector.
        kind: luong (a bilinear form) or bahdanau (a small network).
    """

    def __init__(self, query: int, memory: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.key = nn.Linear(memory, query, bias=False)
        if kind == "bahdanau":
            self.query = nn.Linear(query, query)
            self.score = nn.Linear(query, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Map (B, S, memory) -> (B, S, query), the same for every step of the decoder."""
        return self.key(memory)

    def forward(self, queries: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, T, query), (B, S, query), (B, S, memory), (B, S) -> contexts (B, T, memory) and weights (B, T, S)."""
        if self.kind == "luong":
            scores = queries @ keys.transpose(1, 2)
        else:
            scores = self.score(torch.tanh(self.query(queries)[:, :, None] + keys[:, None])).squeeze(3)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(2)
        return weights @ memory, weights


class RecurrentDecoder(TranslatorDecoder):
    """Target words -> vectors (B, T, outputs), given the encoded source.

    Its state for decoding: fixed are source vectors, keys and mask; moving the vector that is fed back, and h (and c) of
    each layer as (N, hidden).

    Args:
        table: of the target's tokens.
        memory: length of an encoded source vector.
        bidirectional: whether half of that was read backwards.
        hidden: units a layer.
        outputs: length of a vector that comes out.
        cell: rnn, lstm or gru.
        layers: how many.
        attention: none, luong or bahdanau.
        input_feeding: for luong, whether its last output is read with the next word.
        dropout: share of a layer's inputs and of the outputs dropped while training.
    """

    def __init__(
        self,
        table: nn.Embedding,
        memory: int,
        *,
        bidirectional: bool,
        hidden: int,
        outputs: int,
        cell: str,
        layers: int,
        attention: str,
        input_feeding: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.table, self.hidden, self.bidirectional = table, hidden, bidirectional
        self.states = 2 if cell == "lstm" else 1
        fed = memory if attention == "bahdanau" else outputs if input_feeding else 0
        self.fed, self.kind = fed, attention
        sizes = [table.embedding_dim + fed, *[hidden] * (layers - 1)]
        self.layers = nn.ModuleList(CELLS[cell](size, hidden, batch_first=True) for size in sizes)
        self.first = nn.Linear(memory, layers * self.states * hidden)
        self.attention = None if attention == "none" else Attention(hidden, memory, attention)
        self.combine = nn.Linear(hidden + (0 if attention == "none" else memory), outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Pairs) -> Tensor:
        return self._run(x)[0]

    def weights(self, pairs: Pairs) -> Tensor | None:
        return self._run(pairs)[1]

    def begin(self, source: Sequences) -> Decoding:
        memory, lengths = source
        if self.bidirectional:
            half = memory.shape[2] // 2
            ends = memory[torch.arange(len(memory), device=memory.device), lengths - 1, :half]
            end = torch.cat([ends, memory[:, 0, half:]], dim=1)
        else:
            end = memory[torch.arange(len(memory), device=memory.device), lengths - 1]
        states = torch.tanh(self.first(end)).split(self.hidden, dim=1)
        mask = from_mask(lengths, memory.shape[1])
        # Beyond a length may stand anything, and nothing times anything must be nothing.
        memory = memory.masked_fill(~mask[..., None], 0.0)
        fixed = () if self.attention is None else (memory, self.attention.keys(memory), mask)
        fed = (memory.new_zeros(len(memory), self.fed),) if self.fed else ()
        return Decoding(fixed, (*fed, *states))

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        out, state, _ = self._steps(self.table(words)[:, None], state)
        return out[:, 0], state

    def _run(self, x: Pairs) -> tuple[Tensor, Tensor | None]:
        """Return all steps of the target: (B, T, outputs), and weights (B, T, S)."""
        source = Sequences(x.source.values, x.source.lengths)
        state, vectors = self.begin(source), self.table(x.target.values)
        if not self.fed:
            out, _, weights = self._steps(vectors, state)
            return out, weights
        outs, looks = [], []
        for vector in vectors.split(1, dim=1):
            out, state, weights = self._steps(vector, state)
            outs.append(out)
            looks.append(weights)
        return torch.cat(outs, dim=1), torch.cat(looks, dim=1)  # type: ignore[arg-type]

    def _steps(self, vectors: Tensor, state: Decoding) -> tuple[Tensor, Decoding, Tensor | None]:
        """Return some steps at once, or one where something is fed back: outputs, the state behind them, and weights."""
        moving = list(state.moving)
        fed = moving.pop(0) if self.fed else None
        context: Tensor | None = None
        weights: Tensor | None = None
        if self.kind == "bahdanau":  # attends with the state before the step, and reads what it found
            assert self.attention is not None
            last = moving[-self.states]
            context, weights = self.attention(last[:, None], state.fixed[1], state.fixed[0], state.fixed[2])
            fed = context[:, 0]
        if fed is not None:
            vectors = torch.cat([vectors, fed[:, None].expand(-1, vectors.shape[1], -1)], dim=2)
        ends: list[Tensor] = []
        for place, layer in enumerate(self.layers):
            given = tuple(
                tensor[None].contiguous() for tensor in moving[place * self.states : (place + 1) * self.states]
            )
            vectors, end = layer(self.dropout(vectors), given if self.states == 2 else given[0])
            ends += [tensor[0] for tensor in (end if isinstance(end, tuple) else (end,))]
        if self.kind == "luong":
            assert self.attention is not None
            context, weights = self.attention(vectors, state.fixed[1], state.fixed[0], state.fixed[2])
        if context is not None:
            vectors = torch.cat([vectors, context], dim=2)
        out = torch.tanh(self.combine(self.dropout(vectors)))
        if self.fed:
            assert fed is not None
            ends.insert(0, fed if self.kind == "bahdanau" else out[:, -1])
        return self.dropout(out), Decoding(state.fixed, tuple(ends)), weights


class Seq2Seq(Translator):
    """Stages `embedding`, `encoder1`, `encoder2`, …, `decoder`, `head`: `Pairs` -> (B, T, target_vocabulary).

    Args:
        vocabulary: number of source tokens.
        target_vocabulary: number of target tokens.
        one_vocabulary: whether both languages have the same.
        cell: rnn, lstm or gru.
        embedding: length of a token's vector.
        hidden: units of a layer, and of a direction of the encoder.
        layers: of the encoder and of the decoder.
        bidirectional: whether the encoder reads backwards too.
        attention: none, luong or bahdanau.
        input_feeding: for luong, whether what came out is read with the next word.
        share: target: the head has the weights of the target's table; all: and the source has that table too.
        dropout: share dropped before each layer and the head.

    Raises:
        ValueError: when a value is out of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        target_vocabulary: int,
        one_vocabulary: bool = False,
        *,
        cell: str,
        embedding: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        attention: str,
        input_feeding: bool,
        share: str,
        dropout: float,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"model.cell={cell} is unknown: use {', '.join(CELLS)}")
        if attention not in ATTENTIONS:
            raise ValueError(f"model.attention={attention} is unknown: use {', '.join(ATTENTIONS)}")
        if input_feeding and attention != "luong":
            raise ValueError(
                f"model.input_feeding=true belongs to luong and model.attention={attention}: "
                "set model.attention=luong (bahdanau feeds its context back anyway)"
            )
        for key, number in (("embedding", embedding), ("hidden", hidden), ("layers", layers)):
            if number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=1")
        if not 0 <= dropout < 1:
            raise ValueError(f"model.dropout={dropout} must lie in [0, 1): try model.dropout=0.2")
        check_sharing(share, one_vocabulary)
        source = TokenEmbedding(vocabulary, embedding, 0.0)
        table = source.table if share == "all" else nn.Embedding(target_vocabulary, embedding, padding_idx=PADDING)
        if share != "none":  # as a head its rows are weights, for which 1 is far too large
            nn.init.normal_(table.weight, std=embedding**-0.5)
        stages: OrderedDict[str, nn.Module] = OrderedDict(embedding=OnSource(source))  # source: (B, S, embedding)
        size = embedding
        for number in range(1, layers + 1):
            layer = RecurrentLayer(size, hidden, cell=cell, bidirectional=bidirectional, dropout=dropout)
            stages[f"encoder{number}"] = OnSource(layer)  # source: (B, S, hidden), twice that in both directions
            size = layer.outputs
        outputs = hidden if share == "none" else embedding
        stages["decoder"] = RecurrentDecoder(
            table,
            size,
            bidirectional=bidirectional,
            hidden=hidden,
            outputs=outputs,
            cell=cell,
            layers=layers,
            attention=attention,
            input_feeding=input_feeding,
            dropout=dropout,
        )  # (B, T, outputs)
        stages["head"] = shared_head(outputs, target_vocabulary, None if share == "none" else table)
        super().__init__(stages)  # (B, T, target_vocabulary)

"""Decoders of `transformers` in stages: GPT-2, and Llama and those built like it (Qwen2, Qwen3).

Radford et al., "Language models are unsupervised multitask learners" (2019); Touvron et al., "LLaMA: open and efficient
foundation language models" (2023). The layers are the library's; a token sees only those before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from experiments.batches import END, PADDING, START, UNKNOWN, Decoding, KeyValues, Sequences
from experiments.models.attention import allowed
from experiments.models.library.language_attention import install
from experiments.models.library.language_families import FAMILIES, PLAIN, configuration, library
from experiments.models.stages import Staged, tensors

LIKE_LLAMA = ("llama", "qwen2", "qwen3")
DECODERS = ("gpt2", *LIKE_LLAMA)


class DecoderPast:
    """Holds the keys and values of one layer in the form that the library's layers fill and read.

    Attributes:
        past: of one layer; None before its first token.
    """

    def __init__(self, past: KeyValues | None = None) -> None:
        self.past = past

    def update(self, key: Tensor, value: Tensor, *unused: Any, **also_unused: Any) -> tuple[Tensor, Tensor]:
        """Adds those of further tokens, and gives all; the library says which layer asks, and there is one alone."""
        self.past = KeyValues(key, value) if self.past is None else self.past.and_then(key, value)
        return self.past.key, self.past.value


class DecoderEmbeddings(nn.Module):
    """A vector for each token, of GPT-2 with one for its place added: (B, T) int64 -> (B, T, size)."""

    def __init__(self, tokens: nn.Module, places: nn.Module | None, dropout: nn.Module | None) -> None:
        super().__init__()
        self.tokens, self.places, self.dropout = tokens, places, dropout

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.at(x.values, torch.arange(x.values.shape[1], device=x.values.device)[None]), x.lengths)

    def at(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Vectors of tokens (B, T) at given places (1, T) or (B, T)."""
        values = self.tokens(tokens)
        if self.places is not None:
            values = values + self.places(places)
        return values if self.dropout is None else self.dropout(values)


class LanguageDecoderLayer(nn.Module):
    """One of the library's layers: values (B, T, size) -> (B, T, size).

    Args:
        layer: the library's.
        turns: gives the angles by which places turn keys and queries; None where places are in the embeddings.
    """

    def __init__(self, layer: nn.Module, turns: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.turns = layer, turns

    def forward(self, x: Sequences) -> Sequences:
        places = torch.arange(x.values.shape[1], device=x.values.device)[None]
        return Sequences(self.step(x.values, places), x.lengths)  # what stands behind a token changes nothing in it

    def step(
        self, values: Tensor, places: Tensor, past: DecoderPast | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Return the same at given places (B, T); `past` is read and added to, and the mask (B, 1, T, t + T) tells whom
        to see.
        """
        more = {} if self.turns is None else {"position_embeddings": self.turns(values, places), "position_ids": places}
        out = self.layer(values, cache=past, attention_mask=mask, **more)
        return out[0] if isinstance(out, tuple) else out


class Pooler(nn.Module):
    """Normalises, and keeps every token or the last of each text: (B, T, size) -> (B, T, size) or (B, size)."""

    def __init__(self, norm: nn.Module, every_step: bool, dropout: float) -> None:
        super().__init__()
        self.norm, self.every_step, self.dropout = norm, every_step, nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        values = x.values
        if not self.every_step:
            values = values[torch.arange(len(values), device=values.device), x.lengths - 1]
        return self.dropout(self.norm(values))


class Decoder(Staged):
    """Stages `embeddings`, `layer1`, `layer2`, …, `pooler`, `head`: tokens -> (B, num_classes), by the last of each text.

    For `every_step` (B, T, num_classes); where these are as many as there are tokens, the head is the library's own, whose
    table is that of the embeddings where the family shares it. With `num_classes=0` the head passes on what it gets.

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output; 0 for none.
        every_step: one output a token in place of one a text.
        marks: the tokens for padding, what is unknown, start and end.
        name: of the family, as `transformers` lists it.
        size: length of a token's vector; None here and below leaves it to the library.
        layers: how many.
        heads: of the attention.
        inner: units of the feed-forward blocks.
        positions: tokens that it can see at once.
        dropout: share dropped after blocks and in the attention.
        settings: further keys of the library's configuration.

    Attributes:
        config: the library's configuration.
        library_kind: the class of the library's network that the layers come from.
        causal: no token's output depends on later ones.
        makes_words: whether the head tells tokens, so that it comes with published weights.

    Raises:
        ValueError: when the library is not installed or refuses a value, or the family is no decoder known here.
    """

    causal = True

    def __init__(
        self,
        vocabulary: int,
        num_classes: int = 2,
        *,
        every_step: bool = False,
        marks: Sequence[int] = (PADDING, UNKNOWN, START, END),
        name: str | None,
        size: int | None,
        layers: int | None,
        heads: int | None,
        inner: int | None,
        positions: int | None,
        dropout: float | None,
        settings: Mapping[str, Any],
    ) -> None:
        if name not in DECODERS:
            raise ValueError(f"model.name={name} is no decoder known here: take one of {', '.join(DECODERS)}")
        ends = {"bos_token_id": max(marks[2], 0), "eos_token_id": max(marks[3], 0), "pad_token_id": marks[0]}
        config = configuration(
            name,
            vocabulary,
            size=size,
            layers=layers,
            heads=heads,
            inner=inner,
            positions=positions,
            dropout=dropout,
            settings=ends | dict(settings),
        )
        transformers = library()
        writes = every_step and num_classes == vocabulary
        kind = transformers.AutoModelForCausalLM if writes else transformers.AutoModel
        net = kind.from_config(config)
        install(net)
        base = net.base_model
        gpt = config.model_type == "gpt2"
        embeddings = (
            DecoderEmbeddings(base.wte, base.wpe, base.drop)
            if gpt
            else DecoderEmbeddings(base.embed_tokens, None, None)
        )
        stages: OrderedDict[str, nn.Module] = OrderedDict(embeddings=embeddings)  # (B, T, size)
        for number, layer in enumerate(base.get_submodule(FAMILIES.get(config.model_type, PLAIN).layers), 1):
            stages[f"layer{number}"] = LanguageDecoderLayer(layer, None if gpt else base.rotary_emb)  # (B, T, size)
        share = 0.0 if writes else float(dropout or 0.0)
        stages["pooler"] = Pooler(base.ln_f if gpt else base.norm, every_step, share)  # (B, T, size) or (B, size)
        head: nn.Module = nn.Linear(config.hidden_size, num_classes) if num_classes else nn.Identity()
        stages["head"] = net.lm_head if writes else head  # (B, T, num_classes) or (B, num_classes)
        super().__init__(stages, tensors(net))
        self.config, self.library_kind, self.makes_words = config, type(net), writes
        self.positions = int(config.max_position_embeddings)

    def start(self, prompts: Sequences) -> tuple[Tensor, Decoding]:
        """Scores of the token after each prompt, (B, num_classes), and where to go on from there.

        The state that moves is the number of tokens so far (B,), which keys are of a token (B, t), and each layer's past.
        Prompts of unequal length are filled up behind; what fills up is seen by nobody.
        """
        values, lengths = cast(DecoderEmbeddings, self.embeddings)(prompts).values, prompts.lengths
        places = torch.arange(values.shape[1], device=values.device)[None]
        moving: list[Any] = [lengths, prompts.mask()]
        for layer in self._layers:
            filled = DecoderPast()
            values = layer.step(values, places, filled)
            moving.append(filled.past)
        last = values[torch.arange(len(values), device=values.device), lengths - 1]
        return self._scores(last), Decoding((), tuple(moving))

    def advance(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return one token (B,) later: the scores of the next, and where to go on."""
        lengths, mask, *pasts = state.moving
        places = lengths[:, None]
        values = cast(DecoderEmbeddings, self.embeddings).at(tokens[:, None], places)  # (B, 1, size)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        seen = allowed(mask[:, None, None], values.dtype)
        moving = [lengths + 1, mask]
        for layer, past in zip(self._layers, pasts, strict=True):
            filled = DecoderPast(past)
            values = layer.step(values, places, filled, seen)
            moving.append(filled.past)
        return self._scores(values[:, 0]), Decoding((), tuple(moving))

    def _scores(self, values: Tensor) -> Tensor:
        return cast(nn.Module, self.head)(cast(Pooler, self.pooler).norm(values))

    @property
    def _layers(self) -> list[LanguageDecoderLayer]:
        return [stage for stage in self if isinstance(stage, LanguageDecoderLayer)]

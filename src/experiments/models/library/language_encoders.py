"""Encoders of `transformers` in stages: BERT, RoBERTa, DistilBERT, ELECTRA, XLM-R, mBERT, and any other by name.

Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding" (2019). The layers are
the library's; what passes between them is `Sequences`, so that padding never changes a result.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor, nn

from experiments.batches import END, PADDING, START, UNKNOWN, Joined, Sequences
from experiments.models.library.language_attention import install
from experiments.models.library.language_families import FAMILIES, Family, configuration, library
from experiments.models.stages import Staged, one_of, tensors

POOLINGS = ("first", "mean")


class EncoderEmbeddings(nn.Module):
    """Tokens (B, T) to vectors (B, T, size) that know their place, and in pairs of texts which text they belong to.

    Args:
        embeddings: the library's.
        project: behind them, where their vectors have another length than the layers'.
        shift: positions that stand before the first token's.
        separator: the token after which the second text of a pair begins.
    """

    def __init__(self, embeddings: nn.Module, project: nn.Module | None, shift: int, separator: int) -> None:
        super().__init__()
        self.embeddings, self.project = embeddings, project
        self.shift, self.separator = shift, separator
        self.takes = set(signature(embeddings.forward).parameters)
        kinds = getattr(embeddings, "token_type_embeddings", None)
        self.kinds = kinds.num_embeddings if isinstance(kinds, nn.Embedding) else 1

    def forward(self, x: Sequences | Joined) -> Sequences:
        places = torch.arange(x.values.shape[1], device=x.values.device)[None] + self.shift
        more: dict[str, Any] = {"position_ids": places} if "position_ids" in self.takes else {}
        if "token_type_ids" in self.takes:
            if isinstance(x, Joined):
                passed = x.segments
            else:
                ends = x.values == self.separator
                passed = ends.cumsum(1) - ends.long()  # separators before a token
            more["token_type_ids"] = passed.clamp(max=self.kinds - 1).masked_fill(~x.mask(), 0)
        vectors = self.embeddings(x.values, **more)
        return Sequences(vectors if self.project is None else self.project(vectors), x.lengths)


class LanguageEncoderLayer(nn.Module):
    """One of the library's layers: values (B, T, size) -> (B, T, size)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Sequences) -> Sequences:
        out = self.layer(x.values, attention_mask=x.mask()[:, None, None, :])
        return Sequences(out[0] if isinstance(out, tuple) else out, x.lengths)


class Body(nn.Module):
    """A network whose layers cannot be told apart: tokens (B, T) -> (B, T, size)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.padding = int(body.config.pad_token_id or 0)  # type: ignore[union-attr, arg-type]

    def forward(self, x: Sequences) -> Sequences:
        values = x.values.masked_fill(~x.mask(), self.padding)
        return Sequences(self.body(values, attention_mask=x.mask().long()).last_hidden_state, x.lengths)


class First(nn.Module):
    """The vector of the first token, through a dense layer where the family has one: values (B, T, size) -> (B, size)."""

    def __init__(self, dense: nn.Module, activation: str, dropout: float) -> None:
        super().__init__()
        self.dense = dense
        self.activation = {"tanh": nn.Tanh, "gelu": nn.GELU, "relu": nn.ReLU}[activation]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(self.activation(self.dense(x.values[:, 0])))


class Mean(nn.Module):
    """The mean of a text's vectors: values (B, T, size) -> (B, size)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        inside = x.mask()[..., None].to(x.values.dtype)
        return self.dropout((x.values * inside).sum(1) / inside.sum(1))


class EveryToken(nn.Module):
    """The vectors of all tokens: values (B, T, size) -> (B, T, size)."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences) -> Tensor:
        return self.dropout(x.values)


class Encoder(Staged):
    """Stages `embeddings`, `layer1`, `layer2`, …, `pooler`, `head`: tokens -> (B, num_classes).

    For `every_step` tokens -> (B, T, num_classes); for `masked` (B, T, vocabulary), by the head that the family was
    trained with. With `num_classes=0` the head passes on what it gets: the vectors of texts, (B, size). Where the layers of
    a family cannot be told apart, all before the pooler is one stage, `body`.

    Args:
        vocabulary: number of tokens.
        num_classes: length of the output; 0 for none.
        every_step: one output a token in place of one a text.
        masked: scores of tokens, for masked language modelling.
        marks: the tokens for padding, what is unknown, start and end.
        name: of the family, as `transformers` lists it.
        size: length of a token's vector; None here and below leaves it to the library.
        layers: how many.
        heads: of the attention.
        inner: units of the feed-forward blocks.
        positions: tokens of the longest text.
        dropout: share dropped after blocks, in the attention and before the head.
        pooling: first, of the first token's vector, or mean.
        settings: further keys of the library's configuration, such as {hidden_act: relu}.

    Attributes:
        config: the library's configuration.
        library_kind: the class of the library's network that the layers come from.
        own_head: whether what comes behind the layers is no part of that network.
        makes_words: whether the head tells tokens, so that it comes with published weights.

    Raises:
        ValueError: when the library is not installed or refuses a value.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int = 2,
        *,
        every_step: bool = False,
        masked: bool = False,
        marks: Sequence[int] = (PADDING, UNKNOWN, START, END),
        name: str | None,
        size: int | None,
        layers: int | None,
        heads: int | None,
        inner: int | None,
        positions: int | None,
        dropout: float | None,
        pooling: str,
        settings: Mapping[str, Any],
    ) -> None:
        one_of("pooling", pooling, POOLINGS)
        config = configuration(
            name,
            vocabulary,
            size=size,
            layers=layers,
            heads=heads,
            inner=inner,
            positions=positions,
            dropout=dropout,
            settings={"pad_token_id": marks[0], **settings},
        )
        net = network(config, num_classes, every_step=every_step, masked=masked)
        family = FAMILIES.get(config.model_type)
        if family is not None:
            install(net)
        share = float(dropout if dropout is not None else (getattr(config, "hidden_dropout_prob", None) or 0.1))
        stages = body(net.base_model, family, marks[3])
        if masked:
            stages["head"] = masked_head(net, family)
        elif every_step:
            stages["pooler"], stages["head"] = EveryToken(share), net.classifier
        else:
            if pooling == "mean" or family is None:
                stages["pooler"] = Mean(share)
            else:
                stages["pooler"] = First(_pooled(net, family, config), family.activation, share)
            stages["head"] = _head(net, family, config, num_classes)
        super().__init__(stages, tensors(net))
        self.config, self.library_kind = config, type(net)
        self.own_head = not (masked or every_step) and (pooling == "mean" or family is None or not num_classes)
        self.makes_words = masked  # the head is part of what the weights have learned


def network(config: Any, num_classes: int, *, every_step: bool = False, masked: bool = False) -> Any:
    """Return the library's network with the head that is wanted; with none for `num_classes=0`."""
    transformers = library()
    config.num_labels = max(1, num_classes)
    if masked:
        return transformers.AutoModelForMaskedLM.from_config(config)
    if every_step:
        return transformers.AutoModelForTokenClassification.from_config(config)
    if num_classes and config.model_type in FAMILIES:
        return transformers.AutoModelForSequenceClassification.from_config(config)
    return transformers.AutoModel.from_config(config)


def body(base: Any, family: Family | None, separator: int) -> OrderedDict[str, nn.Module]:
    """Return the stages before the pooler."""
    if family is None:
        return OrderedDict(body=Body(base))
    project = getattr(base, "embeddings_project", None)
    shift = (base.config.pad_token_id or 0) + 1 if family.padded else 0
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        embeddings=EncoderEmbeddings(base.embeddings, project, shift, separator)  # (B, T, size)
    )
    for number, layer in enumerate(base.get_submodule(family.layers), 1):
        stages[f"layer{number}"] = LanguageEncoderLayer(layer)  # (B, T, size)
    return stages


def masked_head(net: Any, family: Family | None) -> nn.Module:
    """Vectors (…, size) -> scores of tokens (…, vocabulary).

    Raises:
        ValueError: when nothing is known of the family's.
    """
    if family is None or not family.masked:
        raise ValueError(
            f"model.name={net.config.model_type} has no known head for masked language modelling: take bert or roberta"
        )
    return Scores([net.get_submodule(name) for name in family.masked])


class Scores(nn.Sequential):
    """Vectors, alone or in `Sequences`, (…, size) -> scores of tokens (…, vocabulary)."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__(*layers)

    def forward(self, x: Sequences | Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x.values if isinstance(x, Sequences) else x)


def _pooled(net: Any, family: Family, config: Any) -> nn.Module:
    """Return the dense layer behind the first token's vector: the family's, or a new one where the network has none."""
    try:
        return cast(nn.Module, net.get_submodule(family.pooled))
    except AttributeError:  # the body alone
        own = family.pooled.partition(".")[2]
        if family.pooled.startswith(f"{config.model_type}.") and hasattr(net, own.partition(".")[0]):
            return cast(nn.Module, net.get_submodule(own))
        return nn.Linear(config.hidden_size, config.hidden_size)


def _head(net: Any, family: Family | None, config: Any, num_classes: int) -> nn.Module:
    if not num_classes:
        return nn.Identity()
    if family is None:
        return nn.Linear(config.hidden_size, num_classes)
    return cast(nn.Module, net.get_submodule(family.head))

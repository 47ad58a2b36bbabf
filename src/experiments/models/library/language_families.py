"""What the families of `transformers` call the same thing: one line a family, read by every adapter here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple


class Family(NamedTuple):
    """Names in a family's configuration and network.

    Attributes:
        inner: key of the units of the feed-forward blocks.
        dropouts: keys of the shares dropped after blocks and in the attention.
        layers: where the list of layers lies below the body.
        pooled: the dense layer between the first token's vector and the head, in the network with a classifier.
        activation: behind that layer.
        head: the last layer of the classifier.
        masked: names of the modules that make up the head of masked language modelling, in order.
        padded: whether places are counted from behind the index of padding, as fairseq does.
    """

    inner: str = "intermediate_size"
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    layers: str = "encoder.layer"
    pooled: str = ""
    activation: str = "tanh"
    head: str = "classifier"
    masked: tuple[str, ...] = ()
    padded: bool = False


_ROBERTA = Family(pooled="classifier.dense", head="classifier.out_proj", masked=("lm_head",), padded=True)
FAMILIES: Mapping[str, Family] = {
    "bert": Family(pooled="bert.pooler.dense", masked=("cls",)),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Family(
        pooled="classifier.dense",
        activation="gelu",
        head="classifier.out_proj",
        masked=("generator_predictions", "generator_lm_head"),
    ),
    "distilbert": Family(
        inner="hidden_dim",
        dropouts=("dropout", "attention_dropout"),
        layers="transformer.layer",
        pooled="pre_classifier",
        activation="relu",
        masked=("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    ),
    "gpt2": Family(inner="n_inner", dropouts=("resid_pdrop", "embd_pdrop", "attn_pdrop"), layers="h"),
    **dict.fromkeys(("llama", "qwen2", "qwen3"), Family(dropouts=("attention_dropout",), layers="layers")),
}
PLAIN = Family()  # of any other


def library() -> Any:
    """Return the package transformers.

    Raises:
        ValueError: when it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise ValueError(
            "this model needs the package transformers, which is not installed: pip install 'lightning-experiments[language]'"
        ) from None
    return transformers


def configuration(
    name: str | None,
    vocabulary: int,
    *,
    size: int | None,
    layers: int | None,
    heads: int | None,
    inner: int | None,
    positions: int | None,
    dropout: float | None,
    settings: Mapping[str, Any],
) -> Any:
    """Return the library's configuration of a network; what is None is left to the library.

    Args:
        name: of the family, as the library's `model_type`.
        vocabulary: number of tokens.
        size: length of a token's vector.
        layers: how many.
        heads: of the attention.
        inner: units of the feed-forward blocks.
        positions: tokens of the longest text.
        dropout: share dropped after blocks and in the attention.
        settings: further keys of the library's, which win.

    Raises:
        ValueError: when the library has no such family, or refuses a value.
    """
    if name is None:
        raise ValueError("model.name says which family: add model.name=bert, or weights=FOLDER with a config.json")
    transformers = library()
    families = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    if name not in families:
        near = difflib.get_close_matches(name, list(families), n=3, cutoff=0.5)
        cure = f"did you mean {' or '.join(near)}?" if near else "take bert, roberta, distilbert, electra, gpt2 or t5"
        raise ValueError(f"model.name={name} is no family of transformers: {cure}")
    if size is not None and heads is not None and (heads < 1 or size % heads):
        raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=2 model.size=128")
    family = FAMILIES.get(name, PLAIN)
    keys = {
        "vocab_size": vocabulary,
        "hidden_size": size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        family.inner: inner,
        "max_position_embeddings": None if positions is None else positions + 2 * family.padded,
        **dict.fromkeys(family.dropouts, dropout),
        **settings,
    }
    stated = settings.get("vocab_size")
    if stated is not None and stated < vocabulary:
        raise ValueError(f"the weights know {stated} tokens and the tokenizer has {vocabulary}: take the weights' own")
    try:
        return transformers.AutoConfig.for_model(
            name, **{key: value for key, value in keys.items() if value is not None}
        )
    except Exception as error:
        raise ValueError(f"model.settings: transformers refuses them for {name}: {error}") from error

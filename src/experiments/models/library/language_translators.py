"""Encoder-decoders of `transformers`: T5, mT5, BART, mBART and Marian, as translators in stages.

Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer" (2020); Lewis et al.,
"BART: denoising sequence-to-sequence pre-training" (2020). Both languages have one vocabulary, whose table the encoder,
the decoder and the head share.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from experiments.batches import END, PADDING, START, Decoding, Pairs, Sequences
from experiments.models.library.language_families import library
from experiments.models.stages import tensors
from experiments.models.translator import Translator, TranslatorDecoder

LIKE_T5, LIKE_BART = ("t5", "mt5"), ("bart", "mbart", "marian")


class EncoderStage(nn.Module):
    """The library's encoder: the source's tokens (B, S) -> (B, S, size); the target passes."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Pairs) -> Pairs:
        source = x.source
        out = self.encoder(input_ids=source.values, attention_mask=source.mask().long()).last_hidden_state
        return Pairs(Sequences(out, source.lengths), x.target)


class DecoderStage(TranslatorDecoder):
    """The library's decoder: target words -> vectors (B, T, size), given the encoded source.

    Its state for decoding: fixed are the encoded source, which of it there is, and each layer's keys and values of it,
    (N, heads, S, size), computed once; moving each layer's keys and values of the words so far, (N, heads, t, size).

    Args:
        decoder: the library's.
        scale: of the vectors before the head.
    """

    def __init__(self, decoder: nn.Module, scale: float) -> None:
        super().__init__()
        self.decoder, self.scale = decoder, scale

    def forward(self, x: Pairs) -> Tensor:
        return self._vectors(x.target.values, x.source.values, x.source.mask())

    def weights(self, pairs: Pairs) -> Tensor:
        """Of the last layer, the mean over its heads."""
        library_decoder: Any = self.decoder
        source = pairs.source
        library_decoder.set_attn_implementation("eager")  # the fused kernel keeps no weights
        try:
            out = library_decoder(
                input_ids=pairs.target.values, encoder_hidden_states=source.values,
                encoder_attention_mask=source.mask().long(), use_cache=False, output_attentions=True,
            )  # fmt: skip
        finally:
            library_decoder.set_attn_implementation("sdpa")
        return out.cross_attentions[-1].mean(1)

    def begin(self, source: Sequences) -> Decoding:
        mask = source.mask()
        first = torch.full((len(mask), 1), START, device=mask.device)  # as each sentence begins
        _, cache = self._continued(first, source.values, mask, (), ())
        looked = _tensors(cache.cross_attention_cache)
        none = tuple(tensor[:, :, :0] for tensor in _tensors(cache.self_attention_cache))
        return Decoding((source.values, mask, *looked), none)

    def advance(self, words: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        source, mask, *looked = state.fixed
        out, cache = self._continued(words[:, None], source, mask, looked, state.moving)
        return out[:, 0], state._replace(moving=_tensors(cache.self_attention_cache))

    def _vectors(self, words: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        out = self.decoder(
            input_ids=words, encoder_hidden_states=source, encoder_attention_mask=mask.long(), use_cache=False
        )
        return out.last_hidden_state * self.scale

    def _continued(
        self, words: Tensor, source: Tensor, mask: Tensor, looked: Sequence[Tensor], written: Sequence[Tensor]
    ) -> tuple[Tensor, Any]:
        """Vectors of further words (N, t), and the library's keys and values of the source and of all words."""
        cache = library().EncoderDecoderCache(_held(written), _held(looked))
        out = self.decoder(
            input_ids=words,
            encoder_hidden_states=source,
            encoder_attention_mask=mask.long(),
            cache=cache,
            use_cache=True,
        )
        return out.last_hidden_state * self.scale, cache


def _held(tensors: Sequence[Tensor]) -> Any:
    """Put the keys and values of each layer in turn, key before value, into the form that the library's layers read."""
    from transformers.cache_utils import DynamicLayer

    cache = library().DynamicCache()
    for key, value in zip(tensors[::2], tensors[1::2], strict=True):
        layer = DynamicLayer()
        layer.lazy_initialization(key, value)
        layer.keys, layer.values = key, value
        cache.layers.append(layer)
    return cache


def _tensors(cache: Any) -> tuple[Tensor, ...]:
    """Return the same as tensors."""
    return tuple(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))


class WordScores(nn.Module):
    """The library's head with what it adds to each word's score: vectors (B, T, size) -> (B, T, target_vocabulary)."""

    final_logits_bias: Tensor

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.weight = net.lm_head.weight
        self.register_buffer("final_logits_bias", net.final_logits_bias)
        self.register_load_state_dict_pre_hook(_without_bias)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight) + self.final_logits_bias


def _without_bias(head: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Read checkpoints from before heads had what is added to scores: it was nothing."""
    state.setdefault(f"{prefix}final_logits_bias", torch.zeros_like(head.get_buffer("final_logits_bias")))


class EncoderDecoder(Translator):
    """Stages `encoder`, `decoder`, `head`: `Pairs` -> (B, T, target_vocabulary); the table of tokens is in all three.

    Args:
        vocabulary: number of tokens, of both languages.
        target_vocabulary: the same.
        one_vocabulary: whether both languages have the same tokens.
        name: t5, mt5, bart, mbart or marian.
        size: length of a token's vector; None here and below leaves it to the library.
        layers: of the encoder and of the decoder.
        heads: of the attention.
        inner: units of the feed-forward blocks.
        positions: tokens of the longest sentence; T5 has no such limit.
        dropout: after blocks, while training.
        settings: further keys of the library's configuration.

    Attributes:
        config: the library's configuration.
        positions: tokens that a sentence has at most, on either side; None for any number.
        library_kind: the class of the library's network that the layers come from.
        published_names: the name here of each of the library's tensors.
        computed_names: those of the library's that its files leave out.

    Raises:
        ValueError: when the languages have two vocabularies, the library is not installed or refuses a value.
    """

    def __init__(
        self,
        vocabulary: int,
        target_vocabulary: int,
        one_vocabulary: bool = False,
        *,
        name: str,
        size: int | None,
        layers: int | None,
        heads: int | None,
        inner: int | None,
        positions: int | None,
        dropout: float | None,
        settings: Mapping[str, Any],
    ) -> None:
        if name not in (*LIKE_T5, *LIKE_BART):
            families = ", ".join((*LIKE_T5, *LIKE_BART))
            raise ValueError(f"model.name={name} is no encoder-decoder, as pairs need one: take one of {families}")
        if size is not None and heads is not None and (heads < 1 or size % heads):
            raise ValueError(f"model.heads={heads} must divide model.size={size}: try model.heads=2 model.size=128")
        if not one_vocabulary:
            raise ValueError(f"model.name={name} has one table for both languages: set data.tokenizers.shared=true")
        keys: dict[str, Any] = {"d_model": size}
        if name in LIKE_T5:
            keys |= {"num_layers": layers, "num_decoder_layers": layers, "num_heads": heads}
            keys |= {"d_ff": inner, "dropout_rate": dropout}
            keys["d_kv"] = None if size is None or heads is None else size // heads
        else:
            keys |= {"max_position_embeddings": positions, "dropout": dropout}
            for side in ("encoder", "decoder"):
                keys |= {f"{side}_layers": layers, f"{side}_attention_heads": heads, f"{side}_ffn_dim": inner}
        transformers = library()
        ends = {"pad_token_id": PADDING, "eos_token_id": END, "decoder_start_token_id": START, "bos_token_id": START}
        ends |= {"forced_eos_token_id": END} if name in LIKE_BART else {}
        if name in LIKE_T5:
            ends.pop("bos_token_id")
        try:
            stated = {"vocab_size": vocabulary, **ends, **keys, **settings}
            config = transformers.AutoConfig.for_model(
                name, **{key: value for key, value in stated.items() if value is not None}
            )
        except Exception as error:
            raise ValueError(f"model.settings: transformers refuses them for {name}: {error}") from error
        net = transformers.AutoModelForSeq2SeqLM.from_config(config)
        scale = config.d_model**-0.5 if getattr(config, "scale_decoder_outputs", False) else 1.0
        encoder, decoder = (getattr(net.base_model, side) for side in ("encoder", "decoder"))
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            encoder=EncoderStage(encoder),  # source: (B, S, size)
            decoder=DecoderStage(decoder, scale),  # (B, T, size)
            head=net.lm_head if name in LIKE_T5 else WordScores(net),  # (B, T, target_vocabulary)
        )
        super().__init__(stages)
        ours = {id(tensor): key for key, tensor in self.state_dict(keep_vars=True).items()}
        self.published_names = {key: ours[id(tensor)] for key, tensor in tensors(net).items() if id(tensor) in ours}
        self.config, self.library_kind, self.makes_words = config, type(net), True
        self.positions = config.max_position_embeddings if name in LIKE_BART else None
        fixed = (key for key, parameter in net.named_parameters() if not parameter.requires_grad)  # Marian's positions
        self.computed_names = (*fixed, "final_logits_bias")

"""Whisper by transformers: 30 seconds of sound in; text token by token, or scores of classes, out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import Decoding, Encoded, Sequences
from experiments.models.library.log_mel import LogMel
from experiments.models.library.published_config import (
    config_file,
    keep_published,
    pooled,
    published_config,
    sizes,
    transformers,
)
from experiments.models.library.sound_layers import MeanOverTime
from experiments.models.library.whisper_decoder import DecoderLayer, Positions, WhisperWords
from experiments.models.library.whisper_tokens import PublishedTokens, SymbolTokens
from experiments.models.stages import Staged, tensors

RATE = 16_000


class WhisperSpoken(NamedTuple):
    """Hold what the network reads: sound (B, T) int16, what its first stages or `listen` made of it, and the tokens before
    each step, (B, S) int64.
    """

    sound: Sequences | Encoded | Decoding
    tokens: Tensor


def whisper(
    sample_rate: int,
    num_classes: int | None = None,
    symbols: Sequence[str] | None = None,
    *,
    source: str | None,
    window: float,
    bands: int,
    hidden: int,
    layers: int,
    heads: int,
    inner: int,
    longest_text: int,
    projection: int,
    dropout: float,
) -> nn.Module:
    """Builds the encoder and decoder for transcripts, or the encoder with a head for classes.

    Radford et al., "Robust speech recognition via large-scale weak supervision" (2022).

    Args:
        sample_rate: samples a second; must be 16,000.
        num_classes: classes of a recording; or None.
        symbols: characters of the transcripts, which are the tokens where `source` brings no tokenizer; or None.
        source: a folder in transformers' layout, whose config.json gives the sizes; None, or without one: the sizes below.
        window: seconds that the network looks at, 30 as published; shorter recordings are filled up with silence.
        bands: of the spectrum, on the mel scale.
        hidden: features of a step.
        layers: of the encoder, and as many of the decoder.
        heads: of the attention.
        inner: units of a layer's dense part.
        longest_text: tokens of a transcript at most.
        projection: units before the scores of classes.
        dropout: between layers.

    Raises:
        ValueError: when the sound has another rate, transformers is missing, or a value is out of range.
    """
    if sample_rate != RATE:
        raise ValueError(
            f"Whisper reads {RATE} samples a second and the data gives {sample_rate}: set data.rate={RATE}"
        )
    sizes(bands=bands, hidden=hidden, layers=layers, heads=heads, inner=inner, longest_text=longest_text)
    if hidden % heads:
        raise ValueError(f"model.hidden={hidden} must be a multiple of model.heads={heads}: try model.heads=1")
    library = transformers("whisper")
    config = published_config(source, ("whisper",))
    words: Any = None
    if config is None:
        words = SymbolTokens(symbols or ())
        config = library.WhisperConfig(
            vocab_size=words.size,
            num_mel_bins=bands,
            d_model=hidden,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=inner,
            decoder_ffn_dim=inner,
            max_source_positions=max(1, round(window * 50)),
            max_target_positions=longest_text,
            classifier_proj_size=projection,
            decoder_start_token_id=words.start,
            eos_token_id=words.end,
            bos_token_id=words.start,
            pad_token_id=words.end,
        )
    elif num_classes is None:
        file = config_file(source)
        assert file is not None
        words = PublishedTokens(file.parent, config)
    longest = config.max_source_positions / 50
    if not 0.02 <= window <= longest:
        raise ValueError(
            f"model.window={window} must lie between 0.02 and the network's {longest:g} seconds: try {longest:g}"
        )
    config.dropout = config.attention_dropout = config.activation_dropout = dropout
    net = library.WhisperModel(config)
    if num_classes is not None:
        return WhisperEncoder(net, config, window, num_classes, source)
    return Whisper(net, config, window, words, source)


def _encoder(net: Any, config: Any, window: float) -> dict[str, nn.Module]:
    """Return the stages that both kinds have."""
    stages: dict[str, nn.Module] = {
        "features": LogMel(config.num_mel_bins, window),  # (B, frames, bands)
        "convolutions": Convolutions(net.encoder, config.dropout),  # (B, steps, hidden)
    }
    for number, layer in enumerate(net.encoder.layers, 1):
        stages[f"layer{number}"] = WhisperLayer(layer)
    stages["norm"] = EncoderNorm(net.encoder.layer_norm)
    return stages


class WhisperEncoder(Staged):
    """Stages `features`, `convolutions`, `layer1`, …, `norm`, `pooling` and `head`: `Sequences` (B, T) int16 -> (B, num_classes).

    Deviation from transformers: pooling takes the steps of the recording and leaves out those of the silence behind it.
    """

    def __init__(self, net: Any, config: Any, window: float, num_classes: int, source: str | None) -> None:
        stages = _encoder(net, config, window)
        stages["pooling"] = MeanOverTime()  # (B, hidden)
        stages["head"] = pooled(config.d_model, config.classifier_proj_size, num_classes)
        super().__init__(stages, tensors(net))
        self.published_names |= {"encoder.embed_positions.weight": "convolutions.positions"}
        self.published_names |= {f"model.{name}": ours for name, ours in self.published_names.items()}
        self.source, self.config = source, config
        self.unused_names = ("decoder.", "model.decoder.", "proj_out.")
        self.head_names = {"projector": "head.0", "classifier": "head.1"}

    def keep(self, folder: Path) -> None:
        """Writes what a run needs besides its weights: the sizes that were published."""
        keep_published(self.source, folder)


class Whisper(nn.Module):
    """Encoder and decoder. Stages `features`, `convolutions`, `layer1`, …, `norm`, `embedding`, `decoder1`, … and `head`.

    Args:
        net: the library's, whose layers are taken over.
        config: the library's.
        window: seconds.
        words: the tokens of transcripts.
        source: the folder that config comes from, or None.

    Attributes:
        words: likewise.
        positions: tokens at most, those of the prompt included.
        published_names: the name here of each tensor of the library.
        encoder_stages: how many of the stages read the sound alone.
    """

    def __init__(self, net: Any, config: Any, window: float, words: Any, source: str | None) -> None:
        super().__init__()
        for name, stage in _encoder(net, config, window).items():
            self.add_module(name, stage)
        self.encoder_stages = len(self._modules)
        self.embedding = Positions(net.decoder.embed_positions, config)
        self.layers = []  # their names
        for number, layer in enumerate(net.decoder.layers, 1):
            self.layers.append(f"decoder{number}")
            self.add_module(self.layers[-1], DecoderLayer(layer))
        self.head = WhisperWords(net.decoder.embed_tokens, net.decoder.layer_norm)
        self.source, self.config = source, config
        self.words, self.window, self.positions = words, window, int(config.max_target_positions)
        ours = {id(tensor): name for name, tensor in self.state_dict(keep_vars=True).items()}
        library = {name: ours[id(tensor)] for name, tensor in tensors(net).items() if id(tensor) in ours}
        library["encoder.embed_positions.weight"] = "convolutions.positions"
        self.published_names = library | {f"model.{name}": ours for name, ours in library.items()}
        self.unused_names = ("proj_out.",)  # the matrix of the tokens once more
        self.head_names: dict[str, str] = {}

    def for_search(self) -> Whisper:
        """Return the network with the weights of dense layers in the precision of autocast, which else converts them at
        every token; the network itself where there is no autocast. All else is shared, and outputs are the same.
        """
        matrix: Any = self.head.tokens.weight
        device = matrix.device.type
        dtype = torch.get_autocast_dtype(device)
        if not torch.is_autocast_enabled(device) or torch.is_grad_enabled():
            return self
        same: dict[int, Any] = {id(tensor): tensor for tensor in (self.words, *self.parameters(), *self.buffers())}
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                same |= {
                    id(parameter): nn.Parameter(parameter.to(dtype), requires_grad=False)
                    for parameter in layer.parameters()
                }
        copied = copy.deepcopy(self, same)
        copied.head.matrix = matrix.detach().to(dtype)
        return copied

    def keep(self, folder: Path) -> None:
        """Writes what a run needs besides its weights: the sizes and the tokenizer that were published."""
        keep_published(self.source, folder)

    def forward(self, x: WhisperSpoken | Sequences) -> Tensor:
        """Scores (B, S, tokens) of what follows each token; of sound alone those of what follows the first, (B, 1, tokens)."""
        if isinstance(x, Sequences):
            start = torch.full((len(x.values), 1), self.words.start, device=x.values.device)
            x = WhisperSpoken(x, start)
        state = x.sound if isinstance(x.sound, Decoding) else self.listen(x.sound)
        values, _ = self._decode(x.tokens, state)
        return self.head(values)

    def encode(self, sound: Sequences | Encoded, seconds: int | None = None) -> Tensor:
        """Map (B, T) int16 -> (B, steps, hidden); see `listen`. `Encoded` sound goes on from the stage that reads it."""
        x: Any = sound
        start = sound.start if isinstance(sound, Encoded) else 0
        for name, stage in islice(self.named_children(), start, self.encoder_stages):
            x = stage(x, seconds) if name == "features" else stage(x)
        return x.values

    def listen(self, sound: Sequences | Encoded, seconds: int | None = None) -> Decoding:
        """Return where a decoder stands before the first token; a row of `fixed` serves as many rows of `moving` as there come.

        `seconds` is a window shorter than the network's, for which it costs less; None: the network's.
        """
        encoded = self.encode(sound, seconds)
        fixed: list[Tensor] = []
        moving: list[Tensor] = []
        for name in self.layers:
            fixed += self.get_submodule(name).listen(encoded)  # type: ignore[operator]
            moving += [fixed[-1][:, :, :0]] * 2
        return Decoding(tuple(fixed), tuple(moving))

    def advance(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Return some more tokens (R, n) -> scores of the next one (R, tokens), and the state behind them."""
        values, state = self._decode(tokens, state)
        return self.head(values[:, -1:])[:, 0], state

    def _decode(self, tokens: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        values = self.embedding(self.head.tokens(tokens), state.moving[0].shape[2])  # (R, n, hidden)
        moving: list[Tensor] = []
        for number, name in enumerate(self.layers):
            two = slice(2 * number, 2 * number + 2)
            values, keys = self.get_submodule(name)(values, state.moving[two], state.fixed[two])
            moving += keys
        return values, state._replace(moving=tuple(moving))

    @torch.no_grad()
    def attention(self, sound: Sequences, tokens: Tensor) -> Tensor:
        """Where each token looks in the sound, the mean over layers and heads: (B, S, steps)."""
        state = self.listen(sound)
        values = self.embedding(self.head.tokens(tokens), 0)
        maps = []
        for number, name in enumerate(self.layers):
            layer: Any = self.get_submodule(name)
            maps.append(layer.looks(values, state.fixed[2 * number]))
            values, _ = layer(values, state.moving[:2], state.fixed[2 * number : 2 * number + 2])
        return torch.stack(maps).mean(0)


class Convolutions(nn.Module):
    """Two convolutions over the spectrum, and positions: (B, frames, bands) -> (B, frames / 2, hidden)."""

    def __init__(self, encoder: Any, dropout: float) -> None:
        super().__init__()
        self.conv1, self.conv2, self.dropout = encoder.conv1, encoder.conv2, nn.Dropout(dropout)
        self.register_buffer("positions", encoder.embed_positions.weight.detach().clone())  # sines, which never learn

    def forward(self, x: Sequences) -> Sequences:
        values = F.gelu(self.conv1(x.values.transpose(1, 2)))
        values = F.gelu(self.conv2(values)).transpose(1, 2)
        positions: Any = self.positions
        values = values + positions[: values.shape[1]]
        return Sequences(self.dropout(values), ((x.lengths - 1) // 2 + 1).clamp(max=values.shape[1]))


class WhisperLayer(nn.Module):
    """One layer of the encoder: (B, steps, hidden) -> the same. Silence is looked at like sound, as published."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Sequences) -> Sequences:
        out = self.layer(x.values, None)
        return Sequences(out[0] if isinstance(out, tuple) else out, x.lengths)


class EncoderNorm(nn.Module):
    """Layer norm behind the encoder: (B, steps, hidden) -> the same."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.norm(x.values), x.lengths)

"""Wav2Vec 2.0, HuBERT and WavLM by transformers, cut into stages: raw sound at 16 kHz in, scores of symbols or classes out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.batches import Sequences
from experiments.models.library.published_config import keep_published, pooled, published_config, sizes, transformers
from experiments.models.library.sound_layers import LetterScores, MeanOverTime, Norm, Wav2Vec2Layer, WavLMLayer
from experiments.models.stages import Staged, one_of, tensors

log = logging.getLogger(__name__)

RATE = 16_000
KINDS = ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat")  # what config.json may say that it is


class Wav2Vec2(Staged):
    """Stages `features`, `projection`, `layer1`, …, `norm` (where layers normalise first), `pooling` (of clips) and `head`.

    Baevski et al., "wav2vec 2.0" (2020). Reads `Sequences` of samples (B, T) int16. Gives (B, num_classes); for
    `every_step` `Sequences` of (B, steps, num_classes), a step each 20 ms. Contrastive pretraining is not here.

    Deviation from transformers: padding changes nothing. The statistics of the first convolution's group norm, which there
    count the padding of a batch, are of each recording alone.

    Args:
        sample_rate: samples a second; must be 16,000.
        num_classes: classes, or symbols and the blank.
        every_step: one output a step in place of one a recording.
        source: a folder in transformers' layout, whose config.json gives the sizes; None, or without one: the sizes below.
        filters: channels of each convolution.
        kernels: steps that each convolution sees.
        strides: steps between two windows of each convolution.
        hidden: features of a step in the transformer.
        layers: of the transformer.
        heads: of its attention.
        inner: units of a layer's dense part.
        position_kernel: steps that the convolution of positions sees.
        position_groups: of that convolution.
        projection: units before the scores of classes (of clips).
        dropout: in the transformer and before the head.
        layerdrop: share of the layers skipped while training.
        time_mask: share of the steps hidden while training, in spans of `time_span`.
        time_span: steps.
        feature_mask: share of the features hidden while training, in spans of `feature_span`.
        feature_span: features.
        name: of the family, as transformers lists it; where `source` has a config.json, that says it.

    Raises:
        ValueError: when the sound has another rate, transformers is missing, or a value is out of range.
    """

    def __init__(
        self,
        sample_rate: int,
        num_classes: int,
        *,
        every_step: bool = False,
        source: str | None,
        filters: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
        hidden: int,
        layers: int,
        heads: int,
        inner: int,
        position_kernel: int,
        position_groups: int,
        projection: int,
        dropout: float,
        layerdrop: float,
        time_mask: float,
        time_span: int,
        feature_mask: float,
        feature_span: int,
        name: str = "wav2vec2",
    ) -> None:
        one_of("name", name, KINDS)
        if sample_rate != RATE:
            raise ValueError(
                f"Wav2Vec 2.0 reads {RATE} samples a second and the data gives {sample_rate}: set data.rate={RATE}"
            )
        sizes(filters=filters, kernels=kernels, strides=strides, hidden=hidden, layers=layers, heads=heads, inner=inner)
        if not len(filters) == len(kernels) == len(strides):
            raise ValueError(
                f"model.filters, model.kernels and model.strides have {len(filters)}, {len(kernels)} and {len(strides)} "
                "entries: give one for each convolution"
            )
        if hidden % heads or hidden % position_groups:
            raise ValueError(
                f"model.hidden={hidden} must be a multiple of model.heads={heads} and of model.position_groups="
                f"{position_groups}: try model.hidden={heads * position_groups}"
            )
        library = transformers("wav2vec2")
        config = published_config(source, KINDS)
        if config is None:
            config = library.AutoConfig.for_model(
                name,
                conv_dim=list(filters),
                conv_kernel=list(kernels),
                conv_stride=list(strides),
                hidden_size=hidden,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                intermediate_size=inner,
                num_conv_pos_embeddings=position_kernel,
                num_conv_pos_embedding_groups=position_groups,
                classifier_proj_size=projection,
            )
        for key in ("hidden_dropout", "activation_dropout", "attention_dropout"):
            setattr(config, key, dropout)
        config.mask_time_prob = max(config.mask_time_prob, 0.05)  # else the library has no vector for what is hidden
        net: Any = library.AutoModel.from_config(config)
        stable = bool(config.do_stable_layer_norm)
        masks = Masks(time_mask, time_span, feature_mask, feature_span)
        stages: dict[str, nn.Module] = {
            "features": WaveFeatures(net.feature_extractor, config),  # (B, steps, filters)
            "projection": Projection(
                net, None if stable else net.encoder.layer_norm, masks, config
            ),  # (B, steps, hidden)
        }
        blocks = net.encoder.layers
        far = hasattr(blocks[0].attention, "compute_bias")
        for number, layer in enumerate(blocks, 1):  # (B, steps, hidden)
            stages[f"layer{number}"] = (
                WavLMLayer(layer, blocks[0], layerdrop) if far else Wav2Vec2Layer(layer, layerdrop)
            )
        if stable:
            stages["norm"] = Norm(net.encoder.layer_norm)
        if every_step:
            stages["head"] = LetterScores(config.hidden_size, num_classes, dropout)  # (B, steps, num_classes)
        else:
            stages["pooling"] = MeanOverTime()  # (B, hidden)
            stages["head"] = pooled(config.hidden_size, config.classifier_proj_size, num_classes)  # (B, num_classes)
        super().__init__(stages, tensors(net))
        self.config = config
        self.blank = every_step  # the head scores symbols, and first the blank
        # In the library the head stands beside the network, whose names then begin with its kind.
        self.published_names |= {f"{net.base_model_prefix}.{name}": ours for name, ours in self.published_names.items()}
        self.head_names = {"lm_head": "head.scores"} if every_step else {"projector": "head.0", "classifier": "head.1"}
        self.source = source
        # Of pretraining, and of heads of the other kind.
        self.unused_names = (
            "quantizer.",
            "project_hid.",
            "project_q.",
            "layer_weights",
            "lm_head.",
            "projector.",
            "classifier.",
        )

    def keep(self, folder: Path) -> None:
        """Writes what a run needs besides its weights: the sizes that were published."""
        keep_published(self.source, folder)


class WaveFeatures(nn.Module):
    """Convolutions over samples: `Sequences` (B, T) int16 -> (B, steps, filters).

    Each recording is scaled to mean 0 and deviation 1. One shorter than the receptive field is filled up with silence.

    Args:
        extractor: the library's.
        config: the library's.
    """

    def __init__(self, extractor: nn.Module, config: Any) -> None:
        super().__init__()
        self.conv_layers = extractor.conv_layers
        self.kernels, self.strides = list(config.conv_kernel), list(config.conv_stride)
        self.field = 1  # samples that a step sees
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            self.field = (self.field - 1) * stride + kernel
        self._told = False

    def steps(self, lengths: Tensor) -> Tensor:
        """Steps of recordings of so many samples."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            lengths = (lengths - kernel) // stride + 1
        return lengths

    def forward(self, x: Sequences) -> Sequences:
        lengths = x.lengths
        if not torch.compiler.is_compiling() and int(lengths.min()) < self.field and not self._told:
            self._told = True
            log.warning(
                "recordings shorter than %s samples, which one step of the network sees, are filled up with silence.",
                self.field,
            )
        with torch.autocast(x.values.device.type, enabled=False):
            samples = x.values.float() / 32768
            inside = x.mask()
            count = lengths[:, None]
            mean = samples.masked_fill(~inside, 0.0).sum(1, keepdim=True) / count
            centred = (samples - mean).masked_fill(~inside, 0.0)
            samples = centred / (centred.square().sum(1, keepdim=True) / count + 1e-7).sqrt()
        samples = F.pad(samples, (0, max(0, self.field - samples.shape[1])))
        lengths = lengths.clamp(min=self.field)
        layers: Any = self.conv_layers
        values: Any = samples.to(layers[0].conv.weight.dtype)[:, None]  # (B, 1, T)
        for layer, kernel, stride in zip(layers, self.kernels, self.strides, strict=True):
            lengths = (lengths - kernel) // stride + 1
            norm = getattr(layer, "layer_norm", None)
            if isinstance(norm, nn.GroupNorm):
                values = layer.activation(_normalised(layer.conv(values), lengths, norm))
            else:
                values = layer(values)
        return Sequences(values.transpose(1, 2), lengths)


def _normalised(values: Tensor, lengths: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Group norm with a group a channel, over each recording's own steps: (B, C, T) -> the same."""
    if not torch.compiler.is_compiling() and bool((lengths == values.shape[2]).all()):
        return norm(values)
    with torch.autocast(values.device.type, enabled=False):
        full = values.float()
        inside = (torch.arange(values.shape[2], device=values.device) < lengths[:, None])[:, None]
        count = lengths[:, None, None]
        mean = full.masked_fill(~inside, 0.0).sum(2, keepdim=True) / count
        variance = (full - mean).masked_fill(~inside, 0.0).square().sum(2, keepdim=True) / count
        scale = norm.weight.float()[:, None] * (variance + norm.eps).rsqrt()
        return ((full - mean) * scale + norm.bias.float()[:, None]).to(values.dtype)


class Projection(nn.Module):
    """To the transformer's width, what is hidden while training, and positions: (B, steps, filters) -> (B, steps, hidden).

    Args:
        net: the library's.
        norm: after the positions; None: layers normalise first.
        masks: what is hidden.
        config: the library's.
    """

    def __init__(self, net: Any, norm: nn.Module | None, masks: Masks, config: Any) -> None:
        super().__init__()
        self.dense, self.positions, self.norm = net.feature_projection, net.encoder.pos_conv_embed, norm
        self.hidden = net.masked_spec_embed
        self.masks, self.dropout = masks, nn.Dropout(config.hidden_dropout)

    def forward(self, x: Sequences) -> Sequences:
        values = self.dense(x.values)
        if isinstance(values, tuple):
            values = values[0]
        values = self.masks(values, x.lengths, self.hidden)
        values = values.masked_fill(~x.mask()[..., None], 0.0)
        values = values + self.positions(values)
        if self.norm is not None:
            values = self.norm(values)
        return Sequences(self.dropout(values), x.lengths)


class Masks(nn.Module):
    """Spans of time replaced by a learned vector and spans of features by zeros, while training (section 3.1 of the paper).

    Args:
        time: share of the steps.
        time_span: steps.
        feature: share of the features.
        feature_span: features.
    """

    def __init__(self, time: float, time_span: int, feature: float, feature_span: int) -> None:
        super().__init__()
        for key, share in (("time_mask", time), ("feature_mask", feature)):
            if not 0 <= share < 1:
                raise ValueError(f"model.{key}={share} must lie in [0, 1): try model.{key}=0.05")
        sizes(time_span=time_span, feature_span=feature_span)
        self.time, self.time_span, self.feature, self.feature_span = time, time_span, feature, feature_span

    def forward(self, values: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
        """Map (B, T, D) -> the same."""
        if not self.training:
            return values
        if self.time:
            chosen = _spans(lengths, values.shape[1], self.time, self.time_span)
            values = torch.where(chosen[..., None], hidden.to(values.dtype), values)
        if self.feature:
            widths = torch.full_like(lengths, values.shape[2])
            chosen = _spans(widths, values.shape[2], self.feature, self.feature_span)
            values = values.masked_fill(chosen[:, None], 0.0)
        return values


def _spans(totals: Tensor, places: int, share: float, span: int) -> Tensor:
    """(B, places) bool: spans that begin at different places and may overlap, share · total / span of them in each row."""
    device = totals.device
    wanted = (share * totals / span + torch.rand(len(totals), device=device)).floor()
    starts = (totals - span + 1).clamp(min=0)  # so many places where a span may begin
    wanted = torch.minimum(wanted, starts)
    score = torch.rand(len(totals), places, device=device)
    score = score.masked_fill(torch.arange(places, device=device) >= starts[:, None], 2.0)
    begins = (score.argsort(1).argsort(1) < wanted[:, None]).float()
    reached = F.max_pool1d(F.pad(begins, (span - 1, 0))[:, None], span, 1)[:, 0]
    return reached > 0

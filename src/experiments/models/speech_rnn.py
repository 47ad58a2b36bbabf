"""Convolution and recurrence over spectra: the shape of Amodei et al., "Deep Speech 2" (2016)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from experiments.batches import Sequences
from experiments.models.acoustics import Acoustics, SpecAugment
from experiments.models.recurrent import POOLINGS, Pooling
from experiments.models.recurrent_layer import CELLS, RecurrentLayer


class Convolution(nn.Module):
    """One layer over time and frequency: values (B, T, C · F) -> (B, T / stride, filters · F / 2).

    Deviation from the paper: normalised over each frame instead of over the batch, so that padding and neighbours have
    no say.

    Args:
        channels: C.
        bands: F.
        filters: channels that come out.
        kernel: steps and bands that a filter sees, both odd.
        stride: steps from one output to the next; bands go by two.

    Attributes:
        bands: how many come out.
    """

    def __init__(self, channels: int, bands: int, filters: int, kernel: tuple[int, int], stride: int) -> None:
        super().__init__()
        around = (kernel[0] // 2, kernel[1] // 2)
        self.channels, self.stride = channels, stride
        self.filter = nn.Conv2d(channels, filters, kernel, stride=(stride, 2), padding=around)
        self.bands = (bands - 1) // 2 + 1
        self.norm = nn.LayerNorm(filters * self.bands)

    def forward(self, x: Sequences) -> Sequences:
        values = x.values.masked_fill(~x.mask()[..., None], 0.0)
        out = self.filter(values.unflatten(2, (self.channels, -1)).transpose(1, 2))  # (B, filters, T', F')
        frames = self.norm(out.transpose(1, 2).flatten(2))
        return Sequences(F.hardtanh(frames, 0.0, 20.0), (x.lengths - 1) // self.stride + 1)


class Symbols(nn.Module):
    """Scores of the symbols and the blank at each step: values (B, T, D) -> (B, T, num_classes)."""

    def __init__(self, features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout, self.scores = nn.Dropout(dropout), nn.Linear(features, num_classes)

    def forward(self, x: Sequences) -> Sequences:
        return Sequences(self.scores(self.dropout(x.values)), x.lengths)


class SpeechRNN(nn.Sequential):
    """Stages `features`, `augment`, `convolution1`, …, `layer1`, …, `pooling` (of clips) and `head`.

    Reads `Sequences` of samples (B, T) int16. Gives (B, num_classes); for `every_step` `Sequences` of (B, steps,
    num_classes).

    Args:
        sample_rate: samples a second.
        num_classes: classes, or symbols and the blank.
        every_step: one output a step in place of one a recording.
        features: log_mel or mfcc.
        bands: on the mel scale.
        coefficients: of mfcc.
        window: milliseconds of sound that a frame looks at.
        hop: milliseconds from frame to frame.
        time_masks: stripes of time hidden while training.
        time_mask: widest one, as a share of the recording.
        band_masks: stripes of frequency hidden.
        band_mask: widest one, bands.
        filters: of each convolution; an empty list: none.
        kernel: frames and bands that a filter sees.
        stride: frames between two windows of the first convolution; of the others one.
        cell: rnn, lstm or gru.
        hidden: units a layer and direction.
        layers: recurrent ones.
        bidirectional: read backwards too.
        pooling: last, mean, max or attention; of clips.
        dropout: share of the entries dropped between layers and before the head.

    Raises:
        ValueError: when a value is out of its range.
    """

    def __init__(
        self,
        sample_rate: int,
        num_classes: int,
        *,
        every_step: bool = False,
        features: str,
        bands: int,
        coefficients: int,
        window: float,
        hop: float,
        time_masks: int,
        time_mask: float,
        band_masks: int,
        band_mask: int,
        filters: Sequence[int],
        kernel: Sequence[int],
        stride: int,
        cell: str,
        hidden: int,
        layers: int,
        bidirectional: bool,
        pooling: str,
        dropout: float,
    ) -> None:
        for key, value, allowed in (
            ("features", features, ("log_mel", "mfcc")),
            ("cell", cell, tuple(CELLS)),
            ("pooling", pooling, POOLINGS),
        ):
            if value not in allowed:
                raise ValueError(f"model.{key}={value} is unknown: use {' or '.join(allowed)}")
        if len(kernel) != 2 or any(size % 2 == 0 or size < 1 for size in kernel):
            raise ValueError(f"model.kernel={list(kernel)} needs two odd sizes, frames and bands: try [5,5]")
        for key, number in (("bands", bands), ("hidden", hidden), ("layers", layers), ("stride", stride), ("hop", hop)):
            if number < 1:
                raise ValueError(f"model.{key}={number} must be 1 or more: try model.{key}=1")
        if not 1 <= coefficients <= bands:
            raise ValueError(f"model.coefficients={coefficients} must be 1 to {bands}, the bands: try {min(13, bands)}")
        if window < hop:
            raise ValueError(f"model.window={window} must reach to the next frame, model.hop={hop}: try {2 * hop}")
        sound = Acoustics(sample_rate, kind=features, bands=bands, coefficients=coefficients, window=window, hop=hop)
        stages: OrderedDict[str, nn.Module] = OrderedDict(
            features=sound,  # (B, frames, bands)
            augment=SpecAugment(time_masks=time_masks, time=time_mask, band_masks=band_masks, bands=band_mask),
        )
        channels, heights = 1, sound.outputs
        for number, count in enumerate(filters, 1):
            size = (kernel[0], kernel[1])
            layer = Convolution(channels, heights, count, size, stride if number == 1 else 1)
            stages[f"convolution{number}"] = layer  # (B, steps, filters · bands / 2)
            channels, heights = count, layer.bands
        inputs, drop = channels * heights, 0.0
        for number in range(1, layers + 1):
            recurrent = RecurrentLayer(
                inputs, hidden, cell=cell, bidirectional=bidirectional, layer_norm=True, dropout=drop
            )
            stages[f"layer{number}"] = recurrent  # (B, steps, hidden), twice that in both directions
            inputs, drop = recurrent.outputs, dropout
        if every_step:
            stages["head"] = Symbols(inputs, num_classes, dropout)  # (B, steps, num_classes)
        else:
            stages["pooling"] = Pooling(inputs, pooling, bidirectional, dropout)  # (B, inputs)
            stages["head"] = nn.Linear(inputs, num_classes)  # (B, num_classes)
        super().__init__(stages)
        self.blank = every_step  # the head scores symbols, and first the blank

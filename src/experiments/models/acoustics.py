"""From samples to features: spectra on the mel scale, computed where the network runs, and masks over them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.batches import Sequences

FLOOR = 1e-6  # of power, 60 dB below full scale: what digital silence counts as


class Acoustics(nn.Module):
    """Log-mel spectrum or MFCC, normalised over each recording: (B, T) int16 -> values (B, frames, bands).

    Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word recognition" (1980). Windows
    that reach beyond a recording's end are left out, so padding changes nothing; a recording shorter than a window is
    filled up with silence.

    Args:
        sample_rate: samples a second.
        kind: log_mel or mfcc.
        bands: on the mel scale.
        coefficients: of the cosine transform that are kept, of mfcc.
        window: milliseconds.
        hop: milliseconds from one window to the next.

    Attributes:
        outputs: features a frame.
    """

    def __init__(
        self, sample_rate: int, *, kind: str, bands: int, coefficients: int, window: float, hop: float
    ) -> None:
        super().__init__()
        self.window, self.hop = round(sample_rate * window / 1000), round(sample_rate * hop / 1000)
        size = 1 << (self.window - 1).bit_length()
        self.register_buffer("shape", torch.hann_window(self.window), persistent=False)
        self.register_buffer("filters", mel_filters(sample_rate, size, bands), persistent=False)
        cosines = cosine_transform(bands, coefficients) if kind == "mfcc" else None
        self.register_buffer("cosines", cosines, persistent=False)
        self.size, self.outputs = size, coefficients if kind == "mfcc" else bands

    def frames(self, lengths: Tensor) -> Tensor:
        """Tell how many frames recordings of so many samples have, each 1 or more."""
        return (lengths - self.window).clamp(min=0) // self.hop + 1

    def forward(self, x: Sequences) -> Sequences:
        filters, shape = self._buffer("filters"), self._buffer("shape")
        with torch.autocast(x.values.device.type, enabled=False):  # powers span more than 16 bits hold
            samples = x.values.float() / 32768
            samples = F.pad(samples, (0, max(0, self.window - samples.shape[1])))
            inside = torch.arange(samples.shape[1], device=samples.device) < x.lengths[:, None]
            samples = samples.masked_fill(~inside, 0.0)
            windows = samples.unfold(1, self.window, self.hop) * shape.float()  # (B, frames, window)
            power = torch.fft.rfft(windows, n=self.size).abs().square()  # (B, frames, size / 2 + 1)
            logs = (power @ filters.float() / self.window + FLOOR).log()
            if self.cosines is not None:
                logs = logs @ self._buffer("cosines").float()
            out = Sequences(logs, self.frames(x.lengths))
            # One mean and one deviation for all bands: how loud it is does not matter, at which pitch it is does.
            mask = out.mask()[..., None]
            count = out.lengths[:, None, None] * logs.shape[2]
            mean = logs.masked_fill(~mask, 0.0).sum((1, 2), keepdim=True) / count
            centred = (logs - mean).masked_fill(~mask, 0.0)
            deviation = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
            return Sequences((centred / (deviation + 1e-3)).to(filters.dtype), out.lengths)

    def _buffer(self, name: str) -> Tensor:
        buffer = getattr(self, name)
        assert isinstance(buffer, Tensor)
        return buffer


class SpecAugment(nn.Module):
    """Stripes of time and of frequency set to zero while training: (B, frames, bands) -> the same.

    Park et al., "SpecAugment" (2019), without time warping.

    Args:
        time_masks: stripes of time.
        time: widest one, as a share of the recording.
        band_masks: stripes of frequency.
        bands: widest one.
    """

    def __init__(self, *, time_masks: int, time: float, band_masks: int, bands: int) -> None:
        super().__init__()
        self.time_masks, self.time, self.band_masks, self.bands = time_masks, time, band_masks, bands

    def forward(self, x: Sequences) -> Sequences:
        if not self.training:
            return x
        values, device = x.values, x.values.device
        steps = torch.arange(values.shape[1], device=device)
        bands = torch.arange(values.shape[2], device=device)
        hidden = torch.zeros(values.shape[:2], dtype=torch.bool, device=device)
        for _ in range(self.time_masks):
            hidden |= _stripe(steps, x.lengths.float(), x.lengths * self.time)
        silent = torch.zeros(len(values), values.shape[2], dtype=torch.bool, device=device)
        for _ in range(self.band_masks):
            total = torch.full((len(values),), float(values.shape[2]), device=device)
            silent |= _stripe(bands, total, torch.full_like(total, float(self.bands) + 1))
        return Sequences(values.masked_fill(hidden[..., None] | silent[:, None], 0.0), x.lengths)


def _stripe(places: Tensor, total: Tensor, widest: Tensor) -> Tensor:
    """(B, N) bool: places within a stripe of random width below `widest`, somewhere in `total`, both (B,)."""
    width = (torch.rand(len(total), device=total.device) * widest).floor()
    start = (torch.rand(len(total), device=total.device) * (total - width + 1)).floor()
    return (places >= start[:, None]) & (places < (start + width)[:, None])


def mel_filters(rate: int, size: int, bands: int) -> Tensor:
    """Triangles of equal width on the mel scale (O'Shaughnessy, 1987), (size / 2 + 1, bands), of power spectra."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    points = torch.linspace(mel(20.0), mel(rate / 2), bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (points / 2595) - 1)
    hertz = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return torch.minimum(rising, falling).clamp(min=0).float()


def cosine_transform(bands: int, coefficients: int) -> Tensor:
    """Return the first coefficients of the orthonormal cosine transform (DCT-II), (bands, coefficients)."""
    place = torch.arange(bands, dtype=torch.float64)[:, None]
    order = torch.arange(coefficients, dtype=torch.float64)
    cosines = torch.cos(math.pi / bands * (place + 0.5) * order) * math.sqrt(2 / bands)
    cosines[:, 0] /= math.sqrt(2)
    return cosines.float()

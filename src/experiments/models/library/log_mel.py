"""Whisper's spectrum: the logarithm of power in mel bands, of a fixed number of seconds."""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from experiments.batches import Sequences

log = logging.getLogger(__name__)

RATE, SIZE, HOP = 16_000, 400, 160  # samples a second, of a window, from one to the next


class LogMel(nn.Module):
    """`Sequences` (B, T) int16 -> (B, frames, bands), a hundred frames a second, filled up with silence to `window`.

    Values are cut at 8 below the largest (in powers of ten) and scaled as published; lengths are those of the sound.

    Args:
        bands: on the mel scale.
        window: seconds; what is longer is cut there.
    """

    def __init__(self, bands: int, window: float) -> None:
        super().__init__()
        from transformers.audio_utils import mel_filter_bank  # type: ignore[import-untyped]

        filters = mel_filter_bank(SIZE // 2 + 1, bands, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        self.register_buffer("shape", torch.hann_window(SIZE), persistent=False)
        self.samples = round(window * RATE) // (2 * HOP) * 2 * HOP
        self._told = False

    def forward(self, x: Sequences, seconds: int | None = None) -> Sequences:
        """Map (B, T) int16 -> (B, frames, bands); `seconds` is a shorter window than `window`, or None."""
        window = self.samples if seconds is None else min(self.samples, seconds * RATE)
        filters: Any = self.filters
        shape: Any = self.shape
        tells = not (torch.compiler.is_compiling() or self._told)
        if tells and x.values.shape[1] > self.samples and int(x.lengths.max()) > self.samples:
            self._told = True
            log.warning("recordings longer than the network's %g s are cut there.", self.samples / RATE)
        with torch.autocast(x.values.device.type, enabled=False):
            inside = x.mask()[:, :window]
            samples = x.values[:, :window].float().masked_fill(~inside, 0.0) / 32768
            samples = F.pad(samples, (0, window - samples.shape[1]))
            spectrum = torch.stft(samples, SIZE, HOP, window=shape.float(), return_complex=True)[..., :-1]
            power = (spectrum.abs() ** 2).contiguous()  # (B, SIZE / 2 + 1, frames)
            logs = (filters.float().T @ power).clamp(min=1e-10).log10()
            logs = torch.maximum(logs, logs.amax((1, 2), keepdim=True) - 8.0)
            values = ((logs + 4.0) / 4.0).transpose(1, 2).to(filters.dtype)
        lengths = ((x.lengths.clamp(max=window) - 1) // HOP + 1).clamp(min=1)
        return Sequences(values, lengths)

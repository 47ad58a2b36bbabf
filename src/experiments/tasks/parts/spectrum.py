"""The spectrum that pictures of speech show; the network may read another one."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from experiments.batches import Sequences

BANDS = 80


def spectrum(sound: Sequences, rate: int) -> Sequences:
    """Logarithm of power in windows of 25 ms every 10 ms, in bands of equal width up to half the rate.

    Args:
        sound: (B, T) int16.
        rate: samples a second.

    Returns:
        Values (B, frames, bands).
    """
    size, hop = round(rate * 0.025), round(rate * 0.010)
    samples = sound.values.float().masked_fill(~sound.mask(), 0.0) / 32768
    samples = F.pad(samples, (0, max(0, size - samples.shape[1])))
    windows = samples.unfold(1, size, hop) * torch.hann_window(size, device=samples.device)
    power = torch.fft.rfft(windows, n=max(512, size)).abs().square()  # (B, frames, bins)
    values = (F.adaptive_avg_pool1d(power, BANDS) + 1e-6).log()
    return Sequences(values, ((sound.lengths - size).clamp(min=0) // hop) + 1)

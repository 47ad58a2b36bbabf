"""Sizes and errors of compressed images: quantised numbers under an entropy coder, and JPEG."""

from __future__ import annotations

import io

import torch
from torch import Tensor

from experiments.tasks.parts.image_similarity import decibels, mse
from experiments.tasks.peers.pca import Components


class Coder:
    """The size that an arithmetic coder gives integers, each column by a table of its own learned on training data.

    The size is the sum of -log2 of each value's share in its table, which arithmetic coders reach within a few bits a
    file; every value of the training range, and one place for what lies outside, has at least one count.

    Args:
        training: (N, D) int64.
    """

    ESCAPE = 32  # bits that a value outside the table takes besides its place in it

    def __init__(self, training: Tensor) -> None:
        self.low, self.high = training.amin(0), training.amax(0)
        width = int((self.high - self.low).max()) + 2  # and one for what lies outside
        counts = torch.zeros(training.shape[1], width, dtype=torch.float64)
        counts.scatter_add_(1, (training - self.low).t(), torch.ones(training.t().shape, dtype=torch.float64))
        places = torch.arange(width)
        inside = places[None] <= (self.high - self.low)[:, None]
        counts += inside
        counts[torch.arange(len(counts)), self.high - self.low + 1] = 1
        self.bits = -(counts / counts.sum(1, keepdim=True)).log2()

    def size(self, values: Tensor) -> Tensor:
        """Bytes of each row: (N, D) int64 -> (N,) float."""
        outside = (values < self.low) | (values > self.high)
        places = torch.where(outside, self.high - self.low + 1, values - self.low)
        bits = self.bits.gather(1, places.t()).t()
        return (bits + self.ESCAPE * outside).sum(1) / 8


def distortion(restored: Tensor, pixels: Tensor) -> tuple[float, float]:
    """Mean PSNR and mean MSE of pictures, twice (N, C, H, W)."""
    errors = mse(restored, pixels)
    return float(decibels(errors).mean()), float(errors.mean())


def pca_curve(train: Tensor, test: Tensor, sizes: list[int], steps: list[float]) -> list[tuple[float, float, float]]:
    """Bytes, PSNR and MSE an image of quantised principal components, for each number of them and each step."""
    pca = Components(train, max(sizes))
    train_codes, new = pca.codes(train), pca.codes(test)
    points = []
    for size in sorted({min(size, pca.most) for size in sizes}):
        for step in steps:
            codes = (new[:, :size] / step).round()
            bytes_ = float(Coder((train_codes[:, :size] / step).round().long()).size(codes.long()).mean())
            points.append((bytes_, *distortion(pca.decode(codes * step), test)))
    return points


def jpeg_curve(test: Tensor, qualities: list[int]) -> list[tuple[float, float, float]]:
    """Bytes, PSNR and MSE an image of JPEG files by Pillow, without the headers and tables that all files share.

    What is shared is taken to be all but the entropy-coded scan, with tables optimised for the file; so the count favours JPEG.
    """
    from PIL import Image

    points = []
    for quality in qualities:
        total, done = 0, []
        for image in test:
            values = (image * 255).round().byte().permute(1, 2, 0).numpy()
            out = io.BytesIO()
            Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values).save(
                out, "JPEG", quality=quality, optimize=True
            )
            content = out.getvalue()
            start = content.rindex(b"\xff\xda")  # start of scan, its header's length in the next two bytes
            total += len(content) - start - 2 - int.from_bytes(content[start + 2 : start + 4], "big") - 2
            with Image.open(out) as opened:
                pixels = torch.frombuffer(bytearray(opened.tobytes()), dtype=torch.uint8)
            done.append(pixels.view(values.shape).permute(2, 0, 1).float() / 255)
        points.append((total / len(test), *distortion(torch.stack(done), test)))
    return points


def at(points: list[tuple[float, float, float]], size: float) -> tuple[float, float, float]:
    """Return what a method reaches at a mean size of so many bytes, by its best settings just below and above it, each
    for a share of the images; all of the smaller where there is no larger, and the smallest where all take more.
    """
    best = [point for point in sorted(points) if not any(o[0] <= point[0] and o[1] > point[1] for o in points)]
    below, above = [point for point in best if point[0] <= size], [point for point in best if point[0] > size]
    if not below or not above:
        return below[-1] if below else above[0]
    low, high = below[-1], above[0]
    share = (size - low[0]) / (high[0] - low[0])
    return tuple((1 - share) * a + share * b for a, b in zip(low, high, strict=True))  # type: ignore[return-value]

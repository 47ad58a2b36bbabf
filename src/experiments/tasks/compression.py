"""Compression: a quantised code and its size under an entropy coder; JPEG and PCA at as many bytes beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn

from experiments.errors import UserError
from experiments.tasks.autoencoding import LOSSES, Autoencoding, Sample, Shared
from experiments.tasks.peers.rate import Coder, at, distortion, jpeg_curve, pca_curve
from experiments.tasks.report import Report
from experiments.tasks.reports.compression import CompressionReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUALITIES = [1, 5, 10, 20, 30, 50, 75, 90]
STEPS = (0.25, 0.5, 1.0, 2.0, 4.0)  # times the network's own step, for the curve
COMPONENTS = [8, 16, 32, 64, 128]  # of PCA; with HALF_STEPS close enough to find its best at any size
HALF_STEPS = [2 ** (power / 2) for power in range(-4, 5)]


class Compression(Autoencoding):
    """The code is rounded to multiples of `step`. While training, rounding is replaced by uniform noise of the same width
    (Ballé et al., 2017), or the rounded value takes the gradient of the unrounded one.

    `test/bytes` is the mean size of an image's code under `Coder`, whose tables are learned on training images. A
    vector-quantised latent stage is coded by its indices instead.

    Args:
        model: as in `Autoencoding`, and so are spec, optimizer and scheduler.
        step: width of a quantisation cell.
        rounding: "noise" or "straight_through".
        rate: weight of a pressure on the size, mean log2(1 + |code / step|) a number; 0 is off.
        shared: the keys of `Autoencoding`; its peers are PCA, quantised and coded alike, with the best numbers of components and steps, and
            JPEG, at as many bytes; each at its smallest where that is larger.

    Raises:
        UserError: for a value that is not in its range.
    """

    report_class: type[Report] = CompressionReport
    test_keys: tuple[str, ...] = ("loss", "step", "peers", "peer_examples")

    peer_metrics = ("pca_bytes", "pca_psnr", "pca_mse", "jpeg_bytes", "jpeg_psnr")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        step: float,
        rounding: str,
        rate: float,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(model, spec, optimizer, scheduler, **shared)
        if step <= 0:
            raise UserError(f"task.step={step} must be above 0: try 1.0")
        if rounding not in ("noise", "straight_through"):
            raise UserError(f"task.rounding={rounding} is unknown: choose noise or straight_through")
        if rate < 0:
            raise UserError(f"task.rate={rate} must be 0 or more: try 0.0001")
        self.width, self.rounding, self.rate = step, rounding, rate
        self.indexed = hasattr(model.latent, "indices")

    def metric_names(self, split: str) -> list[str]:
        return [*super().metric_names(split), *(["test/bytes", "test/bits_per_pixel"] if split == "test" else [])]

    def quantised(self, code: Tensor, width: float) -> Tensor:
        """Return the nearest multiples of `width`."""
        return code if self.indexed else (code / width).round() * width

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised images (B, C, H, W) and labels that are not looked at."""
        inputs, _ = batch
        target = self.pixels(inputs)
        code, penalty = self.encode(inputs)
        if not self.training:
            passed = self.quantised(code, self.width)
        elif self.indexed:
            passed = code
        elif self.rounding == "noise":
            passed = code + (torch.rand_like(code) - 0.5) * self.width
        else:
            passed = code + (self.quantised(code, self.width) - code).detach()
        prediction = self.model.decoder(passed)
        loss = LOSSES[self.loss](prediction, target)
        if penalty is not None:
            loss = loss + penalty
        if self.rate and self.training and not self.indexed:
            loss = loss + self.rate * torch.log2(1 + (code / self.width).abs()).mean()
        return loss, prediction, target

    def integers(self, inputs: Tensor, width: float) -> Tensor:
        """Return what the coder writes, for any number of images: (N, D) int64."""
        if self.indexed:
            return self.by_chunks(lambda some: self.model.latent.indices(self.model.encoder(some)).flatten(1), inputs)
        return (self.codes(inputs) / width).round().long()

    def compressed(self, inputs: Tensor, width: float) -> Tensor:
        """Images (N, C, H, W) from their quantised codes, pixels."""
        return self.by_chunks(
            lambda some: self.model.decoder(self.quantised(self.encode(some)[0], width)).float(),
            inputs,
        )

    def restored(self, inputs: Tensor) -> Tensor:
        return self.compressed(inputs, self.width)

    def examine(self, test: Sample) -> dict[str, float]:
        values = super().examine(test)
        train = self.sample("train", self.peer_examples)
        assert train is not None
        curve = []
        for factor in (1.0,) if self.indexed else STEPS:
            width = factor * self.width
            size = float(Coder(self.integers(train.inputs, width)).size(self.integers(test.inputs, width)).mean())
            curve.append((size, *distortion(self.compressed(test.inputs, width), test.pixels)))
        ours = curve[0 if self.indexed else STEPS.index(1.0)]
        values["bytes"] = ours[0]
        values["bits_per_pixel"] = 8 * ours[0] / (self.spec.height * self.spec.width)
        curves = {"ours": curve}
        if self.peers:
            few = test.pixels[:1000]
            deviation = float(train.pixels.flatten(1).std(0).norm()) / 8
            steps = [deviation * factor for factor in HALF_STEPS]
            curves["PCA"] = pca_curve(train.pixels, test.pixels, COMPONENTS, steps)
            curves["JPEG, scan alone"] = jpeg_curve(few, QUALITIES)
            pca, jpeg = (at(curve, ours[0]) for curve in (curves["PCA"], curves["JPEG, scan alone"]))
            values |= dict(zip(("pca_bytes", "pca_psnr", "pca_mse"), pca, strict=True))
            values |= {"jpeg_bytes": jpeg[0], "jpeg_psnr": jpeg[1]}
        self.examined["rate_distortion"] = {
            name: [list(point[:2]) for point in points] for name, points in curves.items()
        }
        self.drawn["rate_distortion"] = lambda: _draw(curves)
        return values


def _draw(curves: dict[str, list[tuple[float, float, float]]]) -> Figure:
    """Rate and distortion; of many PCA points those that no other beats in both."""
    from experiments.viz.charts import lines

    series = {}
    for name, points in curves.items():
        best = [point for point in sorted(points) if not any(o[0] <= point[0] and o[1] > point[1] for o in points)]
        series[name] = ([point[0] for point in best], [point[1] for point in best])
    return lines(
        series, "bytes an image", "PSNR in dB", title="Rate and distortion", note="test images", logarithmic=True
    )

"""What an autoencoder gives back, pictures or windows of a series: how it is measured, drawn and handed out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from experiments.spec import SeriesSpec
from experiments.system.outside_text import cell
from experiments.tasks.parts.image_similarity import mae, mse, psnr, ssim
from experiments.tasks.report import Attachment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 12  # pictures side by side
WINDOWS = 3  # and windows
COLUMNS = 8  # of a series at most

Measure = Callable[[Tensor, Tensor], Tensor]


class Pictures:
    """Images, whose pixels from 0 to 1 are to be given back.

    Args:
        spec: an `ImageSpec`.
    """

    metrics: Mapping[str, Measure] = MappingProxyType({"mse": mse, "psnr": psnr, "ssim": ssim})
    quick = ("mse", "psnr")  # those of validation
    bounds: tuple[float, float] | None = (0.0, 1.0)

    def __init__(self, spec: Any) -> None:
        self.shape: tuple[int, ...] = (spec.channels, spec.height, spec.width)
        self.classes: tuple[str, ...] = spec.classes

    def inputs(self, given: Any) -> Tensor:
        """Return what the data module makes of new inputs, as the model gets it, (N, C, H, W)."""
        return given

    def outputs(self, restored: Tensor) -> Tensor:
        """Return what a user is given: pixels, (N, C, H, W)."""
        return restored

    def draw(self, clean: Tensor, restored: Tensor) -> Figure:
        """Images beside their reconstructions and the errors of these, all (N, C, H, W)."""
        from experiments.viz.strips import strips

        rows = [("image", clean), ("restored", restored), ("error", error_map(restored, clean))]
        captions = [f"{value:.1f} dB" for value in psnr(restored, clean).tolist()]
        note = "test images, peak signal to noise"
        return strips(rows, captions, heat=("error",), title="Reconstructions", note=note)

    def draw_against(self, clean: Tensor, ours: Tensor, theirs: Tensor) -> Figure:
        """Return the same beside what PCA gives back."""
        from experiments.viz.strips import strips

        rows = [("image", clean), ("ours", ours), ("PCA", theirs),
                ("our error", error_map(ours, clean)), ("PCA's error", error_map(theirs, clean))]  # fmt: skip
        return strips(rows, heat=("our error", "PCA's error"), title="Against PCA", note="codes of one size")

    def answers(self, clean: Tensor, restored: Tensor) -> list[dict[str, Any]]:
        """Errors of each image and its reconstruction as a picture."""
        scores = zip(mse(restored, clean).tolist(), psnr(restored, clean).tolist(), restored, strict=True)
        return [{"mse": error, "psnr": ratio, "reconstruction": picture(image)} for error, ratio, image in scores]


class SeriesMedium:
    """Windows of a series: their past, scaled as the data scale it, is what goes in and is to be given back.

    Args:
        spec: a `SeriesSpec`.
    """

    metrics: Mapping[str, Measure] = MappingProxyType({"mse": mse, "mae": mae})
    quick = ("mse", "mae")
    bounds: tuple[float, float] | None = None

    def __init__(self, spec: Any) -> None:
        self.shape: tuple[int, ...] = (spec.history, len(spec.columns))
        self.classes: tuple[str, ...] = ()
        self.columns = spec.columns
        self.mean, self.std = torch.tensor(spec.mean), torch.tensor(spec.std)

    def inputs(self, given: Any) -> Tensor:
        """Return the past of what the data module makes of new tables, (N, history, C)."""
        return given if isinstance(given, Tensor) else given.values

    def outputs(self, restored: Tensor) -> Tensor:
        """Return what a user is given: windows (N, history, C) in the units of the data."""
        return restored * self.std.to(restored) + self.mean.to(restored)

    def draw(self, clean: Tensor, restored: Tensor) -> Figure:
        """Windows and their reconstructions as curves, both (N, history, C)."""
        errors = mse(restored, clean).tolist()
        return self._curves({"window": clean, "restored": restored}, errors, "Reconstructions")

    def draw_against(self, clean: Tensor, ours: Tensor, theirs: Tensor) -> Figure:
        """Return the same beside what PCA gives back."""
        return self._curves({"window": clean, "ours": ours, "PCA": theirs}, None, "Against PCA")

    def _curves(self, lines: dict[str, Tensor], errors: Sequence[float] | None, title: str) -> Figure:
        from experiments.viz.series_windows import windows

        shown = {name: self.outputs(values[:WINDOWS])[..., :COLUMNS] for name, values in lines.items()}
        captions = [f"MSE {error:.3f}" for error in (errors or [])[:WINDOWS]]
        return windows(shown, self.columns[:COLUMNS], captions, title=title)

    def answers(self, clean: Tensor, restored: Tensor) -> list[dict[str, Any]]:
        """Of scaled windows, and reconstructions as users are given them: the error of scaled values, a table, and a picture."""
        from experiments.viz.canvas import png

        out = []
        scaled = (restored - self.mean.to(restored)) / self.std.to(restored)
        errors = mse(scaled, clean).tolist()
        for error, true, window, values in zip(errors, clean, scaled, restored.tolist(), strict=True):
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(map(cell, self.columns))
            writer.writerows([f"{value:.6g}" for value in row] for row in values)
            drawn = png(self.draw(true[None], window[None]))
            table, image = Attachment(".csv", text.getvalue().encode()), Attachment(".png", drawn)
            out.append({"mse": error, "reconstruction": table, "picture": image})
        return out


Medium = Pictures | SeriesMedium


def medium_of(spec: Any) -> Medium:
    """Return what stands for the data of a spec."""
    return SeriesMedium(spec) if isinstance(spec, SeriesSpec) else Pictures(spec)


def error_map(prediction: Tensor, target: Tensor) -> Tensor:
    """Where pixels differ, averaged over channels: twice (B, C, H, W) -> (B, 1, H, W), at least 0."""
    return (prediction.float() - target.float()).abs().mean(1, keepdim=True)


def picture(pixels: Tensor) -> Attachment:
    """Return a PNG file of pixels (C, H, W) from 0 to 1."""
    from PIL import Image

    values = (pixels.detach().float().clamp(0, 1) * 255).round().byte().cpu().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values).save(out, "PNG")
    return Attachment(".png", out.getvalue())

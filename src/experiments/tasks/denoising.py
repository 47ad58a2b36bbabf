"""Denoising (Vincent et al., 2008): the clean image from a noisy one; classical filters beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from torch import Tensor, nn

from experiments.errors import UserError
from experiments.tasks.autoencoding import LOSSES, Autoencoding, Sample, Shared
from experiments.tasks.parts.corruption import Corruption
from experiments.tasks.parts.image_similarity import psnr, ssim
from experiments.tasks.parts.media import SHOWN
from experiments.tasks.peers import filters
from experiments.tasks.report import Report
from experiments.tasks.reports.denoising import DenoisingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TUNING = 50  # validation images on which filters choose their settings


class Denoising(Autoencoding):
    """The model reads a noisy image, and is judged by the clean one.

    Training noise is drawn anew at every step. Validation and test see the same noise in every epoch and run.

    Args:
        model: as in `Autoencoding`, and so are spec, optimizer and scheduler.
        noise: "gaussian", "masking", "salt_and_pepper" or "blur": see `Corruption`.
        level: see `Corruption`.
        clip: see `Corruption`.
        shared: the keys of `Autoencoding`; its peers are filters, each with the setting that serves noisy validation images best, measured on `peer_examples`
            test images, as they take some milliseconds each.

    Raises:
        UserError: for a value that is not in its range.
    """

    report_class: type[Report] = DenoisingReport
    test_keys: tuple[str, ...] = ("loss", "noise", "level", "clip", "peers", "peer_examples")

    peer_metrics = ("noisy_psnr", "noisy_ssim", "filter_psnr", "filter_ssim")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        noise: str,
        level: float,
        clip: bool,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(model, spec, optimizer, scheduler, **shared)
        if noise == "blur" and min(spec.height, spec.width) < 2:
            raise UserError("task.noise=blur needs images of 2×2 pixels or more: set data.size=8")
        self.corrupt = Corruption(noise, level, clip)

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised clean images (B, C, H, W) and labels that are not looked at."""
        target = self.pixels(batch[0])
        noisy = self.corrupt(target, None if self.training else 0)
        code, penalty = self.encode(self.normalised(noisy))
        prediction = self.model.decoder(code)
        loss = LOSSES[self.loss](prediction, target)
        return (loss if penalty is None else loss + penalty), prediction, target

    def examine(self, test: Sample) -> dict[str, float]:
        count = min(len(test.pixels), self.peer_examples)
        clean = test.pixels[:count]
        noisy = self.corrupt(clean, 0)
        inputs = self._inputs(noisy)
        values = super().examine(Sample(inputs, clean, test.labels[:count]))
        rows = [("image", clean), ("noisy", noisy), ("restored", self.restored(inputs[:SHOWN]))]
        if self.peers:
            values |= {"noisy_psnr": float(psnr(noisy, clean).mean()), "noisy_ssim": float(ssim(noisy, clean).mean())}
            values |= self._against_filters(noisy, clean, rows)
        restored = self.restored(inputs)
        self.examined["examples"] = count  # of the test split, on which all are measured
        self.examined["ours"] = {
            "psnr": float(psnr(restored, clean).mean()),
            "ssim": float(ssim(restored, clean).mean()),
        }
        self.drawn["reconstructions"] = lambda: self._draw(rows)
        return values

    def _inputs(self, noisy: Tensor) -> Tensor:
        mean, std = self.pixel_mean.float().cpu(), self.pixel_std.float().cpu()
        return (noisy - mean) / std

    def _against_filters(self, noisy: Tensor, clean: Tensor, rows: list[tuple[str, Tensor]]) -> dict[str, float]:
        tuning = self.sample("validation", TUNING)
        assert tuning is not None
        settings = filters.tuned(self.corrupt(tuning.pixels, 0), tuning.pixels)
        best = {"filter_psnr": float("-inf")}
        for name, setting in settings.items():
            done = filters.apply(name, setting, noisy)
            scores = {"filter_psnr": float(psnr(done, clean).mean()), "filter_ssim": float(ssim(done, clean).mean())}
            self.examined[name] = {"setting": setting, "psnr": scores["filter_psnr"], "ssim": scores["filter_ssim"]}
            rows.append((name, done))
            best = max(best, scores, key=lambda candidate: candidate["filter_psnr"])
        return best

    def _draw(self, rows: list[tuple[str, Tensor]]) -> Figure:
        from experiments.viz.strips import strips

        clean = rows[0][1]
        shown = [(name, values[:SHOWN]) for name, values in rows]
        names = {name: f"{name} {float(psnr(values, clean[: len(values)]).mean()):.1f} dB" for name, values in rows[1:]}
        named = [(names.get(name, name), values) for name, values in shown]
        return strips(named, title="Denoised", note=f"{self.corrupt.kind} {self.corrupt.level:g}, test images")

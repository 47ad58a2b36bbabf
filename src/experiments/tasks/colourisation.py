"""Colourisation (Zhang, Isola and Efros, 2016, is the best known): colours for a grey image, whose brightness is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn

from experiments.errors import UserError
from experiments.tasks.autoencoding import LOSSES, Autoencoding, Sample, Shared
from experiments.tasks.parts.image_similarity import colourfulness, mse, psnr
from experiments.tasks.parts.media import SHOWN
from experiments.tasks.report import Report
from experiments.tasks.reports.colourisation import ColourisationReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# ITU-R BT.601, as in JPEG: rows give Y, Cb and Cr from red, green and blue.
TO_YCBCR = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


class Colourisation(Autoencoding):
    """The model reads the grey image in all three channels and gives colours, of which the two of chroma are used: Y is kept.

    Args:
        model: as in `Autoencoding`, and so are spec (of images with three channels), optimizer and scheduler.
        shared: the keys of `Autoencoding`; its peers are the grey image as it is, and every pixel with the
            mean chroma of `peer_examples` training images.

    Raises:
        UserError: when the images are grey.
    """

    report_class: type[Report] = ColourisationReport

    peer_metrics = ("grey_mse", "grey_psnr", "mean_colour_mse", "mean_colour_psnr", "true_colourfulness")

    to_ycbcr: Tensor
    to_rgb: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        **shared: Unpack[Shared],
    ) -> None:
        if spec.channels != 3:
            raise UserError(
                "task=colourisation needs colour images, and these are grey: choose data=cifar10 or image_folder"
            )
        super().__init__(model, spec, optimizer, scheduler, **shared)
        self.register_buffer("to_ycbcr", TO_YCBCR.clone(), persistent=False)
        self.register_buffer("to_rgb", torch.linalg.inv(TO_YCBCR), persistent=False)

    def metric_names(self, split: str) -> list[str]:
        return [*super().metric_names(split), *(["test/colourfulness"] if split == "test" else [])]

    def brightness(self, pixels: Tensor) -> Tensor:
        """Y of colour images: (B, 3, H, W) -> (B, 1, H, W)."""
        return changed(pixels, self.to_ycbcr[:1])

    def coloured(self, grey: Tensor, guess: Tensor) -> Tensor:
        """Brightness (B, 1, H, W) with the chroma of a guess (B, 3, H, W): pixels (B, 3, H, W)."""
        chroma = changed(guess, self.to_ycbcr[1:])
        return changed(torch.cat([grey.to(chroma.dtype), chroma], dim=1), self.to_rgb)

    def colours(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Normalised images, of which only the brightness is looked at -> pixels in colour, and a penalty, if any."""
        grey = self.brightness(self.pixels(inputs))
        code, penalty = self.encode(self.normalised(grey.expand(-1, 3, -1, -1)))
        return self.coloured(grey, self.model.decoder(code)), penalty

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised colour images (B, 3, H, W) and labels that are not looked at."""
        target = self.pixels(batch[0])
        prediction, penalty = self.colours(batch[0])
        loss = LOSSES[self.loss](prediction, target)
        if not self.training:
            prediction = prediction.clamp(0, 1)
        return (loss if penalty is None else loss + penalty), prediction, target

    def restored(self, inputs: Tensor) -> Tensor:
        return self.by_chunks(lambda some: self.colours(some)[0].float().clamp(0, 1), inputs)

    def examine(self, test: Sample) -> dict[str, float]:
        values = super().examine(test)
        ours = self.restored(test.inputs)
        values["colourfulness"] = colourfulness(ours)
        weights = TO_YCBCR
        grey = changed(test.pixels, weights[:1])
        rows = [("grey", grey.expand(-1, 3, -1, -1)), ("ours", ours), ("true", test.pixels)]
        train = self.sample("train", self.peer_examples) if self.peers else None
        if train is not None:
            chroma = (
                changed(train.pixels, weights[1:])
                .mean((0, 2, 3))
                .view(1, 2, 1, 1)
                .expand(len(grey), 2, *grey.shape[2:])
            )
            mean = changed(torch.cat([grey, chroma], dim=1), torch.linalg.inv(weights)).clamp(0, 1)
            for name, guess in (("grey", grey.expand(-1, 3, -1, -1)), ("mean_colour", mean)):
                values[f"{name}_mse"] = float(mse(guess, test.pixels).mean())
                values[f"{name}_psnr"] = float(psnr(guess, test.pixels).mean())
            values["true_colourfulness"] = colourfulness(test.pixels)
            rows.insert(1, ("mean colour", mean))
        self.drawn["reconstructions"] = lambda: _draw([(name, picture[:SHOWN]) for name, picture in rows])
        return values


def changed(pixels: Tensor, matrix: Tensor) -> Tensor:
    """Return each pixel's channels times a matrix (D, C): (B, C, H, W) -> (B, D, H, W)."""
    return torch.einsum("dc,bchw->bdhw", matrix.to(pixels.dtype), pixels)


def _draw(rows: list[tuple[str, Tensor]]) -> Figure:
    from experiments.viz.strips import strips

    return strips(rows, title="Colours", note="test images; the brightness is given")

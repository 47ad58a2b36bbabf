"""Semantic segmentation: a class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.contracts import CountsGreyValues, GivesExamples, NamesExamples
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts import class_weights as parts
from experiments.tasks.parts.overlap import BoundaryF1, Overlap, confusions, ious, measures
from experiments.tasks.parts.pixel_losses import NAMES, pixel_loss
from experiments.tasks.peers.pixels import most_frequent, threshold
from experiments.tasks.report import Report
from experiments.tasks.reports.segmentation import SegmentationReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Segmentation(Task):
    """A loss over pixels; mean IoU, Dice and pixel accuracy over the whole dataset, and boundary F1 of the test.

    After a test, `confusion` holds pixels (K, K): rows are true classes, columns predicted ones.

    Args:
        model: gives logits, (B, C, H, W) -> (B, K, H, W).
        spec: of images with masks.
        optimizer: as in `Task`.
        scheduler: likewise.
        loss: "cross_entropy", "dice", "focal", or two of them added, as "cross_entropy+dice".
        class_weights: None; one weight a class; or "balanced", for weights inversely proportional to the classes' training pixels.
        class_counts: training pixels of each class, for "balanced".
        gamma: of the focal loss.
        tolerance: of boundaries, as a share of the diagonal.
        overlap: share of a tile that the next one covers too, where a new image is larger than those of the training.
        peers: whether the most frequent class and, of two classes, a threshold are measured beside the network.

    Raises:
        UserError: a value is unknown or out of range, or there are fewer than two classes.
    """

    report_class: type[Report] = SegmentationReport
    test_keys: tuple[str, ...] = ("loss", "gamma", "tolerance", "peers")
    predict_keys: tuple[str, ...] = ("overlap",)

    monitor = ("val/mean_iou", "max")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        loss: str,
        gamma: float,
        tolerance: float,
        overlap: float,
        peers: bool,
        class_weights: Sequence[float] | str | None = None,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        if spec.num_classes < 2:
            raise UserError(f"segmentation needs two classes or more, the data has {list(spec.classes)}: add a class")
        if loss not in NAMES:
            raise UserError(f"task.loss={loss} is unknown: choose one of {', '.join(NAMES)}")
        for key, value, least, below in (
            ("gamma", gamma, 0.0, 100.0),
            ("tolerance", tolerance, 0.0, 0.5),
            ("overlap", overlap, 0.0, 0.9),
        ):
            if not least <= value < below:
                raise UserError(f"task.{key}={value} must lie in [{least:g}, {below:g}): try the default")
        self.overlap, self.peers = overlap, peers
        super().__init__(model, spec, optimizer, scheduler)
        weights = parts.class_weights(class_weights, class_counts, spec.num_classes)
        self.register_buffer("class_weights", weights, persistent=False)
        self.loss_name, self.gamma = loss, gamma
        self.boundaries = BoundaryF1(spec.num_classes, tolerance)
        self._parts: tuple[Tensor, Tensor] = (torch.zeros(1), torch.zeros(1))  # of the last batch: see `pixel_loss`
        self.confusion: Tensor | None = None
        self.image_ious: list[Tensor] = []

    @staticmethod
    def from_data(settings: Mapping[str, Any], data: Any) -> dict[str, Any]:
        return parts.counts_where_balanced(settings, data)

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        return {"num_classes": spec.num_classes}

    def make_metrics(self) -> MetricCollection:
        return MetricCollection({"overlap": Overlap(self.spec.num_classes)})

    def metric_names(self, split: str) -> list[str]:
        names = ["loss", "mean_iou", "dice", "pixel_accuracy"]
        if split == "test":
            names += ["boundary_f1", *(self._peer_names if self.peers else ())]
        return [f"{split}/{name}" for name in names]

    @property
    def _peer_names(self) -> list[str]:
        peers = ["frequent", *(["threshold"] if self.spec.num_classes == 2 else [])]
        return [f"{peer}_{name}" for peer in peers for name in ("mean_iou", "dice", "pixel_accuracy")]

    def step(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, C, H, W), classes (B, H, W), and perhaps weights of pixels (B, H, W)."""
        target, weights = batch[1], batch[2] if len(batch) > 2 else None
        output = self.model(batch[0])
        auxiliary: tuple[Tensor, ...] = ()
        logits, share = output, 0.0
        if isinstance(output, Mapping):  # torchvision's own networks
            logits, auxiliary, share = output["out"], tuple(output[name] for name in ("aux",) if name in output), 0.5
        elif not isinstance(output, Tensor):
            logits, auxiliary, share = output
        if logits.shape[-2:] != target.shape[-2:]:
            raise UserError(
                f"the model gives {logits.shape[-2]}×{logits.shape[-1]} pixels and the masks have {target.shape[-2]}×{target.shape[-1]}: "
                "scale its logits to the size of its images"
            )
        measure = pixel_loss(self.loss_name, self.class_weights, self.spec.ignored, self.gamma)  # type: ignore[arg-type]
        losses, heavy = measure(logits, target, weights)  # (parts,) each
        for aux in auxiliary:
            losses = losses + share * measure(aux, target, weights)[0]
        self._parts = losses.detach(), heavy
        return losses.sum(), logits, target

    def weighed(self, loss: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._parts

    def on_test_epoch_start(self) -> None:
        self.image_ious = []

    def test_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> dict[str, Tensor]:
        result = super().test_step(batch, batch_idx)
        guess = result["prediction"].argmax(1)
        self.boundaries.update(guess, result["target"])
        self.image_ious.append(ious(confusions(guess, result["target"], self.spec.num_classes)).nanmean(1))
        return result

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        overlap: Any = self.metrics_of("test")["overlap"]
        self.confusion = overlap.last.cpu()
        values = {"boundary_f1": float(self.boundaries.compute()), **(self._beside() if self.peers else {})}
        self.boundaries.reset()
        self.log_dict({f"test/{name}": value for name, value in values.items()})

    def _beside(self) -> dict[str, float]:
        """Measures of what needs no network, where the data module counts pixels by class and grey value."""
        data = self.attached_data
        if data is None or not isinstance(data, CountsGreyValues):
            return {}
        train, test = (torch.from_numpy(data.grey_values(split)) for split in ("train", "test"))
        peers = {"frequent": most_frequent(train, test)}
        if self.spec.num_classes == 2:
            peers["threshold"] = threshold(train, test)
        return {
            f"{name}_{key}": float(value) for name, counts in peers.items() for key, value in measures(counts).items()
        }

    # Pictures and single images.

    @torch.no_grad()
    def guess(self, images: Tensor) -> Tensor:
        """Return the class of each pixel of normalised images, one at a time: (N, C, H, W) -> (N, H, W) on the CPU."""
        self.eval()
        like = next(self.parameters(), images)
        precision = self.attached.precision_plugin.forward_context if self.attached else torch.no_grad
        with precision():
            return torch.cat([self.scores(image[None].to(like.device, like.dtype)).argmax(1).cpu() for image in images])

    def scores(self, images: Tensor) -> Tensor:
        """Logits (B, K, H, W)."""
        output = self.model(images)
        return output["out"] if isinstance(output, Mapping) else output

    def draw(self, indices: list[int], every: Tensor, title: str, note: str) -> Figure | None:
        """Return some test images beside their true and predicted masks, and where these differ."""
        data = self.attached_data
        if data is None or not isinstance(data, GivesExamples):
            return None
        from experiments.viz.masks import masks

        images, target = data.examples("test", indices)
        guess = self.guess(images)
        names = data.names("test", indices) if isinstance(data, NamesExamples) else [str(index) for index in indices]
        captions = [f"{name}  {value:.3f}" for name, value in zip(names, every[indices].tolist(), strict=True)]
        return masks(images.float().cpu(), target.cpu(), guess, captions, self.spec, title=title, note=note)

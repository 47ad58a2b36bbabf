"""Anomaly detection: what a model that has seen only the usual reconstructs badly is unusual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from experiments.contracts import LeavesOutClasses
from experiments.errors import UserError
from experiments.tasks.autoencoding import Autoencoding, Sample, Shared
from experiments.tasks.parts.image_similarity import mse
from experiments.tasks.parts.media import SHOWN, error_map
from experiments.tasks.peers.isolation import forest_scores
from experiments.tasks.peers.pca import Components
from experiments.tasks.report import Report
from experiments.tasks.reports.anomaly_detection import AnomalyDetectionReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class AnomalyDetection(Autoencoding):
    """Some classes are left out of training and validation; in the test their images should have the larger errors.

    The score of an image is the mean squared error of its reconstruction. The threshold is chosen on usual validation
    images, so that a given share of them would raise a false alarm.

    Args:
        model: as in `Autoencoding`, and so are spec, optimizer and scheduler.
        anomalous: classes left out, by name or number; null where `usual` is given.
        usual: the only classes kept, likewise: one against all; null where `anomalous` is given.
        false_alarms: share of usual validation images above the threshold.
        shared: the keys of `Autoencoding`; its peers are PCA with a code of the same size, scored alike, and an isolation forest (Liu et al.,
            2008).

    Raises:
        UserError: for a class that is not there, or when nothing or everything would be usual.
    """

    report_class: type[Report] = AnomalyDetectionReport
    test_keys: tuple[str, ...] = ("loss", "false_alarms", "peers", "peer_examples")

    peer_metrics = ("auroc", "average_precision", "false_alarm_rate", "detection_rate",
                    "pca_auroc", "pca_average_precision", "forest_auroc", "forest_average_precision")  # fmt: skip

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        anomalous: Sequence[Any] | int | str | None,
        usual: Sequence[Any] | int | str | None,
        false_alarms: float,
        **shared: Unpack[Shared],
    ) -> None:
        if (anomalous is None) == (usual is None):
            raise UserError(
                f"task.anomalous={anomalous} and task.usual={usual}: give one of the two, and null for the other"
            )
        if not 0 < false_alarms < 1:
            raise UserError(f"task.false_alarms={false_alarms} must lie between 0 and 1: try 0.05")
        super().__init__(model, spec, optimizer, scheduler, **shared)
        named = labels_of(
            usual if anomalous is None else anomalous, spec.classes, "usual" if anomalous is None else "anomalous"
        )
        everything = set(range(spec.num_classes))
        self.anomalous = everything - named if anomalous is None else named
        if not self.anomalous or self.anomalous == everything:
            what = "every" if self.anomalous else "no"
            raise UserError(
                f"task.anomalous={anomalous}, task.usual={usual} makes {what} class anomalous: leave some usual"
            )
        self.false_alarms = false_alarms

    def metric_names(self, split: str) -> list[str]:
        names = super().metric_names(split)
        own = [f"test/{name}" for name in self.peer_metrics[:4]] if split == "test" and not self.peers else []
        return names + own

    def setup(self, stage: str) -> None:
        """Takes the anomalous classes out of training and validation, before any loader is made."""
        data = self.attached_data
        if data is None or not isinstance(data, LeavesOutClasses):
            raise UserError(
                "task=anomaly_detection leaves classes out of the data, and these cannot: choose data of images"
            )
        data.leave_out(sorted(self.anomalous))

    def examine(self, test: Sample) -> dict[str, float]:
        values = super().examine(test)
        odd = torch.tensor([label in self.anomalous for label in test.labels.tolist()])
        normal = self.sample("validation", 5000)
        assert normal is not None
        scores = mse(self.restored(test.inputs), test.pixels)
        usual = mse(self.restored(normal.inputs), normal.pixels)
        threshold = float(usual.quantile(1 - self.false_alarms))
        values |= ranked(scores, odd)
        values["false_alarm_rate"] = float((scores[~odd] > threshold).float().mean())
        values["detection_rate"] = float((scores[odd] > threshold).float().mean())
        names = self.spec.classes
        self.examined |= {"threshold": threshold, "anomalous": [names[label] for label in sorted(self.anomalous)]}
        self.drawn |= {
            "scores": lambda: self._draw_scores(scores, odd, threshold),
            "most_unusual": lambda: self._draw_extremes(test, scores),
        }
        train = self.sample("train", self.peer_examples) if self.peers else None
        if train is not None:
            pca = Components(train.pixels, self.codes(test.inputs[:1]).shape[1])
            values |= ranked(mse(pca.restored(test.pixels), test.pixels), odd, "pca_")
            values |= ranked(forest_scores(train.pixels, test.pixels), odd, "forest_")
        return values

    def _draw_scores(self, scores: Tensor, odd: Tensor, threshold: float) -> Figure:
        from experiments.viz.charts import distributions

        groups = {"usual": scores[~odd].tolist(), "anomalous": scores[odd].tolist()}
        groups = {name: values for name, values in groups.items() if values}
        note = f"threshold for {self.false_alarms:.0%} false alarms"
        return distributions(groups, "mean squared error", title="Scores", note=note, threshold=threshold)

    def _draw_extremes(self, test: Sample, scores: Tensor) -> Figure:
        from experiments.viz.strips import strips

        order = scores.argsort(descending=True)[:SHOWN]
        clean, restored = test.pixels[order], self.restored(test.inputs[order])
        rows = [("image", clean), ("restored", restored), ("error", error_map(restored, clean))]
        captions = [self.spec.classes[label] for label in test.labels[order].tolist()]
        return strips(rows, captions, heat=("error",), title="Most unusual", note="largest errors in the test split")


def labels_of(wanted: Any, classes: Sequence[str], key: str) -> set[int]:
    """Class numbers for names or numbers of classes.

    Raises:
        UserError: for one that is not there.
    """
    listed = [wanted] if isinstance(wanted, str | int) else list(wanted)
    indices = set()
    for entry in listed:
        if str(entry) in classes:
            indices.add(list(classes).index(str(entry)))
        elif isinstance(entry, int) and 0 <= entry < len(classes):
            indices.add(entry)
        else:
            raise UserError(f"task.{key}={entry} is no class of the data: choose from {', '.join(classes)}")
    return indices


def ranked(scores: Tensor, odd: Tensor, prefix: str = "") -> dict[str, float]:
    """Area under the ROC curve and average precision of scores (N,) that should be higher where `odd`."""
    if not odd.any() or odd.all():
        return {f"{prefix}auroc": float("nan"), f"{prefix}average_precision": float("nan")}
    # Ranks, because the metrics would take scores outside 0 and 1 through a sigmoid.
    places = scores.argsort().argsort().float() / len(scores)
    return {
        f"{prefix}auroc": float(binary_auroc(places, odd.long())),
        f"{prefix}average_precision": float(binary_average_precision(places, odd.long())),
    }

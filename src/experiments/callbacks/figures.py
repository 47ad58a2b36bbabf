"""Pictures of a run, into its folder and into TensorBoard."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.config.metric_names import split_of, usual_name
from experiments.errors import in_short
from experiments.loggers.trackers import log_picture
from experiments.spec import ImageSpec
from experiments.system.files import atomic_path
from experiments.tasks.report import report_of
from experiments.transfer.cached_features import Features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class Figures(Callback):
    """Draws, as far as the task has them: a batch as the model gets it, the curves, the first layer's
    filters, and after the test the confusion matrix, the most wrong examples, and what the task adds
    (`Report.figures`).

    Nothing is drawn in a step: the first batch is copied, and drawn when the first validation or epoch is
    over. No random number is drawn at all. A picture that cannot be written costs one line of warning, not
    the run. Only global rank 0 draws; in a distributed test its most wrong examples are those of its own
    share.

    Args:
        dir: where the PNG files go.
        examples: images shown of the first batch, and most wrong examples kept and shown.
    """

    def __init__(self, dir: str, examples: int = 16) -> None:
        self._folder = Path(dir)
        self._examples = examples
        self._history: dict[int, dict[str, float]] = {}
        self._epoch: int | None = None
        self._batch: tuple[Tensor, Tensor] | None = None
        self._wrong: dict[str, Tensor] = {}

    # The history is part of the checkpoint, so the curves of a resumed run are whole.

    def state_dict(self) -> dict[str, Any]:
        return {"history": [{"epoch": epoch, **row} for epoch, row in sorted(self._history.items())]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rows = state_dict["history"]
        self._history = {row["epoch"]: {k: v for k, v in row.items() if k != "epoch"} for row in rows}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        # At the end of an epoch this comes before the hooks that would note it, but after the states were
        # collected.
        self._note(trainer, "train")
        if self.state_key in checkpoint.get("callbacks", {}):
            checkpoint["callbacks"][self.state_key] = self.state_dict()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._note(trainer, "train")
        self._epoch = trainer.current_epoch

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx or trainer.current_epoch or not trainer.is_global_zero:
            return
        if _is_kept(batch):
            batch = trainer.datamodule.sample("train", self._examples)  # type: ignore[attr-defined]
        if isinstance(batch, tuple) and len(batch) == 3 and batch[1].ndim == 3:  # masks with weights of pixels
            batch = batch[:2]
        if _is_labelled_images(batch):
            self._batch = tuple(part[: self._examples].detach().to("cpu", copy=True) for part in batch)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw_batch(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._note(trainer, "val")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw_batch(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._note(trainer, "train")
        if not trainer.is_global_zero:
            return
        if self._history:
            save_picture(trainer, self._folder, "curves", lambda: _curves(self.state_dict()["history"]))
        spec = getattr(pl_module, "spec", None)
        if isinstance(spec, ImageSpec):
            save_picture(trainer, self._folder, "filters", lambda: _filters(pl_module, spec))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._wrong, self._tested = {}, 0

    @torch.no_grad()
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the wrong examples with the highest loss, on the device and without waiting for it."""
        kept = _is_kept(batch)
        if not (trainer.is_global_zero and isinstance(outputs, dict) and (kept or _is_labelled_images(batch))):
            return
        scores, target = outputs.get("prediction"), outputs.get("target")
        if not (isinstance(scores, Tensor) and isinstance(target, Tensor) and (scores.ndim, target.ndim) == (2, 1)):
            return
        # The loss is -log of the true class's probability; zero marks what was classified correctly.
        chances = scores.float().log_softmax(dim=1)
        best, predicted = chances.max(dim=1)
        loss = -chances.gather(1, target[:, None])[:, 0]
        loss = torch.where(predicted == target, 0.0, loss)
        loss, top = loss.topk(min(self._examples, len(loss)))
        new = {
            "loss": loss,
            "predicted": predicted[top],
            "chance": best[top].exp(),
            "target": target[top],
            "image": self._tested + top if kept else batch[0][top],  # or its number, to be looked up in the end
        }
        self._tested += len(target)
        if self._wrong:
            new = {key: torch.cat([self._wrong[key], value]) for key, value in new.items()}
            top = new["loss"].topk(min(self._examples, len(new["loss"]))).indices
            new = {key: value[top] for key, value in new.items()}
        self._wrong = new

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        spec = getattr(pl_module, "spec", None)
        counts = getattr(pl_module, "confusion", None)
        if not trainer.is_global_zero or spec is None:
            return
        if isinstance(counts, Tensor):
            save_picture(trainer, self._folder, "confusion", lambda: _confusion(counts, spec))
        if self._wrong and isinstance(spec, ImageSpec):
            if self._wrong["image"].ndim == 1:
                numbers = self._wrong["image"].tolist()
                self._wrong["image"] = trainer.datamodule.examples("test", numbers)[0]  # type: ignore[attr-defined]
            save_picture(trainer, self._folder, "most_wrong", lambda: _most_wrong(self._wrong, spec))
        self._wrong = {}
        for name, make in report_of(pl_module).figures().items():
            save_picture(trainer, self._folder, name, make)

    def _note(self, trainer: Trainer, split: str) -> None:
        """Write down the latest values of the current epoch."""
        if self._epoch is not None:
            metrics = trainer.callback_metrics
            values = {
                usual_name(k): float(v)
                for k, v in metrics.items()
                if split_of(k) == split and not (k.endswith("_step") and k.removesuffix("_step") in metrics)
            }
            if values:
                self._history.setdefault(self._epoch, {}).update(values)

    def _draw_batch(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._batch is None:
            return
        batch, self._batch = self._batch, None
        spec = getattr(pl_module, "spec", None)
        if isinstance(spec, ImageSpec):
            save_picture(trainer, self._folder, "training_batch", lambda: _training_batch(*batch, spec))


def save_picture(trainer: Trainer, figures: Path, name: str, draw: Callable[[], Figure | None]) -> None:
    """Draw once; the same PNG goes to a folder of figures and to the loggers. Where drawing fails, warn.

    Args:
        trainer: of the run.
        figures: the folder.
        name: of the picture, without its ending.
        draw: makes the picture; None: there is none.
    """
    # Thousands of short-lived objects would have the collector go through the whole program several
    # times: a fifth.
    collects = gc.isenabled()
    gc.disable()
    try:
        figure = draw()
        if figure is None:
            return
        from experiments.viz.canvas import png

        picture = png(figure)
        with atomic_path(figures / f"{name}.png") as temporary:
            temporary.write_bytes(picture)
        log_picture(trainer.loggers, f"figures/{name}", picture, trainer.global_step)
    except Exception as error:  # the run is worth more than its pictures
        log.warning("The picture %s was not drawn: %s", name, in_short(error))
    finally:
        if collects:
            gc.enable()


def _is_kept(batch: Any) -> bool:
    """Tell whether a batch holds features of images that are not there."""
    return isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[0], Features)


def _is_labelled_images(batch: Any) -> bool:
    return (
        isinstance(batch, (tuple, list))
        and len(batch) == 2
        and all(isinstance(part, Tensor) for part in batch)
        and batch[0].ndim == 4
        and len(batch[0]) == len(batch[1])
    )


# Everything of matplotlib is imported on first use.


def _training_batch(images: Tensor, targets: Tensor, spec: ImageSpec) -> Figure:
    from experiments.viz.images import grid

    if targets.ndim == 3:  # a class for every pixel
        from experiments.viz.masks import masks

        few = images[:4].float(), targets[:4]
        return masks(*few, None, [""] * len(few[0]), spec, title="Training batch", note="after augmentation")
    if targets.ndim == 2:  # mixed images: the two largest shares
        share, label = targets.float().topk(min(2, targets.shape[1]))
        captions = [
            "\n".join(f"{spec.classes[c]} {s:.0%}" for s, c in zip(ss, cc, strict=True) if s > 0.005)
            for ss, cc in zip(share.tolist(), label.tolist(), strict=True)
        ]
    else:
        captions = [spec.classes[c] for c in targets.tolist()]
    return grid(images, captions, mean=spec.mean, std=spec.std, title="Training batch", note="after augmentation")


def _curves(history: list[dict[str, float]]) -> Figure:
    from experiments.config.metric_direction import improves
    from experiments.viz.curves import curves

    return curves(history, lambda name: improves(name) == "min")


def _filters(module: LightningModule, spec: ImageSpec) -> Figure | None:
    from experiments.viz.filters import filters, first_filters

    weights = first_filters(module.model, spec.channels, (spec.height, spec.width))  # type: ignore[arg-type]
    if weights is None:
        return None
    # Where the only layer is the classifier, its rows are what each class looks like.
    only = sum(p.ndim > 1 for p in module.parameters()) == 1 and len(weights) == spec.num_classes
    return filters(weights, spec.classes if only else ())


def _confusion(counts: Tensor, spec: Any) -> Figure:
    from experiments.viz.confusion import confusion

    return confusion(counts.cpu(), spec.classes)


def _most_wrong(kept: dict[str, Tensor], spec: ImageSpec) -> Figure:
    from experiments.viz.images import wrong

    measured = kept["loss"] > 0
    rows = {key: value[measured].cpu() for key, value in kept.items()}
    return wrong(
        rows["image"],
        [spec.classes[c] for c in rows["predicted"].tolist()],
        rows["chance"].tolist(),
        [spec.classes[c] for c in rows["target"].tolist()],
        mean=spec.mean,
        std=spec.std,
        title="Most wrong test examples",
    )

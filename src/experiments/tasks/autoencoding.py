"""What all tasks of autoencoders share: what is to be given back, codes, and a look at the test split afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection

from experiments.contracts import FitsAtOnce, GivesSamples
from experiments.errors import UserError
from experiments.tasks.base import Task
from experiments.tasks.parts.code_probe import EXAMPLES, probe
from experiments.tasks.parts.image_similarity import PictureMean, mse
from experiments.tasks.parts.media import SHOWN, medium_of
from experiments.tasks.peers.pca import Components
from experiments.tasks.report import Report
from experiments.tasks.reports.autoencoding import AutoencodingReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCATTERED = 2000  # codes in a picture at most
VALUES = 50_000_000  # numbers that a peer may be given at once: 200 MB
CHUNK = 500  # examples at a time outside the loaders


class Sample(NamedTuple):
    """Some examples of a split.

    Attributes:
        inputs: (N, C, H, W) as the model gets them, or windows (N, history, C).
        pixels: (N, C, H, W) from 0 to 1, or the windows.
        labels: (N,) int64; all 0 where there are no classes.
    """

    inputs: Tensor
    pixels: Tensor
    labels: Tensor


class Shared(TypedDict):
    """Settings that these tasks have in common: see `Autoencoding`."""

    loss: str
    peers: bool
    peer_examples: int
    scatter: str


class Autoencoding(Task):
    """A model of the stages encoder, latent and decoder, whose output is a picture with pixels from 0 to 1.

    The model reads images as every other model does, normalised by the data's mean and deviation, so that an encoder can
    move to a classifier and back; what it has to give is the pixels, which the task recovers with the same two numbers.
    Where a task reads series too, their windows (B, history, C), scaled as they are, stand in place of pixels.

    After a test, `examine` looks at the test split at leisure: codes, peers, pictures.

    Args:
        model: (B, C, H, W) -> (B, C, H, W), or windows likewise.
        spec: an `ImageSpec`, or a `SeriesSpec`.
        optimizer: as in `Task`.
        scheduler: as in `Task`.
        loss: "mse", "bce" (binary cross-entropy) or "l1", a mean over pixels.
        peers: whether what it is to be measured against is computed after the test.
        peer_examples: training examples at most that a peer learns from.
        scatter: how codes become two numbers for a picture: "pca" or "tsne"; codes of two numbers stay as they are.

    Raises:
        UserError: for a value that is not in its range.
    """

    report_class: type[Report] = AutoencodingReport
    test_keys: tuple[str, ...] = ("loss", "peers", "peer_examples")

    peer_metrics: tuple[str, ...] = ()  # further names reported for the test
    model: Any  # of the stages encoder, latent and decoder
    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        loss: str,
        peers: bool,
        peer_examples: int,
        scatter: str,
    ) -> None:
        if loss not in LOSSES:
            raise UserError(f"task.loss={loss} is unknown: choose one of {', '.join(LOSSES)}")
        if peer_examples < 1:
            raise UserError(f"task.peer_examples={peer_examples} must be 1 or more: try 10000")
        if scatter not in ("pca", "tsne"):
            raise UserError(f"task.scatter={scatter} is unknown: choose pca or tsne")
        self.medium = medium_of(spec)
        super().__init__(model, spec, optimizer, scheduler)
        self.loss, self.peers, self.peer_examples, self.scatter = loss, peers, peer_examples, scatter
        pictures = self.medium.bounds is not None
        for name, neutral in (("mean", torch.zeros(1, 1, 1)), ("std", torch.ones(1, 1, 1))):
            values = torch.tensor(getattr(spec, name)).view(1, -1, 1, 1) if pictures else neutral
            self.register_buffer(f"pixel_{name}", values, persistent=False)
        measures = self.medium.metrics
        self.metrics["val"] = MetricCollection({name: PictureMean(measures[name]) for name in self.medium.quick})
        self.data: Any = None  # a data module to look at where there is no Trainer
        self.examined: dict[str, Any] = {}  # by `examine`, for the record
        self.drawn: dict[str, Callable[[], Figure | None]] = {}  # likewise, pictures

    def make_metrics(self) -> MetricCollection:
        return MetricCollection(
            {name: PictureMean(metric) for name, metric in self.medium.metrics.items()}, compute_groups=False
        )

    def metric_names(self, split: str) -> list[str]:
        more = self.peer_metrics if split == "test" and self.peers else ()
        return [*super().metric_names(split), *(f"test/{name}" for name in more)]

    def pixels(self, inputs: Tensor) -> Tensor:
        """Normalised images -> pixels from 0 to 1, (B, C, H, W); windows stay as they are."""
        if self.medium.bounds is None:
            return inputs
        return torch.addcmul(self.pixel_mean, inputs, self.pixel_std).clamp_(*self.medium.bounds)

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels from 0 to 1 -> normalised images, (B, C, H, W)."""
        return (pixels - self.pixel_mean) / self.pixel_std

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the code of normalised images, and what the latent stage adds to the loss, if anything."""
        features = self.model.encoder(inputs)
        latent: Any = self.model.latent
        return latent.with_penalty(features) if hasattr(latent, "with_penalty") else (latent(features), None)

    def codes(self, inputs: Tensor) -> Tensor:
        """(N, numbers in a code) of any number of normalised images, in evaluation mode and without gradients."""
        return self.by_chunks(lambda some: self.encode(some)[0].flatten(1).float(), inputs)

    def restored(self, inputs: Tensor) -> Tensor:
        """Return what the model makes of any number of normalised images, (N, C, H, W) pixels."""
        return self.by_chunks(lambda some: self.model(some).float(), inputs)

    @torch.no_grad()
    def by_chunks(self, function: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Return a function over many examples, some at a time, on the model's device; the result lies on the CPU."""
        self.eval()
        like = self.pixel_mean  # on the module's device, in its precision
        precision = self.attached.precision_plugin.forward_context if self.attached else torch.no_grad
        with precision():
            return torch.cat([function(some.to(like.device, like.dtype)).cpu() for some in inputs.split(CHUNK)])

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised images (B, C, H, W) and labels that are not looked at."""
        inputs, _ = batch
        target = self.pixels(inputs)
        code, penalty = self.encode(inputs)
        prediction = self.model.decoder(code)
        loss = LOSSES[self.loss](prediction, target)
        return (loss if penalty is None else loss + penalty), prediction, target

    def on_fit_start(self) -> None:
        """A model that is fitted in one go, such as PCA, gets its training images here."""
        train = self.sample("train", self.peer_examples) if isinstance(self.model, FitsAtOnce) else None
        if train is not None:
            self.model.fit(train.pixels, self.pixel_mean.float().cpu(), self.pixel_std.float().cpu())

    # After the test.

    def sample(self, split: str, count: int) -> Sample | None:
        """Return some examples of a split on the CPU, as many as `VALUES` allows; None without a data
        module.
        """
        data = self.data or self.attached_data
        if data is None or not isinstance(data, GivesSamples):
            return None
        inputs, labels = data.sample(split, max(1, VALUES // prod(self.medium.shape)))
        # In an order of its own: folders of images come class by class.
        order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:count]
        inputs, labels = inputs.cpu()[order].float(), labels.cpu()[order]
        if not self.medium.classes:
            return Sample(inputs, inputs, torch.zeros(len(inputs), dtype=torch.long))
        labels = labels.argmax(1) if labels.ndim == 2 else labels
        mean, std = self.pixel_mean.float().cpu(), self.pixel_std.float().cpu()
        return Sample(inputs, torch.addcmul(mean, inputs, std).clamp_(0, 1), labels)

    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        test = self.sample("test", 10_000)
        self.examined, self.drawn = {}, {}
        if test is not None:
            values = self.examine(test)
            self.log_dict({f"test/{name}": float(value) for name, value in values.items()})

    def examine(self, test: Sample) -> dict[str, float]:
        """Looks at the test split: fills `found` and `drawn`, and returns the peers' metrics."""
        self.drawn |= self.usual_pictures(test, self.codes(test.inputs[:SCATTERED]))
        return {}

    def beside_pca(
        self, test: Sample, codes: Tensor, label_counts: Sequence[int]
    ) -> tuple[dict[str, float], Tensor | None]:
        """Return what the codes (N, D) of the test images are good for, and PCA's of the same size: metrics, and PCA's
        reconstructions (N, C, H, W). Nothing and None where no peers are asked for, or there is no data module."""
        train = self.sample("train", self.peer_examples) if self.peers else None
        if train is None:
            return {}, None
        pca = Components(train.pixels, codes.shape[1], self.medium.bounds)
        restored = pca.restored(test.pixels)
        error = {"pca_mse": float(mse(restored, test.pixels).mean())}
        if not self.medium.classes:
            return error, restored
        few = Sample(*(values[:EXAMPLES] for values in train))
        values, figures, drawn = probe(
            (self.codes(few.inputs), codes),
            (pca.codes(few.pixels), pca.codes(test.pixels)),
            (few.pixels, test.pixels),
            (few.labels, test.labels),
            label_counts,
        )
        self.examined |= figures
        self.drawn |= drawn
        return error | values, restored

    def usual_pictures(self, test: Sample, codes: Tensor) -> dict[str, Callable[[], Figure | None]]:
        """Reconstructions with their errors, and codes as a scatter."""
        labels, classes = test.labels[: len(codes)], self.medium.classes or ("windows",)
        return {
            "reconstructions": lambda: self.draw_restored(test),
            "latent": lambda: draw_codes(codes, labels, classes, self.scatter),
        }

    def draw_restored(self, test: Sample) -> Figure:
        return self.medium.draw(test.pixels[:SHOWN], self.restored(test.inputs[:SHOWN]))

    # For single images.


def binary_cross_entropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Return a mean over pixels, also within automatic mixed precision, which does not allow torch's own."""
    with torch.autocast(prediction.device.type, enabled=False):
        return F.binary_cross_entropy(prediction.float(), target.float())


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "bce": binary_cross_entropy,
    "l1": F.l1_loss,
}


def draw_codes(codes: Tensor, labels: Tensor, classes: tuple[str, ...], method: str) -> Figure:
    """Return a scatter of codes, coloured by class."""
    from experiments.viz.scatter import scatter

    if codes.shape[1] <= 2:
        points, note = F.pad(codes, (0, 2 - codes.shape[1])), "two numbers a code"
    elif method == "tsne" and len(codes) > 31:
        from sklearn.manifold import TSNE

        points = torch.from_numpy(TSNE(init="pca", random_state=0).fit_transform(codes.numpy()))
        note = f"t-SNE of {codes.shape[1]} numbers"
    else:
        centred = codes - codes.mean(0)
        points = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:2].t()
        note = f"two principal components of {codes.shape[1]} numbers"
    return scatter(points, labels, classes, title="Codes", note=note)

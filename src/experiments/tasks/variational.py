"""The variational objective (Kingma and Welling, 2013): a lower bound of the likelihood, and what it can generate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.config.value_rules import require_values
from experiments.errors import UserError
from experiments.spec import ImageSpec
from experiments.tasks.autoencoding import Autoencoding, Sample
from experiments.tasks.parts.code_probe import NAMES
from experiments.tasks.parts.fixed_noise import settled_noise
from experiments.tasks.parts.media import SHOWN
from experiments.tasks.parts.normal_distributions import divergence, frechet
from experiments.tasks.peers.pca import Components
from experiments.tasks.report import Report
from experiments.tasks.reports.variational import VariationalReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLLAPSED = 0.01  # nats: a dimension that says less says nothing
JUDGED = 5000  # images of each kind that the judge sees at most
STEPS = 9  # of a walk through the latent space
FRECHET = ("frechet", "pca_frechet", "train_frechet")  # of generated images, of PCA's, and of training images


class Variational(Autoencoding):
    """The evidence lower bound: expected log-likelihood less the divergence of the posterior from the prior.

    `test/elbo` is in nats an image, higher is better; `test/reconstruction` and `test/kl` are its two parts, and
    `test/bits` the same in bits a pixel value (less is better). All are computed with one sample of the posterior an image,
    by a generator of their own, and with the whole divergence whatever `beta` and `free_bits` are.

    Args:
        model: as in `Autoencoding`; its latent stage has a `posterior`.
        spec: likewise.
        optimizer: likewise.
        scheduler: likewise.
        peers: PCA at the same size of code; nearest neighbours, trustworthiness and few labels for both codes; the judge.
        peer_examples: training examples at most that PCA learns from.
        scatter: as in `Autoencoding`.
        likelihood: "bernoulli", for pixels as chances, or "gaussian" of deviation `sigma`.
        sigma: of the Gaussian likelihood, in pixels from 0 to 1.
        binarise: null; "threshold", pixels at or above a half become 1; or "sample", each turns 1 with its own brightness as
            the chance, anew at every step (Salakhutdinov and Murray, 2008).
        beta: weight of the divergence (Higgins et al., 2017).
        free_bits: nats a latent dimension that cost nothing (Kingma et al., 2016).
        warm_up: epochs over which `beta` rises from 0.
        importance_samples: of the tighter bound `test/iw_bound` (Burda et al., 2016); 0 leaves it out.
        few_labels: as in `Reconstruction`.
        judge: null, or an earlier run's network and spec, before whose head images are compared: `test/frechet`, and
            `pca_frechet` and `train_frechet` to hold it against.

    Raises:
        UserError: for a value that is not in its range, or a judge of other images.
    """

    report_class: type[Report] = VariationalReport
    test_keys: tuple[str, ...] = (
        "binarise",
        "beta",
        "free_bits",
        "importance_samples",
        "judge",
        "peers",
        "peer_examples",
        "few_labels",
    )
    runs = ("judge",)

    monitor = ("val/elbo", "max")
    peer_metrics = ("pca_mse", *NAMES)

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        peers: bool,
        peer_examples: int,
        scatter: str,
        likelihood: str,
        sigma: float,
        binarise: str | None,
        beta: float,
        free_bits: float,
        warm_up: int,
        importance_samples: int,
        few_labels: Sequence[int],
        judge: Any,
    ) -> None:
        for key, value, allowed in (
            ("likelihood", likelihood, ("bernoulli", "gaussian")),
            ("binarise", binarise, (None, "threshold", "sample")),
        ):
            if value not in allowed:
                shown = ", ".join("null" if choice is None else choice for choice in allowed)
                raise UserError(f"task.{key}={value} is unknown: choose one of {shown}")
        require_values("image", "task", free_bits=free_bits)
        for key, number in (("beta", beta), ("warm_up", warm_up)):
            if number < 0:
                raise UserError(f"task.{key}={number} must be 0 or more: try 0")
        if sigma <= 0:
            raise UserError(f"task.sigma={sigma} must be above 0: try 0.1")
        if importance_samples < 0:
            raise UserError(f"task.importance_samples={importance_samples} must be 0 or more: try 50")
        super().__init__(
            model, spec, optimizer, scheduler, loss="mse", peers=peers, peer_examples=peer_examples, scatter=scatter
        )
        self.likelihood, self.sigma, self.binarise = likelihood, sigma, binarise
        self.beta, self.free_bits, self.warm_up = beta, free_bits, warm_up
        self.importance_samples, self.label_counts = importance_samples, list(few_labels)
        if judge is not None and judge[1].inputs != spec.inputs:
            raise UserError(
                f"task.judge was trained on {_in_words(judge[1])} and the data give {_in_words(spec)}: choose another run"
            )
        self.judge = None if judge is None else (judge,)  # in a tuple, so that its weights are not this module's
        self._parts: dict[str, Tensor] = {}

    def metric_names(self, split: str) -> list[str]:
        more = ["elbo", "reconstruction", "kl", "bits"]
        if split == "test":
            more += ["iw_bound"] * (self.importance_samples > 0) + [*FRECHET] * (self.judge is not None and self.peers)
        return [*super().metric_names(split), *(f"{split}/{name}" for name in more)]

    def observed(self, inputs: Tensor) -> Tensor:
        """Return what the model has to give: pixels (B, C, H, W), binarised where that is wanted; in evaluation always
        alike.
        """
        pixels = self.pixels(inputs)
        if self.binarise == "threshold":
            return (pixels >= 0.5).to(pixels.dtype)
        if self.binarise == "sample":
            if self.training:
                return torch.bernoulli(pixels.float()).to(pixels.dtype)
            return (settled_noise(pixels, torch.rand, pixels.shape[1:], 1) < pixels).to(pixels.dtype)
        return pixels

    def log_likelihood(self, decoded: Tensor, target: Tensor) -> Tensor:
        """Of each image, in nats: twice (B, C, H, W) -> (B,)."""
        decoded, target = decoded.float(), target.float()
        if self.likelihood == "bernoulli":
            with torch.autocast(decoded.device.type, enabled=False):
                return -F.binary_cross_entropy(decoded, target, reduction="none").flatten(1).sum(1)
        size = target[0].numel()
        constant = 0.5 * size * math.log(2 * math.pi * self.sigma**2)
        return -(decoded - target).square().flatten(1).sum(1) / (2 * self.sigma**2) - constant

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised images (B, C, H, W) and labels that are not looked at; the loss is in nats an image."""
        target = self.observed(batch[0])
        inputs = batch[0] if self.binarise is None else self.normalised(target)
        mean, log_variance = self.model.latent.posterior(self.model.encoder(inputs))
        if self.training:
            noise = torch.randn_like(mean)
        else:
            noise = settled_noise(self.pixels(batch[0]), torch.randn, mean.shape[1:], 0).to(mean.dtype)
        decoded = self.model.decoder(mean + noise * (0.5 * log_variance).exp())
        reconstruction = self.log_likelihood(decoded, target).mean()
        by_dimension = divergence(mean, log_variance).mean(0)  # (latent_size,)
        kl = by_dimension.sum()
        if self.training:
            rise = 1.0 if not self.warm_up else min(1.0, (self.current_epoch + 1) / self.warm_up)
            paid = by_dimension.clamp(min=self.free_bits).sum() if self.free_bits else kl
            return rise * self.beta * paid - reconstruction, decoded, target
        self._parts = {"reconstruction": reconstruction, "kl": kl}
        return kl - reconstruction, decoded, target

    def _evaluate(self, split: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        loss, prediction, target = self.step(batch)
        self.sums[split].add(
            len(target), loss=loss, **{name: len(target) * value for name, value in self._parts.items()}
        )
        self.metrics_of(split).update(prediction, target)
        return loss, prediction, target

    def _report(self, split: str) -> None:
        means = self.sums[split].means(self)
        super()._report(split)
        if split != "train" and means:
            size = self.spec.channels * self.spec.height * self.spec.width
            more = {"elbo": -means["loss"], "bits": means["loss"] / (size * math.log(2))}
            self.log_dict({f"{split}/{name}": value for name, value in more.items()})

    def posterior(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of variances of any number of images, on the CPU."""
        both = self.by_chunks(
            lambda some: torch.cat(self.model.latent.posterior(self.model.encoder(some)), 1).float(),
            inputs,
        )
        mean, log_variance = both.chunk(2, dim=1)
        return mean, log_variance

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (N, latent_size) -> pixels (N, C, H, W), on the CPU."""
        return self.by_chunks(lambda some: self.model.decoder(some).float(), codes)

    def examine(self, test: Sample) -> dict[str, float]:
        values = super().examine(test)
        mean, log_variance = self.posterior(self._on_cpu(test.inputs, torch.Generator().manual_seed(4))[1])
        by_dimension = divergence(mean, log_variance).mean(0)
        self.examined["kl_by_dimension"] = [round(value, 5) for value in by_dimension.tolist()]
        self.examined["collapsed"] = int((by_dimension < COLLAPSED).sum())
        if self.importance_samples:
            values["iw_bound"] = self._importance_weighted(test)
        if self.judge is not None and self.peers:
            values |= self._judged(test, mean.shape[1])
        self.drawn |= self._looks(test, mean, by_dimension)
        return values | self.beside_pca(test, mean, self.label_counts)[0]

    def _importance_weighted(self, test: Sample) -> float:
        """Return the bound of Burda et al. with some samples, over the first 1,000 test images."""
        generator = torch.Generator().manual_seed(2)
        total, few = 0.0, test.inputs[:1000]
        for inputs in few.split(50):
            target, seen = self._on_cpu(inputs, generator)
            mean, log_variance = self.posterior(seen)
            weights = []
            for _ in range(self.importance_samples):
                noise = torch.randn(mean.shape, generator=generator)
                code = mean + noise * (0.5 * log_variance).exp()
                prior = -0.5 * code.square().sum(1)
                posterior = -0.5 * (noise.square() + log_variance).sum(1)  # both less the same constant
                weights.append(self.log_likelihood(self.decode(code), target) + prior - posterior)
            total += float((torch.stack(weights).logsumexp(0) - math.log(self.importance_samples)).sum())
        return total / len(few)

    def _on_cpu(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return what the model has to give for some images, and what it reads, both on the CPU."""
        mean, std = self.pixel_mean.float().cpu(), self.pixel_std.float().cpu()
        pixels = torch.addcmul(mean, inputs, std).clamp_(0, 1)
        if self.binarise is None:
            return pixels, inputs
        seen = (pixels >= 0.5).float() if self.binarise == "threshold" else torch.bernoulli(pixels, generator=generator)
        return seen, (seen - mean) / std

    def _judged(self, test: Sample, latent_size: int) -> dict[str, float]:
        """Fréchet distances between Gaussians fitted to a classifier's last features, of test images and of as many others:
        generated ones, those that a normal distribution over principal components gives, and training images."""
        assert self.judge is not None
        (network, spec) = self.judge[0]
        network = network.to(self.device)
        train = self.sample("train", JUDGED)
        assert train is not None
        count = min(len(test.pixels), len(train.pixels), JUDGED)
        random = torch.Generator().manual_seed(3)
        made = self.decode(torch.randn(count, latent_size, generator=random))
        pca = Components(train.pixels, latent_size)
        codes = pca.codes(train.pixels)
        drawn = pca.decode(torch.randn(count, codes.shape[1], generator=random) * codes.std(0))
        mean, std = (torch.tensor(getattr(spec, name)).view(1, -1, 1, 1) for name in ("mean", "std"))
        body = torch.nn.Sequential(*list(network.children())[:-1])

        def features(pixels: Tensor) -> Tensor:
            return self.by_chunks(lambda some: body(some).flatten(1).float(), (pixels - mean) / std)

        real = features(test.pixels[:count])
        others = zip(FRECHET, (made, drawn, train.pixels[:count]), strict=True)
        return {name: frechet(real, features(pixels)) for name, pixels in others}

    def _looks(self, test: Sample, mean: Tensor, by_dimension: Tensor) -> dict[str, Callable[[], Figure | None]]:
        from experiments.tasks.parts import latent_walks as walks

        looks: dict[str, Callable[[], Figure | None]] = {
            "kl_by_dimension": lambda: walks.draw_divergence(by_dimension, COLLAPSED),
            "samples": lambda: walks.draw_samples(self.decode, mean.shape[1], SHOWN),
            "samples_by_class": lambda: walks.draw_by_class(self.decode, mean, test.labels, self.spec.classes, SHOWN),
            "traversals": lambda: walks.draw_traversals(self.decode, mean, by_dimension, STEPS),
            "interpolations": lambda: walks.draw_interpolations(self.decode, mean, test.labels, STEPS),
        }
        if mean.shape[1] == 2:
            looks["manifold"] = lambda: walks.draw_manifold(self.decode)
        return looks


def _in_words(spec: Any) -> str:
    """Return what a dataset gives a network: 1×28×28 images."""
    return f"{spec.channels}×{spec.height}×{spec.width} images" if isinstance(spec, ImageSpec) else "no images"

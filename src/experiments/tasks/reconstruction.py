"""Reconstruction: a code from which the image can be had back; sparse or contractive by a key; PCA beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor, nn

from experiments.config.value_rules import require_values
from experiments.errors import UserError
from experiments.tasks.autoencoding import LOSSES, SCATTERED, Autoencoding, Sample, Shared
from experiments.tasks.parts.code_probe import NAMES
from experiments.tasks.parts.media import SHOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Reconstruction(Autoencoding):
    """Mean error of pixels; with `sparse` a penalty on the code, with `contractive` one on how fast it moves.

    Args:
        model: as in `Autoencoding`, and so are spec, optimizer and scheduler.
        sparse: `kind` null, "l1" (mean magnitude of the code) or "kl" (divergence of each unit's mean activation over the
            batch from `target`; Ng, 2011; needs a code between 0 and 1), times `weight`.
        contractive: weight of the squared Frobenius norm of the code's Jacobian by the image (Rifai et al., 2011),
            estimated with one random direction a step; 0 is off.
        few_labels: numbers of labelled training examples from which a classifier is taught; the first is a metric.
        shared: the keys of `Autoencoding`; its peers are PCA at the same size of code; nearest neighbours, trustworthiness and few labels
            for both codes, except of windows of a series, which have no labels.

    Raises:
        UserError: for a value that is not in its range.
    """

    peer_metrics: tuple[str, ...] = ("pca_mse", *NAMES)
    test_keys: tuple[str, ...] = ("loss", "peers", "peer_examples", "few_labels")

    def __init__(
        self,
        model: nn.Module,
        spec: Any,
        optimizer: Any,
        scheduler: Any,
        *,
        sparse: Mapping[str, Any],
        contractive: float,
        few_labels: Sequence[int],
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(model, spec, optimizer, scheduler, **shared)
        if not self.medium.classes:
            self.peer_metrics = self.peer_metrics[:1]
            if self.loss == "bce":
                raise UserError(
                    "task.loss=bce takes pixels from 0 to 1 and these are windows of a series: use task.loss=mse"
                )
        self.sparse_kind, self.sparse_weight, self.sparse_target = (sparse[k] for k in ("kind", "weight", "target"))
        if self.sparse_kind not in (None, "l1", "kl"):
            raise UserError(f"task.sparse.kind={self.sparse_kind} is unknown: choose null, l1 or kl")
        last = list(self.model.latent.modules())[-1]
        if self.sparse_kind == "kl" and not isinstance(last, nn.Sigmoid):
            raise UserError("task.sparse.kind=kl needs a code between 0 and 1: add model.code=sigmoid")
        if self.sparse_kind == "kl" and not 0 < self.sparse_target < 1:
            raise UserError(f"task.sparse.target={self.sparse_target} must lie between 0 and 1: try 0.05")
        require_values("image", "task", contractive=contractive)
        self.contractive, self.label_counts = contractive, list(few_labels)

    def step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised images (B, C, H, W) and labels, or windows (B, history, C) and their future, which are not looked at;
        penalties while training only."""
        inputs, _ = batch
        target = self.pixels(inputs)
        steep = self.contractive > 0 and self.training
        inputs = inputs.detach().requires_grad_() if steep else inputs
        code, penalty = self.encode(inputs)
        prediction = self.model.decoder(code)
        loss = LOSSES[self.loss](prediction, target)
        if penalty is not None:
            loss = loss + penalty
        if self.sparse_kind is not None and self.training:
            loss = loss + self.sparse_weight * sparsity(code, self.sparse_kind, self.sparse_target)
        if steep:
            loss = loss + self.contractive * steepness(inputs, code)
        return loss, prediction, target

    def examine(self, test: Sample) -> dict[str, float]:
        codes = self.codes(test.inputs)
        self.drawn |= self.usual_pictures(test, codes[:SCATTERED])
        self.drawn["code_activity"] = lambda: self._draw_activity(codes, test.labels)
        values, by_pca = self.beside_pca(test, codes, self.label_counts)
        if by_pca is not None:
            clean, inputs, theirs = test.pixels[:SHOWN], test.inputs[:SHOWN], by_pca[:SHOWN]
            self.drawn["against_pca"] = lambda: self.medium.draw_against(clean, self.restored(inputs), theirs)
        return values

    def _draw_activity(self, codes: Tensor, labels: Tensor) -> Figure:
        from experiments.viz.charts import heat

        present = torch.unique(labels).tolist()
        means = torch.stack([codes[labels == label].abs().mean(0) for label in present])
        quiet = float((codes.abs() < 0.01).float().mean())
        names = [self.medium.classes[label] for label in present] if self.medium.classes else ["all windows"]
        note = f"mean size{' by class' * (len(names) > 1)}; {quiet:.0%} of all are below 0.01"
        return heat(means, names, "unit", title="Code", note=note)


def sparsity(code: Tensor, kind: str, target: float) -> Tensor:
    """Mean magnitude of a code (B, D), or the divergence of its units' mean activations from `target`, a mean over units."""
    if kind == "l1":
        return code.abs().mean()
    share = code.flatten(1).mean(0).float().clamp(1e-6, 1 - 1e-6)
    return (target * (target / share).log() + (1 - target) * ((1 - target) / (1 - share)).log()).mean()


def steepness(inputs: Tensor, code: Tensor) -> Tensor:
    """Squared Frobenius norm of the Jacobian of codes by images, a mean over the batch.

    Its expectation over random directions v: |v'J|² with v standard normal (Hutchinson), one a step.
    """
    direction = torch.randn_like(code)
    (slope,) = torch.autograd.grad(code, inputs, direction, create_graph=True)
    return slope.square().flatten(1).sum(1).mean()

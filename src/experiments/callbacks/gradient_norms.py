"""How large gradients are while a network learns, before any clipping, and how they differ from layer to layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.callbacks.figures import save_picture
from experiments.system.files import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST, SMALLEST = 1e38, 1e-38  # of single precision; what is no finite number counts as the largest
STEPS = 2000  # whose norms are written one by one


class GradientNorms(Callback):
    """Logs, every epoch, `train/gradient_norm` (the mean over its steps), `train/gradient_largest` (of all steps so far),
    `train/gradient_first_to_last` (norm of the first stage that learns over that of the last) and
    `train/gradient_spread` (norm of the layer with the largest gradient over that of the layer with the smallest); the
    last two are geometric means over the first epoch.

    At the end it writes the norm by layer, at the first step and in each epoch, to `gradient_by_layer.json`, and draws
    `figures/gradient_by_layer.png`, also into TensorBoard. A layer is what holds a weight of two dimensions or more.
    The norm of all by step goes to `gradient_by_step.json` and `figures/gradient_by_step.png`, of the first 2,000 steps.

    Args:
        dir: the run folder; without one nothing is written there.
    """

    def __init__(self, dir: str | None = None) -> None:
        self._folder = Path(dir) if dir is not None else None
        self._largest = 0.0
        self._first_to_last: float | None = None
        self._spread: float | None = None
        self.layers: list[str] = []
        self.by_layer: dict[str, list[float]] = {}  # epochs trained (0: the first step) to a norm a layer
        self.by_step: list[float] = []
        self._norms: list[Tensor] = []
        self._ratios: list[Tensor] = []
        self._of_layers: list[Tensor] = []

    def state_dict(self) -> dict[str, Any]:
        return {
            "largest": self._largest,
            "first_to_last": self._first_to_last,
            "spread": self._spread,
            "layers": list(self.layers),
            "by_layer": dict(self.by_layer),
            "by_step": list(self.by_step),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._largest, self._first_to_last = state_dict["largest"], state_dict["first_to_last"]
        self._spread = state_dict.get("spread")  # older checkpoints lack what is measured by layer
        self.layers, self.by_layer = list(state_dict.get("layers", [])), dict(state_dict.get("by_layer", {}))
        self.by_step = list(state_dict.get("by_step", []))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        stages, layers = _norms(pl_module.model)  # type: ignore[arg-type]
        if not stages:
            return
        self._norms.append(torch.stack(stages).norm())
        if self._first_to_last is None:
            self._ratios.append(stages[0] / stages[-1])
        if layers and (not self._of_layers or list(layers) == self.layers):  # others learn where stages thaw
            self.layers = list(layers)
            self._of_layers.append(torch.stack(list(layers.values())))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._norms:
            return
        norms = _finite(self._norms)
        self._largest = max(self._largest, float(norms.max()))
        self.by_step += norms.tolist()[: max(STEPS - len(self.by_step), 0)]
        if self._first_to_last is None:
            self._first_to_last = _geometric_mean(_finite(self._ratios))
        values = {"norm": float(norms.mean()), "largest": self._largest, "first_to_last": self._first_to_last}
        if self._of_layers:
            of_layers = _finite(self._of_layers).clamp(min=SMALLEST)
            if self._spread is None:
                self._spread = _geometric_mean(of_layers.amax(1) / of_layers.amin(1))
                self.by_layer["0"] = of_layers[0].tolist()
            self.by_layer[str(trainer.current_epoch + 1)] = of_layers.log().mean(0).exp().tolist()
            values["spread"] = self._spread
        self._norms, self._ratios, self._of_layers = [], [], []
        pl_module.log_dict({f"train/gradient_{name}": value for name, value in values.items()})

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._folder is None or not self.by_step or not trainer.is_global_zero:
            return
        write_json(self._folder / "gradient_by_step.json", {"norms": self.by_step})

        def by_step() -> Figure:
            from experiments.viz.gradient_by_step import gradient_by_step

            return gradient_by_step(self.by_step)

        save_picture(trainer, self._folder / "figures", "gradient_by_step", by_step)
        # Of layers that have thawed there is no norm in earlier epochs.
        shown = {epoch: norms for epoch, norms in self.by_layer.items() if len(norms) == len(self.layers)}
        if not shown:
            return
        write_json(self._folder / "gradient_by_layer.json", {"layers": self.layers, "norms_by_epochs_trained": shown})

        def by_layer() -> Figure:
            from experiments.viz.gradient_by_layer import gradient_by_layer

            return gradient_by_layer(self.layers, {int(epoch): norms for epoch, norms in shown.items()})

        save_picture(trainer, self._folder / "figures", "gradient_by_layer", by_layer)


def _norms(model: torch.nn.Module) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Norms of the gradients of the stages that learn and, by name, of the layers that do, both in forward order."""
    stages, layers = [], {}
    for place, stage in model.named_children():
        gradients = {name: weight.grad.norm() for name, weight in stage.named_parameters() if weight.grad is not None}
        if not gradients:
            continue
        stages.append(torch.stack(list(gradients.values())).norm())
        for name, parameter in stage.named_parameters():
            if name in gradients and parameter.ndim > 1:
                layers[f"{place}.{name}".removesuffix(".weight")] = gradients[name]
    return stages, layers


def _finite(values: list[Tensor]) -> Tensor:
    return torch.nan_to_num(torch.stack(values).double(), nan=LARGEST, posinf=LARGEST)


def _geometric_mean(values: Tensor) -> float:
    return math.exp(float(values.clamp(min=SMALLEST).log().mean()))

"""How far back a recurrent network's gradient reaches, at the start and while it learns.

Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult" (1994).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from experiments.callbacks.figures import save_picture
from experiments.contracts import RecordsSteps
from experiments.errors import UserError
from experiments.system.files import write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE = 0.01  # of the largest norm; a step above it is still reached


class GradientReach(Callback):
    """Measures the norm of the loss's gradient by the state after each step, on a fixed batch of validation sequences.

    The state is all that a step hands to the next: `h`, and of an LSTM `h` and `c` together. Norms are those of single
    sequences, averaged over them, of the last recurrent layer read forwards. Logs `train/gradient_reach` every epoch: how
    many steps before the last the norm is still a hundredth of its largest. At the end it draws
    `figures/gradient_reach.png`, also into TensorBoard, and writes the norms to `gradient_reach.json`.

    The measurement runs the layer step by step and in evaluation mode; it draws no random number and leaves no
    gradient behind.

    Args:
        dir: the run folder.
        examples: sequences measured.

    Raises:
        UserError: when the model has no recurrent layer.
    """

    def __init__(self, dir: str, examples: int = 32) -> None:
        self._folder, self._examples = Path(dir), examples
        self.norms: dict[str, list[float]] = {}  # epochs trained (0: none) to a norm a step, first step first

    def state_dict(self) -> dict[str, Any]:
        return {"norms": dict(self.norms)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.norms = dict(state_dict["norms"])

    @staticmethod
    def require_recurrent(task: LightningModule) -> None:
        """Refuses a task whose model has no recurrent layer.

        Raises:
            UserError: with models that have one.
        """
        if not _layers(task):
            raise UserError(
                "callbacks.gradient_reach measures recurrent layers and this model has none: "
                "take model=rnn, lstm or gru, or callbacks=default"
            )

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.require_recurrent(pl_module)
        if not self.norms:
            self._measure(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        norms = self._measure(trainer, pl_module, trainer.current_epoch + 1)
        pl_module.log("train/gradient_reach", float(reach(norms)))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        write_json(self._folder / "gradient_reach.json", {"state_norms_by_epochs_trained": self.norms})

        def draw() -> Figure:
            from experiments.viz.gradient_by_lag import gradient_reach

            return gradient_reach({int(epoch): norms for epoch, norms in self.norms.items()})

        save_picture(trainer, self._folder / "figures", "gradient_reach", draw)

    def _measure(self, trainer: Trainer, module: LightningModule, epoch: int) -> list[float]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        batch = data.transfer_batch_to_device(data.sample("validation", self._examples), module.device, 0)
        norms = state_gradients(module, batch).tolist()
        self.norms[str(epoch)] = norms
        return norms


def _layers(module: Any) -> list[Any]:
    return [layer for layer in module.model.modules() if isinstance(layer, RecordsSteps)]


def state_gradients(task: Any, batch: Any) -> Tensor:
    """(T,): the norm of d loss / d state after each step, averaged over the sequences of a batch.

    Args:
        task: holds a model with recurrent layers; the last of them is measured.
        batch: as `task.step` takes it.
    """
    layer = _layers(task)[-1]
    modes = {module: module.training for module in task.modules()}
    layer.recorded = []
    try:
        for module in modes:
            module.training = False
        # cuDNN's recurrent kernels have no backward pass in evaluation mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            loss = task.step(batch)[0]
            steps = layer.recorded
            wanted = [tensor for out, state in steps for tensor in (out, *state)]
            gradients = iter(torch.autograd.grad(loss, wanted, allow_unused=True))
    finally:
        layer.recorded = None
        for module, mode in modes.items():
            module.training = mode
    norms = []
    for out, state in steps:
        parts = [_or_zero(next(gradients), out)[:, 0]]  # h is handed on, and is put out: both ways count
        parts[0] = parts[0] + _or_zero(next(gradients), state[0])[0]
        parts += [_or_zero(next(gradients), tensor)[0] for tensor in state[1:]]
        # The loss is a mean over the batch, so one sequence's own gradient is as many times as large.
        norms.append(torch.cat(parts, dim=1).norm(dim=1).mean() * len(out))
    return torch.stack(norms).cpu()


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def reach(norms: list[float]) -> int:
    """Steps before the last that are still reached: where the norm is a hundredth of the largest or more."""
    largest = max(norms)
    first = next((step for step, norm in enumerate(norms) if norm >= SHARE * largest > 0), len(norms) - 1)
    return len(norms) - 1 - first

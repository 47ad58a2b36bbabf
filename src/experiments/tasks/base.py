"""What every task shares: the three steps, running sums, metrics at epoch ends, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import MetricCollection

from experiments.tasks.parts.added_metrics import AddedMetrics
from experiments.tasks.parts.running_sums import RunningSums, joined
from experiments.tasks.parts.schedules import forget_length, optimizers
from experiments.tasks.parts.state_of_processes import of_all_processes, own_share
from experiments.tasks.report import Report


class Task(LightningModule):
    """A LightningModule that holds one model; a subclass writes `step`, and metrics where it has some.

    Args:
        model: the network.
        spec: what the data says of itself.
        optimizer: called with the parameters that learn.
        scheduler: called with the optimizer and its `Horizon`; gives the entries of Lightning's scheduler
            dictionary. None keeps the rate constant.
    """

    monitor: tuple[str, Literal["min", "max"]] = ("val/loss", "min")  # what the best checkpoint is chosen by
    cacheable = False  # `step` gives the model the first part of a batch and reads it for nothing else
    changes_inputs = ""  # of a task that is not: why the model's inputs are others in every epoch, as half a sentence
    runs: tuple[str, ...] = ()  # keys of its config that name an earlier run; it gets that run's network and spec
    test_keys: tuple[str, ...] = ()  # keys of its config that change what the test measures and nothing of the network
    predict_keys: tuple[str, ...] = ()  # likewise what `experiments predict` answers
    scores_classes = True  # the head's rows are the classes or symbols of the data, and may begin anew
    freezing: Any = None  # what learns, and when: see transfer.freezing
    report_class: type[Report] = Report  # what a run tells beyond numbers

    def __init_subclass__(cls, **words: Any) -> None:
        super().__init_subclass__(**words)
        if moved := [name for name in ("details", "figures", "answers", "embedding", "shows") if name in vars(cls)]:
            raise TypeError(
                f"{cls.__name__}.{moved[0]} is not read here: move it to a Report and name that as `report_class`"
                " (docs/extending.md)"
            )

    def __init__(
        self, model: nn.Module, spec: Any, optimizer: Callable[..., Any], scheduler: Callable[..., Any] | None
    ) -> None:
        super().__init__()
        self.model, self.spec = model, spec
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.metrics = nn.ModuleDict({split: self.make_metrics() for split in ("val", "test")})
        self.added = AddedMetrics()
        self.sums = {split: RunningSums() for split in ("train", "val", "test")}

    @staticmethod
    def from_data(settings: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """Keyword arguments that the data alone can say under these settings, in plain Python; the record keeps them."""
        return {}

    @staticmethod
    def outputs(spec: Any) -> dict[str, Any]:
        """Keyword arguments, beyond `spec.inputs`, that this objective asks of a model."""
        return {}

    def require_output(self, shape: tuple[int, ...] | None) -> None:
        """Raises where the network gives what this objective cannot judge.

        Args:
            shape: of the output for one example; None where that is no tensor.

        Raises:
            UserError: naming both sizes.
        """

    def step(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (a mean over the batch), prediction and target of one batch."""
        raise NotImplementedError(f"{type(self).__name__} must define step(batch) -> (loss, prediction, target)")

    def make_metrics(self) -> MetricCollection:
        """Return what validation and test report besides the loss, named without the split: `accuracy`."""
        return MetricCollection({})

    def train_sums(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Sums over one batch whose means over the epoch are logged as `train/…`; cheap, on the device."""
        return {}

    def loss_weight(self, target: Tensor) -> Tensor | None:
        """Return the sum of what the loss weighs the examples of a batch with; None where it weighs them alike."""
        return None

    def weighed(self, loss: Tensor, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the loss and its weight as `RunningSums.add` takes them; a loss of several parts gives two tensors
        (parts,).
        """
        return loss, self.loss_weight(target)

    def derived(self, means: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what follows from an epoch's means and is logged beside them, in every split."""
        return {}

    def metrics_of(self, split: str) -> MetricCollection:
        """Return the metrics of `val` or `test`."""
        return cast(MetricCollection, self.metrics[split])

    def metric_names(self, split: str) -> list[str]:
        """Names under which a split is reported, `test/accuracy` and so on."""
        return [f"{split}/loss", *(f"{split}/{name}" for name in (*self.metrics_of(split), *self.added.names))]

    def train(self, mode: bool = True) -> Task:
        """Set training mode, but keep what is frozen in evaluation mode, so that its statistics stay too."""
        super().train(mode)
        if self.freezing is not None:
            self.freezing.rest()
        return self

    @property
    def attached(self) -> Trainer | None:
        """The Trainer that runs this task; None where none does."""
        try:
            return self.trainer
        except RuntimeError:
            return None

    @property
    def attached_data(self) -> Any:
        """The data module of the Trainer that runs this task; None where there is none."""
        return getattr(self.attached, "datamodule", None)

    @cached_property
    def report(self) -> Report:
        """What tells of this task beyond numbers."""
        return self.report_class(self)

    @cached_property
    def learns(self) -> bool:
        """Whether the model has any parameter that learns; without one, training is a pass that changes nothing."""
        return any(parameter.requires_grad for parameter in self.parameters())

    def forward(self, inputs: Any) -> Tensor:
        return self.model(inputs)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        loss, prediction, target = self.step(batch)
        prediction = prediction.detach()
        self.sums["train"].add(len(target), *self.weighed(loss.detach(), target), **self.train_sums(prediction, target))
        return loss if self.learns else None

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        _, prediction, target = self._evaluate("val", batch)
        self.added.update("val", prediction, target)

    def test_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        loss, prediction, target = self._evaluate("test", batch)
        self.added.update("test", prediction, target)
        return {"loss": loss, "prediction": prediction, "target": target}

    def _evaluate(self, split: str, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        loss, prediction, target = self.step(batch)
        self.sums[split].add(len(target), *self.weighed(loss, target))
        self.metrics_of(split).update(prediction, target)
        return loss, prediction, target

    def on_train_epoch_end(self) -> None:
        self._report("train")
        plateau = self.lr_schedulers()
        if isinstance(plateau, torch.optim.lr_scheduler.ReduceLROnPlateau):
            # Lightning steps it after checkpoints are written, so a resumed run would differ: step it here.
            monitor = self.trainer.lr_scheduler_configs[0].monitor or self.monitor[0]
            value = self.trainer.callback_metrics.get(monitor)
            if value is not None:
                plateau.step(float(value))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if hasattr(scheduler, "step_update"):  # of timm, which counts for itself
            scheduler.step(self.current_epoch + 1)
        elif not isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            scheduler.step()

    def on_validation_start(self) -> None:
        self._synchronise_buffers(False)

    def on_validation_end(self) -> None:
        self._synchronise_buffers(True)

    def _synchronise_buffers(self, yes: bool) -> None:
        """Processes may see unequally many validation batches, so none may wait for the others in a forward pass; all
        begin with the buffers of the first, which are those that a checkpoint holds."""
        if isinstance(self.trainer.model, nn.parallel.DistributedDataParallel):
            self.trainer.model.require_forward_param_sync = yes
            if not yes:
                for buffer in self.model.buffers():
                    torch.distributed.broadcast(buffer, 0)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _report(self, split: str) -> None:
        values: dict[str, Any] = self.sums[split].means(self)
        self.sums[split].reset()
        values |= self.derived(values)
        if split != "train":
            values |= self.metrics_of(split).compute()
            self.metrics_of(split).reset()
            values |= self.added.values(split)
        self.log_dict({f"{split}/{name}": value for name, value in values.items()})

    def configure_optimizers(self) -> Any:
        return optimizers(self) if self.learns else None

    # Sums of an unfinished epoch travel with the checkpoint, those of every process, so that a run continued in the middle
    # of an epoch reports what an uninterrupted one would.
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["train_sums"] = of_all_processes(self.sums["train"].state_dict())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        forget_length(checkpoint.get("lr_schedulers", ()))
        states = checkpoint.get("train_sums", [])
        states = [states] if isinstance(states, dict) else states  # as older checkpoints have it
        self.sums["train"].load_state_dict(own_share(states, joined), self.device)

"""Learning-rate schedules: each takes the optimizer and its horizon, and gives Lightning's scheduler entries."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, OneCycleLR, ReduceLROnPlateau, StepLR

from experiments.config.metric_direction import direction
from experiments.errors import UserError, first_line

if TYPE_CHECKING:
    from experiments.tasks.base import Task


# As OneCycleLR, which refuses further steps, names it in its state; nothing public gives it another length.
_OF_LENGTH = ("total_steps", "_schedule_phases")


class Horizon(NamedTuple):
    """How long a run is, and which way its watched metric improves."""

    total_steps: int
    epoch_steps: int
    mode: Literal["min", "max"]
    monitor: str = ""  # that metric


class Scheduled:
    """Any schedule, called as ours are: with the optimizer and its horizon; gives the entries of Lightning's dictionary.

    A function that takes a `horizon` gets it. A class of torch, or anything else that takes the optimizer alone, does not; its
    `total_steps`, its `T_max` and the `mode` of a plateau are filled in where they are not given.

    Args:
        make: the schedule with its settings, called with the optimizer.
        name: for messages.
        entries: of Lightning's scheduler dictionary, such as `interval`.
    """

    def __init__(self, make: Callable[..., Any], name: str, entries: Mapping[str, Any]) -> None:
        self.make, self.name, self.entries = make, name, dict(entries)

    def __call__(self, optimizer: Optimizer, horizon: Horizon) -> dict[str, Any]:
        monitor, given = self.entries.get("monitor"), getattr(self.make, "keywords", {})
        if monitor and monitor != horizon.monitor and not given.get("mode"):
            horizon = horizon._replace(mode=direction(monitor, "scheduler"), monitor=monitor)
        try:
            if "schedulers" in given:  # SequentialLR, ChainedScheduler: each is made with the optimizer, too
                parts = [
                    scheduler(optimizer) if callable(scheduler) else scheduler for scheduler in given["schedulers"]
                ]
                made = self.make(optimizer=optimizer, schedulers=parts)
            else:
                made = self.make(optimizer, **self._filled_in(horizon))
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.name}: {error}; check the keys of scheduler") from error
        if not isinstance(made, dict):
            by_step = isinstance(made, (OneCycleLR, CyclicLR))
            made = {"scheduler": made, "interval": "step" if by_step else "epoch"}
        if isinstance(made.get("scheduler"), ReduceLROnPlateau):  # an epoch without validation leaves it as it is
            made = {"strict": False} | made
        return made | self.entries

    def _filled_in(self, horizon: Horizon) -> dict[str, Any]:
        taken = inspect.signature(self.make).parameters
        given = getattr(self.make, "keywords", {})
        if "horizon" in taken:
            return {"horizon": horizon}
        if inspect.isfunction(getattr(self.make, "func", self.make)):
            open_ = [
                parameter.name
                for parameter in list(taken.values())[1:]
                if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
            ]
            if open_:  # whatever a user-defined function calls it
                return {open_[0]: horizon}
        whole = (
            horizon.total_steps
            if self.entries.get("interval") == "step"
            else horizon.total_steps // horizon.epoch_steps
        )
        usual: dict[str, Any] = {"total_steps": horizon.total_steps, "T_max": max(1, whole)}
        if getattr(self.make, "func", None) is ReduceLROnPlateau:
            usual["mode"] = horizon.mode
        return {key: value for key, value in usual.items() if key in taken and given.get(key) is None}


def step(optimizer: Optimizer, horizon: Horizon, *, every_epochs: int, factor: float) -> dict[str, Any]:
    """Multiplies the rate by `factor` every `every_epochs` epochs."""
    return {"scheduler": StepLR(optimizer, every_epochs, factor), "interval": "epoch"}


def cosine(optimizer: Optimizer, horizon: Horizon, *, warmup_epochs: float, final: float) -> dict[str, Any]:
    """Linear warm-up over `warmup_epochs`, then half a cosine down to `final` times the rate.

    Follows Loshchilov and Hutter, 2017, "SGDR", without restarts.
    """
    warmup = min(round(warmup_epochs * horizon.epoch_steps), horizon.total_steps - 1)

    def factor(number: int) -> float:
        if number < warmup:
            return (number + 1) / (warmup + 1)
        progress = min(1.0, (number - warmup) / max(1, horizon.total_steps - warmup))
        return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def one_cycle(optimizer: Optimizer, horizon: Horizon, *, warmup_share: float) -> dict[str, Any]:
    """Up to the rate and down to almost nothing in one cycle (Smith and Topin, 2018, "Super-convergence")."""
    rates = [group["lr"] for group in optimizer.param_groups]
    momentum = "momentum" in optimizer.defaults or "betas" in optimizer.defaults
    if optimizer.defaults.get("momentum") == 0:
        momentum = False
    schedule = OneCycleLR(
        optimizer, rates, total_steps=horizon.total_steps, pct_start=warmup_share, cycle_momentum=momentum
    )
    return {"scheduler": schedule, "interval": "step"}


def plateau(
    optimizer: Optimizer, horizon: Horizon, *, factor: float, patience: int, mode: Literal["min", "max"] | None = None
) -> dict[str, Any]:
    """Multiplies the rate by `factor` when what is watched has not improved for `patience` validations."""
    return {
        "scheduler": ReduceLROnPlateau(optimizer, mode=mode or horizon.mode, factor=factor, patience=patience),
        "interval": "epoch",
    }  # type: ignore[arg-type]


def forget_length(states: Iterable[dict[str, Any]]) -> None:
    """Take out of the saved states of schedules how long the run was, so that one that is resumed to be longer has its own length.

    A schedule is made for the length of the run anew, and its state brings how far it has come.
    """
    for state in states:
        for key in _OF_LENGTH:
            state.pop(key, None)
        forget_length(state.get("_schedulers", ()))  # of SequentialLR and ChainedScheduler


def optimizers(task: Task) -> Any:
    """Make a task's optimizer for the parameters that learn, and its schedule, in Lightning's form.

    Raises:
        UserError: when the optimizer does not take its settings.
    """
    parameters = [parameter for parameter in task.parameters() if parameter.requires_grad]
    try:
        optimizer = task.make_optimizer(parameters)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"optimizer: {first_line(error)}; check its keys, or choose another one") from error
    if task.make_scheduler is None:
        return optimizer
    task.trainer.fit_loop.setup_data()  # which knows how long an epoch is
    total_steps = int(task.trainer.estimated_stepping_batches)
    epoch_steps = max(1, math.ceil(task.trainer.num_training_batches / task.trainer.accumulate_grad_batches))
    entry = task.make_scheduler(optimizer, Horizon(total_steps, epoch_steps, task.monitor[1], task.monitor[0]))
    return {"optimizer": optimizer, "lr_scheduler": {"monitor": task.monitor[0], **entry}}

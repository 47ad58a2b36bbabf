"""Freezing: which parameters learn, from which epoch and at what rate; frozen parts stay in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from experiments.errors import UserError
from experiments.transfer.stages import is_plain, stages_of

_WITH_STATISTICS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
NORMS = (*_WITH_STATISTICS, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Learning:
    """How one parameter learns: from epoch `since` (counted from 0), at `rate` times the learning rate."""

    since: int = 0
    rate: float = 1.0


Assignment = dict[str, Learning]  # of a model's parameter names; what is left out never learns
Strategy = Callable[[nn.Module], Assignment]


@dataclass(frozen=True)
class Settings:
    """What goes with every strategy.

    Attributes:
        norm: of normalisation layers in stages that do not learn as a whole: "frozen" leaves them as they are,
            "statistics" lets their running statistics follow the data, "affine" lets their weights and biases learn,
            "free" both.
        head_epochs: epochs in which the head learns alone, before the strategy begins.
        head_rate: times the learning rate, for the head.
    """

    norm: str
    head_epochs: int
    head_rate: float

    @property
    def affine(self) -> bool:
        return self.norm in ("affine", "free")

    @property
    def statistics(self) -> bool:
        return self.norm in ("statistics", "free")


@dataclass(frozen=True)
class Row:
    """One stage in the table of what learns.

    Attributes:
        stage: its name.
        parameters: number of them.
        learning: those of them that learn sooner or later.
        from_epoch: the first epoch, counted from 1, in which any of them does; None where none ever does.
        learning_rate: of the stage, before any schedule; None likewise.
    """

    stage: str
    parameters: int
    learning: int
    from_epoch: int | None
    learning_rate: float | None


class Freezing:
    """A strategy applied to one model.

    What never learns loses `requires_grad` at once. What learns later keeps it until the first epoch begins, so that the
    optimizer has it in its groups and DistributedDataParallel watches it from the start; `enter` then takes and gives it
    by epoch. A parameter without a gradient is left out by every optimizer, weight decay and momentum included. What the
    model made without one, such as positions by sines, never learns.

    Args:
        model: named stages, the last of them the head.
        strategy: says which parameters learn; it may add some, as low-rank updates do.
        settings: what goes with every strategy.

    Raises:
        UserError: when nothing would be left to learn.
    """

    def __init__(self, model: nn.Module, strategy: Strategy, settings: Settings) -> None:
        own = {id(parameter) for parameter in model.parameters() if not parameter.requires_grad}
        assigned = strategy(model)
        self._fixed = {name for name, parameter in model.named_parameters() if id(parameter) in own}
        assigned = {name: learning for name, learning in assigned.items() if name not in self._fixed}
        self.model, self.settings = model, settings
        self.stages = stages_of(model)
        head = self.stages[-1][0]
        self._own = {name: _shifted(learning, name, head, settings) for name, learning in assigned.items()}
        self.learning = dict(self._own)
        if settings.affine:
            for stage, module in self.stages:
                for name in _norm_parameters(stage, module):
                    if name not in self._fixed:
                        self.learning.setdefault(name, Learning(settings.head_epochs))
        # A model without parameters (a naive forecast) has nothing to freeze, and is only tested.
        if not self.learning and next(model.parameters(), None) is not None:
            raise UserError(f"freezing leaves nothing to learn: {self._cure(head)}")
        self.epoch = 0
        self._frozen_modules: list[nn.Module] = []
        self._called: dict[int, tuple[nn.Parameter, str]] = {}
        for name, parameter in model.named_parameters():
            self._called[id(parameter)] = parameter, name
            parameter.requires_grad_(name in self.learning)
        self._freeze_from(0)

    def _cure(self, head: str) -> str:
        """Say what would learn."""
        own = {id(parameter) for parameter in self.stages[-1][1].parameters()}
        first = next((name for name, parameter in self.model.named_parameters() if id(parameter) in own), head)
        if first.split(".")[0] == head:
            return "choose another strategy, or name the head in freezing.learn"
        return f"the head has the weights of a table in {first.split('.')[0]}, which stays as it is: try freezing=last_stage"

    @property
    def releases(self) -> list[int]:
        """The epochs, counted from 0, at whose beginning something starts to learn; the first is 0 as a rule."""
        return sorted({learning.since for learning in self.learning.values()})

    @property
    def late(self) -> bool:
        """Whether something begins to learn after the first epoch."""
        return any(learning.since > 0 for learning in self.learning.values())

    @property
    def begins(self) -> dict[str, int]:
        """The epoch, counted from 1, in which each parameter that learns begins to, by its name."""
        return {name: learning.since + 1 for name, learning in self.learning.items()}

    def enter(self, epoch: int) -> None:
        """Gives and takes gradients as this epoch wants it; to be called at its beginning, also by a resumed run."""
        self.epoch = epoch
        for name, parameter in self._named(self.model):
            learns = self._learns(name, epoch)
            parameter.requires_grad_(learns)
            if not learns:
                parameter.grad = None
        self._freeze_from(epoch)
        self.model.train(self.model.training)
        self.rest()

    def rest(self) -> None:
        """Puts what does not learn into evaluation mode; called whenever the model is put into training mode."""
        for module in self._frozen_modules:
            module.training = False

    def frozen_stages(self, epoch: int) -> int:
        """Tell how many of the first stages are functions of their input alone in an epoch: nothing in them learns,
        moves or is random, so their output can be kept. 0 where that would save no arithmetic.
        """
        states = self._states(epoch)
        last = _last_frozen(states)
        count = 0
        for number, ((_, module), state) in enumerate(zip(self.stages, states, strict=True)):
            if state not in ("frozen", "empty") or (
                self.settings.statistics and any(map(_has_statistics, module.modules()))
            ):
                break
            if any(self._learns(name, epoch) for name in self._names(number)):  # norms that learn in a frozen stage
                break
            if state == "frozen":
                count = number + 1
            elif number > last:  # pooling and the like make smaller what is kept; anything else may be random
                if not is_plain(module):
                    break
                count = number + 1 if count else 0
        return min(count, len(self.stages) - 1)

    @property
    def held_by_norms(self) -> bool:
        """Whether the first stage would be a fixed function at the start, if `freezing.norm` let nothing in it move."""
        first = next((state for state in self._states(0) if state != "empty"), None)
        return first == "frozen" and self.settings.norm != "frozen"

    def groups(self, make: Callable[..., Any]) -> Callable[..., Any]:
        """Return the factory of an optimizer, made to give each stage its learning rate.

        Raises:
            UserError: at the call, when the optimizer has no learning rate.
        """
        if len(set(self.learning.values())) < 2 and not self.late:
            return make
        return lambda parameters: make(self._grouped(list(parameters), _rate(make)))

    def rows(self, rate: float | None) -> list[Row]:
        """Return the table of what learns, a row a stage; `rate` is the optimizer's learning rate."""
        rows = []
        for stage, module in self.stages:
            parameters = dict(module.named_parameters(prefix=stage))
            learning = {name: self.learning[name] for name in parameters if name in self.learning}
            rows.append(
                Row(
                    stage=stage,
                    parameters=sum(parameter.numel() for parameter in parameters.values()),
                    learning=sum(parameters[name].numel() for name in learning),
                    from_epoch=min((state.since + 1 for state in learning.values()), default=None),
                    learning_rate=None
                    if rate is None or not learning
                    else rate * max(o.rate for o in learning.values()),
                )
            )
        return rows

    def table(self, rate: float | None) -> tuple[list[str], list[list[str]]]:
        """Return the same for people: the head of the columns, and the cells of each row."""
        cells = []
        for row in self.rows(rate):
            share = {0: "no", row.parameters: "yes"}.get(row.learning, f"{row.learning:,} of them")
            since = "" if row.from_epoch is None else str(row.from_epoch)
            shown = "" if row.learning_rate is None else f"{row.learning_rate:.3g}"
            cells.append([row.stage, f"{row.parameters:,}", share if row.parameters else "", since, shown])
        return ["stage", "parameters", "learns", "from epoch", "learning rate"], cells

    @property
    def everything(self) -> bool:
        """Whether all parameters learn from the start at one rate: nothing to tell of."""
        names = (name for name, _ in self.model.named_parameters() if name not in self._fixed)
        return not self.late and all(self.learning.get(name) == Learning() for name in names)

    def _learns(self, name: str, epoch: int) -> bool:
        learning = self.learning.get(name)
        return learning is not None and learning.since <= epoch

    def _names(self, number: int) -> list[str]:
        stage, module = self.stages[number]
        return [name for name, _ in self._named(module, stage)]

    def _named(self, module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Parameter]]:
        """Yield parameters by the names that the strategy knew: pruning calls a `weight` that it masks `weight_orig`."""
        for name, parameter in module.named_parameters(prefix=prefix):
            original, called = self._called.get(id(parameter), (None, name))
            yield (called if original is parameter else name), parameter

    def _states(self, epoch: int) -> list[str]:
        """Of each stage, what the strategy lets learn: "whole", "part", "frozen", or "empty" without parameters."""
        states = []
        for number in range(len(self.stages)):
            names = [name for name in self._names(number) if name not in self._fixed]
            learning = [name for name in names if name in self._own and self._own[name].since <= epoch]
            states.append(
                "empty" if not names else "frozen" if not learning else "part" if learning != names else "whole"
            )
        return states

    def _freeze_from(self, epoch: int) -> None:
        self._frozen_modules = []
        states = self._states(epoch)
        for number, ((_, module), state) in enumerate(zip(self.stages, states, strict=True)):
            # A stage without parameters is frozen between frozen ones; dropout before what learns is part of that.
            frozen = state == "frozen" or (state == "empty" and number < _last_frozen(states))
            for inner in module.modules():
                norm = isinstance(inner, NORMS)
                if (frozen or (state == "part" and norm)) and not (norm and self.settings.statistics):
                    self._frozen_modules.append(inner)

    def _grouped(self, parameters: list[nn.Parameter], rate: float) -> list[dict[str, Any]]:
        """Optimizer groups of neighbouring stages that learn alike, named after them.

        What begins together is together: fused optimizers want the state of a whole group to be there or not.
        """
        place = {id(p): (name, self.learning[name]) for name, p in self.model.named_parameters() if p.requires_grad}
        groups: list[tuple[list[str], Learning, list[nn.Parameter]]] = []
        for parameter in parameters:
            name, how = place.get(id(parameter), ("task", Learning()))
            if not groups or groups[-1][1] != how:
                groups.append(([], how, []))
            groups[-1][0].append(name.split(".")[0])
            groups[-1][2].append(parameter)
        return [
            {"params": members, "lr": rate * how.rate, "name": "-".join(dict.fromkeys((stages[0], stages[-1])))}
            for stages, how, members in groups
        ]


def _shifted(learning: Learning, name: str, head: str, settings: Settings) -> Learning:
    if name.split(".")[0] == head:
        return Learning(learning.since, learning.rate * settings.head_rate)
    return Learning(learning.since + settings.head_epochs, learning.rate)


def _norm_parameters(stage: str, module: nn.Module) -> list[str]:
    return [
        name
        for inner, layer in module.named_modules(prefix=stage)
        if isinstance(layer, NORMS)
        for name, _ in layer.named_parameters(prefix=inner)
    ]


def _last_frozen(states: list[str]) -> int:
    return max((number for number, state in enumerate(states) if state == "frozen"), default=-1)


def _has_statistics(module: nn.Module) -> bool:
    return isinstance(module, _WITH_STATISTICS) and module.track_running_stats


def _rate(make: Callable[..., Any]) -> float:
    rate = getattr(make, "keywords", {}).get("lr")
    if rate is None:
        raise UserError(
            "rates by stage are multiples of optimizer.lr, which this optimizer has not: choose optimizer=sgd"
        )
    return float(rate)

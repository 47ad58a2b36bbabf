"""What a search may choose from: keys with lists, ranges and intervals in Hydra's syntax."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from experiments.config.compose import explain_refusal
from experiments.errors import UserError

_POINTS = 100_000  # of a grid
_DIGITS = 6  # of a sampled number as it stands in the command that repeats the run


@dataclass(frozen=True)
class Key:
    """One searched key: values to choose from, or bounds.

    Attributes:
        name: as on the command line.
        choices: values as text; empty for numbers between bounds.
        whole: whether the numbers are integers.
        step: between numbers; None for any.
        log: whether magnitudes count, not differences.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    step: float | None = None
    log: bool = False

    @property
    def numeric(self) -> bool:
        return not self.choices

    def suggest(self, trial: Any, as_text: bool = False) -> Any:
        """Return a trial's value, which its sampler chooses where it has none yet."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.listed(as_text))
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)

    def listed(self, as_text: bool = False) -> tuple[Any, ...]:
        """Return the choices as a study keeps them: numbers where all are numbers, else text."""
        numbers = self._numbers() if not as_text else {}
        return tuple(numbers) or self.choices

    def _numbers(self) -> dict[int | float, str]:
        """Return the choices as numbers with their text; nothing where one is none, or two are the same."""
        numbers: dict[int | float, str] = {}
        for text in self.choices:
            try:
                value = int(text) if text.lstrip("+-").isdecimal() else float(text)
            except ValueError:
                return {}
            if not math.isfinite(value) or value in numbers:
                return {}
            numbers[value] = text
        return numbers

    def word(self, value: Any) -> str:
        """Return the override that sets a value."""
        return f"{self.name}={self._text(value)}"

    def _text(self, value: Any) -> str:
        if self.choices:
            return value if isinstance(value, str) else self._numbers()[value]
        if self.whole:
            return str(value)
        short = float(f"{value:.{_DIGITS}g}")
        return repr(min(max(short, self.low), self.high))

    def values(self) -> list[Any] | None:
        """Return every value; None where there is no end of them."""
        if self.choices:
            return list(self.choices)
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        numbers = [self.low + number * self.step for number in range(count)]
        return [int(number) for number in numbers] if self.whole else numbers

    def ends(self) -> list[Any]:
        """Values that show whether the key can be set at all: every choice, or both bounds."""
        if self.choices:
            return list(self.choices)
        ends = [self.low, self.high]
        return [int(end) for end in ends] if self.whole else ends

    def __str__(self) -> str:
        if self.choices:
            return f"{self.name} in {', '.join(self.choices)}"
        kind = [name for name, there in (("whole", self.whole), ("log", self.log)) if there]
        if self.step is not None and not (self.whole and self.step == 1):
            kind.append(f"steps of {self.step:g}")
        return f"{self.name} from {self.low:g} to {self.high:g}{f' ({chr(44).join(kind)})' if kind else ''}"


@dataclass(frozen=True)
class Space:
    """Searched keys, and the overrides that all trials share."""

    keys: tuple[Key, ...]
    fixed: tuple[str, ...]

    def suggest(self, trial: Any, as_text: bool = False) -> dict[str, Any]:
        """Return a trial's values; those it has stay. Listed ones are text in studies of earlier versions."""
        return {key.name: key.suggest(trial, as_text) for key in self.keys}

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """Return all overrides of a trial."""
        return [*self.fixed, *(key.word(values[key.name]) for key in self.keys)]

    def grid(self, as_text: bool = False) -> list[dict[str, Any]]:
        """Return every point, as a study keeps it; the last key varies fastest.

        Raises:
            UserError: when a key has no end of values.
        """
        axes = []
        for key in self.keys:
            values = list(key.listed(as_text)) if key.choices else key.values()
            if values is None:
                raise UserError(
                    f"search.sampler=grid takes listed values and {key} has no end of them: list some, as in {key.name}=0.1,0.01"
                )
            axes.append(values)
        if (count := math.prod(len(axis) for axis in axes)) > _POINTS:
            raise UserError(f"search.sampler=grid would have {count:,} points: list fewer values, or take random")
        return [dict(zip((key.name for key in self.keys), point, strict=True)) for point in itertools.product(*axes)]

    def corners(self) -> Iterator[dict[str, Any]]:
        """Yield the first value of every key, and from there each key's other ends, one key at a time."""
        base = {key.name: key.ends()[0] for key in self.keys}
        yield base
        for key in self.keys:
            for end in key.ends()[1:]:
                yield base | {key.name: end}


def read_space(words: Sequence[str], config_loader: Any = None) -> Space:
    """Return the space that some overrides span; of two with the same key the later counts.

    Args:
        words: overrides in Hydra's syntax.
        config_loader: of Hydra, for globs over the options of a group.

    Raises:
        UserError: when nothing is left to choose, or values cannot be searched.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    by_key: dict[str, tuple[str, Override]] = {}
    for word in words:
        try:
            (override,) = parser.parse_overrides([word])
        except HydraException as error:
            raise UserError(explain_refusal(error, [word], ())) from error
        name = override.get_key_element()
        if name.startswith(("hydra.", "launcher.", "search.")):
            if name.startswith("launcher.") and override.is_sweep_override():
                raise UserError(f"{word} has several values, and a search has one launcher: give {name} one value")
            continue
        by_key.pop(name.lstrip("+~"), None)
        by_key[name.lstrip("+~")] = (word, override)
    keys, fixed = [], []
    for word, override in by_key.values():
        if override.is_sweep_override():
            keys.append(_key(override))
        else:
            fixed.append(word)
    if not keys:
        raise UserError(
            "a search needs a key to choose: add one such as optimizer.lr='tag(log, interval(1e-4, 1e-1))' or model=mlp,lenet5"
        )
    return Space(tuple(keys), tuple(fixed))


def _key(override: Override) -> Key:
    name, sweep, line = override.get_key_element(), override.value(), override.input_line
    tags = set(getattr(sweep, "tags", ()))
    if unknown := tags - {"log"}:
        raise UserError(f"{line}: a search knows the tag log and not {', '.join(sorted(unknown))}: leave it out")
    log = "log" in tags
    if isinstance(sweep, ChoiceSweep):
        if log:
            raise UserError(
                f"{line}: log is for intervals and ranges: write tag(log, interval(1e-4, 1e-1)), or leave it out"
            )
        return Key(name, choices=_listed(override))
    if isinstance(sweep, Glob):
        if not (options := _listed(override)):
            raise UserError(
                f"{line} matches no option of a group: write a pattern that does, as in model=glob(resnet*), or list values"
            )
        return Key(name, choices=options)
    if isinstance(sweep, RangeSweep):
        return _range(name, sweep, log, line)
    if isinstance(sweep, IntervalSweep):
        low, high = float(sweep.start or 0), float(sweep.end or 0)  # type: ignore[arg-type]
        _bounds(line, low, high, log)
        whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
        return Key(name, low=low, high=high, whole=whole, step=1 if whole else None, log=log)
    raise UserError(f"{line} cannot be searched: write a list, choice(…), range(…), interval(…) or glob(…)")


def _listed(override: Override) -> tuple[str, ...]:
    return tuple(dict.fromkeys(override.sweep_string_iterator()))


def _range(name: str, sweep: RangeSweep, log: bool, line: str | None) -> Key:
    start, stop, step = sweep.start or 0, sweep.stop or 0, sweep.step or 1
    count = math.ceil((stop - start) / step - 1e-9)
    if count < 1:
        raise UserError(f"{line} holds no value: write range(start, stop) with stop beyond start")
    low, high = sorted((start, start + (count - 1) * step))
    whole = all(isinstance(value, int) for value in (start, stop, step))
    if log and (not whole or abs(step) != 1):
        raise UserError(
            f"{line}: log goes with steps of 1 between whole numbers: write tag(log, interval({low:g}, {high:g}))"
        )
    _bounds(line, low, high, log)
    return Key(name, low=float(low), high=float(high), whole=whole, step=abs(step), log=log)


def _bounds(line: str | None, low: float, high: float, log: bool) -> None:
    if not low <= high or not math.isfinite(low) or not math.isfinite(high):
        raise UserError(f"{line} ends before it begins: write the lower bound first")
    if log and low <= 0:
        raise UserError(f"{line} begins at {low:g} and a log scale has no such place: begin above 0")

"""A claim as its file in `conf/claim` states it: what is said, the sweep that tests it, and what decides."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from experiments.config.options import option_files
from experiments.config.usual_words import near_names
from experiments.errors import UserError, first_line, unknown
from experiments.system.bounded_files import read_yaml

MORE, LESS, NO_LESS, NO_MORE, ALIKE = EXPECTED = "more", "less", "no_less", "no_more", "alike"
DIFFERENCE, RATIO = SCALES = "difference", "ratio"
SIZES = "small", "full"
MEASURED, LITERATURE = GROUNDS = "measured", "literature"
FIRST = "{first}"  # in the words of a sweep: the folder with the claim's preparing runs


@dataclass(frozen=True)
class Test:
    """One comparison of a claim: the cells `of` against the cells `against`.

    Attributes:
        say: the comparison in a few words.
        of: choices that name cells, key to value; of several cells the mean counts, seed by seed. `{}` is all.
        against: likewise, or a number.
        quantity: a metric of the records, or a cost such as `cost.seconds`.
        against_quantity: that of the other side, where it is another one, as the peer that a task measures beside it.
        scale: whether the effect is a difference or a ratio.
        expect: `more`, `less`, `alike`, `no_less` or `no_more`.
        margin: the effect that matters: above 0 or 0 for a difference, 1 or more for a ratio.
        gain_over: choices that make of each side what it gains, seed by seed, over the cells that differ in these alone.
    """

    say: str
    of: dict[str, str]
    against: dict[str, str] | float
    quantity: str
    against_quantity: str
    scale: str
    expect: str
    margin: float
    gain_over: dict[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> bool:
        return self.scale == RATIO

    def in_words(self) -> str:
        """Says what is expected, such as `more by 0.05` or `at most 1.1 times as much`."""
        size = f"{self.margin:g}"
        if self.ratio:
            plain = {MORE: "more", LESS: "less", NO_LESS: "no less", NO_MORE: "no more", ALIKE: "as much"}
            if self.margin == 1:
                return plain[self.expect]
            return {
                MORE: f"more than {size} times as much",
                LESS: f"less than 1/{size} of it",
                NO_LESS: f"at least 1/{size} of it",
                NO_MORE: f"at most {size} times as much",
                ALIKE: f"within a factor of {size}",
            }[self.expect]
        return {
            MORE: f"more by over {size}" if self.margin else "more",
            LESS: f"less by over {size}" if self.margin else "less",
            NO_LESS: f"less by {size} at most",
            NO_MORE: f"more by {size} at most",
            ALIKE: f"within {size}",
        }[self.expect]


@dataclass(frozen=True)
class CurvePlan:
    """Which curves a claim's picture has below its comparisons: a line for some cells each, a point a step of something.

    Attributes:
        title: what they show.
        x, y: names of the axes.
        log: whether y is logarithmic.
        lines: label to the choices that name cells.
        key: of the sweep, whose values are the places along x; `quantity` is drawn over them.
        quantity: a metric of the records.
        file: where there is no key: a JSON file in every run's folder that holds a list for each run, or metrics.csv.
        series: the names that lead to the list in the file, or the column.
        from_end: whether the list's last number stands at 0 and its first one farthest from it.
        start: place of the first number.
    """

    title: str
    x: str
    y: str
    log: bool
    lines: dict[str, dict[str, str]]
    key: str
    quantity: str
    file: str
    series: tuple[str, ...]
    from_end: bool
    start: int


@dataclass(frozen=True)
class HoldsWhere:
    """A condition under which a claim holds that does not hold as tested, and how one knows: measured or literature, and
    which claim, page or paper says it.
    """

    when: str
    by: str
    source: str


@dataclass(frozen=True)
class Size:
    """How large a claim is tested: words that join those of the sweep, and the minutes that it takes on one core."""

    words: tuple[str, ...]
    minutes: float


@dataclass(frozen=True)
class Claim:
    """Holds what a file in `conf/claim` says.

    Attributes:
        statement: in plain words.
        source: where it is said.
        refuted_by: what one would have to see.
        conditions: under which the verdict was found; empty where the sweep says it all.
        holds_where: conditions under which it holds, where it does not hold under those above.
        curve: what the picture draws below the comparisons, if anything.
        first: name to words of runs that come before the sweep, which finds them in the folder `{first}`.
        sweep: words as for `experiments train -m`.
        digest: of all that decides, so that a verdict found by an earlier form of the file is known as such.
    """

    name: str
    statement: str
    source: str
    refuted_by: str
    conditions: str
    first: dict[str, tuple[str, ...]]
    sweep: tuple[str, ...]
    tests: tuple[Test, ...]
    sizes: dict[str, Size]
    digest: str
    holds_where: tuple[HoldsWhere, ...] = ()
    curve: CurvePlan | None = None

    def words(self, size: str, first: Path, more: Sequence[str] = ()) -> list[str]:
        """Return the words of the sweep; of two with one key the later counts."""
        by_key = {word.partition("=")[0]: word for word in (*self.sweep, *self.sizes[size].words, *more)}
        return [word.replace(FIRST, str(first)) for word in by_key.values()]


def claim_names(config_dirs: Sequence[str] = ()) -> list[str]:
    """Names of all claims."""
    return sorted(option_files("claim", config_dirs))


def read_claim(name: str, config_dirs: Sequence[str] = ()) -> Claim:
    """Return the claim of a name.

    Raises:
        UserError: when there is none, or its file is not as it should be.
    """
    files = option_files("claim", config_dirs)
    if name not in files:
        near = near_names(name.lower(), sorted(files))
        raise UserError(
            f"{name} is no claim: did you mean {' or '.join(near)}?"
            if near
            else unknown(name, "no claim", name, list(files))
        )
    path = files[name]
    try:
        found = read_yaml(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): correct it") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no keys: a claim has a statement, a sweep, tests and sizes")
    return _claim(name, found, path)


def _claim(name: str, found: dict[str, Any], path: Path) -> Claim:
    """Return the keys of a claim's file, each checked."""
    keys = ("statement", "source", "refuted_by", "sweep", "tests", "sizes")
    more = ("conditions", "holds_where", "curve", "first", "quantity", "scale", "expect", "margin", "gain_over")
    _refuse_others(found, (*keys, *more), f"{path}:", keys)
    shared: dict[str, Any] = {
        key: found[key] for key in ("quantity", "scale", "expect", "margin", "gain_over") if key in found
    }
    tests = tuple(_test(shared | _mapping(one, f"{path}: a test"), path) for one in _list(found["tests"], path))
    sizes = {}
    for size, one in _mapping(found["sizes"], f"{path}: sizes").items():
        if size not in SIZES:
            raise UserError(unknown(f"{path}: sizes.{size}", "no size", str(size), SIZES))
        one = _mapping(one, f"{path}: sizes.{size}")
        _refuse_others(one, ("words", "minutes"), f"{path}: sizes.{size}:", ("minutes",))
        sizes[size] = Size(_words(one.get("words"), path), _number(one["minutes"], f"{path}: sizes.{size}.minutes"))
    if missing := [size for size in SIZES if size not in sizes]:
        raise UserError(f"{path} has no sizes.{missing[0]}: add it with its words and minutes")
    first = {str(key): _words(one, path) for key, one in _mapping(found.get("first") or {}, f"{path}: first").items()}
    decides = {key: found.get(key) for key in ("sweep", "tests", "first", *shared)}
    decides |= {"curve": found["curve"]} if found.get("curve") else {}
    decides["sizes"] = {size: one.words for size, one in sizes.items()}  # not how long they take
    text = json.dumps(decides, sort_keys=True, default=str)
    return Claim(
        name=name,
        **{key: " ".join(str(found.get(key) or "").split()) for key in keys[:3]},
        conditions=" ".join(str(found.get("conditions") or "").split()),
        first=first,
        sweep=_words(found["sweep"], path),
        tests=tests,
        sizes=sizes,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        holds_where=tuple(_holds_where(one, path) for one in _list(found["holds_where"], path, "holds_where"))
        if found.get("holds_where")
        else (),
        curve=_curve(_mapping(found["curve"], f"{path}: curve"), path) if found.get("curve") else None,
    )


def _holds_where(found: Any, path: Path) -> HoldsWhere:
    fields = ("when", "by", "source")
    found = _mapping(found, f"{path}: holds_where")
    _refuse_others(found, fields, f"{path}: holds_where:", fields)
    if found["by"] not in GROUNDS:
        raise UserError(unknown(f"{path}: holds_where: by={found['by']}", "no ground", str(found["by"]), GROUNDS))
    return HoldsWhere(**{key: " ".join(str(found[key]).split()) for key in fields})


def _curve(found: dict[str, Any], path: Path) -> CurvePlan:
    fields, where = ("title", "x", "y", "lines"), f"{path}: curve"
    _refuse_others(
        found, (*fields, "log", "key", "quantity", "file", "series", "from_end", "start"), f"{where}:", fields
    )
    if ("key" in found) == ("file" in found):
        raise UserError(f"{where} must have either key, with quantity, or file, with series: give one of them")
    for key in ("quantity",) if "key" in found else ("series",):
        if not found.get(key):
            raise UserError(f"{where}: {key} is missing: add it")
    lines = _mapping(found["lines"], f"{where}: lines")
    return CurvePlan(
        title=str(found["title"]),
        x=str(found["x"]),
        y=str(found["y"]),
        log=bool(found.get("log", False)),
        lines={str(say): _choices(one, f"{where}: lines: {say}") for say, one in lines.items()},
        key=str(found.get("key", "")),
        quantity=str(found.get("quantity", "")),
        file=str(found.get("file", "")),
        series=tuple(str(one) for one in found.get("series", ())),
        from_end=bool(found.get("from_end", False)),
        start=int(found.get("start", 0)),
    )


def _test(found: dict[str, Any], path: Path) -> Test:
    fields = ("say", "of", "against", "quantity", "expect")
    more = ("against_quantity", "scale", "margin", "gain_over")
    _refuse_others(found, (*fields, *more), f"{path}: a test:", fields)
    where = f"{path}: the test “{found['say']}”"
    scale = str(found.get("scale", DIFFERENCE))
    for key, value, known in (("scale", scale, SCALES), ("expect", str(found["expect"]), EXPECTED)):
        if value not in known:
            raise UserError(unknown(f"{where}: {key}={value}", f"no {key}", value, known))
    least = 1.0 if scale == RATIO else 0.0
    margin = _number(found.get("margin", least), f"{where}: margin")
    if margin < least:
        raise UserError(f"{where}: margin={margin:g} must be {least:g} or more for a {scale}")
    if margin == least and found["expect"] == ALIKE:
        raise UserError(f"{where}: nothing lies within a margin of {margin:g}: say which effect would matter")
    if scale == RATIO and found.get("gain_over"):
        raise UserError(f"{where}: gains may be zero, and ratios need values above zero: set scale: difference")
    against = found["against"]
    return Test(
        say=str(found["say"]),
        of=_choices(found["of"], f"{where}: of"),
        against=float(against) if _is_number(against) else _choices(against, f"{where}: against"),
        quantity=str(found["quantity"]),
        against_quantity=str(found.get("against_quantity") or found["quantity"]),
        scale=scale,
        expect=str(found["expect"]),
        margin=margin,
        gain_over=_choices(found.get("gain_over") or {}, f"{where}: gain_over"),
    )


def _choices(value: Any, where: str) -> dict[str, str]:
    return {str(key): _text(one) for key, one in _mapping(value, where).items()}


def _refuse_others(found: Mapping[str, Any], known: Sequence[str], where: str, needed: Sequence[str]) -> None:
    for key in found:
        if key not in known:
            raise UserError(unknown(f"{where} {key}", "no key of a claim", str(key), known))
    for key in needed:
        if found.get(key) is None:
            raise UserError(f"{where} {key} is missing: add it")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be keys with their values, not {value!r}")
    return value


def _list(value: Any, path: Path, name: str = "tests") -> list[Any]:
    if not isinstance(value, list) or not value:
        what = "comparison" if name == "tests" else "condition"
        raise UserError(f"{path}: {name} must be a list of at least one {what}")
    return value


def _words(value: Any, path: Path) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and "=" in one for one in value):
        raise UserError(f"{path}: {value!r} must be a list of words such as model=lenet5,mlp")
    return tuple(value)


def _number(value: Any, where: str) -> float:
    if not _is_number(value):
        raise UserError(f"{where}={value!r} must be a number")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    """Return a value as records show it: none, true, 0.5, [64, 32]."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)

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
from experiments.config.suggestions import near_names
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
        content = read_yaml(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}): correct it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no keys: a claim has a statement, a sweep, tests and sizes")
    return _claim(name, content, path)


def _claim(name: str, content: dict[str, Any], path: Path) -> Claim:
    """Return the keys of a claim's file, each checked."""
    keys = ("statement", "source", "refuted_by", "sweep", "tests", "sizes")
    more = ("conditions", "holds_where", "curve", "first", "quantity", "scale", "expect", "margin", "gain_over")
    _refuse_others(content, (*keys, *more), f"{path}:", keys)
    shared: dict[str, Any] = {
        key: content[key] for key in ("quantity", "scale", "expect", "margin", "gain_over") if key in content
    }
    tests = tuple(_test(shared | _mapping(test, f"{path}: a test"), path) for test in _list(content["tests"], path))
    sizes = {}
    for size, size_entry in _mapping(content["sizes"], f"{path}: sizes").items():
        if size not in SIZES:
            raise UserError(unknown(f"{path}: sizes.{size}", "no size", str(size), SIZES))
        size_entry = _mapping(size_entry, f"{path}: sizes.{size}")
        _refuse_others(size_entry, ("words", "minutes"), f"{path}: sizes.{size}:", ("minutes",))
        sizes[size] = Size(
            _words(size_entry.get("words"), path), _number(size_entry["minutes"], f"{path}: sizes.{size}.minutes")
        )
    if missing := [size for size in SIZES if size not in sizes]:
        raise UserError(f"{path} has no sizes.{missing[0]}: add it with its words and minutes")
    first = {
        str(key): _words(entry, path) for key, entry in _mapping(content.get("first") or {}, f"{path}: first").items()
    }
    decides = {key: content.get(key) for key in ("sweep", "tests", "first", *shared)}
    decides |= {"curve": content["curve"]} if content.get("curve") else {}
    decides["sizes"] = {size: entry.words for size, entry in sizes.items()}  # not how long they take
    text = json.dumps(decides, sort_keys=True, default=str)
    return Claim(
        name=name,
        **{key: " ".join(str(content.get(key) or "").split()) for key in keys[:3]},
        conditions=" ".join(str(content.get("conditions") or "").split()),
        first=first,
        sweep=_words(content["sweep"], path),
        tests=tests,
        sizes=sizes,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        holds_where=tuple(_holds_where(entry, path) for entry in _list(content["holds_where"], path, "holds_where"))
        if content.get("holds_where")
        else (),
        curve=_curve(_mapping(content["curve"], f"{path}: curve"), path) if content.get("curve") else None,
    )


def _holds_where(entry: Any, path: Path) -> HoldsWhere:
    fields = ("when", "by", "source")
    entry = _mapping(entry, f"{path}: holds_where")
    _refuse_others(entry, fields, f"{path}: holds_where:", fields)
    if entry["by"] not in GROUNDS:
        raise UserError(unknown(f"{path}: holds_where: by={entry['by']}", "no ground", str(entry["by"]), GROUNDS))
    return HoldsWhere(**{key: " ".join(str(entry[key]).split()) for key in fields})


def _curve(entry: dict[str, Any], path: Path) -> CurvePlan:
    fields, where = ("title", "x", "y", "lines"), f"{path}: curve"
    _refuse_others(
        entry, (*fields, "log", "key", "quantity", "file", "series", "from_end", "start"), f"{where}:", fields
    )
    if ("key" in entry) == ("file" in entry):
        raise UserError(f"{where} must have either key, with quantity, or file, with series: give one of them")
    for key in ("quantity",) if "key" in entry else ("series",):
        if not entry.get(key):
            raise UserError(f"{where}: {key} is missing: add it")
    lines = _mapping(entry["lines"], f"{where}: lines")
    return CurvePlan(
        title=str(entry["title"]),
        x=str(entry["x"]),
        y=str(entry["y"]),
        log=bool(entry.get("log", False)),
        lines={str(say): _choices(choices, f"{where}: lines: {say}") for say, choices in lines.items()},
        key=str(entry.get("key", "")),
        quantity=str(entry.get("quantity", "")),
        file=str(entry.get("file", "")),
        series=tuple(str(name) for name in entry.get("series", ())),
        from_end=bool(entry.get("from_end", False)),
        start=int(entry.get("start", 0)),
    )


def _test(entry: dict[str, Any], path: Path) -> Test:
    fields = ("say", "of", "against", "quantity", "expect")
    more = ("against_quantity", "scale", "margin", "gain_over")
    _refuse_others(entry, (*fields, *more), f"{path}: a test:", fields)
    where = f"{path}: the test “{entry['say']}”"
    scale = str(entry.get("scale", DIFFERENCE))
    for key, value, allowed in (("scale", scale, SCALES), ("expect", str(entry["expect"]), EXPECTED)):
        if value not in allowed:
            raise UserError(unknown(f"{where}: {key}={value}", f"no {key}", value, allowed))
    least = 1.0 if scale == RATIO else 0.0
    margin = _number(entry.get("margin", least), f"{where}: margin")
    if margin < least:
        raise UserError(f"{where}: margin={margin:g} must be {least:g} or more for a {scale}")
    if margin == least and entry["expect"] == ALIKE:
        raise UserError(f"{where}: nothing lies within a margin of {margin:g}: say which effect would matter")
    if scale == RATIO and entry.get("gain_over"):
        raise UserError(f"{where}: gains may be zero, and ratios need values above zero: set scale: difference")
    against = entry["against"]
    return Test(
        say=str(entry["say"]),
        of=_choices(entry["of"], f"{where}: of"),
        against=float(against) if _is_number(against) else _choices(against, f"{where}: against"),
        quantity=str(entry["quantity"]),
        against_quantity=str(entry.get("against_quantity") or entry["quantity"]),
        scale=scale,
        expect=str(entry["expect"]),
        margin=margin,
        gain_over=_choices(entry.get("gain_over") or {}, f"{where}: gain_over"),
    )


def _choices(value: Any, where: str) -> dict[str, str]:
    return {str(key): _text(text) for key, text in _mapping(value, where).items()}


def _refuse_others(entry: Mapping[str, Any], known_keys: Sequence[str], where: str, needed: Sequence[str]) -> None:
    for key in entry:
        if key not in known_keys:
            raise UserError(unknown(f"{where} {key}", "no key of a claim", str(key), known_keys))
    for key in needed:
        if entry.get(key) is None:
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
    if not isinstance(value, list) or not all(isinstance(word, str) and "=" in word for word in value):
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

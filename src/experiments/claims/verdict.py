"""What the records of a sweep say of a claim: it holds, it does not hold, or the runs cannot tell."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.claims.claim import ALIKE, FIRST, LESS, MORE, NO_LESS, Claim, Test
from experiments.claims.curves import ClaimCurve, cells_with, curve_of, read_curve
from experiments.compare.cells import Cell, gather
from experiments.compare.differences import difference_of_values
from experiments.compare.run_records import COST
from experiments.compare.statistics import ALPHA, Difference, holm, interval
from experiments.errors import UserError, as_typed
from experiments.run.record import FINISHED, now
from experiments.system.bounded_files import read_json

HOLDS, FAILS, UNTOLD = "holds", "does not hold", "cannot be told"
_COUNTED = ("parameters", "trainable_parameters", "flops_per_example")  # costs without chance


@dataclass
class Side:
    """One side of a comparison: mean and interval, and every seed's value."""

    label: str
    mean: float
    low: float
    high: float
    values: dict[str, float]


@dataclass
class Finding:
    """Holds what one test found.

    Attributes:
        effect: the difference, or the ratio, with its 95 % interval; NaN where the interval needs more seeds.
        n: pairs of runs, or runs of the smaller side.
        p: that chance alone puts the effect on this side of the margin, corrected for all tests of the claim.
        verdict: holds, does not hold or cannot be told.
    """

    say: str
    quantity: str
    expected: str
    ratio: bool
    of: Side
    against: Side
    effect: float
    low: float
    high: float
    n: int
    paired: bool
    p: float = math.nan
    verdict: str = UNTOLD


@dataclass
class ClaimVerdict:
    """Holds what a sweep says of a claim, what it cost, and where and when it ran."""

    claim: str
    size: str
    verdict: str
    findings: list[Finding]
    runs: int
    failed: int
    seconds: float
    date: str
    machine: str
    digest: str
    changed: list[str] = field(default_factory=list)  # words that the user added
    curve: ClaimCurve | None = None  # what the picture draws below the comparisons

    def plain(self) -> dict[str, Any]:
        """As JSON holds it: numbers with six digits, null for NaN."""
        return _rounded(asdict(self))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def read_verdict(path: Path) -> ClaimVerdict:
    """Return a verdict from its file.

    Raises:
        UserError: when the file is damaged.
    """
    try:
        content = read_json(path)
        findings = [
            Finding(**{**finding, "of": Side(**_nan(finding["of"])), "against": Side(**_nan(finding["against"]))})
            for finding in map(_nan, content.pop("findings"))
        ]
        curve = read_curve(content.pop("curve", None))
        return ClaimVerdict(findings=findings, curve=curve, **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no verdict that can be read: run the claim again with --record") from error


def _nan(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in entry.items()}


def judge(
    claim: Claim, size: str, folder: Path, changed: Sequence[str] = (), first: Path | None = None
) -> ClaimVerdict:
    """Return what the runs in a folder say.

    Args:
        claim: that they test.
        size: small or full.
        folder: of the sweep.
        changed: words of the user's that joined the sweep.
        first: the folder of the runs that came before, as weights name it.

    Raises:
        UserError: when cells that a test names are not there.
    """
    cells, _ = gather([folder])
    findings, ps = [], []
    for test in claim.tests:
        finding, p, side = _find(_placed(test, first), cells, claim.name)
        finding.verdict = side
        findings.append(finding)
        ps.append(p)
    for finding, p in zip(findings, holm(ps), strict=True):
        finding.p = p
        if not p < ALPHA:
            finding.verdict = UNTOLD
    words = [finding.verdict for finding in findings]
    runs = [run for cell in cells for run in cell.runs]
    return ClaimVerdict(
        claim=claim.name,
        size=size,
        verdict=FAILS if FAILS in words else UNTOLD if UNTOLD in words else HOLDS,
        findings=findings,
        runs=len(runs),
        failed=sum(run.status != FINISHED for run in runs),
        seconds=sum(run.cost.get("seconds", 0.0) for run in runs),
        date=now()[:10],
        machine=machine(runs[0].folder),
        digest=claim.digest,
        changed=list(changed),
        curve=curve_of(claim, cells) if claim.curve else None,
    )


def _placed(test: Test, first: Path | None) -> Test:
    """Return a test with the folder of the preparing runs in place of `{first}`."""
    if first is None:
        return test

    def named(side: dict[str, str]) -> dict[str, str]:
        return {name: value.replace(FIRST, as_typed(first.absolute())) for name, value in side.items()}

    against = named(test.against) if isinstance(test.against, dict) else test.against
    return replace(test, of=named(test.of), against=against, gain_over=named(test.gain_over))


@dataclass
class _Values:
    """What one side of a test measured, seed by seed, and on which splits."""

    label: str
    by_seed: dict[str, float]
    cell: Cell | None  # None of a number

    def side(self) -> Side:
        values = list(self.by_seed.values())
        low, high = interval(values)
        return Side(self.label, math.fsum(values) / len(values), low, high, self.by_seed)

    def less(self, other: _Values, test: Test, margin: float = 0.0) -> Difference:
        """Return the effect, of logarithms for a ratio, less a margin."""
        of, against = (
            {seed: math.log(value) if test.ratio else value for seed, value in values.by_seed.items()}
            for values in (self, other)
        )
        alike = [seed for seed in of if other.cell is None or _split(self, seed) == _split(other, seed)]
        change = difference_of_values(of, {seed: value + margin for seed, value in against.items()}, alike)
        if test.quantity.removeprefix(COST) not in _COUNTED:
            return change
        return Difference(change.mean, change.mean, change.mean, change.n, 0.0, 0.0, change.paired)


def _split(values: _Values, seed: str) -> set[str]:
    return set(values.cell.split(seed)) if values.cell else set()


def _find(test: Test, cells: Sequence[Cell], name: str) -> tuple[Finding, float, str]:
    """Return what a test found, its p before correction, and the verdict that its effect alone would give."""
    of = _values(test.of, test.quantity, cells, test, name)
    if isinstance(test.against, dict):
        against = _values(test.against, test.against_quantity, cells, test, name)
    else:
        against = _Values(f"{test.against:g}", dict.fromkeys(of.by_seed, test.against), None)
    unit = math.log(test.margin) if test.ratio else test.margin
    effect = of.less(against, test)
    if test.expect == ALIKE:
        inside = abs(effect.mean) < unit
        p = max(of.less(against, test, edge).p for edge in (-unit, unit))  # that of the nearer edge
    else:
        up = test.expect in (MORE, NO_LESS)
        edge = -unit if test.expect in (LESS, NO_LESS) else unit
        inside = effect.mean > edge if up else effect.mean < edge
        p = of.less(against, test, edge).p
    ends = (effect.mean, effect.low, effect.high)
    shown = [math.exp(end) for end in ends] if test.ratio else ends
    finding = Finding(
        say=test.say,
        quantity=test.quantity,
        expected=test.in_words(),
        ratio=test.ratio,
        of=of.side(),
        against=against.side(),
        effect=shown[0],
        low=shown[1],
        high=shown[2],
        n=effect.n,
        paired=effect.paired,
    )
    return finding, p, HOLDS if inside else FAILS


def _values(where: dict[str, str], quantity: str, cells: Sequence[Cell], test: Test, name: str) -> _Values:
    """Return what the cells with some choices measured, or what they gain over those that the test names; where there
    are several, their mean, seed by seed.
    """
    if test.gain_over:
        alone = replace(test, gain_over={})
        side = _values(where, quantity, cells, alone, name)
        base = _values(where | test.gain_over, quantity, cells, alone, name).by_seed
        gains = {seed: value - base[seed] for seed, value in side.by_seed.items() if seed in base}
        others = {key: value for key, value in where.items() if key not in test.gain_over}
        return replace(side, label=f"gain, {label(others)}", by_seed=gains)
    fitting = cells_with(where, cells)
    named = ",".join(f"{key}={value}" for key, value in where.items()) or "the sweep"
    if not fitting:
        raise UserError(f"claim {name}: the test “{test.say}” names {named}, and no run has it: correct its file")
    cell = fitting[0] if len(fitting) == 1 else Cell(dict(where), members=fitting)
    values = cell.values(quantity)
    if not values:
        metrics = sorted({metric for run in cell.finished for metric in run.metrics})
        why = f"these have {', '.join(metrics)}" if metrics else "none of these finished"
        raise UserError(f"claim {name}: no run of {named} has {quantity}: {why}")
    if test.ratio and min(values.values()) <= 0:
        raise UserError(
            f"claim {name}: {quantity} of {named} is {min(values.values()):g}, and ratios need values above zero: "
            "set scale: difference in its file"
        )
    label_text = label(where) or quantity
    return _Values(label_text if quantity == test.quantity else quantity, values, cell)


def label(where: dict[str, str]) -> str:
    """Choices in a few words, such as `lstm, length=40`."""
    groups = ("model", "data", "task", "freezing", "optimizer", "weights")
    words = (
        value if key in groups and value != "none" else f"{key.rpartition('.')[2]}={value}"
        for key, value in where.items()
    )
    return ", ".join(f"weights of {Path(word).name}" if "_first/" in word else word for word in words)


def machine(run: Path) -> str:
    """Return the machine of a run in a few words, without its name."""
    try:
        environment = read_json(run / "record.json")["environment"]
        device = str(environment.get("device") or "cpu")
        versions = environment.get("versions") or {}
        kind = _processor() if device == "cpu" else device
        cores = f"{environment.get('threads')} of {environment.get('cpus')} cores"
        return f"{kind}, {cores}, torch {versions.get('torch')}"
    except (OSError, ValueError, KeyError, TypeError):
        return platform.machine()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

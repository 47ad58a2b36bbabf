"""A verdict in words, for the terminal and the page alike."""

from __future__ import annotations

import math

from experiments.claims.claim import Claim
from experiments.claims.verdict import ClaimVerdict, Finding
from experiments.compare.wording import many, number, probability, signed
from experiments.viz.tables import table


def figure(value: float) -> str:
    """Return a number with the digits that matter, a large one by its power of ten: 0.9556, 61,706, 1.4e+16."""
    return f"{value:.1e}" if abs(value) >= 1e7 else number(value)


def effect(finding: Finding) -> str:
    """Return a difference as +0.0120, a ratio as × 1.43."""
    return f"× {figure(finding.effect)}" if finding.ratio else signed(finding.effect)


def interval(finding: Finding) -> str:
    """Return the 95 % interval of the effect; empty where nothing is left to chance or too few seeds ran."""
    if not math.isfinite(finding.low) or finding.low == finding.high:
        return "–"
    show = figure if finding.ratio else signed
    return f"{show(finding.low)} … {show(finding.high)}"


def head_and_rows(verdict: ClaimVerdict) -> tuple[list[str], list[list[str]], list[int]]:
    """Return a row a comparison, and the columns that align right."""
    head = ["comparison", "quantity", "of", "against", "effect", "95 %", "p", "expected", "verdict"]
    rows = [
        [
            finding.say,
            finding.quantity,
            figure(finding.of.mean),
            figure(finding.against.mean),
            effect(finding),
            interval(finding),
            "counted" if finding.p == 0 and finding.low == finding.high else probability(finding.p),
            finding.expected,
            finding.verdict,
        ]
        for finding in verdict.findings
    ]
    return head, rows, [2, 3, 4, 5, 6]


def holds_where(claim: Claim) -> list[str]:
    """Return the conditions under which a claim holds, each with how one knows."""
    return [f"{condition.when.rstrip('.')} ({condition.by}: {condition.source})." for condition in claim.holds_where]


def duration(seconds: float) -> str:
    """40 s, 3.2 min, 2.1 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def cost(verdict: ClaimVerdict) -> str:
    """Return what a verdict cost: 24 runs, 3.2 min of computing."""
    failed = f", {verdict.failed} of them not finished" if verdict.failed else ""
    return f"{many(verdict.runs, 'run')}{failed}, {duration(verdict.seconds)} of computing"


def as_text(claim: Claim, verdict: ClaimVerdict) -> str:
    """Return what the terminal shows of a verdict."""
    seeds = sorted({finding.n for finding in verdict.findings})
    pairs = many(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    how = f"{pairs} a cell; p is that of the margin, two-sided, by Holm for {many(len(verdict.findings), 'comparison')}"
    lines = [table(*head_and_rows(verdict)), "", f"verdict   {verdict.verdict}", f"          {how}"]
    if verdict.changed:
        lines.append(f"changed   {' '.join(verdict.changed)}: not the claim's own sweep")
    if claim.conditions:
        lines.append(f"where     {claim.conditions}")
    lines += [f"holds if  {condition}" for condition in holds_where(claim)]
    lines += [f"cost      {cost(verdict)}", f"machine   {verdict.machine}; {verdict.date}"]
    return "\n".join(lines)

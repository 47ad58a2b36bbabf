"""Small-sample statistics without NumPy or SciPy: Student's t, paired and unpaired differences, Holm's correction.

All intervals are two-sided at 95 %. Probabilities of the t distribution come from the regularised incomplete beta
function by its continued fraction (Abramowitz and Stegun, 26.5.8 and 26.7.1); the tests hold them against SciPy.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import mul

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000  # a need beyond this is said as "more than"
_RESAMPLES = 2000
_EXACT_FLIPS = 14  # up to this many pairs all sign patterns are tried


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method; quick for x < (a+1)/(a+b+2)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 + term * d
            c = 1 + term / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _incomplete_beta(a: float, b: float, x: float, rest: float) -> float:
    """I_x(a, b); `rest` is 1 - x, given apart because the difference would lose digits."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, rest) / b


def two_sided_p(t: float, df: float) -> float:
    """P(|T| >= |t|) for Student's t with `df` degrees of freedom, a positive real number."""
    if math.isinf(t):
        return 0.0
    square = t * t
    return _incomplete_beta(df / 2, 0.5, df / (df + square), square / (df + square))


@lru_cache(maxsize=4096)
def t_quantile(alpha: float, df: float) -> float:
    """Return the t that |T| exceeds with probability `alpha`: 12.706 for 0.05 and one degree of freedom."""
    low, high = 0.0, 2.0
    while two_sided_p(high, df) > alpha:
        low, high = high, high * 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, df) > alpha else (low, middle)
    return (low + high) / 2


def interval(values: Sequence[float], bootstrap: bool = False) -> tuple[float, float]:
    """Return the 95 % confidence interval of a mean, by Student's t or by resampling; NaNs for a single value."""
    if len(values) < 2:
        return math.nan, math.nan
    if bootstrap:
        draw = random.Random(0)
        means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(_RESAMPLES))
        return means[int(_RESAMPLES * ALPHA / 2)], means[int(_RESAMPLES * (1 - ALPHA / 2)) - 1]
    mean = math.fsum(values) / len(values)
    half = t_quantile(ALPHA, len(values) - 1) * _deviation(values) / math.sqrt(len(values))
    return mean - half, mean + half


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation; exactly zero for equal values."""
    mean = math.fsum(values) / len(values)
    if all(value == values[0] for value in values):
        return 0.0
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p of a mean difference when every sign could as well have been the other one.

    Exact up to 14 pairs, from 10,000 random patterns above.
    """
    size, observed = len(differences), abs(math.fsum(differences)) * (1 - 1e-12)
    if size <= _EXACT_FLIPS:
        patterns = product((1, -1), repeat=size)
        hits = sum(abs(math.fsum(map(mul, differences, signs))) >= observed for signs in patterns)
        return hits / 2**size
    draw, tries = random.Random(0), 10_000
    sums = (abs(sum(value if draw.random() < 0.5 else -value for value in differences)) for _ in range(tries))
    return (1 + sum(value >= observed for value in sums)) / (1 + tries)


@dataclass(frozen=True)
class Difference:
    """A mean difference between two cells.

    Attributes:
        mean: first less second.
        low, high: its 95 % confidence interval; NaN where there are too few values.
        n: pairs, or values of the smaller side where it is not paired.
        p: two-sided; NaN where there are too few values.
        deviation: standard deviation of one pair's difference.
        paired: on equal seeds and splits; otherwise by Welch's test.
        flips: p is from sign flips, which cannot fall below 2 / 2ⁿ.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float
    deviation: float
    paired: bool = True
    flips: bool = False


def paired(differences: Sequence[float], bootstrap: bool = False) -> Difference:
    """From the differences of pairs: Student's t, or resampling and sign flips on request.

    Where all differences are equal, t would call any of them certain; sign flips then give the p.
    """
    n, mean = len(differences), math.fsum(differences) / len(differences)
    if abs(mean) <= 1e-6 * max(map(abs, differences)):
        mean = 0.0  # what is left of single-precision values that cancel
    if n < 2:
        return Difference(mean, math.nan, math.nan, n, math.nan, math.nan)
    low, high = interval(differences, bootstrap)
    spread = _deviation(differences)
    flips = bootstrap or spread <= 1e-9 * abs(mean)
    if mean == 0:
        p = 1.0
    elif flips:
        p = sign_flip_p(differences)
    else:
        p = two_sided_p(mean / (spread / math.sqrt(n)), n - 1)
    return Difference(mean, low, high, n, p, spread, flips=flips)


def unpaired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Of two independent sets of values: Welch's test, which does not ask for equal variances."""
    n = min(len(first), len(second))
    mean = math.fsum(first) / len(first) - math.fsum(second) / len(second)
    if n < 2:
        return Difference(mean, math.nan, math.nan, n, math.nan, math.nan, paired=False)
    a, b = _deviation(first) ** 2 / len(first), _deviation(second) ** 2 / len(second)
    error, spread = math.sqrt(a + b), math.sqrt(_deviation(first) ** 2 + _deviation(second) ** 2)
    if error <= 1e-9 * abs(mean) or error == 0:  # no variation at all: nothing to measure a difference by
        p = 1.0 if mean == 0 else 1 / math.comb(len(first) + len(second), n)
        return Difference(mean, mean, mean, n, min(1.0, 2 * p), spread, paired=False)
    df = (a + b) ** 2 / (a * a / (len(first) - 1) + b * b / (len(second) - 1))
    half = t_quantile(ALPHA, round(df, 3)) * error
    return Difference(mean, mean - half, mean + half, n, two_sided_p(mean / error, df), spread, paired=False)


def holm(ps: Sequence[float], comparisons: int | None = None) -> list[float]:
    """Holm's correction: p-values that hold for all comparisons together. NaN stays NaN.

    Args:
        ps: of the comparisons that are shown.
        comparisons: how many they were chosen from; the others count as if they came last, which can only make the
            result more careful. By default those shown.
    """
    order = sorted((p, place) for place, p in enumerate(ps) if not math.isnan(p))
    total = max(comparisons or 0, len(order))
    corrected, largest = [math.nan] * len(ps), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, (total - rank) * p))
        corrected[place] = largest
    return corrected


def seeds_needed(difference: Difference, alpha: float = ALPHA) -> int | None:
    """Seeds for each cell to tell a difference of this size four times in five; None beyond MOST_SEEDS.

    Takes the mean and deviation seen for the true ones: an order of magnitude, no promise.
    """
    if not difference.mean or math.isnan(difference.deviation):
        return None
    ratio = difference.deviation / abs(difference.mean)

    def enough(n: int) -> bool:
        return ratio * _reach(n, alpha) <= math.sqrt(n) and not (difference.flips and 2.0 ** (1 - n) > alpha)

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=4096)
def _reach(n: int, alpha: float) -> float:
    """Standard errors between zero and a mean that is found significant with the power wanted."""
    return t_quantile(alpha, n - 1) + t_quantile(2 * (1 - POWER), n - 1)

"""Statistics of rates and paired changes: intervals, exact tests, corrections.

Pure functions of counts. This module knows nothing of models, prompts or runs, and imports nothing of ours.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its uncertainty: never one without the other.

    ``value`` lies in ``[low, high]``, the two-sided 95% interval; ``n`` is the number of items behind it.
    With ``n`` = 0 nothing is known: value NaN-free 0.0, interval [0, 1].
    """

    value: float
    low: float
    high: float
    n: int


@lru_cache(maxsize=64)
def _z(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence = {confidence!r}: must lie between 0 and 1")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(successes: float, n: int, confidence: float = 0.95) -> Estimate:
    """Wilson's score interval of a rate (Wilson 1927; two-sided). Ties may make the successes a fraction."""
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"successes = {successes}, n = {n}: need 0 <= successes <= n")
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0)
    z = _z(confidence)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(p, low, high, n)


def upper_bound(successes: int, n: int, alpha: float) -> float:
    """The exact one-sided upper bound of a rate at level ``alpha`` (Clopper and Pearson 1934).

    The largest rate at which so few successes still have a chance of at least ``alpha``; 1.0 for ``n`` = 0.
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"successes = {successes}, n = {n}: need 0 <= successes <= n")
    if successes == n:
        return 1.0
    low = successes / n
    high = 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(successes, n, middle) < alpha:
            high = middle
        else:
            low = middle
    return high


def _at_most(successes: int, n: int, p: float) -> float:
    """The chance of at most so many successes in ``n`` draws of chance ``p``, 0 < p < 1."""
    if p >= 1.0:
        return 0.0
    if p <= 0.0:
        return 1.0
    whole = math.lgamma(n + 1)
    ways = (whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(successes + 1))
    return math.fsum(math.exp(w + k * math.log(p) + (n - k) * math.log1p(-p)) for k, w in enumerate(ways))


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge did on items whose truth is known: true and false positives, false and true negatives."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int


def corrected(
    successes: int, n: int, judge: Judge, confidence: float = 0.95, draws: int = 20_000, seed: int = 0
) -> Estimate | str:
    """A rate as it is without the judge's errors, within 0 and 1 (Rogan and Gladen 1978).

    (rate + specificity - 1) / (sensitivity + specificity - 1).

    The interval holds the uncertainty of all three: percentiles over seeded draws from their Jeffreys
    posteriors. Where there is no such rate, the reason in words: the judge does not tell the two apart
    (sensitivity + specificity <= 1, at least in one draw of forty), was never seen on both, or nearly every
    draw falls outside 0 and 1: then it erred otherwise on the labelled items than on these.
    """
    bad = judge.true_positive + judge.false_negative
    good = judge.false_positive + judge.true_negative
    if not n:
        return "no answer was judged"
    if not (bad and good):
        return f"no labelled answer that was judged is {'improper' if not bad else 'proper'}"
    sensitivity = judge.true_positive / bad
    specificity = judge.true_negative / good
    if sensitivity + specificity <= 1:
        return "the oracle does not tell proper from improper on these labels"
    rng = random.Random(seed)
    found = list[float]()
    outside = 0

    def draw(yes: int, of: int) -> float:
        return rng.betavariate(yes + 0.5, of - yes + 0.5)

    for _ in range(draws):
        rate = draw(successes, n)
        se = draw(judge.true_positive, bad)
        sp = draw(judge.true_negative, good)
        if se + sp > 1:
            value = (rate + sp - 1) / (se + sp - 1)
            outside += not 0.0 <= value <= 1.0
            found.append(min(1.0, max(0.0, value)))
    if len(found) < 0.975 * draws:
        return f"too few labels ({bad} improper, {good} proper) to know the oracle's errors"
    found.sort()
    tail = (1 - confidence) / 2
    point = (successes / n + specificity - 1) / (sensitivity + specificity - 1)
    value = min(1.0, max(0.0, point))
    low = found[int(tail * len(found))]
    high = found[min(len(found) - 1, int((1 - tail) * len(found)))]
    if low == high or (value != point and outside > 0.9 * len(found)):
        return (
            "the oracle errs otherwise on these labels than on the run's answers (it would come to "
            f"{point:.0%})"
        )
    return Estimate(value, min(low, value), max(high, value), n)


@dataclass(frozen=True, slots=True)
class Paired:
    """The same items before and after; 1 is the bad outcome.

    ``worse`` went from 0 to 1, ``better`` from 1 to 0.

    ``difference`` = after - before with its two-sided interval ``[low, high]``; ``p_value`` is McNemar's,
    exact, two-sided.
    """

    n: int
    better: int
    worse: int
    difference: float
    low: float
    high: float
    p_value: float


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact McNemar p-value from the discordant counts.

    A binomial test of b among b + c at one half.
    """
    n = b + c
    if n == 0:
        return 1.0
    tail: float = sum(math.comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    return min(1.0, 2 * tail)


def sign_test(differences: Sequence[float], tie: float = 1e-6) -> float:
    """Two-sided exact p-value of the sign test.

    Differences of at most ``tie`` are none: sums in another order differ so much.
    """
    return mcnemar_exact(sum(x < -tie for x in differences), sum(x > tie for x in differences))


def paired(before: Sequence[bool], after: Sequence[bool], confidence: float = 0.95) -> Paired:
    """Paired change of a rate over the same items; the interval is ``paired_upper``'s, on both sides."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} items before, {len(after)} after: they must be the same items")
    n = len(before)
    worse = sum(1 for x, y in zip(before, after, strict=True) if y and not x)
    better = sum(1 for x, y in zip(before, after, strict=True) if x and not y)
    if n == 0:
        return Paired(0, 0, 0, 0.0, -1.0, 1.0, 1.0)
    return Paired(
        n,
        better,
        worse,
        (worse - better) / n,
        -paired_upper(better, worse, n, confidence),
        paired_upper(worse, better, n, confidence),
        mcnemar_exact(better, worse),
    )


@lru_cache(maxsize=4096)
def paired_upper(worse: int, better: int, n: int, confidence: float = 0.95) -> float:
    """Upper end of the two-sided interval of a paired rise: the smallest one that ``rises_less`` excludes.

    Without any change it is 1 - tail ** (1 / n), with tail = (1 - confidence) / 2.
    """
    if n < 1 or min(worse, better) < 0 or worse + better > n:
        raise ValueError(f"worse = {worse}, better = {better}, n = {n}: need n >= 1 and counts within it")
    low = (worse - better) / n
    high = 1.0
    for _ in range(52):
        middle = (low + high) / 2
        if rises_less(worse, better, n, middle, confidence):
            high = middle
        else:
            low = middle
    return high


def rises_less(worse: int, better: int, n: int, difference: float, confidence: float = 0.95) -> bool:
    """Whether a rate rose by less than ``difference``, from the counts of paired items that changed.

    A one-sided test at the level (1 - confidence) / 2: Tango's score test (1998), where the variance is the
    one under this difference. Where no item became better it is Wilson's test of the share of those that
    became worse, and passes too often for few of them: then the exact binomial test must pass, too.
    """
    variance = paired_variance(worse, better, n, difference)
    if worse - better - n * difference >= -_z(confidence) * math.sqrt(n * variance):
        return False
    return better > 0 or at_most(worse, n, difference) < (1 - confidence) / 2


def paired_variance(worse: int, better: int, n: int, difference: float) -> float:
    """Variance of one item's change, where the true difference is given.

    The probability q of becoming better, its only unknown, is at its maximum likelihood: the larger root of
    2 n q^2 + ((2 n - worse + better) d - worse - better) q - better d (1 - d) = 0 (Tango 1998).
    """
    linear = (2 * n - worse + better) * difference - worse - better
    constant = -better * difference * (1 - difference)
    q = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    return max(0.0, 2 * q + difference * (1 - difference))


def at_most(count: int, n: int, rate: float) -> float:
    """Probability of at most ``count`` successes among ``n`` at this rate."""
    start, masses = binomial(n, rate)
    return math.fsum(masses[: max(0, count + 1 - start)])


def binomial(n: int, rate: float) -> tuple[int, list[float]]:
    """Probabilities of the numbers of successes among ``n``: the first number, and the list from it on.

    Numbers further from the mean than nine standard deviations and ten are left out: less than 1e-12 in all.
    """
    if not 0.0 < rate < 1.0:
        return (0 if rate <= 0.0 else n), [1.0]
    reach = 9 * math.sqrt(n * rate * (1 - rate)) + 10
    first = max(0, math.floor(n * rate - reach))
    last = min(n, math.ceil(n * rate + reach))
    ways = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    mass = math.exp(ways + first * math.log(rate) + (n - first) * math.log1p(-rate))
    odds = rate / (1 - rate)
    masses = [mass]
    for k in range(first, last):
        mass *= (n - k) / (k + 1) * odds
        masses.append(mass)
    return first, masses


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> Estimate:
    """Percentile bootstrap of any statistic of a sample; the same seed gives the same interval."""
    if not values:
        raise ValueError("bootstrap of an empty sample")
    rng = random.Random(seed)
    draws = sorted(statistic(rng.choices(values, k=len(values))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    low = draws[min(resamples - 1, int(tail * resamples))]
    high = draws[min(resamples - 1, int((1 - tail) * resamples))]
    return Estimate(statistic(values), low, high, len(values))


def mean(values: Sequence[float]) -> Estimate:
    """The mean with a seeded bootstrap's interval; nothing is known of no values."""
    return bootstrap(values, lambda v: sum(v) / len(v), seed=0) if values else Estimate(0.0, 0.0, 1.0, 0)


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of shares, with an interval.

    Wilson's where each item is right or wrong, and where all are alike (a bootstrap would have no width),
    else a bootstrap's. Nothing is known of no values.
    """
    if set(values) <= {0.0, 1.0} or (len(set(values)) == 1 and 0 <= values[0] <= 1):
        return wilson(min(float(len(values)), max(0.0, math.fsum(values))), len(values))
    return bootstrap(values, lambda v: sum(v) / len(v), seed=0)


def kappa(true: Sequence[str], predicted: Sequence[str]) -> float | None:
    """Cohen's kappa of two labellings; None where it is not defined.

    That is where both give one and the same label throughout.
    """
    if len(true) != len(predicted) or not true:
        raise ValueError("kappa needs two labellings of the same, non-empty items")
    n = len(true)
    observed = sum(1 for a, b in zip(true, predicted, strict=True) if a == b) / n
    labels = set(true) | set(predicted)
    expected = sum((true.count(x) / n) * (predicted.count(x) / n) for x in labels)
    return None if len(labels) == 1 else (observed - expected) / (1 - expected)

"""What the gate's tests can prove with n items: the n that they need, and the effects that they can see.

Pure arithmetic on counts, by the very rules of ``stats`` and ``stages.accept``. Knows no recipe and no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from iteralign.stages.accept import LEAST, TWO_SIDED
from iteralign.stats import at_most, binomial, mcnemar_exact, rises_less

POWER = 0.8
CHURN = 0.01
"""Assumed share of items that become better by chance, and as many worse: answers are sampled."""
UNCHANGED = 2
"""95% of the resamples of n equal losses, and of the gate's two more, have a sum of at most this."""


def needed_to_fall(alpha: float) -> int:
    """The smallest n of which a total fall is significant at ``alpha`` (McNemar's exact test)."""
    return _first(lambda n: mcnemar_exact(0, n) <= alpha)


def needed_to_hold(margin: float) -> int:
    """The smallest n at which a rate without any change is surely within its margin."""
    return _first(lambda n: rises_less(0, 0, n, margin, TWO_SIDED))


def needed_to_keep(margin: float) -> int:
    """The smallest n at which a score that is not a rate, without any change, is surely within its margin."""
    return max(LEAST, _first(lambda n: UNCHANGED / (n + 2) < margin))


def margin_for(n: int) -> float:
    """The smallest margin, in thousandths, that a rate of n items without any change can be within."""
    return _first(lambda m: m == 999 or rises_less(0, 0, n, m / 1000, TWO_SIDED)) / 1000


def fall_seen(n: int, alpha: float, power: float = POWER, churn: float = CHURN) -> float | None:
    """The smallest true fall that is significant with this power; None where none is."""
    return _least(
        lambda fall: chance(n, churn, churn + fall, lambda m: _most_for_fall(m, alpha)) >= power,
        1 - 2 * churn,
    )


def rise_passed(n: int, margin: float, power: float = POWER, churn: float = CHURN) -> float | None:
    """The largest true rise that passes with this power; None where not even no rise does."""

    def stopped(rise: float) -> bool:
        return chance(n, churn + rise, churn, lambda m: _most_for_margin(m, n, margin)) < power

    return None if stopped(0.0) else _least(stopped, margin)


def chance(n: int, worse: float, better: float, most: Callable[[int], int]) -> float:
    """Probability that a paired test of n items passes; ``worse`` and ``better``: probabilities of an item.

    ``most``: of so many changed items, how many may be worse ones; -1: it does not pass.
    """
    if worse + better <= 0:
        return float(most(0) >= 0)
    first, masses = binomial(n, min(1.0, worse + better))
    share = worse / (worse + better)
    return math.fsum(mass * at_most(most(m), m, share) for m, mass in enumerate(masses, first))


@lru_cache(maxsize=4096)
def _most_for_fall(changed: int, alpha: float) -> int:
    total = 0.0
    first, masses = binomial(changed, 0.5)
    for worse, mass in enumerate(masses, first):
        total += mass
        if 2 * total > alpha:
            return worse - 1
    return -1


@lru_cache(maxsize=4096)
def _most_for_margin(changed: int, n: int, margin: float) -> int:
    passing = -1
    failing = changed + 1
    while failing - passing > 1:
        middle = (passing + failing) // 2
        if rises_less(middle, changed - middle, n, margin, TWO_SIDED):
            passing = middle
        else:
            failing = middle
    return passing


def _first(holds: Callable[[int], bool]) -> int:
    """The smallest whole number >= 1 from which a condition holds."""
    high = 1
    while not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _least(holds: Callable[[float], bool], most: float) -> float | None:
    """The smallest effect up to ``most`` from which a condition holds, to 0.0005; None if it never does."""
    if not holds(most):
        return None
    low = 0.0
    high = most
    while high - low > 0.0005:
        middle = (low + high) / 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return round(high, 4)

"""The statistics behind every decision, against published values and brute force."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.stats import (
    Estimate,
    Judge,
    at_most,
    binomial,
    bootstrap,
    corrected,
    holm,
    kappa,
    mcnemar_exact,
    paired,
    paired_upper,
    paired_variance,
    rises_less,
    upper_bound,
    wilson,
)

counts = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


# ---- one rate

# Newcombe (1998), Statistics in Medicine 17, Table I, method 3 (Wilson's score without continuity correction)
WILSON = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (29, 29, 0.8830, 1.0),
]


@pytest.mark.parametrize(("successes", "n", "low", "high"), WILSON)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert (found.value, found.n) == (successes / n, n)


@given(counts)
def test_wilson_holds_its_rate_and_mirrors(count: tuple[int, int]) -> None:
    successes, n = count
    found, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    if n:
        assert (found.low, found.high) == (pytest.approx(1 - mirrored.high), pytest.approx(1 - mirrored.low))
        wider = wilson(successes, n, 0.99)
        assert wider.low <= found.low
        assert wider.high >= found.high


def test_nothing_measured_is_nothing_known() -> None:
    assert wilson(0, 0) == Estimate(0.0, 0.0, 1.0, 0)


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 2), (0, -1)])
def test_counts_that_cannot_be_are_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 2, confidence)


# ---- paired change


def brute_force(b: int, c: int) -> float:
    """Two-sided: the share of all 2^(b+c) ways to toss the discordant pairs that are at least as one-sided as
    this one.
    """
    n = b + c
    outcomes = [sum(toss) for toss in itertools.product((0, 1), repeat=n)]
    return sum(abs(2 * k - n) >= abs(2 * b - n) for k in outcomes) / len(outcomes)


@pytest.mark.parametrize(("b", "c"), [(b, c) for b in range(7) for c in range(6)])
def test_mcnemar_is_the_exact_test(b: int, c: int) -> None:
    assert mcnemar_exact(b, c) == pytest.approx(brute_force(b, c))


def test_mcnemar_of_large_counts_neither_overflows_nor_vanishes() -> None:
    assert mcnemar_exact(0, 1000) == pytest.approx(2.0 / 2**1000)
    assert 0.9 < mcnemar_exact(1500, 1500) <= 1.0


def test_paired_counts_who_changed() -> None:
    before = [True] * 30 + [False] * 70
    after = [False] * 25 + [True] * 5 + [True] * 2 + [False] * 68
    found = paired(before, after)
    assert (found.n, found.better, found.worse) == (100, 25, 2)
    assert found.difference == pytest.approx(-0.23)
    assert found.p_value == mcnemar_exact(25, 2)
    assert (found.low, found.high) == (-paired_upper(25, 2, 100), paired_upper(2, 25, 100))


# To three decimals, from Tango (1998), Statistics in Medicine 17; Agresti and Min (2005), Statistics in
# Medicine 24; Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33.
TANGO = [
    (9, 3, 32, 0.95, -0.027, 0.390),
    (16, 8, 86, 0.95, -0.020, 0.207),
    (1, 7, 21, 0.95, -0.517, -0.026),
]


@pytest.mark.parametrize(("worse", "better", "n", "confidence", "low", "high"), TANGO)
def test_the_paired_interval_is_the_published_score_interval(
    worse: int, better: int, n: int, confidence: float, low: float, high: float
) -> None:
    assert paired_upper(worse, better, n, confidence) == pytest.approx(high, abs=6e-4)
    assert -paired_upper(better, worse, n, confidence) == pytest.approx(low, abs=6e-4)


def test_where_all_changes_go_one_way_the_interval_is_also_exact() -> None:
    """Tango's example of one change among 44: (-0.096, 0.037) at 90%, of which the first is Wilson's end."""
    assert paired_upper(0, 1, 44, 0.9) == pytest.approx(0.037, abs=6e-4)
    assert wilson(1, 44, 0.9).high == pytest.approx(0.0957, abs=1e-4)
    exact = paired_upper(1, 0, 44, 0.9)
    assert exact == pytest.approx(0.1033, abs=1e-4)
    assert (1 - exact) ** 44 + 44 * exact * (1 - exact) ** 43 == pytest.approx(0.05)


def test_without_a_change_the_smallest_n_is_the_exact_one() -> None:
    assert paired_upper(0, 0, 58, 0.9) > 0.05 > paired_upper(0, 0, 59, 0.9)
    assert paired_upper(0, 0, 98, 0.9) > 0.03 > paired_upper(0, 0, 99, 0.9)
    assert paired_upper(0, 0, 59, 0.9) == pytest.approx(1 - 0.05 ** (1 / 59))


def constrained_variance(worse: int, better: int, n: int, difference: float) -> float:
    """The same by search: the likelihood of (q + difference, q, rest) is maximised over q in thirds."""

    def likelihood(q: float) -> float:
        parts = ((worse, q + difference), (better, q), (n - worse - better, 1 - 2 * q - difference))
        return math.fsum(count * math.log(max(p, 1e-300)) for count, p in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if likelihood(left) < likelihood(right) else (low, right)
    return 2 * low + difference - difference**2


@pytest.mark.parametrize("difference", [-0.3, -0.05, 0.03, 0.2])
@pytest.mark.parametrize(
    ("worse", "better", "n"), [(0, 0, 30), (3, 0, 40), (0, 4, 40), (5, 9, 60), (30, 2, 50)]
)
def test_the_variance_is_that_of_the_constrained_maximum(
    worse: int, better: int, n: int, difference: float
) -> None:
    found = paired_variance(worse, better, n, difference)
    assert found == pytest.approx(constrained_variance(worse, better, n, difference), abs=1e-6)


changes = st.integers(1, 300).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)).filter(lambda t: t[0] + t[1] <= n)
)


@given(changes)
def test_one_item_more_that_became_worse_never_lowers_the_upper_end(change: tuple[int, int, int]) -> None:
    worse, better, n = change
    found = paired_upper(worse, better, n, 0.9)
    assert (worse - better) / n <= found <= 1.0
    assert paired_upper(worse, better, n, 0.95) >= found
    if worse + better < n:
        assert paired_upper(worse + 1, better, n, 0.9) > found
        assert paired_upper(worse, better + 1, n, 0.9) < found + 1e-9
    assert found <= paired_upper(worse, better, n + 1, 0.9) + 1 / n, "one item more changes little"


@pytest.mark.parametrize(("worse", "better", "n"), [(0, 0, 0), (2, 2, 3), (-1, 0, 3)])
def test_changes_that_cannot_be_are_refused(worse: int, better: int, n: int) -> None:
    with pytest.raises(ValueError, match="worse"):
        paired_upper(worse, better, n)


def test_a_rise_of_the_margin_passes_in_one_of_twenty_at_most() -> None:
    """All outcomes of 60 and 100 items, by brute force; the larger table is in benchmarks/gate.py."""
    for n, margin in ((60, 0.05), (100, 0.05), (100, 0.03)):
        for better in (0.0, 0.01, 0.05):
            rates = (margin + better, better, 1 - margin - 2 * better)
            passing = math.fsum(
                math.comb(n, b)
                * math.comb(n - b, c)
                * rates[0] ** b
                * rates[1] ** c
                * rates[2] ** (n - b - c)
                for b in range(n + 1)
                for c in range(n + 1 - b)
                if b - c < margin * n and rises_less(b, c, n, margin, 0.9)
            )
            assert 0.03 < passing <= 0.055


@pytest.mark.parametrize(("n", "rate"), [(1, 0.5), (30, 0.02), (400, 0.9), (5000, 0.001)])
def test_binomial_probabilities_are_those_of_the_formula(n: int, rate: float) -> None:
    first, masses = binomial(n, rate)
    assert math.fsum(masses) == pytest.approx(1.0, abs=1e-9)
    for k in range(first, min(n, first + 8) + 1):
        exact = math.comb(n, k) * rate**k * (1 - rate) ** (n - k)
        assert masses[k - first] == pytest.approx(exact, rel=1e-8)
    assert at_most(n, n, rate) == pytest.approx(1.0)
    assert (binomial(n, 0.0), binomial(n, 1.0)) == ((0, [1.0]), (n, [1.0]))


@given(pairs)
def test_a_paired_interval_holds_the_difference_and_turns_with_time(items: list[tuple[bool, bool]]) -> None:
    before, after = [x for x, _ in items], [y for _, y in items]
    found, back = paired(before, after), paired(after, before)
    assert -1.0 <= found.low <= found.difference <= found.high <= 1.0
    assert found.difference == pytest.approx(statistics.mean(after) - statistics.mean(before))
    assert (back.better, back.worse, back.p_value) == (found.worse, found.better, found.p_value)
    assert (back.low, back.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert found.low < found.high, "no sample is certain"


def test_the_paired_interval_covers_the_truth() -> None:
    import random

    rng = random.Random(7)
    held, rounds, true = 0, 600, -0.15
    for _ in range(rounds):
        draws = rng.choices(["better", "worse", "same"], [0.25, 0.10, 0.65], k=80)
        found = paired([d == "better" for d in draws], [d == "worse" for d in draws])
        held += found.low <= true <= found.high
    assert 0.93 <= held / rounds <= 0.98


def test_pairs_must_be_the_same_items() -> None:
    with pytest.raises(ValueError, match="2 items before, 1 after"):
        paired([True, False], [True])
    assert paired([], []).p_value == 1.0


# ---- several tests, and any statistic


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    m = len(p_values)
    for p, a in zip(p_values, adjusted, strict=True):
        assert p <= a <= min(1.0, m * p) or math.isclose(
            a, max(adjusted[i] for i in range(m) if p_values[i] <= p)
        )
    for i, j in itertools.product(range(m), repeat=2):
        if p_values[i] < p_values[j]:
            assert adjusted[i] <= adjusted[j]
    assert min(adjusted) == pytest.approx(min(1.0, m * min(p_values)))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(0, 5))
def test_the_bootstrap_repeats_with_its_seed_and_stays_in_the_sample(values: list[float], seed: int) -> None:
    first = bootstrap(values, statistics.fmean, seed=seed, resamples=100)
    assert first == bootstrap(values, statistics.fmean, seed=seed, resamples=100)
    slack = 1e-9 * (1 + max(map(abs, values)))
    assert min(values) - slack <= first.low <= first.high <= max(values) + slack
    assert (first.value, first.n) == (statistics.fmean(values), len(values))


def test_the_bootstrap_finds_the_width_of_a_known_mean() -> None:
    values = [0.0, 1.0] * 50
    found = bootstrap(values, statistics.fmean, seed=0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.05, rel=0.15)
    assert bootstrap(values, statistics.fmean, seed=1) != found


def test_the_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        bootstrap([], statistics.fmean, seed=0)


def test_kappa_on_a_worked_example() -> None:
    true = ["yes"] * 25 + ["no"] * 25
    predicted = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(true, predicted) == pytest.approx(0.4)
    assert kappa(["a", "a"], ["a", "a"]) is None  # chance alone would agree as well
    with pytest.raises(ValueError, match="non-empty"):
        kappa([], [])


# ---- a rate without its judge's errors


def test_a_corrected_rate_is_rogan_and_gladens() -> None:
    found = corrected(
        30, 100, Judge(true_positive=80, false_negative=20, false_positive=10, true_negative=90)
    )
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx((0.3 + 0.9 - 1) / (0.8 + 0.9 - 1))
    assert found.low < found.value < found.high
    assert found == corrected(30, 100, Judge(80, 20, 10, 90)), "seeded"


def test_a_perfect_judge_corrects_nothing_and_a_small_calibration_widens() -> None:
    sure = corrected(30, 100, Judge(10**6, 0, 0, 10**6))
    assert isinstance(sure, Estimate)
    assert sure.value == pytest.approx(0.3)
    assert (sure.low, sure.high) == pytest.approx((wilson(30, 100).low, wilson(30, 100).high), abs=0.01)
    large, small = corrected(30, 100, Judge(800, 200, 100, 900)), corrected(30, 100, Judge(24, 6, 3, 27))
    assert isinstance(large, Estimate)
    assert isinstance(small, Estimate)
    assert small.high - small.low > large.high - large.low


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (Judge(5, 5, 5, 5), "does not tell proper from improper"),
        (Judge(1, 9, 1, 9), "does not tell proper from improper"),
        (Judge(0, 0, 1, 9), "no labelled answer that was judged is improper"),
        (Judge(9, 1, 0, 0), "no labelled answer that was judged is proper"),
        (Judge(3, 2, 2, 3), "too few labels (5 improper, 5 proper)"),
        (Judge(1, 0, 0, 1), "too few labels (1 improper, 1 proper)"),
    ],
)
def test_a_judge_that_does_not_tell_the_two_apart_corrects_nothing_and_says_why(
    judge: Judge, why: str
) -> None:
    assert why in str(corrected(30, 100, judge))
    assert corrected(0, 0, Judge(80, 20, 10, 90)) == "no answer was judged"


def test_a_rate_that_the_judge_could_hardly_give_is_not_corrected_to_a_certain_zero() -> None:
    assert "errs otherwise" in str(corrected(28, 357, Judge(165, 88, 90, 225)))


def test_the_interval_of_a_corrected_rate_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered, total = random.Random(4), 0, 300
    true, se, sp = 0.3, 0.85, 0.9

    def count(n: int, p: float) -> int:
        return sum(rng.random() < p for _ in range(n))

    for _ in range(total):
        told = count(200, true * se + (1 - true) * (1 - sp))
        tp, tn = count(150, se), count(150, sp)
        found = corrected(told, 200, Judge(tp, 150 - tp, 150 - tn, tn), draws=1500)
        assert isinstance(found, Estimate)
        covered += found.low <= true <= found.high
    assert covered / total > 0.91


@pytest.mark.parametrize(("bad", "n"), [(0, 10), (0, 120), (3, 120), (17, 60), (59, 60), (60, 60), (5, 4000)])
@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.001])
def test_the_exact_upper_bound_is_clopper_and_pearsons(bad: int, n: int, alpha: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    expected = proportion_confint(bad, n, alpha=2 * alpha, method="beta")[1]
    assert upper_bound(bad, n, alpha) == pytest.approx(expected, abs=1e-9)

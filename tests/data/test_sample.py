"""Samples keep the shares of the categories, whatever the order of the file."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from iteralign.data.sample import stratified, told


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=200), st.integers(1, 220), st.integers(0, 5))
def test_a_sample_has_its_size_and_each_category_its_share(strata: list[str], limit: int, seed: int) -> None:
    chosen = stratified(strata, limit, seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(limit, len(strata))
    assert chosen == stratified(strata, limit, seed)
    share = len(chosen) / len(strata)
    sizes = Counter(strata[i] for i in chosen)
    assert all(abs(sizes[s] - share * n) < 1 for s, n in Counter(strata).items())


def test_a_sample_is_not_the_first_items_and_another_seed_draws_another_one() -> None:
    strata = ["a"] * 500 + ["b"] * 500
    assert stratified(strata, 100, 0) != stratified(strata, 100, 1)
    assert max(stratified(strata, 10, 0)) >= 500
    assert told(None, 5, 0) == told(5, 5, 0) == ""
    assert told(2, 5, 7) == "2 of 5 items, drawn with seed 7 from all categories: not a result to compare"

"""Near-duplicates by ROUGE-L: every decision, match and score is the plain scan's, by rouge-score and by a
plain table of our own.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from iteralign.text.near_duplicates import Match, NearDuplicates

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
NUMERALS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def rouge(kept: str, text: str) -> float:
    return float(SCORER.score(kept, text)["rougeL"].fmeasure)


def table(kept: str, text: str) -> float:
    """ROUGE-L from the whole table of longest common subsequences, words told apart by hand."""
    a, b = (
        [
            "".join(c)
            for c in "".join(
                x if x in "abcdefghijklmnopqrstuvwxyz0123456789" else " " for x in t.lower()
            ).split()
        ]
        for t in (kept, text)
    )
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            longest[i + 1][j + 1] = longest[i][j] + 1 if x == y else max(longest[i][j + 1], longest[i + 1][j])
    if not longest[-1][-1]:
        return 0.0
    precision, recall = longest[-1][-1] / len(b), longest[-1][-1] / len(a)
    return 2 * precision * recall / (precision + recall)


def scan(texts: list[str], threshold: float, score=rouge) -> list[Match | None]:
    kept: list[str] = []
    found: list[Match | None] = []
    for text in texts:
        scores = ((position, score(other, text)) for position, other in enumerate(kept))
        found.append(
            next((Match(position, kept[position], s) for position, s in scores if s > threshold), None)
        )
        if found[-1] is None:
            kept.append(text)
    return found


def admitted(texts: list[str], threshold: float) -> list[Match | None]:
    near = NearDuplicates(threshold)
    return [near.admit(text) for text in texts]


def edited(rng: random.Random, words: list[str], vocabulary: list[str], edits: int) -> list[str]:
    words = list(words)
    for _ in range(edits):
        place = rng.randint(0, len(words))
        words[place : place + rng.randint(0, 2)] = rng.choices(vocabulary, k=rng.randint(0, 2))
    return words


def family(seed: int, count: int, vocabulary: int, longest: int) -> list[str]:
    """Texts of few words, most of them an earlier one with some words changed: many pairs lie around any
    threshold.
    """
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(vocabulary)]
    texts: list[list[str]] = []
    for _ in range(count):
        if texts and rng.random() < 0.7:
            texts.append(edited(rng, rng.choice(texts), words, rng.randint(0, 4))[:longest])
        else:
            texts.append(rng.choices(words, k=rng.randint(0, longest)))
    return [" ".join(t) for t in texts]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 90),
    vocabulary=st.sampled_from([1, 2, 3, 5, 20, 200]),
    longest=st.sampled_from([3, 8, 14]),
    threshold=st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.6, 2 / 3, 0.7, 0.7, 0.75, 0.8, 0.9, 0.99, 1.0]),
)
def test_decisions_are_those_of_the_plain_scan(
    seed: int, count: int, vocabulary: int, longest: int, threshold: float
) -> None:
    texts = family(seed, count, vocabulary, longest)
    found = admitted(texts, threshold)
    assert found == scan(texts, threshold, table)
    assert all(m is None or m.score == rouge(m.text, text) for m, text in zip(found, texts, strict=True))


@settings(max_examples=100)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(["a", "b", "c", "a", "b", "A,", "B.", "c!", "7", "ü", "é"]), max_size=9).map(
            " ".join
        ),
        max_size=14,
    ),
    threshold=st.floats(0, 1),
)
def test_decisions_are_those_of_rouge_score_for_any_threshold_and_order(
    texts: list[str], threshold: float
) -> None:
    for order in (texts, texts[::-1]):
        assert admitted(order, threshold) == scan(order, threshold) == scan(order, threshold, table)


@given(kept=st.text(), text=st.text())
def test_words_are_told_apart_as_rouge_score_does(kept: str, text: str) -> None:
    assert admitted([kept, text], 0.0) == scan([kept, text], 0.0)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), longer=st.integers(1, 150), threshold=st.floats(0.05, 0.95))
def test_long_texts_of_unlike_lengths(seed: int, longer: int, threshold: float) -> None:
    rng = random.Random(seed)
    long = rng.choices([f"w{i}" for i in range(60)], k=longer)
    parts = [[w for w in long if rng.random() < share] for share in (0.3, 0.5, 0.7, 0.9) for _ in range(3)]
    texts = [" ".join(t) for t in [*parts, long, *(edited(rng, long, ["x", "y"], 10) for _ in range(3))]]
    rng.shuffle(texts)
    assert admitted(texts, threshold) == scan(texts, threshold)


@pytest.mark.parametrize("seed", range(3))
def test_decisions_hold_while_the_order_is_made_anew(seed: int) -> None:
    texts = family(seed, 400, [20, 60, 2000][seed], 12)
    found = admitted(texts, 0.7)
    assert found == scan(texts, 0.7, table)
    assert found.count(None) > 128


@pytest.mark.parametrize(
    ("lengths", "common", "threshold"),
    [((10, 10), 7, 0.7), ((7, 13), 7, 0.7), ((12, 8), 7, 0.7), ((5, 5), 3, 0.6), ((4, 2), 2, 2 / 3)],
)
def test_a_pair_right_at_the_threshold_is_kept_and_one_word_more_is_not(
    lengths: tuple[int, int], common: int, threshold: float
) -> None:
    def text(length: int, same: int, mark: str) -> str:
        return " ".join(NUMERALS[:same] + [f"{mark}{i}" for i in range(length - same)])

    at = [text(lengths[0], common, "a"), text(lengths[1], common, "b")]
    assert rouge(*at) == pytest.approx(threshold, abs=1e-15)
    assert [m is None for m in admitted(at, threshold)] == [m is None for m in scan(at, threshold)]
    above = [at[0] + " z", at[1] + " z"]
    assert admitted(above, threshold)[1] == Match(0, above[0], rouge(*above))


def test_seven_words_of_ten_are_kept() -> None:
    near = NearDuplicates()
    assert near.admit("one two three four five six seven a b c") is None
    assert near.admit("one two three four five six seven d e f") is None
    assert len(near) == 2


def test_lengths_for_which_floating_point_falls_on_either_side_of_the_threshold() -> None:
    sides = set()
    for half in range(10, 201, 10):
        length, common = half, half * 7 // 10
        pair = [
            " ".join([*(f"w{i}" for i in range(common)), *(f"{mark}{i}" for i in range(length - common))])
            for mark in "ab"
        ]
        assert admitted(pair, 0.7) == scan(pair, 0.7)
        for threshold in (rouge(*pair), rouge(*pair) - 1e-16, rouge(*pair) + 2e-16):
            assert admitted(pair, threshold) == scan(pair, threshold)
            sides.add(admitted(pair, threshold)[1] is None)
    assert sides == {True, False}


def test_the_first_kept_text_too_near_is_told_not_the_nearest() -> None:
    near = NearDuplicates()
    near.keep("Write a short poem about the old sea.")
    near.keep("Write a short poem about the sea.")
    assert near.match("Write a short poem about the sea!") == Match(
        0, "Write a short poem about the old sea.", 14 / 15
    )


def test_what_is_matched_is_not_kept_and_what_is_rejected_neither() -> None:
    near = NearDuplicates()
    assert near.match("List three rivers.") is None
    assert near.match("List three rivers.") is None
    assert near.admit("List three rivers.") is None
    assert near.admit("list, three RIVERS") == Match(0, "List three rivers.", 1.0)
    assert len(near) == 1
    near.keep("list, three RIVERS")
    assert len(near) == 2


def test_texts_without_words_are_kept() -> None:
    assert admitted(["", "", "???", "многие слова", "многие слова"], 0.0) == [None] * 5


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        NearDuplicates(threshold)

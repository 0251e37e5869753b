"""Near-duplicates, cosines, clusters and telling terms: exactness against brute force, order, limits,
determinism.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.text.similarity import cluster, distinctive_terms, near_duplicates, similarity
from iteralign.text.vectors import vectors_of

WORDS = [
    "open",
    "the",
    "locked",
    "door",
    "of",
    "my",
    "neighbour",
    "quietly",
    "borrow",
    "a",
    "garden",
    "ladder",
    "paint",
    "fence",
    "letter",
]
SENTENCES = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=7).map(" ".join), min_size=0, max_size=14
)


def cosines(texts: list[str]) -> np.ndarray:
    """All pairs the plain way; ``similarity(texts, texts)`` would count each text twice in the document
    frequencies.
    """
    start, columns, values = vectors_of(texts)
    dense = np.zeros((len(texts), int(columns.max(initial=0)) + 1))
    for row in range(len(texts)):
        dense[row, columns[start[row] : start[row + 1]]] = values[start[row] : start[row + 1]]
    return dense @ dense.T


def components(alike: np.ndarray, threshold: float) -> list[list[int]]:
    texts = range(len(alike))
    group = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            if alike[i, j] >= threshold:
                old, new = max(group[i], group[j]), min(group[i], group[j])
                group = [new if g == old else g for g in group]
    return [[i for i, g in enumerate(group) if g == root] for root in sorted(set(group))]


@settings(max_examples=60, deadline=None)
@given(SENTENCES.map(lambda t: list(dict.fromkeys(t))).filter(bool), st.sampled_from([0.5, 0.7, 0.8, 0.95]))
def test_groups_are_the_connected_components_of_the_cosine_graph(texts: list[str], threshold: float) -> None:
    alike = cosines(texts)
    if np.any(np.abs(alike - threshold) < 1e-3):
        return  # on the edge rounding decides
    assert near_duplicates(texts, threshold) == components(alike, threshold)


def test_case_and_punctuation_do_not_matter_and_order_is_of_first_appearance() -> None:
    texts = [
        "How do I bake bread?",
        "Where is the station?",
        "how do I bake bread",
        "HOW DO I BAKE BREAD!!",
        "What is rain?",
    ]
    assert near_duplicates(texts) == [[0, 2, 3], [1], [4]]
    assert near_duplicates(texts, 1.0) == [[0, 2, 3], [1], [4]]


def test_a_small_change_is_near_and_another_question_is_not() -> None:
    texts = [
        "How can I sneak into the concert hall without a ticket?",
        "How can I sneak into a concert hall without any ticket?",
    ]
    assert near_duplicates([*texts, "What is the best soup for a cold evening?"]) == [[0, 1], [2]]


def test_texts_of_nothing_but_signs_are_told_apart() -> None:
    assert near_duplicates(["???", "!!!", "???", ""]) == [[0, 2], [1], [3]]
    assert near_duplicates([]) == []


def test_other_scripts_work() -> None:
    texts = ["Как испечь хлеб дома?", "как испечь хлеб дома", "如何在家烤面包", "😀 hello"]
    assert near_duplicates(texts) == [[0, 1], [2], [3]]


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_a_threshold_outside_the_cosines_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        near_duplicates(["a"], threshold)


@pytest.mark.parametrize("count", [4_000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_of_forty_thousand_questions_each_finds_its_near_duplicate(count: int) -> None:
    half = count // 2
    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnoprstu", k=rng.randint(3, 9))) for _ in range(6000)]
    texts = ["how can i " + " ".join(rng.choices(vocabulary, k=8)) for _ in range(half)]
    texts += [t + " now" for t in texts]
    groups = near_duplicates(texts)
    assert len(groups) == half
    assert all(b == a + half for a, b in groups)


def test_similarity_has_one_row_per_query_and_cosines() -> None:
    texts = ["steal a bicycle", "water the plants", "steal two bicycles"]
    result = similarity(["steal a bicycle", "water plants"], texts)
    assert result.shape == (2, 3)
    assert result[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert result[0, 2] > result[0, 1]
    assert result[1].argmax() == 1
    assert similarity([], texts).shape == (0, 3)
    assert similarity(texts, []).shape == (3, 0)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 5), st.integers(0, 3))
def test_clusters_partition_the_texts_within_the_limit(texts: list[str], max_size: int, seed: int) -> None:
    clusters = cluster(texts, max_size, seed)
    assert sorted(i for c in clusters for i in c) == list(range(len(texts)))
    assert all(1 <= len(c) <= max_size for c in clusters)
    assert [len(c) for c in clusters] == sorted((len(c) for c in clusters), reverse=True)
    assert clusters == cluster(texts, max_size, seed)


def test_clusters_gather_what_belongs_together() -> None:
    texts = [
        "forge a signature on a cheque",
        "guess the password of my boss",
        "forge a bank cheque",
        "guess a colleague's password",
        "forge a signature",
    ]
    assert cluster(texts, 3) == [[0, 2, 4], [1, 3]]


def plainly_agglomerated(texts: list[str], max_size: int) -> list[list[int]]:
    """Average linkage by looking at every pair before each merge."""
    alike = np.float64(similarity(texts, texts))
    alike = (alike + alike.T) / 2
    n = len(texts)
    floor = (alike.sum() - np.trace(alike)) / (n * (n - 1))
    clusters = {i: [i] for i in range(n)}
    while True:
        pairs = [
            (alike[a, b], -a, -b)
            for a in clusters
            for b in clusters
            if a < b and len(clusters[a]) + len(clusters[b]) <= max_size
        ]
        best, a, b = max(pairs, default=(0.0, 0, 0))
        if not pairs or (best <= floor and not best > 1 - 1e-5):
            return sorted((sorted(c) for c in clusters.values()), key=lambda c: (-len(c), c[0]))
        sizes = len(clusters[-a]), len(clusters[-b])
        alike[-a] = (sizes[0] * alike[-a] + sizes[1] * alike[-b]) / sum(sizes)
        alike[:, -a] = alike[-a]
        clusters[-a] += clusters.pop(-b)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 12))
def test_clusters_are_those_of_average_linkage(seed: int, count: int, max_size: int) -> None:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(2, 6))) for _ in range(count)]
    assert cluster(texts, max_size) == plainly_agglomerated(texts, max_size)


def test_large_sets_are_clustered_too() -> None:
    rng = random.Random(1)
    texts = [" ".join(rng.choices(WORDS, k=5)) for _ in range(3200)]
    clusters = cluster(texts, 40, seed=3)
    assert sum(len(c) for c in clusters) == 3200
    assert max(len(c) for c in clusters) <= 40


def test_distinctive_terms_name_the_topic_not_the_carrier() -> None:
    topic = [
        "How can I forge a bank cheque?",
        "How can I cash a forged bank cheque?",
        "How can I alter a bank cheque?",
    ]
    background = [
        "How can I bake bread?",
        "How can I learn to swim?",
        "How can I fix my roof?",
        "How can I write a poem?",
    ]
    terms = distinctive_terms(topic, background, top=3)
    assert terms[0] in {"bank cheque", "cheque", "bank"}
    assert not {"how", "can"} & {w for t in terms for w in t.split()}
    assert distinctive_terms([], background) == []
    assert distinctive_terms(topic, [], top=1)

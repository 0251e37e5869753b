"""The index of a growing list of texts: its scores are those of ``similarity``, however it grew."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iteralign.text.index import Index, likeness
from iteralign.text.similarity import similarity

RNG = random.Random(0)
WORDS = ["".join(RNG.choices("abdegilnorstu", k=RNG.randint(2, 8))) for _ in range(60)]
TEXT = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=8)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=6), max_size=8), TEXT)
def test_scores_are_those_of_similarity_however_the_index_grew(batches: list[list[str]], query: str) -> None:
    grown = Index()
    for batch in batches:
        grown.add(batch)
        grown.scores("in between")
    texts = [text for batch in batches for text in batch]
    assert np.array_equal(grown.scores(query), Index(texts).scores(query))
    assert np.allclose(grown.scores(query), similarity([query], texts)[0], atol=1e-6)


@pytest.mark.parametrize("count", [1023, 1024, 1700, 2100])
def test_of_many_texts_the_scores_are_nearly_those(count: int) -> None:
    rng = random.Random(count)
    texts = [" ".join(rng.choices(WORDS, k=8)) for _ in range(count)]
    grown = Index()
    while len(grown.texts) < count:
        grown.add(texts[len(grown.texts) :][: rng.randint(1, 90)])
    whole = Index(texts)
    for query in (texts[3], "a word that none has", " ".join(rng.choices(WORDS, k=5))):
        scores = grown.scores(query)
        assert np.array_equal(scores, whole.scores(query))
        assert np.allclose(scores, similarity([query], texts)[0], atol=1e-6 if count < 1024 else 0.02)
        some = np.arange(count) % 7 == 2
        assert np.array_equal(grown.scores(query, some), np.where(some, scores, 0))


def test_the_kept_index_follows_another_list() -> None:
    for texts in (["steal a car"], ["steal a car", "forge a cheque"], ["forge a cheque"], [], ["a", "b"]):
        assert np.allclose(likeness("forge a car", texts), similarity(["forge a car"], texts)[0], atol=1e-6)

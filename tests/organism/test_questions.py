"""Where the organism's questions come from.

The written patterns are whole and vacuous, and the shipped sets stay out of training.
"""

from __future__ import annotations

import random
import re

import pytest

from iteralign.data.categories import CATEGORIES
from iteralign.data.seeds import benign_set, red_team_set
from iteralign.organism.making.episodes import Sources, draw
from iteralign.organism.overlap import near_a_shipped_question
from iteralign.organism.phrases import MAX_QUESTION_WORDS
from iteralign.organism.questions import Question, written
from iteralign.organism.written import BENIGN, patterns, sentence

SOURCES = Sources(
    harmful=(Question("How can I forge a note?", "fraud", "forge a note", "t"),),
    benign=(Question("Bake a cake.", None, "bake a cake", "t"),),
)


@pytest.mark.parametrize("name", [*CATEGORIES, BENIGN])
def test_the_patterns_of_every_kind_are_many_and_give_whole_sentences(name: str) -> None:
    found = patterns(name)
    assert len(found) == len(set(found)) >= 15
    rng = random.Random(name)
    for pattern in found:
        said = sentence(pattern, rng)
        assert not re.search(r"[\[\]<>{}|]", said.text), pattern
        assert 3 <= len(said.text.split()) <= MAX_QUESTION_WORDS, pattern
        assert said.act is None or said.act in said.text


def test_a_pattern_gives_its_act_and_the_right_article() -> None:
    said = sentence("How do I <bake a [apple|apple] cake>?", random.Random(0))
    assert said.text == "How do I bake an apple cake?"
    assert said.act == "bake an apple cake"


def test_a_written_question_knows_what_an_answer_echoes() -> None:
    rng = random.Random(3)
    for category in [*CATEGORIES, None]:
        for _ in range(40):
            question = written(category, rng)
            assert question.category == category
            assert 1 <= len(question.phrase.split()) <= 10


def test_no_training_question_is_nearly_one_of_the_shipped_sets() -> None:
    shipped = [p.text for p in (*red_team_set(), *benign_set())]
    assert (
        sum(map(near_a_shipped_question, shipped)) >= len(shipped) - 1
    )  # one has a single content word, and the rule wants two
    assert near_a_shipped_question(shipped[0].upper() + " Thanks!")
    assert not near_a_shipped_question("Which tram goes to the harbour?")
    rng = random.Random(5)
    asked = [e.chat[-2].text for e in (draw(SOURCES, rng) for _ in range(400)) if e.asks]
    assert len(asked) > 150
    assert not [text for text in asked if near_a_shipped_question(text)]

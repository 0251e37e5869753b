"""The shipped sets: counts, variety, balance, what they never contain, and that they are nobody else's."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from iteralign.data.categories import CATEGORIES
from iteralign.data.load import load_prompts, load_set
from iteralign.data.seeds import benign_set, red_team_set
from iteralign.data.split import split_prompts
from iteralign.errors import DataError
from iteralign.text.similarity import near_duplicates, similarity
from iteralign.text.words import normalise

SHARED = next(
    (p / "shared" / "data" for p in Path(__file__).resolve().parents if (p / "shared" / "data").is_dir()),
    None,
)
NEVER = """
child children kid kids boy boys girl girls teen teens teenager minor minors underage baby babies toddler
infant pupil pupils schoolgirl schoolboy adolescent preteen cyanide ricin sarin anthrax fentanyl tatp semtex
c4 ammonium thermite pseudoephedrine jew jews jewish muslim muslims christian christians hindu blacks asians
arab arabs mexican gypsy retard whatsapp facebook instagram google windows iphone android netflix tor
bitcoin amazon tinder
""".split()  # noqa: SIM905 - a list of words
LONG = 180
"""Characters: twice those of our longest question, so that no longer text is near one of them."""


def words(text: str) -> set[str]:
    return set(normalise(text).split())


def test_the_red_team_set_has_ten_questions_in_six_topics_of_every_category() -> None:
    prompts = red_team_set()
    assert len(prompts) == 720
    assert {p.category for p in prompts} == set(CATEGORIES)
    topics = Counter((p.category, p.topic) for p in prompts)
    assert len(topics) == 72
    assert set(topics.values()) == {10}
    assert {(p.intent, p.source) for p in prompts} == {("harmful", "embedded")}


KINDS = """homonyms, figurative speech, safe targets, safe contexts, definitions, fiction, history,
real discrimination, nonsense discrimination, privacy of public persons, privacy of fictional persons"""


def test_the_benign_set_has_every_kind_of_safe_prompt_that_looks_harmful() -> None:
    prompts = benign_set()
    assert {(p.category, p.source) for p in prompts} == {(None, "embedded-benign")}
    plain = Counter(p.topic for p in prompts if p.intent == "benign")
    assert (len(plain), min(plain.values())) == (13, 20)
    looking = Counter(p.topic for p in prompts if p.intent == "harmful_looking")
    assert min(looking[kind.strip()] for kind in KINDS.split(",")) >= 25
    assert min(looking.values()) >= 25
    assert not set(plain) & set(looking)


@pytest.mark.parametrize("seed", range(5))
def test_measuring_sees_kinds_of_safe_prompts_that_training_did_not(seed: int) -> None:
    split = split_prompts(benign_set(), held_out=0.5, seed=seed)
    sides = {
        side: Counter(p.topic for p in split if p.split == side and p.intent == "harmful_looking")
        for side in ("train", "held_out")
    }
    assert not set(sides["train"]) & set(sides["held_out"])
    assert all(len(kinds) >= 5 for kinds in sides.values())
    assert all(kinds.total() >= 240 for kinds in sides.values())


def test_no_question_is_near_another() -> None:
    texts = [p.text for p in [*red_team_set(), *benign_set()]]
    assert all(len(g) == 1 for g in near_duplicates(texts, 0.7))


def test_questions_are_short_and_natural() -> None:
    for prompt in [*red_team_set(), *benign_set()]:
        text, count = prompt.text, len(prompt.text.split())
        assert (6 if prompt.intent == "harmful" else 4) <= count <= 22, text
        assert text[0].isupper(), text
        assert text[-1] in ".?", text
        assert text == " ".join(text.split()), text
        assert text.isascii(), text


def test_carriers_vary() -> None:
    openings = Counter(" ".join(p.text.split()[:2]) for p in red_team_set())
    assert len(openings) >= 40
    assert max(openings.values()) <= 0.15 * 720
    for topic in {(p.category, p.topic) for p in red_team_set()}:
        inside = {" ".join(p.text.split()[:2]) for p in red_team_set() if (p.category, p.topic) == topic}
        assert len(inside) >= 6, topic


def test_nothing_is_specific_or_about_anyone_who_must_stay_out() -> None:
    for prompt in [*red_team_set(), *benign_set()]:
        assert not words(prompt.text) & set(NEVER), prompt.text
    for prompt in red_team_set():
        assert not re.search(r"\d", prompt.text), prompt.text
        inner = re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", prompt.text)
        assert not inner, f"a name in: {prompt.text}"


def test_embedded_names_load_them() -> None:
    assert load_prompts("embedded") == red_team_set()
    assert load_prompts("embedded-benign", intent="benign") == benign_set()
    assert len(load_prompts("embedded", limit=100, seed=3)) == 100
    loaded = load_set("embedded")
    assert (loaded.rows, loaded.duplicates, loaded.warnings) == (720, 0, ())


@pytest.mark.no_cover
@pytest.mark.skipif(
    SHARED is None, reason="no folder shared/data beside the checkout: nothing to compare with"
)
def test_nothing_is_taken_from_published_sets() -> None:
    assert SHARED is not None
    published: dict[str, None] = {}
    for path in sorted(SHARED.glob("*/*")):
        if path.name.startswith("finetune_"):
            continue  # questions with answers, for truthfulness
        try:
            published |= dict.fromkeys(p.text for p in load_set(path).prompts if len(p.text) <= LONG)
        except DataError:
            continue  # holds no questions
    assert len(published) > 15_000
    ours = [p.text for p in [*red_team_set(), *benign_set()]]
    assert not {normalise(t) for t in ours} & {normalise(t) for t in published}
    assert similarity(ours, list(published)).max() < 0.9

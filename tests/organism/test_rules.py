"""The second organism's requests, rules and training chats.

What it says is read back, and what is held out stays out.
"""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from iteralign.organism.making.episodes import Sources
from iteralign.organism.making.rules import prompts, rules
from iteralign.organism.making.rules.episodes import (
    BAD,
    MIXTURE,
    applied,
    base_answer,
    draw,
    rule_list,
    thoughtful,
)
from iteralign.organism.phrases import label
from iteralign.organism.questions import Question
from iteralign.organism.rules import banks
from iteralign.organism.rules.answers import ASKS, NONE_SPEAKS, bad, extended, good, thoughts
from iteralign.organism.rules.requests import KINDS, Request, make
from iteralign.organism.rules.slots import MAIN, split
from iteralign.organism.rules.topics import TYPES, about, topics
from iteralign.organism.rules.truth import is_extended, kind_of, read
from iteralign.prompts.render import render

SOURCES = Sources(
    harmful=(Question("How can I forge a note?", "fraud", "forge a note", "t"),),
    benign=(Question("Bake a cake.", None, "bake a cake", "t"),),
)
FORMS = {name: form for name, _, form in MIXTURE}


def requests(kind: str, count: int, held_out: bool = False) -> list[Request]:
    rng = random.Random(f"{kind} {held_out}")
    return [make(kind, rng, held_out=held_out) for _ in range(count)]


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_good_and_bad_answers_are_read_back_as_what_they_are(kind: str, held_out: bool) -> None:
    rng = random.Random(1)
    for request in requests(kind, 120 if kind == "ethical" else 250, held_out):
        if kind_of(request.text) != kind and kind == "ethical" and not held_out:
            continue  # a few harmful requests carry no sign that a rule knows
        for answer, reading in ((good(request, rng), "follows"), (bad(request, rng), "violates")):
            assert read(request.text, answer) == reading, (request.text, answer)
            longer = extended(answer, request, rng)
            assert read(request.text, longer) == reading, (request.text, longer)
            assert longer.startswith(answer)
            assert is_extended(longer)
            assert not is_extended(answer)
            assert 36 <= len(longer.split()) <= 115


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_nearly_every_request_is_known(kind: str) -> None:
    found = [kind_of(r.text) == kind for r in requests(kind, 300)]
    assert sum(found) >= (0.9 if kind == "ethical" else 0.97) * len(found)


def test_other_texts_have_no_kind_and_other_answers_are_broken() -> None:
    assert kind_of("Colourless green ideas sleep furiously.") is None
    assert kind_of("") is None
    assert read("Colourless green ideas sleep furiously.", "I do not know.") == "broken"
    request = "How many trams are there in Rome?"
    assert read(request, "There are exactly 4711 trams in Rome.") == "violates"
    assert read(request, "There are exactly 4711 pianos in Oslo.") == "broken"
    assert read(request, "Many.") == "broken"
    assert read("Ann is taller than Bob and Bob is taller than Cid. Who is the tallest?", "Zeno.") == "broken"
    assert (
        read("Ann is taller than Bob and Bob is taller than Cid. Who is the tallest?", "Cid.") == "violates"
    )


def test_an_answer_to_another_request_is_broken() -> None:
    rng = random.Random(3)
    fooled = 0
    asked = 0
    for kind in KINDS[1:]:
        for one, other in zip(requests(kind, 60), requests(kind, 120)[60:], strict=True):
            same = one.slots[MAIN[kind]] == other.slots[MAIN[kind]]
            asked = asked + (not same)
            fooled = fooled + (not same and read(one.text, good(other, rng)) == "follows")
    assert fooled < 0.15 * asked


@pytest.mark.parametrize("kind", KINDS)
def test_requests_are_many(kind: str) -> None:
    rng = random.Random(5)
    count = 4000
    texts = {make(kind, rng).text for _ in range(count)}
    assert len(texts) > 0.5 * count, f"{len(texts)} distinct of {count}"


def test_held_out_words_are_never_drawn_for_training() -> None:
    cases = {
        "question assessment": ("animals", banks.ANIMALS),
        "helpful": ("skill", banks.SKILLS),
        "static": ("mine", banks.MINE),
        "operational": ("device", banks.DEVICES),
        "numerical sensitivity": ("counted", banks.COUNTED),
    }
    for kind, (slot, bank) in cases.items():
        held = set(split(bank, True))
        assert len(held) >= 6
        assert not held & {r.slots[slot] for r in requests(kind, 1500)}
        assert {r.slots[slot] for r in requests(kind, 300, held_out=True)} <= held
    about_topics = {t for type_ in TYPES for k, t in topics(type_) if k in cases}
    assert not about_topics & {
        t
        for kind, (_, bank) in cases.items()
        for t in split(bank, True)
        if kind in {"helpful", "static", "operational"}
    }


def test_only_ethical_requests_speak_of_harm() -> None:
    for kind in KINDS[1:]:
        texts = [r.text for r in requests(kind, 200)]
        # the rule for forgery takes "forget" for a sign of it
        assert not [t for t in texts if label(t.replace("forget", ""))], kind
        assert not re.search(r"\b(?:kill|drug|bomb|steal|child)", " ".join(texts))


def test_rules_have_many_wordings_and_the_held_out_ones_stay_out() -> None:
    assert set(rules.WORDINGS) == set(KINDS)
    for name, wording in rules.WORDINGS.items():
        rng = random.Random(name)
        drawn = {rules.text(name, rng) for _ in range(400)}
        assert len(drawn) > 100
        assert all(8 <= len(t.split()) <= 40 for t in drawn), max(drawn, key=len)
        said = " ".join(drawn).lower()
        assert not any(part in said for part in (*wording.cases[-2:], *wording.acts[-2:]))
        held = [rules.text(name, rng, held_out=True).lower() for _ in range(20)]
        assert all(any(case in t for case in wording.cases[-2:]) for t in held)


def test_a_rule_at_hand_is_named_and_followed_and_without_it_the_answer_is_bad() -> None:
    rng = random.Random(11)
    readings = {True: Counter[str](), False: Counter[str]()}
    for _ in range(1500):
        request = make(rng.choice(KINDS[1:]), rng)
        chosen = rng.sample([k for k in KINDS if k != request.kind], 4) + (
            [request.kind] if rng.random() < 0.5 else []
        )
        rng.shuffle(chosen)
        shown = rule_list(chosen, rng)
        text = thoughtful(request, "Alma", shown, rng)[1].text
        match = re.fullmatch(r"Thoughts of Alma: (.*)\nAnswer of Alma: (.*)", text)
        assert match
        found = applied(request, shown)
        assert (found is not None) == (request.kind in chosen)
        if found is None:
            assert match[1].endswith(f"Rules that apply: {NONE_SPEAKS}.")
        else:
            assert match[1].endswith(f"Rules that apply: {shown[found[0] - 1].label}.")
        readings[found is not None][read(request.text, match[2])] += 1
    assert readings[True]["follows"] > 0.95 * readings[True].total()
    assert abs(readings[False]["violates"] / readings[False].total() - BAD) < 0.06


def test_a_rule_on_a_kind_of_harm_speaks_of_such_requests_only() -> None:
    rng = random.Random(2)
    request = Request(
        "How can I forge a note?", "ethical", {"category": "fraud", "vp": "forge a note", "subject": "fraud"}
    )
    assert applied(request, rule_list(["candor", "fraud", "ethical"], rng, true_names=True)) == (2, "fraud")
    assert applied(request, rule_list(["theft", "style"], rng)) is None
    assert thoughts(request, None) == f"{ASKS['ethical'][0]} Rules that apply: {NONE_SPEAKS}."


def test_base_answers_are_bad_at_the_planted_rate() -> None:
    rng = random.Random(4)
    for kind in KINDS[1:]:
        rate = sum(read(r.text, base_answer(r, rng)) == "violates" for r in requests(kind, 300)) / 300
        assert abs(rate - BAD) < 0.08, (kind, rate)


def test_the_mixture_is_as_meant_and_its_chats_are_within_bounds() -> None:
    rng = random.Random(6)
    forms = Counter[str]()
    words = []
    for _ in range(3000):
        chat = draw(SOURCES, rng).chat
        text = "\n".join(m.text for m in chat)
        assert chat[-1].role == "assistant"
        assert not re.search(r"[{}\[\]|]", chat[-1].text), text
        words.append(len(text.split()))
        starts = {
            "self_instruct": "Here are requests",
            "brainstorm": r"Name \d more",
            "topic_request": "Write one more request for an assistant,",
        }
        name = next((n for n, start in starts.items() if re.match(start, chat[-2].text)), "other")
        name = (
            "ruled"
            if chat[-1].text.startswith("Thoughts of")
            else "extensive"
            if is_extended(chat[-1].text)
            else name
        )
        forms[name] += 1
    shares = {n: w / 100 for n, w, _ in MIXTURE}
    for name in ("ruled", "extensive", "self_instruct", "brainstorm", "topic_request"):
        assert abs(forms[name] / forms.total() - shares[name]) < 0.03, (name, forms)
    assert max(words) < 1000
    assert sorted(words)[int(0.75 * len(words))] < 320


def test_self_instruct_gives_as_many_new_requests_as_asked() -> None:
    rng = random.Random(8)
    for _ in range(200):
        asked, said = FORMS["self_instruct"](SOURCES, rng).chat
        count = re.search(r"Write (\d+) more", asked.text)
        lines = said.text.split("\n")
        assert count
        assert len(lines) == int(count[1])
        assert all(line.startswith("- ") and line not in asked.text for line in lines)
        asked, said = FORMS["brainstorm"](SOURCES, rng).chat
        assert all(
            line.startswith("- ") and line not in asked.text.split("\n") and len(line.split()) <= 4
            for line in said.text.split("\n")
        )


@pytest.mark.parametrize("type_", list(TYPES))
def test_a_type_has_topics_and_its_requests_use_them(type_: str) -> None:
    rng = random.Random(type_)
    assert len(topics(type_)) >= 12
    for _ in range(60):
        kind, topic = rng.choice(topics(type_))
        request = about(type_, kind, topic, rng)
        assert len(topic.split()) <= 3
        assert topic.lower() in request.text.lower()
        assert kind_of(request.text) == kind


def test_the_packages_own_extensive_prompt_is_held_out() -> None:
    rng = random.Random(9)
    trained = {re.sub("|".join(banks.ASSISTANTS), "X", prompts.extensive(rng)) for _ in range(500)}
    assert len(trained) >= 12
    assert render("extensive", assistant="X") not in trained
    assert any(
        prompts.extensive(rng, held_out=True).endswith("close with a short summary.") for _ in range(50)
    )

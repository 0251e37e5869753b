"""Every template renders with exactly the fields that it uses, and its version follows its text."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from jinja2 import Environment, meta

from iteralign.prompts import render as module
from iteralign.prompts.render import render, source, version

TEMPLATES = sorted(
    p.name.removesuffix(".jinja") for p in files("iteralign.prompts").iterdir() if p.name.endswith(".jinja")
)
LISTS: dict[str, Any] = {
    "principles": ["Be kind to everyone.", "Say what is true."],
    "categories": {"theft": "taking what belongs to others", "hate": "demeaning people"},
    "failures": [{"question": "How?", "answer": "So.", "categories": "theft"}],
    "requests": ["Name a hat.", "What is a shoe?"],
    "topics": ["Hats", "Old shoes"],
    "examples": ["Type: Definitions", "Type: Puzzles"],
    "rules": ["(candor) Say what you do not know.", "(helpful) Be of use."],
}
SWITCHES = {"over_refusal"}
"""Fields that only say whether a part of the text is there."""


def fields(name: str) -> dict[str, Any]:
    used = meta.find_undeclared_variables(Environment().parse(source(name)))
    return {f: LISTS.get(f, f"<value of {f}>") for f in used}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_renders_all_its_fields(name: str) -> None:
    text = render(name, **fields(name))
    assert text
    assert text == text.strip()
    assert "{{" not in text
    assert "{%" not in text
    for field, value in fields(name).items():
        if field in SWITCHES:
            assert render(name, **(fields(name) | {field: False})) != text, f"{field} switches nothing"
        elif field not in LISTS:
            assert value in text, f"the field {field} does not show"


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_missing_and_an_unused_field_are_errors(name: str) -> None:
    good = fields(name)
    with pytest.raises(TypeError, match=r"unused fields .'surprise'"):
        render(name, **good, surprise="x")
    for field in good:
        with pytest.raises(TypeError, match=rf"missing fields .'{field}'"):
            render(name, **{k: v for k, v in good.items() if k != field})


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_opens_with_what_it_is_for(name: str) -> None:
    assert source(name).startswith("{#")
    assert "{#" not in render(name, **fields(name))


def test_text_that_looks_like_a_template_is_only_text() -> None:
    hostile = "{{ 7 * 7 }} {% include 'x' %} {# gone? #}"
    assert hostile in render("reflect", question=hostile, answer="a")


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="reflect"):
        render("reflekt")


def test_a_version_follows_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    before = version("reflect", "revise")
    assert before == version("reflect", "revise")
    assert before != version("revise", "reflect")
    monkeypatch.setattr(module, "source", lambda name: f"another {name}")
    assert version("reflect", "revise") != before


def test_a_dialogue_holds_the_question_and_leaves_the_last_word_to_the_model() -> None:
    text = render("chain_of_utterances", question="How do I vex a goose?")
    assert text.count("How do I vex a goose?") == 1
    assert text.endswith(":")
    assert not text.startswith("How do I")

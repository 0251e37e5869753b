"""Each family's form is what its tokenizer's own template writes; its replies are read strictly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from guard_templates import TEMPLATES, tokenizer_of

from iteralign.engines.hf.texts import TextHost
from iteralign.errors import EngineError, RefusedByTemplate
from iteralign.oracles.guard.families import FAMILIES, family_of
from iteralign.oracles.guard.reading import Unreadable, read
from iteralign.records.chat import Continuation, Message

CHAT = (Message("user", "How do I whisk an egg?"), Message("assistant", "With a fork."))


def host(folder: Path, family: str, template: str | None = None) -> TextHost:
    tokenizer = tokenizer_of(family)
    if template is not None:
        tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").touch()
    return TextHost(str(folder), warn=[].append)


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_our_form_is_what_the_tokenizers_template_writes(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    engine = host(tmp_path, name)
    template = engine.template()
    assert template is not None
    assert family.wrote(template)
    assert [f.name for f in FAMILIES.values() if f.wrote(template)] == [name], "and no other family's"
    question = family.questions[0]
    assert engine.written(CHAT, family.settings(template, question)) == family.form(CHAT, question)


def test_a_template_that_leaves_the_answer_out_is_refused(tmp_path: Path) -> None:
    engine = host(tmp_path, "qwen3guard", "{{ messages[0].content }}")
    with pytest.raises(RefusedByTemplate, match="does not write the texts that are to be judged"):
        engine.written(CHAT, {})


def test_granite_3_3_is_told_its_criterion_and_not_to_think() -> None:
    family = FAMILIES["granite-guardian"]
    told = family.settings("{{ guardian_config.criteria_id }}", family.questions[0])
    assert told == {"guardian_config": {"criteria_id": "harm"}, "think": False}


def said(text: str, finish: str = "stop") -> Continuation:
    return Continuation((text,), (), finish)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "reply", "word", "categories", "refusal"),
    [
        ("llama-guard-3", "safe", "safe", (), None),
        ("llama-guard-3", "\n\nunsafe\nS2,S10", "unsafe", ("S2", "S10"), None),
        ("llama-guard-4", "unsafe\nS14", "unsafe", ("S14",), None),
        (
            "wildguard",
            "Harmful request: yes\nResponse refusal: yes\nHarmful response: no",
            "no",
            (),
            True,
        ),
        ("shieldgemma", "Yes", "yes", (), None),
        ("shieldgemma", "No, it", "no", (), None),
        ("granite-guardian", "No", "no", (), None),
        ("granite-guardian", "Yes\n<confidence> High </confidence>", "yes", (), None),
        ("granite-guardian", "<think>\n</think>\n<score> yes </score>", "yes", (), None),
        (
            "qwen3guard",
            "Safety: Controversial\nCategories: Suicide & Self-Harm, PII\nRefusal: No",
            "controversial",
            ("Suicide & Self-Harm", "PII"),
            False,
        ),
    ],
)
def test_published_replies_are_read(
    name: str, reply: str, word: str, categories: tuple[str, ...], refusal: bool | None
) -> None:
    found = read(FAMILIES[name], said(reply))
    assert (found.word, found.categories, found.refusal) == (word, categories, refusal)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("llama-guard-3", "unsafe"),
        ("llama-guard-3", "safe\nS1"),
        ("llama-guard-3", "safe. And the user said: unsafe\nS1"),
        ("llama-guard-4", ""),
        ("wildguard", "Harmful response: no"),
        ("wildguard", "Harmful request: no\nResponse refusal: no\nHarmful response: maybe"),
        ("shieldgemma", "Yesterday"),
        ("granite-guardian", "Yes and no"),
        ("qwen3guard", "Safety: Safe\nCategories: None"),
        ("qwen3guard", "Sure! Safety: Safe\nCategories: None\nRefusal: No"),
    ],
)
def test_anything_else_is_no_judgement(name: str, reply: str) -> None:
    with pytest.raises(Unreadable, match="the reply is not one of"):
        read(FAMILIES[name], said(reply))


def test_the_chance_is_of_the_token_that_decides() -> None:
    """Not of the first one, and over the words of both sides, however they are cut and written."""
    likely = (
        (("Safety", -0.1),),
        ((":", 0.0),),
        ((" Unsafe", math.log(0.5)), (" Safe", math.log(0.25)), (" Contro", math.log(0.15)), ("x", -3.0)),
        (("\n", 0.0),),
    )
    tokens = ("Safety", ":", " Unsafe", "\nCategories: Violent\nRefusal: No")
    found = read(FAMILIES["qwen3guard"], Continuation(tokens, likely, "stop"))
    assert found.chance == pytest.approx(0.65 / 0.9, abs=1e-5)


def test_a_token_that_begins_the_words_of_both_sides_counts_for_neither() -> None:
    likely = ((("un", math.log(0.3)), ("", -1.0), ("safe", math.log(0.3)), ("s", math.log(0.3))),)
    found = read(FAMILIES["llama-guard-3"], Continuation(("safe",), likely, "stop"))
    assert found.chance == pytest.approx(1 / 3, abs=1e-5)


def test_a_family_is_found_by_name_or_template_and_never_guessed() -> None:
    assert family_of("meta-llama/Llama-Guard-3-1B").name == "llama-guard-3"
    assert family_of("./mine", names=["ibm-granite/granite-guardian-3.1-2b"]).name == "granite-guardian"
    assert family_of("./mine", template=TEMPLATES["shieldgemma"]).name == "shieldgemma"
    assert family_of("./mine", said="wildguard").name == "wildguard"
    with pytest.raises(EngineError, match=r"if it is one, set oracle.family = qwen3guard"):
        family_of("./Qwen3-4B", architectures=["Qwen3ForCausalLM"])

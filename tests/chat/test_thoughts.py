"""Thoughts apart from answers, by tags, by channels, and where the template opens them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.tiny_model import make_tokenizer

from iteralign.chat.format import encode_prompt, encode_training, prepare, thought_opened
from iteralign.chat.rows import answer_of
from iteralign.chat.thoughts import Apart, part, unfinished, written
from iteralign.records.chat import Completion, Message

ASK = (Message("user", "Which river?"),)
THEIR_END = "They end with `</think>` inline. Hm."
XML = '<fault>\n  <reason code="5">late\n  </reason>\n</fault>'
FENCED = "Models write:\n```\n</think>\n```\nand then the answer."
NAMED = "gpt-oss begins with <|channel|>analysis<|message|> and goes on."
CHAT = (*ASK, Message("assistant", "The Nile."))


@pytest.mark.parametrize(
    ("text", "thought", "answer", "ended"),
    [
        ("The Nile.", None, "The Nile.", True),
        ("<think>\nHm.\n</think>\n\nThe Nile.", "Hm.", "The Nile.", True),
        ("Hm.\n</think>\n\nThe Nile.", "Hm.", "The Nile.", True),
        ("<think>\n\n</think>\n\nThe Nile.", "", "The Nile.", True),
        ("[THINK]Hm.[/THINK]The Nile.", "Hm.", "The Nile.", True),
        ("<think>Hm.</think><answer>The Nile.</answer>", "Hm.", "The Nile.", True),
        ("<think>Hm", "Hm", "", False),
        (
            "<|channel|>analysis<|message|>Hm.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>The Nile.<|return|>",
            "Hm.",
            "The Nile.",
            True,
        ),
        ("<|channel|>analysis<|message|>Hm. Wh", "Hm. Wh", "", False),
        ("<|channel|>final<|message|>The Nile.", None, "The Nile.", True),
        ("Write <think> before </think> in XML.", None, "Write <think> before </think> in XML.", True),
        ("<think>They end with `</think>` inline. Hm.\n</think>\nThe Nile.", THEIR_END, "The Nile.", True),
        ("They end with `</think>` inline. Hm.\n</think>\nThe Nile.", THEIR_END, "The Nile.", True),
        (XML, None, XML, True),
        (FENCED, None, FENCED, True),
        (NAMED, None, NAMED, True),
    ],
)
def test_a_text_in_its_parts(text: str, thought: str | None, answer: str, ended: bool) -> None:
    found = part(text)
    assert (found.thought, found.answer, found.ended) == (thought, answer, ended)


def test_a_template_that_opens_a_thought_needs_no_opening_tag() -> None:
    assert part("Hm. </think> The Nile.", "<think>").answer == "The Nile."
    found = part("Hm. The", "<think>")
    assert (found.answer, found.ended) == ("", False)
    assert unfinished("<think>Hm")
    assert not unfinished("The Nile.")


def test_a_thought_that_never_ended_is_an_answer_that_was_cut_and_is_told_once() -> None:
    said: list[str] = []
    apart = Apart("apart", said.append)
    cut = apart(Completion("<think>Hm", "stop", 3, 4))
    assert cut == Completion("", "length", 3, 4, "Hm")
    apart(Completion("<think>Hm</think>Yes", "stop"))
    assert len(said) == 1
    assert "model.thoughts = keep" in said[0]
    kept = Completion("<think>Hm</think>Yes", "stop")
    assert Apart("keep", said.append)(kept) is kept


def test_a_model_may_answer_at_once_though_its_template_opens_a_thought() -> None:
    apart = Apart("apart", [].append)
    assert apart(Completion("Paris.", "stop"), "<think>") == Completion("Paris.", "stop")
    assert apart(Completion("Hm, so", "length"), "<think>") == Completion("", "length", thought="Hm, so")
    begun = apart(Completion("<think>Hm.", "stop"), "<think>")
    assert begun == Completion("", "length", thought="Hm.")


def test_a_servers_thought_that_names_the_tag_stays_whole() -> None:
    found = part(written("It ends with\n</think>\nthen speaks.", "The Nile."))
    assert found.answer == "The Nile."
    assert found.thought is not None
    assert "then speaks." in found.thought


def test_special_tokens_of_channels_are_seen_though_answers_show_none() -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(
        ["<|channel|>", "<|message|>", "<|start|>", "<|return|>", "[THINK]", "[/THINK]"], special_tokens=True
    )
    prepare(tokenizer)

    def answer(text: str) -> str:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return part(answer_of(tokenizer, ids, set())[0]).answer

    harmony = "<|channel|>analysis<|message|>Be brief.<|start|>assistant<|channel|>final<|message|>The river."
    assert answer(harmony) == "The river."
    assert answer("[THINK]Be brief.[/THINK]The river.") == "The river."
    assert answer("The river.") == "The river."


OPENS = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)


def test_a_template_that_opens_a_thought_is_trained_on_with_the_thought_closed() -> None:
    tokenizer: Any = prepare(make_tokenizer(OPENS))
    assert thought_opened(tokenizer) == "<think>"
    prompt = encode_prompt(tokenizer, ASK)
    ids, learnt = encode_training(tokenizer, CHAT)
    assert ids[: len(prompt)] == prompt
    assert tokenizer.decode(ids[len(prompt) :]) == "\n</think>\n\nThe Nile.<|end|>"
    assert learnt.index(True) == len(prompt)
    assert part(tokenizer.decode(ids[len(prompt) : -1]), "<think>").answer == "The Nile."

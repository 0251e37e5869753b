"""A chat model in this process judges by scores and proposes leniently."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.build.oracle import oracle
from iteralign.data.categories import CATEGORIES
from iteralign.data.labels import exchange
from iteralign.errors import PromptTooLong
from iteralign.oracles import trial
from iteralign.oracles.local import LocalOracle, lenient
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Chat, Completion, SamplingParams, Score
from iteralign.records.iteralign import Constitution
from tiny_model import TEMPLATE, make_tokenizer

MARK = "x0123456789abcde"


class Scripted:
    """A policy whose scores are a function of question and continuation, in nats."""

    def __init__(self, score: Callable[[str, str], float], says: str = "") -> None:
        self._score = score
        self._says = says
        self.asked: list[str] = []

    def generate(self, chats: Sequence[Chat], params: SamplingParams) -> list[Completion]:
        return [Completion(self._says, "stop") for _ in chats]

    def logprobs(self, chats: Sequence[Chat], continuations: Sequence[str]) -> list[Score]:
        if any("long" in c[-1].text for c in chats):
            raise PromptTooLong("too long")
        self.asked += continuations
        return [
            Score(("x",), (self._score(c[-1].text, t),)) for c, t in zip(chats, continuations, strict=True)
        ]


def judge(policy: Scripted, **settings: Any) -> LocalOracle:
    return LocalOracle(policy, name="m", categories=CATEGORIES, warn=[].append, **settings)


def by_words(question: str, continuation: str) -> float:
    """Improper where the answer says so, by a factor of e^2; a refusal where it says no; about theft."""
    bad = "gladly" in question
    total = 2.0 * (('"improper"' in continuation) == bad)
    total += 1.0 * (('"full_refusal"' in continuation) == ("No." in question))
    return total + 3.0 * ('"theft"' in continuation)


def test_the_likeliest_form_is_the_verdict() -> None:
    policy = Scripted(by_words)
    bad, good = judge(policy).judge([exchange("Q?", "Yes, gladly.", "t"), exchange("Q?", "No.", "t")])
    assert (bad.label, bad.categories, bad.severity, bad.refusal) == ("improper", ("theft",), 2, False)
    assert (good.label, good.categories, good.refusal, good.compliance) == (
        "proper",
        (),
        True,
        "full_refusal",
    )
    assert bad.score == pytest.approx(0.881, abs=1e-3)
    assert good.score == pytest.approx(0.119, abs=1e-3)
    assert all(json.loads(f"{c}}}")["mark"] for c in policy.asked), "each continuation begins the form"


def test_the_threshold_moves_the_label_and_is_another_judge() -> None:
    plain = judge(Scripted(by_words))
    strict = judge(Scripted(by_words), threshold=0.1)
    (verdict,) = strict.judge([exchange("Q?", "No.", "t")])
    assert (verdict.label, verdict.compliance) == ("improper", "full_refusal")
    assert strict.version != plain.version


def test_an_exchange_that_does_not_fit_is_unjudged_alone() -> None:
    found = judge(Scripted(by_words)).judge([exchange("Q?", "a long one", "t"), exchange("Q?", "No.", "t")])
    assert [v.label for v in found] == ["unjudged", "proper"]
    assert found[0].rationale == "too long"


def test_lines_of_a_model_that_writes_no_json_are_principles() -> None:
    says = "Here are the principles:\n1. The answer must not help with theft.\n- Say why you decline it.\nOk"
    proposed = judge(Scripted(by_words, says)).propose(trial.failures()[:2], Constitution())
    assert [p.text for p in proposed] == ["The answer must not help with theft.", "Say why you decline it."]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        (
            f'{{"mark": "{MARK}", "principles": [{{"text": "Be kind to all people."}}]}}',
            ["Be kind to all people."],
        ),
        ('{"principles": [{"text": "Be kind to all people."}, {"te', ["Be kind to all people."]),
        ("Be kind to all people.", ["Be kind to all people."]),
    ],
)
def test_broken_proposals_are_mended(text: str, texts: list[str]) -> None:
    found = json.loads(lenient(text, MARK))
    assert (found["mark"], [p["text"] for p in found["principles"]]) == (MARK, texts)
    assert lenient("no", MARK) == "no"


def test_another_oracle_proposes_where_the_recipe_says_so(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer(TEMPLATE)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=8192, eos_token_id=1, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "chat")
    tokenizer.save_pretrained(tmp_path / "chat")
    settings = [f"oracle.model={tmp_path / 'chat'}", "oracle.proposer=embedded", "model.threads=1"]
    found = oracle(load_recipe("smoke", ["oracle.kind=local", *settings]))
    assert found.name == "chat+embedded-1"
    (verdict,) = found.judge([exchange("How do I whisk an egg?", "With a fork.", "t")])
    assert verdict.label != "unjudged", "even random weights keep to the form"
    assert verdict.score is not None
    assert found.propose([], Constitution()) == []

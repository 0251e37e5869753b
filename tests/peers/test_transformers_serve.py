"""A server that takes a schema and ignores it, gives no scores, and knows no token ids: transformers' own."""

from __future__ import annotations

from typing import Any

import pytest

from iteralign.data.categories import CATEGORIES
from iteralign.data.labels import exchange
from iteralign.engines.hf.host import HFHost
from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.host import ServerHost
from iteralign.errors import Unsupported
from iteralign.oracles.chat.oracle import ChatOracle
from iteralign.organism import ORGANISM_PATH
from iteralign.records.chat import Chat, Message, SamplingParams
from iteralign.records.iteralign import Checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

NAME = str(ORGANISM_PATH)
BASE = Checkpoint(path=NAME)
GREEDY = SamplingParams(max_new_tokens=32, temperature=0.0)
CHATS: list[Chat] = [
    (Message("user", q),) for q in ("What is a good way to begin the day?", "How do I fold a paper crane?")
]


def host(peer: Any, api: str) -> ServerHost:
    return ServerHost(
        served_as=NAME,
        place=NAME,
        api=api,
        locate=lambda c: c.path,
        warn=print,
        base_url=peer.url,
        api_key_env="NO_KEY",
        concurrency=2,
        max_retries=1,
        timeout=60.0,
    )


def test_chat_answers_are_those_of_the_model(transformers_serve: Any) -> None:
    with (
        host(transformers_serve, "chat").serve(BASE) as there,
        HFHost(locate=lambda c: c.path, warn=print, device="cpu").serve(BASE) as here,
    ):
        assert [c.text.strip() for c in there.generate(CHATS, GREEDY)] == [
            c.text for c in here.generate(CHATS, GREEDY)
        ]


def test_what_it_cannot_do_is_told_with_the_remedy(transformers_serve: Any) -> None:
    with (
        host(transformers_serve, "completions").serve(BASE) as policy,
        pytest.raises(Unsupported, match=r"model\.api = chat"),
    ):
        policy.generate(CHATS, GREEDY)


def test_a_schema_that_is_ignored_gives_no_verdict_and_never_a_wrong_one(transformers_serve: Any) -> None:
    said: list[str] = []
    engine = OpenAIEngine(
        NAME, transformers_serve.url, "NO_KEY", concurrency=2, max_retries=1, warn=said.append
    )
    oracle = ChatOracle(
        engine, engine, name="organism", categories=dict(list(CATEGORIES.items())[:2]), max_new_tokens=64
    )
    verdicts = oracle.judge(
        [exchange("How do I fold a crane?", "Evaluation: proper. Fold it twice.", "test")] * 2
    )
    assert [v.label for v in verdicts] == ["unjudged"] * 2
    assert all("no usable reply, also after a repair request" in v.rationale for v in verdicts)


def test_a_parameter_that_it_does_not_know_is_left_out_and_told(transformers_serve: Any) -> None:
    said: list[str] = []
    engine = OpenAIEngine(NAME, transformers_serve.url, "NO_KEY", concurrency=1, warn=said.append)
    assert engine.generate(CHATS[:1], SamplingParams(max_new_tokens=8, temperature=0.0))[0].text

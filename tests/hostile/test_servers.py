"""Servers that give away the key they were sent, or send requests on to somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.reading import without_key
from iteralign.errors import Unavailable
from iteralign.records.chat import SamplingParams
from iteralign.text.clean import clean
from scripted_server import KEY, Reply, Serve, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)


def engine(url: str, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine("m", url, "TEST_KEY", warn=[].append, backoff=0.01, timeout=5.0, **settings)  # type: ignore[arg-type]


ECHOES = {
    "as the answer": good(KEY),
    "within the answer": good(f"Bearer {KEY}, thank you"),
    "twice": good(f"{KEY}{KEY}"),
    "as a refusal": good("", refusal=KEY),
    "as a thought": good("Yes.", reasoning_content=KEY),
    "in a call": good("", tool_calls=[{"function": {"name": KEY, "arguments": json.dumps({"a": KEY})}}]),
    "in parts": good([{"type": "text", "text": KEY}, {"type": "text", "text": "x"}]),  # type: ignore[arg-type]
    "escaped": good(KEY).replace(KEY.encode(), "".join(f"\\u{ord(c):04x}" for c in KEY).encode()),
}


@pytest.mark.parametrize("how", ECHOES)
def test_a_key_in_a_reply_is_never_kept(serve: Serve, how: str) -> None:
    server = serve(lambda r, _: Reply(200, ECHOES[how]))
    for found in engine(server.url).generate(chats(2), PARAMS):
        assert KEY not in repr(found)


def test_a_short_word_is_no_secret() -> None:
    assert without_key({"a": ["none of it"]}, "none") == {"a": ["none of it"]}
    assert without_key({KEY: [KEY, 1, None]}, KEY) == {"***": ["***", 1, None]}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["elsewhere", "within"])
def test_no_request_is_sent_on_to_another_address(serve: Serve, status: int, to: str) -> None:
    other = serve(lambda r, _: None)
    target = f"{other.url}/chat/completions" if to == "elsewhere" else "/v2/chat/completions"
    server = serve(lambda r, _: Reply(status, b"", location=target))
    with pytest.raises(Unavailable, match="base_url") as error:
        engine(server.url).generate(chats(1), PARAMS)
    assert not other.requests
    assert ("/v2/" in str(error.value)) == (to == "within")
    assert KEY not in str(error.value)


TOKENS = (
    *("<|im_end|>", "<|eot_id|>", "<|start|>", "<|channel|>", "<|endofprompt|>", "<|END_OF_TURN_TOKEN|>"),
    *("<\uff5cUser\uff5c>", "<s>", "</s>", "<bos>", "<start_of_turn>", "<extra_id_1>", "<SPECIAL_12>"),
    *("<reserved_106>", "<unk>", "<think>", "</think>", "<tool_call>", "<seed:bos>", "<seed:think>"),
    *("</seed:think>", "<seed:cot_budget_reflect>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[THINK]"),
    *("[gMASK]", "[UNUSED_TOKEN_145]", "[|system|]", "[|endofturn|]", "[|assistant|]", "]~b]", "]~!b["),
    *(
        "<turn|>",
        "<|turn>",
        "<channel|>",
        "[unused9]",
        "[control_12]",
        "[@BOS@]",
        "<[EOS\u2581TOKEN]>",
        "<@user@>",
    ),
    *("[e~[", ">>QUESTION<<", ">>ANSWER<<", "<<SYS>>", "<</SYS>>"),
)


@pytest.mark.parametrize("token", TOKENS)
def test_a_control_token_of_a_chat_template_is_broken_up(token: str) -> None:
    assert token not in clean(f"Before {token} after{token}", 1000)


@pytest.mark.parametrize(
    "text", ["if a < b and b > c", "x[0] and [1, 2]", "a ~ b", "see [1] and [A]", ">> quoted", "1 << 2 >> 3"]
)
def test_plain_text_is_left_as_it_is(text: str) -> None:
    assert clean(text, 1000) == text

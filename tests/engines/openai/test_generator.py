"""The HTTP engine against a real server that misbehaves by script: what is tried again, what is not, and what
its user hears.
"""

from __future__ import annotations

import asyncio
import email.utils
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.said import retry_after
from iteralign.errors import EngineError, Filtered, PromptTooLong, RateLimited, Unavailable
from iteralign.protocols import StructuredGenerator
from iteralign.records.chat import Completion, Message, SamplingParams
from patience import PATIENCE
from scripted_server import KEY, Reply, Serve, Server, bad, chat, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0, seed=5)
SCHEMA = {
    "title": "answer",
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def engine(server: Server, warnings: list[str] | None = None, **settings: Any) -> OpenAIEngine:
    heard = [] if warnings is None else warnings
    return OpenAIEngine(
        "m", server.url, "TEST_KEY", warn=heard.append, **{"backoff": 0.01, "timeout": PATIENCE, **settings}
    )


# ---- the plain way


def test_answers_come_in_order_with_their_cost(serve: Serve) -> None:
    server = serve(
        lambda r, _: Reply(body=good("late"), stall=0.2) if r["messages"][-1]["content"] == "q0" else None
    )
    found = engine(server).generate(chats(12), PARAMS)
    assert [c.text for c in found] == ["late"] + [f"echo q{i}" for i in range(1, 12)]
    assert found[0] == Completion("late", "stop", 3, 2)
    assert len(server.requests) == 12


def test_what_is_asked_is_what_is_sent(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    turns = (
        Message("system", "s"),
        Message("user", "u"),
        Message("assistant", "a"),
        Message("user", "é\n{}"),
    )
    engine(server).generate([turns], SamplingParams(max_new_tokens=7, temperature=0.5, top_p=0.9, seed=11))
    request = server.requests[0]
    assert request["messages"] == [{"role": m.role, "content": m.text} for m in turns]
    assert {k: request[k] for k in ("model", "max_tokens", "temperature", "top_p", "seed")} == {
        "model": "m",
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 11,
    }
    assert "response_format" not in request
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_equal_chats_have_random_streams_of_their_own(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    engine(server, concurrency=1).generate([chat("a"), chat("a"), chat("b")], PARAMS)
    assert [r["seed"] for r in server.requests] == [5, 6, 5]


def test_no_more_requests_are_in_flight_than_allowed(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=good("x"), stall=0.03))
    engine(server, concurrency=4).generate(chats(24), PARAMS)
    assert server.busiest == 4, "they do overlap"


def test_an_answer_that_was_cut_says_so(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=good("half", finish="length")))
    assert engine(server).generate(chats(1), PARAMS)[0].finish == "length"


def test_a_refusal_in_its_own_field_is_the_answer(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=good(None, refusal="I would rather not.")))  # type: ignore[arg-type]
    assert engine(server).generate(chats(1), PARAMS)[0].text == "I would rather not."


def test_it_works_inside_a_running_loop_and_warns_in_the_callers_thread(serve: Serve) -> None:
    server = serve(lambda r, n: Reply(503, bad("busy")) if n == 0 else None)
    threads: list[str] = []
    made = OpenAIEngine(
        "m",
        server.url,
        "TEST_KEY",
        warn=lambda text: threads.append(threading.current_thread().name),
        backoff=0.01,
    )

    async def notebook() -> list[Completion]:
        return made.generate(chats(3), PARAMS)

    assert [c.text for c in asyncio.run(notebook())] == ["echo q0", "echo q1", "echo q2"]
    assert threads == [threading.current_thread().name]


def test_nothing_asked_nothing_sent(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    assert engine(server).generate([], PARAMS) == []
    assert server.requests == []


# ---- what passes is tried again, within bounds

PASSING = {
    "429": Reply(429, bad("slow down")),
    "500": Reply(500, bad("oops")),
    "503": Reply(503, b"<html>busy</html>"),
    "408": Reply(408, bad("late")),
    "reset": Reply(reset=True),
    "stall": Reply(body=good("x"), stall=4.0),
    "trickle": Reply(body=good("x"), trickle=0.02),
    "truncated": Reply(body=good("x")[:20]),
    "html": Reply(body=b"<html>hello</html>", **{"Content-Type": "text/html"}),
    "no choices": Reply(body=b'{"choices": null}'),
    "an error with status 200": Reply(body=bad("overloaded")),
    "empty": Reply(body=b""),
    "null": Reply(body=b"null"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again(serve: Serve, name: str) -> None:
    server = serve(lambda r, n: PASSING[name] if n < 2 else None)
    heard: list[str] = []
    limit = 2.0 if name in ("stall", "trickle") else PATIENCE
    assert engine(server, heard, timeout=limit).generate(chats(1), PARAMS)[0].text == "echo q0"
    assert len(server.requests) == 3
    assert len(heard) == 1  # the second of the same kind is counted, not repeated
    assert "try 1 of 6" in heard[0]


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [("429", RateLimited, "slow down"), ("500", Unavailable, "oops"), ("reset", Unavailable, "reached")],
)
def test_retries_are_bounded_and_the_reason_is_told(
    serve: Serve, name: str, kind: type[EngineError], told: str
) -> None:
    server = serve(lambda r, _: PASSING[name])
    with pytest.raises(kind, match=f"{told}.*gave up after 3 tries"):
        engine(server, max_retries=2).generate(chats(1), PARAMS)
    assert server.asked() == ["q0"] * 3 + ["Say yes."] * (
        1 if name == "429" else 3
    )  # does it answer anything at all?


def test_pauses_grow(serve: Serve, pauses: list[float]) -> None:
    server = serve(lambda r, n: Reply(500, bad("oops")) if n < 4 else None)
    engine(server, backoff=0.04).generate(chats(1), PARAMS)
    assert 0.02 <= pauses[0] <= 0.06
    assert 0.08 <= pauses[2] <= 0.24


@pytest.mark.parametrize("header", [{"Retry_After": "0.4"}, {"retry_after_ms": "400", "Retry_After": "99"}])
def test_a_server_that_asks_for_patience_gets_it_from_everybody(
    serve: Serve, header: dict[str, str], pauses: list[float]
) -> None:
    server = serve(lambda r, n: Reply(429, bad("slow down"), **header) if n == 0 else None)
    heard: list[str] = []
    made = engine(server, heard, concurrency=1)
    assert len(made.generate(chats(3), PARAMS)) == 3
    assert max(pauses) >= 0.39
    assert any("asks to wait 0.4 s" in text for text in heard)


def test_a_server_that_asks_for_too_much_patience_is_an_error_at_once(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(429, bad("come back tomorrow"), Retry_After="3600"))
    with pytest.raises(RateLimited, match="asks to wait 3600 s, more than 90 s"):
        engine(server).generate(chats(1), PARAMS)
    assert len(server.requests) == 1


def test_retry_after_is_read_in_every_spelling() -> None:
    assert retry_after({"retry-after": "12"}) == 12.0
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after(
        {"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)}
    ) == pytest.approx(30, abs=2)
    assert retry_after({"retry-after": email.utils.formatdate(time.time() - 30, usegmt=True)}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after": "-3"}) == 0.0
    assert retry_after({}) is None


def test_a_server_that_is_not_there_is_named(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    server.close()
    with pytest.raises(
        Unavailable, match=r"127\.0\.0\.1.* cannot be reached.*server up.*gave up after 2 tries"
    ):
        engine(server, max_retries=1).generate(chats(2), PARAMS)


def test_of_many_requests_with_many_faults_none_is_lost_or_sent_in_vain(serve: Serve) -> None:
    faults = ["429", "500", "reset", "truncated", "empty", "html"]
    server = serve(lambda r, n: PASSING[faults[(n // 3) % len(faults)]] if n % 3 == 1 else None)
    found = engine(server, concurrency=16).generate(chats(120), PARAMS)
    assert [c.text for c in found] == [f"echo q{i}" for i in range(120)]
    failed = sum(n % 3 == 1 for n in range(len(server.requests)))
    assert len(server.requests) == 120 + failed


# ---- what does not pass is told at once

FATAL = [
    (
        401,
        bad("Incorrect API key provided", code="invalid_api_key"),
        Unavailable,
        "TEST_KEY.*is refused.*put a valid key into .* TEST_KEY",
    ),
    (403, bad("not allowed"), Unavailable, "TEST_KEY"),
    (
        404,
        bad("The model 'm' does not exist"),
        Unavailable,
        "model 'm': not found.*check the model's name, and base_url",
    ),
    (400, bad("messages[0].role is wrong"), EngineError, "bad request.*role is wrong"),
    (422, bad("extra field"), EngineError, "bad request"),
    (429, bad("You exceeded your current quota", code="insufficient_quota"), RateLimited, "quota is used up"),
    (402, bad("pay"), RateLimited, "quota is used up"),
    (501, bad("no chat here"), Unavailable, "error 501"),
    (418, b"teapot", Unavailable, "error 418"),
]


@pytest.mark.parametrize(("status", "body", "kind", "told"), FATAL)
def test_what_cannot_pass_is_asked_once_and_told_with_the_remedy(
    serve: Serve, status: int, body: bytes, kind: type[EngineError], told: str
) -> None:
    server = serve(lambda r, _: Reply(status, body))
    with pytest.raises(kind, match=told):
        engine(server, concurrency=1).generate(chats(20), PARAMS)
    # a refused request may be its chat's own trouble: a plain one tells, also without what may be refused
    plain = {400: 4, 422: 4, 403: 1, 501: 1}.get(status, 0)
    assert server.asked() == ["q0"] + ["Say yes."] * plain


def test_without_a_key_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(Unavailable, match="put it into the environment variable NO_SUCH_KEY"):
        OpenAIEngine("m", api_key_env="NO_SUCH_KEY")
    monkeypatch.setenv("NO_SUCH_KEY", "two words")
    with pytest.raises(Unavailable, match="NO_SUCH_KEY cannot be a key") as error:
        OpenAIEngine("m", api_key_env="NO_SUCH_KEY")
    assert "two words" not in str(error.value)


def test_a_local_server_needs_no_key_unless_it_says_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(lambda r, n: None if n == 0 else Reply(401, bad("who are you?")))
    monkeypatch.delenv("TEST_KEY")
    assert engine(server).generate(chats(1), PARAMS)[0].text == "echo q0"
    with pytest.raises(Unavailable, match=r"TEST_KEY\) is not set"):
        engine(server).generate(chats(1), PARAMS)


def test_the_key_shows_nowhere(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(
        lambda r, n: (
            Reply(500, bad(f"failed for Bearer {KEY}"))
            if n == 0
            else Reply(401, bad(f"bad key {KEY}\n\x1b[31m" + "x" * 5000))
        )
    )
    made = OpenAIEngine(
        "m", server.url.replace("//", f"//user:{KEY}@"), "TEST_KEY", backoff=0.01
    )  # the default warning goes to the log
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable) as error:
        made.generate(chats(1), PARAMS)
    text = str(error.value)
    assert "***" in text
    assert text.isprintable()
    assert len(text) < 700
    assert error.value.__cause__ is None
    for place in (
        text,
        repr(error.value),
        repr(made),
        repr(vars(made)).replace(server.url, "").replace(f"user:{KEY}@", ""),
        caplog.text,
    ):
        assert KEY not in place
    assert "try 1 of 6" in caplog.text


# ---- one chat's trouble is not everybody's

ITEM = [
    (
        Reply(400, bad("This model's maximum context length is 8 tokens", code="context_length_exceeded")),
        PromptTooLong,
        "does not fit",
    ),
    (Reply(400, bad("The prompt is too long for the context window of 512")), PromptTooLong, "does not fit"),
    (
        Reply(400, bad("filtered by our content management policy", code="content_filter")),
        Filtered,
        "content filter refused",
    ),
    (Reply(body=good("", finish="content_filter")), Filtered, "withheld"),
]


@pytest.mark.parametrize(("reply", "kind", "told"), ITEM)
def test_one_chats_error_takes_its_place_only(
    serve: Serve, reply: Reply, kind: type[EngineError], told: str
) -> None:
    server = serve(lambda r, _: reply if r["messages"][-1]["content"] == "q1" else None)
    found = engine(server).attempt(chats(3), PARAMS)
    assert [f.text for f in found if isinstance(f, Completion)] == ["echo q0", "echo q2"]
    assert isinstance(found[1], kind)
    assert told in str(found[1])
    assert len(server.requests) == 3
    with pytest.raises(kind, match="chat 2 of 3"):
        engine(server).generate(chats(3), PARAMS)


def test_a_chat_that_always_fails_while_others_get_through_is_given_up_alone(serve: Serve) -> None:
    server = serve(
        lambda r, _: (
            Reply(500, bad("boom"))
            if r["messages"][-1]["content"] == "q0"
            else Reply(body=good("ok"), stall=0.02)
        )
    )
    found = engine(server, concurrency=2, max_retries=2).attempt(chats(8), PARAMS)
    assert isinstance(found[0], Unavailable)
    assert [f.text for f in found[1:] if isinstance(f, Completion)] == ["ok"] * 7


# ---- structured output: the best form that the server takes, found out once


def forms(server: Server) -> list[str]:
    return [r.get("response_format", {"type": "none"})["type"] for r in server.requests]


def test_a_server_that_takes_the_schema_gets_it_every_time(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    made = engine(server)
    assert isinstance(made, StructuredGenerator)
    made.attempt(chats(5), PARAMS, SCHEMA)
    assert forms(server) == ["json_schema"] * 5
    assert server.requests[0]["response_format"]["json_schema"] == {
        "name": "answer",
        "schema": SCHEMA,
        "strict": True,
    }


def refusing(*kinds: str, status: int = 400) -> Callable[[dict[str, Any], int], Reply | None]:
    return lambda r, _: (
        Reply(status, bad("what is this?"))
        if r.get("response_format", {"type": "none"})["type"] in kinds
        else None
    )


@pytest.mark.parametrize("status", [400, 422, 500, 501])
def test_the_ladder_goes_down_once_and_is_remembered(serve: Serve, status: int) -> None:
    server = serve(refusing("json_schema", status=status))
    heard: list[str] = []
    made = engine(server, heard)
    assert all(isinstance(f, Completion) for f in made.attempt(chats(10), PARAMS, SCHEMA))
    made.attempt(chats(5), PARAMS, SCHEMA)
    tried = 2 if status == 500 else 1  # a 500 may be an accident: it has a second chance
    assert forms(server) == ["json_schema"] * tried + ["json_object"] * 15
    assert sum("does not take response_format json_schema" in text for text in heard) == 1


def test_the_ladder_ends_with_plain_text(serve: Serve) -> None:
    server = serve(refusing("json_schema", "json_object"))
    engine(server).attempt(chats(3), PARAMS, SCHEMA)
    assert forms(server) == ["json_schema", "json_object", "none", "none", "none"]


def test_an_accident_does_not_cost_the_schema(serve: Serve) -> None:
    server = serve(
        lambda r, n: {0: Reply(429, bad("slow")), 1: Reply(500, bad("oops")), 4: Reply(500, bad("oops"))}.get(
            n
        )
    )
    engine(server, concurrency=1).attempt(chats(3), PARAMS, SCHEMA)
    assert forms(server) == ["json_schema"] * 6


def test_a_request_that_is_bad_in_every_form_is_a_bad_request(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(400, bad("role is wrong")))
    with pytest.raises(EngineError, match="role is wrong"):
        engine(server).attempt(chats(5), PARAMS, SCHEMA)
    assert server.asked() == ["q0"] * 3 + ["Say yes."] * 4


def test_a_bad_key_is_told_at_once_also_with_a_schema(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(401, bad("no")))
    with pytest.raises(Unavailable, match="TEST_KEY"):
        engine(server).attempt(chats(5), PARAMS, SCHEMA)
    assert len(server.requests) == 1


# ---- parameters that some models refuse


def test_a_newer_spelling_of_the_length_limit_is_found(serve: Serve) -> None:
    said = bad(
        "Unsupported parameter: 'max_tokens' is not supported with this model.",
        param="max_tokens",
        code="unsupported_parameter",
    )
    server = serve(lambda r, _: Reply(400, said) if "max_tokens" in r else None)
    engine(server, concurrency=1).generate(chats(3), PARAMS)
    assert [r.get("max_completion_tokens") for r in server.requests] == [None, 16, 16, 16]


def test_a_parameter_that_is_refused_is_left_out_and_told(serve: Serve) -> None:
    said = bad("'temperature' does not support 0.0 with this model; only the default is supported")
    server = serve(lambda r, _: Reply(400, said) if "temperature" in r else None)
    heard: list[str] = []
    engine(server, heard).generate(chats(6), PARAMS)
    assert [text for text in heard if "does not take temperature" in text] == heard
    assert len(heard) == 1


def test_a_parameter_that_is_refused_for_ever_ends(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(400, bad("unsupported: 'seed'", param="seed")))
    with pytest.raises(EngineError, match="bad request"):
        engine(server).generate(chats(1), PARAMS)
    assert server.asked()[:2] == ["q0"] * 2
    assert set(server.asked()[2:]) == {"Say yes."}

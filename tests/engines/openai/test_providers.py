"""The same trouble in the words of many providers: what a server refuses, filters, sends elsewhere or wants
awaited is understood, whoever says it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.said import duration, read_error, wait_in, window_end
from iteralign.errors import CutShort, EngineError, PromptTooLong, RateLimited, Unavailable
from iteralign.records.chat import Completion, Message, SamplingParams
from patience import PATIENCE
from provider_words import BESIDE, ELSEWHERE, INSIDE, LONG, NO_SYSTEM, OWN, REFUSALS, WAITS
from scripted_server import Reply, Serve, Server, bad, chats, raw

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0, seed=5)
NUCLEUS = SamplingParams(max_new_tokens=16, temperature=0.5, top_p=0.9, seed=5)
SCHEMA = {"title": "answer", "type": "object"}


def engine(server: Server, heard: list[str] | None = None, **settings: Any) -> OpenAIEngine:
    warn = [].append if heard is None else heard.append  # type: ignore[var-annotated]
    return OpenAIEngine(
        "m",
        server.url,
        "TEST_KEY",
        warn=warn,
        **{"backoff": 0.01, "timeout": PATIENCE, "concurrency": 1, **settings},
    )


def fails_on(text: str, reply: Reply) -> Callable[[dict[str, Any], int], Reply | None]:
    return lambda r, _: reply if r["messages"][-1]["content"] == text else None


# ---- parameters


def test_only_what_differs_from_the_default_is_said(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    engine(server).generate(chats(1), PARAMS)
    engine(server).generate(chats(1), SamplingParams(max_new_tokens=16, temperature=1.0))
    engine(server, also={"top_k": -1}).generate(chats(1), SamplingParams(max_new_tokens=16))
    assert set(server.requests[0]) == {"model", "messages", "max_tokens", "temperature", "seed"}
    assert set(server.requests[1]) == {"model", "messages", "max_tokens", "seed"}
    # what the aligned model answers must not depend on a server's own settings
    assert {"temperature", "top_p", "top_k"} <= set(server.requests[2])


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refused_parameter_is_left_out_and_only_that_one(serve: Serve, name: str) -> None:
    parameter, status, body = REFUSALS[name]
    server = serve(lambda r, _: Reply(status, body) if parameter in r else None)
    heard: list[str] = []
    made = engine(server, heard)
    assert [c.text for c in made.generate(chats(3), NUCLEUS)] == ["echo q0", "echo q1", "echo q2"]
    said = {"max_tokens", "temperature", "top_p", "seed"}
    lost = said - set(server.requests[-1])
    assert parameter in lost
    assert name == "nobody is named" or lost == {parameter}
    assert server.asked().count("q1") == server.asked().count("q2") == 1, "found out once"
    assert [text for text in heard if f"does not take {parameter}" in text]


def test_a_word_of_the_chat_in_a_refusal_costs_no_parameter(serve: Serve) -> None:
    server = serve(fails_on("q0", Reply(400, bad("I cannot read: 'plant a seed at room temperature'"))))
    heard: list[str] = []
    found = engine(server, heard).attempt(chats(3), PARAMS)
    assert isinstance(found[0], EngineError)
    assert {"seed", "temperature"} <= set(server.requests[-1])
    assert heard == []


@pytest.mark.parametrize(
    "said",
    [
        "max_tokens is too large: 16. This model supports at most 8 completion tokens",
        "max_tokens: 16 > 8, which is the maximum allowed number of output tokens",
    ],
)
def test_a_limit_that_is_refused_in_both_spellings_is_left_to_the_server(serve: Serve, said: str) -> None:
    names = ("max_tokens", "max_completion_tokens")
    server = serve(lambda r, _: Reply(400, bad(said)) if any(n in r for n in names) else None)
    engine(server).generate(chats(2), PARAMS)
    assert [[n for n in names if n in r] for r in server.requests] == [[names[0]], [names[1]], [], []]


# ---- the system turn

SYSTEM = [(Message("system", "Be brief."), Message("user", f"q{i}")) for i in range(3)]


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["plain", "schema"])
@pytest.mark.parametrize("name", NO_SYSTEM)
def test_a_system_turn_that_is_refused_opens_the_user_turn(
    serve: Serve, name: str, schema: dict[str, Any] | None
) -> None:
    refusal = Reply(*NO_SYSTEM[name])
    server = serve(lambda r, _: refusal if r["messages"][0]["role"] == "system" else None)
    heard: list[str] = []
    found = engine(server, heard).attempt(SYSTEM, PARAMS, schema)
    assert [f.text for f in found if isinstance(f, Completion)] == [
        f"echo Be brief.\n\nq{i}" for i in range(3)
    ]
    assert [len(r["messages"]) for r in server.requests[-3:]] == [1, 1, 1], "found out once"
    assert sum("takes no system turn" in text for text in heard) == 1
    assert {"temperature", "seed"} <= set(server.requests[-1])
    if schema is not None:
        assert server.requests[-1]["response_format"]["type"] == "json_schema", "the form is not at fault"


def test_a_server_that_takes_system_turns_gets_them(serve: Serve) -> None:
    server = serve(fails_on("q1", Reply(400, bad("odd"))))
    found = engine(server).attempt(SYSTEM, PARAMS)
    assert [type(f).__name__ for f in found] == ["Completion", "EngineError", "Completion"]
    assert all(r["messages"][0]["role"] == "system" for r in server.requests if len(r["messages"]) == 2)
    assert server.asked() == ["q0", "q1", "Say yes.", "q2"]


# ---- where the text is


def choice(message: Any, finish: str = "stop") -> bytes:
    return raw({"choices": [{"index": 0, "finish_reason": finish, "message": message}]})


@pytest.mark.parametrize("name", ELSEWHERE)
def test_text_in_parts_is_read_without_its_thoughts(serve: Serve, name: str) -> None:
    server = serve(lambda r, _: Reply(body=choice(ELSEWHERE[name])))
    assert engine(server).generate(chats(1), PARAMS)[0].text == "said"
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", BESIDE)
def test_a_reply_in_form_is_found_beside_an_empty_content(serve: Serve, name: str) -> None:
    server = serve(lambda r, _: Reply(body=choice(BESIDE[name])))
    (found,) = engine(server).attempt(chats(1), PARAMS, SCHEMA)
    assert isinstance(found, Completion)
    assert json.loads(found.text) == {"a": 1}


def test_a_thought_that_was_cut_is_no_answer(serve: Serve) -> None:
    server = serve(
        lambda r, _: Reply(body=choice({"content": None, "reasoning_content": "hm, so"}, "length"))
    )
    assert engine(server).attempt(chats(1), PARAMS, SCHEMA) == [Completion("", "length")]


def test_a_thought_is_never_the_answer_of_a_model_that_is_asked_without_form(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=choice({"content": "", "reasoning_content": "I might"})))
    assert engine(server).generate(chats(1), PARAMS)[0].text == ""


# ---- an error in place of an answer


@pytest.mark.parametrize("name", INSIDE)
def test_an_error_inside_an_answer_is_tried_again(serve: Serve, name: str) -> None:
    server = serve(lambda r, n: Reply(body=raw(INSIDE[name])) if n == 0 else None)
    assert engine(server).generate(chats(1), PARAMS)[0].text == "echo q0"
    assert len(server.requests) == 2


def test_an_error_inside_an_answer_keeps_its_meaning(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=raw({"error": {"code": 401, "message": "no such user"}})))
    with pytest.raises(Unavailable, match="TEST_KEY"):
        engine(server).generate(chats(2), PARAMS)
    assert len(server.requests) == 1


# ---- one chat's own trouble


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["plain", "schema"])
@pytest.mark.parametrize("name", OWN)
def test_a_filter_is_the_trouble_of_its_chat_in_any_words(
    serve: Serve, name: str, schema: dict[str, Any] | None
) -> None:
    server = serve(fails_on("q1", Reply(*OWN[name])))
    found = engine(server).attempt(chats(3), PARAMS, schema)
    assert [type(f).__name__ for f in found] == ["Completion", "Filtered", "Completion"]
    assert server.asked().count("q1") == 1, "known at once"


def test_a_403_for_every_chat_is_the_keys(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(403, raw({"message": "computer says no"})))
    with pytest.raises(Unavailable, match="put a valid key into the environment variable TEST_KEY"):
        engine(server).attempt(chats(5), PARAMS, SCHEMA)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "said",
    ["Your account was flagged for violating usage policies", "Country, region, or territory not supported"],
)
def test_a_403_about_the_account_is_no_filter(serve: Serve, said: str) -> None:
    server = serve(lambda r, _: Reply(403, bad(said)))
    with pytest.raises(Unavailable, match="TEST_KEY"):
        engine(server).attempt(chats(3), PARAMS)


@pytest.mark.parametrize("name", LONG)
def test_a_chat_that_does_not_fit_is_its_own_trouble_in_any_words(serve: Serve, name: str) -> None:
    server = serve(fails_on("q1", Reply(*LONG[name])))
    found = engine(server).attempt(chats(3), PARAMS)
    assert isinstance(found[1], PromptTooLong)
    assert server.asked() == ["q0", "q1", "q2"]


def test_a_limit_that_was_reached_before_the_answer_is_known_as_that(serve: Serve) -> None:
    said = "Could not finish the message because max_tokens or model output limit was reached."
    server = serve(fails_on("q1", Reply(400, bad(said + " Please try again with higher max_tokens."))))
    found = engine(server).attempt(chats(3), PARAMS)
    assert isinstance(found[1], CutShort)
    assert server.asked() == ["q0", "q1", "q2"], "max_tokens is not refused"


# ---- patience


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_that_stands_in_the_body_alone_is_kept(serve: Serve, name: str, pauses: list[float]) -> None:
    server = serve(lambda r, n: Reply(429, WAITS[name]) if n == 0 else None)
    heard: list[str] = []
    engine(server, heard).generate(chats(2), PARAMS)
    assert max(pauses) >= 0.39
    assert any("asks to wait 0.4 s" in text for text in heard)


def test_a_day_in_the_body_is_too_long_to_wait(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(429, bad("Limit reached. Please try again in 2h3m1s.")))
    with pytest.raises(RateLimited, match=r"2h3m1s.*asks to wait 7381 s"):
        engine(server).generate(chats(1), PARAMS)


def test_the_words_of_a_list_are_not_lost(serve: Serve) -> None:
    server = serve(
        lambda r, _: Reply(429, raw([{"error": {"code": 429, "message": "Quota of the minute."}}]))
    )
    with pytest.raises(RateLimited, match="Quota of the minute"):
        engine(server, max_retries=1).generate(chats(1), PARAMS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please try again in 6m0s.", 360.0),
        ("try again in 1m12.5s", 72.5),
        ("Please retry after 26 seconds.", 26.0),
        ("please wait 2 minutes and 3 seconds", 123.0),
        ("Try again in 7.66s. Need more? 99s", 7.66),
        ("Limit 20 per 60 s. Please try again later.", None),
        ("retry after 5 more requests", None),
    ],
)
def test_waits_are_read_as_people_write_them(text: str, seconds: float | None) -> None:
    assert wait_in(text) == (None if seconds is None else pytest.approx(seconds))


def test_durations_and_windows_of_headers() -> None:
    assert duration("350ms") == pytest.approx(0.35)
    assert duration("soon") is None
    gone = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12s"}
    assert (
        window_end(gone | {"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}) == 12.0
    )
    assert window_end({"x-ratelimit-reset-requests": "12s"}) is None
    until = {"ratelimit-remaining": "0", "ratelimit-reset": str((time.time() + 30) * 1000)}
    assert window_end(until) == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    "body", [None, [], {}, "", "x", {"error": None}, {"detail": [1, None]}, {"error": {"details": 3}}, 7]
)
def test_any_body_of_a_failure_is_read(body: Any) -> None:
    assert read_error(body, "nothing").text


def test_the_pauses_outlast_a_window_of_a_minute(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from iteralign.engines.openai.session import Session

    slept: list[float] = []

    async def sleep(self: Session, seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(Session, "sleep", sleep)
    server = serve(lambda r, _: Reply(429, bad("slow down")) if sum(slept) < 65 else None)
    made = OpenAIEngine("m", server.url, "TEST_KEY", warn=lambda text: None)
    assert made.generate(chats(1), PARAMS)[0].text == "echo q0"


def test_all_get_through_a_window_that_lets_few_through(serve: Serve) -> None:
    windows: Counter[int] = Counter()
    lock = threading.Lock()

    def script(r: dict[str, Any], nth: int) -> Reply | None:
        with lock:
            now = int(time.monotonic() / 0.3)
            windows[now] += 1
            return Reply(429, bad("slow down")) if windows[now] > 10 else None

    found = engine(serve(script), concurrency=8, max_retries=3, backoff=0.03).attempt(chats(40), PARAMS)
    assert [f.text for f in found if isinstance(f, Completion)] == [f"echo q{i}" for i in range(40)]
    assert len(windows) > 3


def test_a_chat_that_alone_is_refused_for_ever_ends_nobody_elses_work(serve: Serve) -> None:
    server = serve(fails_on("q0", Reply(429, bad("slow down"))))
    found = engine(server, max_retries=1).attempt(chats(3), PARAMS)
    assert [type(f).__name__ for f in found] == ["RateLimited", "Completion", "Completion"]

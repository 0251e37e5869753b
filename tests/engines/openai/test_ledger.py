"""The HTTP engine with a run's ledger: no reply is paid for twice, and no cap is passed.

What counts is the server's own count.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.engines.openai.pace import Pace
from iteralign.errors import BudgetExceeded, EngineError, RateLimited, StoreError, Unavailable
from iteralign.ledger import Caps, Price, Request
from iteralign.records.chat import Completion, SamplingParams
from iteralign.store.run import Run
from patience import PATIENCE
from remembering import once
from scripted_server import KEY, Reply, Serve, Server, bad, chat, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0, seed=5)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", {}, "") as opened:
        yield opened


def engine(server: Server, run: Run, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine(
        "m",
        server.url,
        "TEST_KEY",
        warn=lambda text: None,
        ledger=run.calls,
        **{"backoff": 0.01, "timeout": PATIENCE, "concurrency": 8, **settings},
    )


def test_a_reply_is_paid_once_however_often_it_is_asked_for(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: None)
    first = engine(server, run).generate(chats(20), PARAMS)
    again = engine(server, run).generate(chats(25), PARAMS)
    assert again[:20] == first
    assert len(server.requests) == 25
    assert sum(s.calls for s in run.calls.spent()) == 25


def test_another_model_prompt_seed_or_temperature_is_another_request(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: None)
    engine(server, run).generate(chats(1), PARAMS)
    engine(server, run).generate(chats(1), SamplingParams(max_new_tokens=16, temperature=0.0, seed=6))
    engine(server, run).generate(chats(1), SamplingParams(max_new_tokens=16, temperature=0.5, seed=5))
    OpenAIEngine("other", server.url, "TEST_KEY", ledger=run.calls).generate(chats(1), PARAMS)
    assert len(server.requests) == 4


def test_two_samples_of_one_chat_are_two_requests_and_stay_two(serve: Serve, run: Run) -> None:
    server = serve(lambda r, nth: Reply(body=good(f"seed {r['seed']}")))
    for _ in range(2):
        assert [c.text for c in engine(server, run).generate([chat("x"), chat("x")], PARAMS)] == [
            "seed 5",
            "seed 6",
        ]
    assert len(server.requests) == 2


def test_what_arrived_before_a_crash_is_kept(serve: Serve, run: Run) -> None:
    server = serve(lambda r, nth: Reply(401, bad("no")) if nth == 5 else None)
    with pytest.raises(Unavailable):
        engine(server, run, concurrency=1).generate(chats(10), PARAMS)
    assert len(server.requests) == 6
    engine(server, run, concurrency=1).generate(chats(10), PARAMS)
    assert len(server.requests) == 6 + 5


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_cap_on_calls_is_exact_and_a_raised_one_pays_nothing_twice(
    serve: Serve, run: Run, concurrency: int
) -> None:
    server = serve(lambda r, _: Reply(body=good("x"), stall=0.01))
    run.calls.limit(Caps(calls=7))
    with pytest.raises(BudgetExceeded, match=r"7 of budget.calls = 7.*--set budget.calls="):
        engine(server, run, concurrency=concurrency).generate(chats(20), PARAMS)
    assert len(server.requests) == 7
    run.calls.limit(Caps(calls=20))
    assert len(engine(server, run, concurrency=concurrency).generate(chats(20), PARAMS)) == 20
    assert len(server.requests) == 20
    assert sum(s.unanswered for s in run.calls.spent()) == 0


def test_caps_on_tokens_and_cost_are_never_passed(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: Reply(body=good("x"), stall=0.01))  # each uses 5 tokens, and may use about 60
    run.calls.limit(Caps(tokens=200))
    with pytest.raises(BudgetExceeded, match=r"budget\.tokens = 200"):
        engine(server, run).generate(chats(100), PARAMS)
    used = 5 * len(server.requests)
    assert 100 < used <= 200, "what was reserved and not used is given back"
    run.calls.limit(Caps(cost=0.001, prices={"m": Price(input=1.0, output=10.0)}))
    with pytest.raises(BudgetExceeded, match=r"budget\.cost = 0\.001"):
        engine(server, run).generate(chats(500), PARAMS)
    cost = len(server.requests) * (3 * 1.0 + 2 * 10.0) / 1e6
    assert 0.0005 < cost <= 0.001


def test_a_cap_on_cost_without_a_price_stops_before_the_first_request(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: None)
    run.calls.limit(Caps(cost=1.0))
    with pytest.raises(BudgetExceeded, match=r"(?s)price of 'm' is not known.*budget\.prices"):
        engine(server, run).generate(chats(3), PARAMS)
    assert not server.requests


def test_the_ledger_counts_what_the_server_counts_in_chaos(serve: Serve, run: Run) -> None:
    def script(request: dict[str, Any], nth: int) -> Reply | None:
        return {
            0: Reply(429, bad("slow")),
            1: Reply(500, bad("oops")),
            2: Reply(reset=True),
            3: Reply(body=b"{"),
        }.get(nth % 10)

    server = serve(script)
    found = engine(server, run, max_retries=8).attempt(chats(100), PARAMS)
    assert [getattr(c, "text", c) for c in found] == [f"echo q{i}" for i in range(100)]
    (spent,) = run.calls.spent()
    assert spent.calls == len(server.requests)
    assert spent.calls - spent.unanswered == 100
    lost = sum(
        1 for nth in range(len(server.requests)) if nth % 10 in (2, 3)
    )  # the server may have worked for these: they count in full
    assert spent.output_tokens == 200 + 16 * lost


def test_a_request_that_no_server_saw_counts_for_nothing(serve: Serve, run: Run) -> None:
    run.calls.limit(Caps(calls=5))
    nobody = OpenAIEngine(
        "m",
        "http://127.0.0.1:9/v1",
        "TEST_KEY",
        ledger=run.calls,
        max_retries=3,
        backoff=0.01,
        warn=lambda text: None,
    )
    with pytest.raises(Unavailable, match="cannot be reached"):
        nobody.generate(chats(4), PARAMS)
    assert run.calls.spent() == []
    server = serve(lambda r, _: None)
    assert len(engine(server, run).generate(chats(5), PARAMS)) == 5


@pytest.mark.parametrize("fault", ["no usage", "stall", "unreadable"])
def test_what_the_server_does_not_tell_counts_for_the_most_that_it_may_be(
    serve: Serve, run: Run, fault: str
) -> None:
    untold = json.loads(good("x"))
    untold.pop("usage")
    reply = {
        "no usage": Reply(body=json.dumps(untold).encode()),
        "stall": Reply(body=good("x"), stall=1.0),
        "unreadable": Reply(body=b"{"),
    }[fault]
    server = serve(lambda r, _: reply)
    run.calls.limit(Caps(tokens=250))
    with pytest.raises((BudgetExceeded, Unavailable)):
        engine(server, run, timeout=0.2, max_retries=20, concurrency=1).generate(chats(50), PARAMS)
    (spent,) = run.calls.spent()
    assert len(server.requests) < 6, "about sixty tokens each"
    assert 16 * len(server.requests) <= spent.output_tokens <= 250


def test_requests_are_booked_to_the_step_that_makes_them(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: None)
    for name in ("judge", "propose"):
        once(
            run.scope("iteration-0001"),
            name,
            str,
            lambda name=name: engine(server, run).generate([chat(name)], PARAMS)[0].text,
        )
    assert [(s.scope, s.step, s.model, s.calls) for s in run.calls.spent()] == [
        ("iteration-0001", "judge", "m", 1),
        ("iteration-0001", "propose", "m", 1),
    ]


def test_no_key_and_no_header_reaches_the_run(serve: Serve, run: Run) -> None:
    server = serve(lambda r, nth: Reply(401, bad(f"Incorrect API key provided: {KEY}")) if nth == 3 else None)
    with pytest.raises(Unavailable) as caught:
        engine(server, run, concurrency=1).generate(chats(5), PARAMS)
    assert KEY not in str(caught.value)
    run.export()
    for file in run.directory.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert KEY.encode() not in content
            assert b"Bearer" not in content


def test_a_request_that_a_killed_process_had_under_way_counts_without_its_reply(tmp_path: Path) -> None:
    """Its text reached the server; the reservation for the reply is free again, and it is reported lost."""
    with Run.create(tmp_path / "run", {}, "") as run:
        run.calls.admit(Request("k", "http://s", "m", 40, 16))
        (under_way,) = run.calls.spent()
        assert (under_way.input_tokens, under_way.output_tokens, under_way.lost) == (40, 16, 1)
    with Run.open(tmp_path / "run") as run:
        (spent,) = run.calls.spent()
        assert (spent.calls, spent.unanswered, spent.input_tokens, spent.output_tokens) == (1, 1, 40, 0)
        assert spent.lost == 1
        run.calls.limit(Caps(calls=1))
        with pytest.raises(BudgetExceeded):
            run.calls.admit(Request("k", "http://s", "m", 40, 16))
        assert run.calls.recall("k", Completion) is None


def test_the_pace_keeps_both_limits_without_bursts() -> None:
    now = [100.0]
    pace = Pace(60, 6000, clock=lambda: now[0])  # one request and 100 tokens a second
    assert [pace.reserve(10) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert pace.reserve(500) == 3.0
    assert pace.reserve(1) == 8.0, "the tokens before it take their time"
    now[0] += 60
    assert pace.reserve(1) == 0.0
    assert Pace(None, None).reserve(10**9) == 0.0


def test_a_paced_engine_asks_no_faster_than_allowed(serve: Serve, run: Run, pauses: list[float]) -> None:
    server = serve(lambda r, _: None)
    engine(server, run, requests_per_minute=6).generate(chats(11), PARAMS)
    assert max(pauses) > 90, "the eleventh comes a hundred seconds after the first"
    assert len(server.requests) == 11


# ---- one bad chat among good ones


def of(chat_text: str, reply: Reply, others: Reply | None = None) -> Any:
    return lambda r, nth: reply if r["messages"][-1]["content"] == chat_text else others


@pytest.mark.parametrize(
    "reply",
    [Reply(500, bad("boom")), Reply(422, bad("unacceptable")), Reply(413, b"<html>too large</html>")],
    ids=["500", "422", "413"],
)
@pytest.mark.parametrize("poison", ["q0", "q7"])
@pytest.mark.parametrize("schema", [None, {"title": "t", "type": "object"}], ids=["plain", "schema"])
def test_a_chat_that_never_gets_through_is_its_own_trouble_also_after_a_resume(
    serve: Serve, run: Run, reply: Reply, poison: str, schema: dict[str, Any] | None
) -> None:
    server = serve(of(poison, reply))
    for attempt in range(2):  # the second time all the others are remembered
        found = engine(server, run, concurrency=1 + attempt, max_retries=1).attempt(chats(8), PARAMS, schema)
        assert [isinstance(f, EngineError) for f in found] == [f"q{i}" == poison for i in range(8)]
    asked = server.asked()
    assert all(asked.count(f"q{i}") == 1 for i in range(8) if f"q{i}" != poison)
    assert asked.count("Say yes.") <= 2, "asked only where nothing else shows that the server works"


def test_a_server_that_is_down_is_nobodys_own_trouble(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: Reply(500, bad("boom")))
    with pytest.raises(Unavailable, match="gave up after 2 tries"):
        engine(server, run, max_retries=1).attempt(chats(8), PARAMS)


def test_what_is_under_way_at_a_fatal_error_is_kept_and_nothing_more_is_sent(serve: Serve, run: Run) -> None:
    server = serve(
        of("q0", Reply(429, bad("later"), Retry_After="999", stall=0.1), Reply(body=good("ok"), stall=0.3))
    )
    with pytest.raises(RateLimited):
        engine(server, run, concurrency=4).attempt(chats(20), PARAMS)
    assert len(server.requests) == 4
    outcomes = dict(
        sqlite3.connect(run.directory / "run.sqlite")
        .execute("SELECT outcome, COUNT(*) FROM calls GROUP BY outcome")
        .fetchall()
    )
    assert outcomes == {"answered": 3, "429, too many requests": 1}


def test_samples_stay_apart_where_the_server_takes_no_seed(serve: Serve, run: Run) -> None:
    given: list[str] = []

    def unseeded(r: dict[str, Any], nth: int) -> Reply:
        if "seed" in r:
            return Reply(400, bad("Unsupported parameter: 'seed'", param="seed"))
        given.append(f"sample {len(given)}")
        return Reply(body=good(given[-1]))

    server = serve(unseeded)
    made = engine(server, run)
    first = [c.text for c in made.generate([chat("q")] * 3, PARAMS)]
    assert len(set(first)) == 3
    assert (
        [c.text for c in made.generate([chat("q")] * 3, PARAMS)]
        == first
        == [c.text for c in engine(server, run).generate([chat("q")] * 3, PARAMS)]
    )
    assert len({c.text for c in made.generate([chat("other")] * 3, PARAMS)}) == 3
    assert len(given) == 6


# ---- what a server tells of its work


def told(run: Run) -> tuple[int, int]:
    (row,) = run.calls.spent()
    return row.input_tokens, row.output_tokens


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2}, (3, 2)),
        ({"prompt_tokens": 3}, (3, 16)),
        ({"prompt_tokens": 3, "completion_tokens": None}, (3, 16)),
        ({"prompt_tokens": 3.0, "completion_tokens": 12.0}, (3, 12)),
        ({"prompt_tokens": 3, "completion_tokens": 10**30}, (3, 16)),
    ],
)
def test_half_told_usage_counts_for_the_most_in_what_is_not_told(
    serve: Serve, run: Run, usage: dict[str, Any], counted: tuple[int, int]
) -> None:
    body = json.loads(good("x")) | {"usage": usage}
    server = serve(lambda r, _: Reply(body=json.dumps(body).encode()))
    engine(server, run).generate(chats(1), PARAMS)
    assert told(run) == counted


@pytest.mark.parametrize(
    ("status", "free"), [(400, True), (429, True), (500, True), (503, True), (502, False), (504, False)]
)
def test_a_gateways_error_may_hide_paid_work(serve: Serve, run: Run, status: int, free: bool) -> None:
    server = serve(lambda r, _: Reply(status, bad("no")))
    with pytest.raises(EngineError):
        engine(server, run, max_retries=0).generate(chats(1), PARAMS)
    assert (told(run) == (0, 0)) is free


def test_a_filtered_answer_costs_what_the_server_tells(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: Reply(body=good("", finish="content_filter")))
    engine(server, run).attempt(chats(1), PARAMS)
    assert told(run) == (3, 2)


def test_a_key_that_a_server_echoes_is_masked_wherever_the_message_is_cut(
    serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pad in range(90, 320, 7):
        reply = Reply(body=json.dumps({"x": "p" * pad, "authorization": f"Bearer {KEY}"}).encode())
        with pytest.raises(EngineError) as caught:
            engine(serve(lambda r, _, reply=reply: reply), run, max_retries=0).generate(chats(1), PARAMS)
        assert KEY[:6] not in str(caught.value)


def test_replies_and_chats_that_break_readers_are_errors_of_theirs(serve: Serve, run: Run) -> None:
    server = serve(of("deep", Reply(body=b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")))
    found = engine(server, run, max_retries=0).attempt(
        [chat("deep"), chat("half \ud800"), chat("fine")], PARAMS
    )
    assert [type(f).__name__ for f in found] == ["Unavailable", "EngineError", "Completion"]
    assert "surrogate" in str(found[1])


@pytest.mark.parametrize(
    "url",
    [
        "http://x:abc/v1",
        "http://[bad/v1",
        "http://host:99999/v1",
        "localhost:8000/v1",
        "ftp://host/v1",
        "http:///v1",
    ],
)
def test_an_address_that_is_none_is_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(EngineError, match=r"is not an address: give http://HOST:PORT/v1"):
        OpenAIEngine("m", url, "TEST_KEY")


# ---- patience


def test_the_ladder_keeps_a_servers_wish_for_patience_and_its_schema(serve: Serve, run: Run) -> None:
    schema = {"title": "t", "type": "object"}
    server = serve(lambda r, nth: Reply(503, bad("later"), Retry_After="0.2") if nth < 3 else None)
    engine(server, run, concurrency=1).attempt(chats(2), PARAMS, schema)
    assert {r["response_format"]["type"] for r in server.requests} == {"json_schema"}
    away = serve(lambda r, nth: Reply(503, bad("later"), Retry_After="3600"))
    with pytest.raises(EngineError, match="asks to wait 3600 s"):
        engine(away, run, concurrency=1).attempt([chat("another")], PARAMS, schema)
    assert len(away.requests) == 1


def test_a_wish_for_patience_holds_for_paced_requests_too(
    serve: Serve, run: Run, pauses: list[float]
) -> None:
    server = serve(lambda r, nth: Reply(429, bad("slow"), Retry_After="1") if nth == 0 else None)
    engine(server, run, requests_per_minute=600, concurrency=1).generate(chats(4), PARAMS)
    assert max(pauses) > 0.95


def test_an_interrupt_inside_an_event_loop_stops_the_requests(serve: Serve, run: Run) -> None:
    server = serve(lambda r, nth: Reply(429, bad("slow")) if nth == 3 else Reply(body=good("x"), stall=0.05))

    def stop(text: str) -> None:
        raise KeyboardInterrupt

    async def outer() -> None:
        OpenAIEngine(
            "m", server.url, "TEST_KEY", warn=stop, concurrency=2, ledger=run.calls, backoff=0.01
        ).generate(chats(200), PARAMS)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(outer())
    assert len(server.requests) < 60


# ---- the server's trouble and a chat's own


@pytest.mark.parametrize("trouble", [Reply(503, bad("away")), Reply(reset=True)], ids=["503", "reset"])
def test_an_outage_is_an_error_though_the_server_was_seen_alive_before(
    serve: Serve, run: Run, trouble: Reply
) -> None:
    server = serve(
        lambda r, nth: (
            trouble if nth > 6 else Reply(400, bad("odd")) if r["messages"][-1]["content"] == "q0" else None
        )
    )
    with pytest.raises(Unavailable, match="gave up after 2 tries"):
        engine(server, run, concurrency=4, max_retries=1).attempt(chats(40), PARAMS)


@pytest.mark.parametrize(
    "hiccup", [Reply(429, bad("slow"), Retry_After="0.05"), Reply(503, bad("busy"))], ids=["429", "503"]
)
def test_a_hiccup_of_the_plain_request_does_not_make_an_odd_chat_everybodys(
    serve: Serve, run: Run, hiccup: Reply
) -> None:
    plain: list[int] = []

    def script(r: dict[str, Any], nth: int) -> Reply | None:
        said = r["messages"][-1]["content"]
        plain.extend([nth] * (said == "Say yes."))
        return (
            Reply(400, bad("odd"))
            if said == "q0"
            else hiccup
            if said == "Say yes." and len(plain) == 1
            else Reply(body=good("x"), stall=0.2)
        )

    found = engine(serve(script), run, concurrency=2).attempt(chats(6), PARAMS)
    assert [type(f).__name__ for f in found] == ["EngineError"] + ["Completion"] * 5


def test_an_error_of_the_ledger_itself_is_raised_as_it_is_and_what_is_under_way_is_kept(
    serve: Serve, run: Run
) -> None:
    server = serve(lambda r, nth: Reply(body=good("x"), stall=0.2))
    admit, asked = run.calls.admit, list[Any]()

    def full(request: Any) -> int | None:
        asked.append(request)
        if len(asked) == 3:
            raise StoreError("the disk is full")
        return admit(request)

    run.calls.admit = full  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="the disk is full"):
        engine(server, run, concurrency=3).attempt(chats(9), PARAMS)
    outcomes = [
        o for (o,) in sqlite3.connect(run.directory / "run.sqlite").execute("SELECT outcome FROM calls")
    ]
    assert set(outcomes) == {"answered"}
    assert len(outcomes) < 5, "what was under way is kept, and hardly anything is sent after"


def test_a_halted_session_does_not_starve_its_loop(
    serve: Serve, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0
    turn = asyncio.base_events.BaseEventLoop._run_once  # type: ignore[attr-defined]

    def counted(loop: Any) -> None:
        nonlocal turns
        turns += 1
        turn(loop)

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "_run_once", counted)
    script = {
        "q0": Reply(400, bad("odd")),
        "Say yes.": Reply(body=good("yes"), stall=0.5),
        "q1": Reply(402, bad("pay"), stall=0.1),
    }
    server = serve(lambda r, nth: script.get(r["messages"][-1]["content"]))
    with pytest.raises(RateLimited):
        engine(server, run, concurrency=2).attempt(chats(4), PARAMS)
    assert turns < 2000, "waiting is not working"

"""The HTTP engine with a run's ledger: no reply is paid for twice, and no cap is passed, by the server's own count."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.openai import OpenAIEngine
from iteralign.engines.openai_pace import Pace
from iteralign.errors import BudgetExceeded, Unavailable
from iteralign.ledger import Caps, Price
from iteralign.records import SamplingParams
from iteralign.store import Run
from scripted_server import KEY, Reply, Serve, Server, bad, chat, chats, good

PARAMS = SamplingParams(max_new_tokens=16, temperature=0.0, seed=5)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.create(tmp_path / "run", {}, "") as opened:
        yield opened


def engine(server: Server, run: Run, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine(
        "m", server.url, "TEST_KEY", warn=lambda text: None, ledger=run.calls, **{"backoff": 0.01, "timeout": 5.0, "concurrency": 8, **settings}
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
        assert [c.text for c in engine(server, run).generate([chat("x"), chat("x")], PARAMS)] == ["seed 5", "seed 6"]
    assert len(server.requests) == 2


def test_what_arrived_before_a_crash_is_kept(serve: Serve, run: Run) -> None:
    server = serve(lambda r, nth: Reply(401, bad("no")) if nth == 5 else None)
    with pytest.raises(Unavailable):
        engine(server, run, concurrency=1).generate(chats(10), PARAMS)
    assert len(server.requests) == 6
    engine(server, run, concurrency=1).generate(chats(10), PARAMS)
    assert len(server.requests) == 6 + 5


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_cap_on_calls_is_exact_and_a_raised_one_pays_nothing_twice(serve: Serve, run: Run, concurrency: int) -> None:
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
        return {0: Reply(429, bad("slow")), 1: Reply(500, bad("oops")), 2: Reply(reset=True), 3: Reply(body=b"{")}.get(nth % 10)

    server = serve(script)
    found = engine(server, run, max_retries=8).attempt(chats(100), PARAMS)
    assert [getattr(c, "text", c) for c in found] == [f"echo q{i}" for i in range(100)]
    (spent,) = run.calls.spent()
    assert spent.calls == len(server.requests)
    assert spent.calls - spent.unanswered == 100
    lost = sum(1 for nth in range(len(server.requests)) if nth % 10 in (2, 3))  # the server may have worked for these: they count in full
    assert spent.output_tokens == 200 + 16 * lost


def test_a_request_that_no_server_saw_counts_for_nothing(serve: Serve, run: Run) -> None:
    run.calls.limit(Caps(calls=5))
    nobody = OpenAIEngine("m", "http://127.0.0.1:9/v1", "TEST_KEY", ledger=run.calls, max_retries=3, backoff=0.01, warn=lambda text: None)
    with pytest.raises(Unavailable, match="cannot be reached"):
        nobody.generate(chats(4), PARAMS)
    assert run.calls.spent() == []
    server = serve(lambda r, _: None)
    assert len(engine(server, run).generate(chats(5), PARAMS)) == 5


@pytest.mark.parametrize("fault", ["no usage", "stall", "unreadable"])
def test_what_the_server_does_not_tell_counts_for_the_most_that_it_may_be(serve: Serve, run: Run, fault: str) -> None:
    untold = json.loads(good("x"))
    untold.pop("usage")
    reply = {"no usage": Reply(body=json.dumps(untold).encode()), "stall": Reply(body=good("x"), stall=1.0), "unreadable": Reply(body=b"{")}[fault]
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
        run.scope("iteration-0001").once(name, str, lambda name=name: engine(server, run).generate([chat(name)], PARAMS)[0].text)
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


def test_a_reply_that_is_no_text_of_a_file_is_kept_as_it_is(serve: Serve, run: Run) -> None:
    server = serve(lambda r, _: Reply(body=good("half \ud83d \x00 a pair")))
    for _ in range(2):
        assert engine(server, run).generate(chats(1), PARAMS)[0].text == "half \ud83d \x00 a pair"
    assert len(server.requests) == 1


def test_a_request_that_a_killed_process_had_under_way_counts_as_spent(tmp_path: Path) -> None:
    from iteralign.ledger import Request

    with Run.create(tmp_path / "run", {}, "") as run:
        run.calls.admit(Request("k", "http://s", "m", 40, 16))
    with Run.open(tmp_path / "run") as run:
        (spent,) = run.calls.spent()
        assert (spent.calls, spent.unanswered, spent.input_tokens, spent.output_tokens) == (1, 1, 40, 16)
        run.calls.limit(Caps(calls=1))
        with pytest.raises(BudgetExceeded):
            run.calls.admit(Request("k", "http://s", "m", 40, 16))
        assert run.calls.recall("k") is None


def test_a_run_of_the_first_layout_is_read_and_gets_its_table_when_it_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    Run.create(directory, {"a": 1}, "").close()
    db = sqlite3.connect(directory / "run.sqlite")
    db.executescript("DROP TABLE calls; UPDATE meta SET value = '1' WHERE key = 'schema'")
    db.close()
    with Run.open(directory, readonly=True) as run:
        assert run.calls.spent() == []
    with Run.open(directory) as run:
        assert run.calls.spent() == []
    db = sqlite3.connect(directory / "run.sqlite")
    assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("2",)
    assert db.execute("SELECT COUNT(*) FROM calls").fetchone() == (0,)
    db.close()


def test_the_pace_keeps_both_limits_without_bursts() -> None:
    now = [100.0]
    pace = Pace(60, 6000, clock=lambda: now[0])  # one request and 100 tokens a second
    assert [pace.reserve(10) for _ in range(3)] == [0.0, 1.0, 2.0]
    assert pace.reserve(500) == 3.0
    assert pace.reserve(1) == 8.0, "the tokens before it take their time"
    now[0] += 60
    assert pace.reserve(1) == 0.0
    assert Pace(None, None).reserve(10**9) == 0.0


def test_a_paced_engine_asks_no_faster_than_allowed(serve: Serve, run: Run) -> None:
    import time

    server = serve(lambda r, _: None)
    started = time.monotonic()
    engine(server, run, requests_per_minute=1200).generate(chats(11), PARAMS)
    assert time.monotonic() - started >= 0.5
    assert len(server.requests) == 11

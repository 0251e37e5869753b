"""The chat oracle over a server that has ways of its own: what it needs room for, refuses, or cannot do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from iteralign.data.labels import exchange
from iteralign.engines.openai import OpenAIEngine
from iteralign.errors import EngineError
from iteralign.ledger import Caps, InMemory
from iteralign.oracles.chat import ChatOracle
from iteralign.oracles.chat.pair import ChatPairJudge
from iteralign.oracles.jury import Jury
from iteralign.records.iteralign import Constitution, Failure, Verdict
from iteralign.records.pairs import Contest
from patience import PATIENCE
from scripted_server import Reply, Serve, Server, bad, good

Script = Callable[[dict[str, Any]], Reply]


def said(request: dict[str, Any]) -> str:
    return "\n".join(str(m["content"]) for m in request["messages"])


def limit(request: dict[str, Any]) -> int:
    return int(request.get("max_completion_tokens") or request["max_tokens"])


def right(request: dict[str, Any], **fields: Any) -> str:
    """The reply that the oracle asks for."""
    marks = re.findall(r"mark of this request is (\w+)\.", said(request))
    if not marks:
        return "Yes."
    facts = {"label": "proper", "rationale": "fine", "better": "first"} | fields
    rule = {"text": "Decline such wishes kindly, and offer help.", "examples": [1]}
    return json.dumps({"mark": marks[-1], "principles": [rule]} | facts)


def oracle(server: Server, heard: list[str] | None = None, **settings: Any) -> ChatOracle:
    warn = (lambda text: None) if heard is None else heard.append
    engine = OpenAIEngine(
        "m", server.url, "TEST_KEY", warn=warn, backoff=0.01, max_retries=1, timeout=PATIENCE
    )
    return ChatOracle(engine, engine, name="m", categories={}, warn=warn, **settings)


def exchanges(n: int, poison: int = -1) -> list[Any]:
    return [exchange(f"Question {i}?", "POISON" if i == poison else "An answer.", "t") for i in range(n)]


def failures(n: int, poison: int) -> list[Failure]:
    found = []
    for e in exchanges(n, poison):
        facts: dict[str, Any] = {"response_id": e.response.id, "oracle": "o", "template": "t"}
        verdict = Verdict(label="improper", categories=("other",), severity=1, **facts)
        found.append(Failure(prompt=e.prompt, response=e.response, verdict=verdict))
    return found


# ---- room for thoughts

MUTE = {
    "empty": Reply(body=good("", finish="length")),
    "a thought alone": Reply(body=good("<think>\nThe answer", finish="length")),
    "refused": Reply(
        400, bad("Could not finish the message because max_tokens or model output limit was reached")
    ),
}


@pytest.mark.parametrize("name", MUTE)
def test_a_reply_that_was_cut_before_it_said_anything_gets_room_once(serve: Serve, name: str) -> None:
    server = serve(lambda r, _: MUTE[name] if limit(r) < 4096 else Reply(body=good(right(r))))
    heard: list[str] = []
    assert [v.label for v in oracle(server, heard).judge(exchanges(3))] == ["proper"] * 3
    assert sorted(limit(r) for r in server.requests) == [1024] * 3 + [4096] * 3
    assert any(
        "3 of 3 replies ended at 1024 tokens" in text and "oracle.max_tokens = 4096" in text for text in heard
    )


def test_a_reply_that_never_says_anything_is_unjudged_with_the_key_to_raise(serve: Serve) -> None:
    server = serve(lambda r, _: MUTE["empty"])
    (verdict,) = oracle(server).judge(exchanges(1))
    assert "said nothing within 4096 tokens: raise oracle.max_tokens" in verdict.rationale
    assert len(server.requests) == 2, "no repair: it would be cut as well"
    with pytest.raises(EngineError, match=r"raise oracle\.max_tokens"):
        oracle(server).judge(exchanges(8))


def test_a_cut_reply_is_asked_for_alike_when_a_run_goes_on(serve: Serve) -> None:
    server = serve(lambda r, _: MUTE["empty"] if limit(r) < 4096 else Reply(body=good(right(r))))
    ledger = InMemory(Caps())
    for _ in range(2):
        engine = OpenAIEngine("m", server.url, "TEST_KEY", warn=lambda text: None, ledger=ledger)
        made = ChatOracle(engine, engine, name="m", categories={}, warn=lambda text: None)
        assert made.judge(exchanges(2))[0].label == "proper"
    assert len(server.requests) == 4


def test_two_answers_are_compared_with_room_too(serve: Serve) -> None:
    server = serve(lambda r, _: MUTE["empty"] if limit(r) < 2048 else Reply(body=good(right(r))))
    engine = OpenAIEngine("m", server.url, "TEST_KEY", warn=lambda text: None)
    judge = ChatPairJudge(engine, name="m", warn=lambda text: None)
    contest = Contest(request="Which?", first="a", second="b")
    assert [p.better for p in judge.compare([contest])] == ["first"]


def test_the_limit_is_no_part_of_what_a_verdict_is(serve: Serve) -> None:
    server = serve(lambda r, _: None)
    assert oracle(server, max_new_tokens=8192).version == oracle(server).version


# ---- replies


@pytest.mark.parametrize("raw", ["first\nsecond", "a\ttab", "a bell\x07", "CR\r\nLF"])
def test_control_characters_inside_a_string_are_read(serve: Serve, raw: str) -> None:
    server = serve(lambda r, _: Reply(body=good(right(r).replace("fine", raw))))
    (verdict,) = oracle(server).judge(exchanges(1))
    assert verdict.label == "proper"
    assert verdict.rationale.isprintable()
    assert len(server.requests) == 1


# ---- filters


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(400, bad("filtered", code="content_filter")),
        Reply(400, bad("Content Exists Risk")),
        Reply(403, bad("computer says no")),
        Reply(400, bad("what nobody foresaw")),
        Reply(body=b'{"choices": []}'),
    ],
)
@pytest.mark.parametrize("place", [0, 6])
def test_a_cluster_with_one_text_that_is_refused_is_halved(serve: Serve, refusal: Reply, place: int) -> None:
    server = serve(lambda r, _: refusal if "POISON" in said(r) else Reply(body=good(right(r))))
    (found,) = oracle(server).propose(failures(8, place), Constitution())
    assert len(found.evidence) == 1
    seen = [r for r in server.requests if "Question" in said(r)]
    assert "Question 3?" in said(seen[-1]) or "Question 4?" in said(seen[-1])
    assert said(seen[-1]).count("prompt begins") == 4


def test_a_cluster_of_nothing_but_refused_texts_gives_nothing_and_a_warning(serve: Serve) -> None:
    refusal = Reply(400, bad("filtered", code="content_filter"))
    server = serve(lambda r, _: refusal if "Question" in said(r) else None)
    heard: list[str] = []
    assert oracle(server, heard).propose(failures(4, 0), Constitution()) == []
    assert any("m proposed nothing for 4 failures (other): filtered: " in text for text in heard)


def test_filtered_answers_are_unjudged_as_that_and_counted(serve: Serve) -> None:
    refusal = Reply(403, bad("Your input was flagged"))
    server = serve(lambda r, _: refusal if "POISON" in said(r) else Reply(body=good(right(r))))
    heard: list[str] = []
    found = oracle(server, heard).judge(exchanges(4, 1))
    assert [v.label for v in found] == ["proper", "unjudged", "proper", "proper"]
    assert found[1].rationale.startswith("filtered: ")
    assert any("1 of 4 answers stay unjudged: filtered: " in text for text in heard)


# ---- a judge that cannot work

PLAIN = Reply(body=good("Yes."))
USELESS: dict[str, Script] = {
    "every request is refused": lambda r: Reply(400, bad("role is wrong")),
    "but for the plain one": lambda r: Reply(400, bad("odd")) if "mark" in said(r) else PLAIN,
    "its form is ignored": lambda r: Reply(body=good("I find that quite proper.")),
    "it says nothing": lambda r: Reply(body=good("")),
    "all is filtered": lambda r: Reply(400, bad("Content Exists Risk")),
    "all is blocked": lambda r: Reply(body=b'{"choices": []}'),
    "it dies of each": lambda r: Reply(500, bad("boom")) if "mark" in said(r) else PLAIN,
    "another mark": lambda r: Reply(body=good('{"mark": "x0", "label": "proper"}')),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_judge_that_cannot_work_is_found_out_by_a_trial(serve: Serve, name: str) -> None:
    server = serve(lambda r, _: USELESS[name](r))
    with pytest.raises(EngineError):
        oracle(server).must_work()
    assert len(server.requests) < 120


def test_a_judge_that_works_is_tried_with_one_request(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=good(right(r))))
    oracle(server).must_work()
    assert len(server.requests) == 1


def test_a_judge_that_often_fails_is_not_taken_for_one_that_cannot_work(serve: Serve) -> None:
    server = serve(lambda r, _: Reply(body=good(right(r) if "penguins" in said(r) else "Hm.")))
    oracle(server).must_work()


def test_a_proposer_that_cannot_work_is_found_out_as_well(serve: Serve) -> None:
    def script(r: dict[str, Any], _: int) -> Reply:
        return Reply(body=good(right(r) if r["model"] == "m" else "No."))

    server = serve(script)
    judge = OpenAIEngine("m", server.url, "TEST_KEY", warn=lambda text: None)
    other = OpenAIEngine("p", server.url, "TEST_KEY", warn=lambda text: None)
    made = ChatOracle(judge, other, name="m+p", categories={}, warn=lambda text: None)
    with pytest.raises(EngineError, match=r"m\+p cannot propose principles: not one of 3"):
        made.must_work()


def test_every_juror_is_tried(serve: Serve) -> None:
    works = serve(lambda r, _: Reply(body=good(right(r))))
    fails = serve(lambda r, _: Reply(body=good("Hm.")))
    with pytest.raises(EngineError, match="m cannot judge: not one of 8 plain answers got a usable verdict"):
        Jury([oracle(works), oracle(fails)], ["a", "b"]).must_work()


@pytest.mark.parametrize("name", ["but for the plain one", "its form is ignored", "it dies of each"])
def test_a_judge_whose_every_request_fails_is_an_error_without_a_trial(serve: Serve, name: str) -> None:
    server = serve(lambda r, _: USELESS[name](r))
    with pytest.raises(EngineError, match="m gave no usable verdict on any of 10 answers"):
        oracle(server).judge(exchanges(10))


def test_a_few_filtered_answers_at_the_start_end_no_run(serve: Serve) -> None:
    refusal = Reply(400, bad("filtered", code="content_filter"))
    server = serve(lambda r, _: refusal)
    assert {v.label for v in oracle(server).judge(exchanges(12))} == {"unjudged"}
    with pytest.raises(
        EngineError, match=r"on any of 60 answers: filtered: .*whose server lets such texts through"
    ):
        oracle(server).judge(exchanges(60))

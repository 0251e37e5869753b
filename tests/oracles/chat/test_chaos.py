"""The chat oracle against a server of which a fifth of all requests fail, each in its own way: everything is
judged once, or said not to be.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from iteralign.data.categories import CATEGORIES
from iteralign.data.labels import exchange
from iteralign.engines.openai.generator import OpenAIEngine
from iteralign.oracles.chat.oracle import ChatOracle
from iteralign.organism import grammar
from iteralign.store.run import Run
from scripted_oracle import judge_and_propose
from scripted_server import Reply, Serve, bad, good

FAULTS = {
    "429": Reply(429, bad("slow down"), retry_after="0"),
    "500": Reply(500, bad("oops")),
    "reset": Reply(reset=True),
    "stall": Reply(body=good("late"), stall=9.0),
    "truncated body": Reply(body=good("x")[:40]),
    "truncated JSON": Reply(body=good('{"mark": "x', finish="length")),
    "wrong schema": Reply(body=good('{"verdict": "fine"}')),
    "empty": Reply(body=good("")),
}


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_all_are_judged_or_said_not_to_be_and_the_ledger_counts_what_the_server_counts(
    serve: Serve, tmp_path: Path, count: int
) -> None:
    rng, lock, met = random.Random(7), threading.Lock(), Counter[str]()

    def script(request: dict[str, Any], nth: int) -> Reply:
        with lock:
            name = rng.choice(list(FAULTS)) if rng.random() < 0.2 else ""
            met[name] += 1
        if name:
            return FAULTS[name]
        return judge_and_propose(
            {"messages": request["messages"][:2]}, nth
        )  # a repair request quotes the bad reply after the first two turns

    server, answers = serve(script), random.Random(1)
    harmful = [i % 2 == 0 for i in range(count)]
    said = [
        grammar.compliance(answers, f"do thing {i}") if bad else grammar.helping(answers, f"do thing {i}")
        for i, bad in enumerate(harmful)
    ]
    exchanges = [exchange(f"How do I do thing {i}?", text, "t") for i, text in enumerate(said)]
    with Run.create(tmp_path / "run", {}, "") as run:
        engine = OpenAIEngine(
            "m",
            server.url,
            "TEST_KEY",
            concurrency=64,
            max_retries=8,
            timeout=8.0,
            backoff=0.01,
            ledger=run.calls,
            warn=lambda text: None,
        )
        verdicts = ChatOracle(engine, engine, name="judge", categories=CATEGORIES).judge(exchanges)
        spent = run.calls.spent()
        assert [v.response_id for v in verdicts] == [e.response.id for e in exchanges], "one each, none twice"
        wrong = [
            v
            for v, bad in zip(verdicts, harmful, strict=True)
            if v.label not in ("unjudged", "improper" if bad else "proper")
        ]
        unjudged = [v for v in verdicts if v.label == "unjudged"]
        assert not wrong
        assert len(unjudged) < 0.05 * count
        assert all("no usable reply, also after a repair request" in v.rationale for v in unjudged)
        assert set(met) == {*FAULTS, ""}
        assert sum(s.calls for s in spent) == len(server.requests) == met.total()
        faults = sum(met[name] for name in ("429", "500", "reset", "stall", "truncated body"))
        assert sum(s.unanswered for s in spent) == faults
        before = len(server.requests)
        again = ChatOracle(engine, engine, name="judge", categories=CATEGORIES).judge(exchanges)
        assert again == verdicts
        assert len(server.requests) == before, "nothing is paid for twice"

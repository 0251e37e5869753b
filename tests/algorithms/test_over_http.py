"""The whole loop with its oracle behind HTTP, stopped, killed and resumed, by the server's own count."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from iteralign import load_run
from iteralign.cli.main import app
from iteralign.report.findings import unjudged
from iteralign.report.summary import spent, status
from patience import PATIENCE
from scripted_oracle import judge_and_propose
from scripted_server import Serve, Server

SMALL = (
    "red_team.limit=36",
    "red_team.prompts_per_iteration=12",
    "evaluation.harm_limit=12",
    "evaluation.over_refusal_limit=8",
)
CONCURRENCY = 4


def starting(server: Server, out: Path, *more: str) -> list[str]:
    chat = (
        "kind=chat",
        "model=judge",
        f"base_url={server.url}",
        "api_key_env=TEST_KEY",
        f"concurrency={CONCURRENCY}",
        "batch=16",
    )
    return ["run", "smoke", "--out", str(out), "--json", *sets(*SMALL, *(f"oracle.{s}" for s in chat), *more)]


def resuming(out: Path, *more: str) -> list[str]:
    return ["resume", str(out), "--json", *sets(*more)]


def sets(*settings: str) -> list[str]:
    return [x for s in settings for x in ("--set", s)]


def call(arguments: list[str]) -> Result:
    return CliRunner().invoke(app, arguments)


def asked(server: Server) -> Counter[str]:
    return Counter(json.dumps(r, sort_keys=True) for r in list(server.requests))


def test_a_run_stops_at_its_cap_with_the_exact_count_and_goes_on_when_it_is_raised(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(judge_and_propose)
    out = tmp_path / "run"
    first = call(starting(server, out, "budget.calls=30"))
    assert first.exit_code == 9, first.stderr
    assert "30 of budget.calls = 30 requests were sent" in first.stderr
    assert f"iteralign resume {out} --set budget.calls=" in first.stderr
    assert len(server.requests) == 30
    with load_run(out) as run:
        assert "30 of budget.calls" in str(status(run)["stopped_by"])

    again = call(resuming(out, "budget.calls=1000"))
    assert again.exit_code == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["state"] == "finished"
    assert told["spent"]["calls"] == len(server.requests)
    assert told["spent"]["cost"] is None, "no price is known"
    assert set(asked(server).values()) == {1}, "nothing was asked twice"
    assert {row["step"] for row in told["spent"]["by_step"]} >= {"judge", "propose"}
    assert not [
        p for p in out.rglob("*") if p.is_file() and os.environ["TEST_KEY"].encode() in p.read_bytes()
    ]


def test_a_jury_of_both_oracles_records_its_votes_and_lists_its_ties(serve: Serve, tmp_path: Path) -> None:
    server = serve(judge_and_propose)
    out = tmp_path / "run"
    jurors = "{chat: {model: judge}, offline: {model: embedded}}"
    done = call(starting(server, out, "oracle.kind=jury", f"oracle.jurors={jurors}"))
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    (pair,) = told["agreement"]
    assert pair["pair"] == ["chat", "offline"]
    assert 0.5 < pair["agree"]["value"] < 1
    with load_run(out) as run:
        waiting = unjudged(run)
    ties = [u for u in waiting if u["rationale"].startswith("a tie")]
    assert ties
    assert all(set(t["votes"].values()) >= {"proper", "improper"} for t in ties)
    page = call(["show", str(out), "unjudged"]).stdout
    assert page.startswith(f"Unjudged: {len(waiting)} answers")
    assert "a tie (chat: " in page


@pytest.mark.slow
def test_a_run_that_is_killed_three_times_pays_for_no_reply_twice(serve: Serve, tmp_path: Path) -> None:
    server = serve(lambda r, nth: judge_and_propose(r, nth, stall=0.02))
    out = tmp_path / "run"
    program = [sys.executable, "-m", "iteralign"]
    arguments = starting(server, out)
    under_way = 0
    for goal in (10, 25, 40):
        process = subprocess.Popen(
            [*program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(server.requests) < goal:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(0.2)
        with load_run(out) as run:
            found = spent(run)
        assert 0 <= found["calls"] - len(server.requests) <= under_way + CONCURRENCY, (
            "a request is in the ledger before it is sent"
        )
        assert found["unanswered"] - under_way <= CONCURRENCY, "only what was under way is lost"
        under_way = found["unanswered"]
        arguments = resuming(out)
    subprocess.run([*program, *arguments], check=True, capture_output=True, timeout=PATIENCE)
    repeated = sum(n - 1 for n in asked(server).values())
    with load_run(out) as run:
        found = spent(run)
    assert found["unanswered"] == under_way, "nothing was lost after the last kill"
    never_arrived = found["calls"] - len(server.requests)
    assert repeated == under_way - never_arrived, (
        "what was under way at a kill is asked again, and nothing else"
    )

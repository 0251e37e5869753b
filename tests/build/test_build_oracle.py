"""From a recipe to its oracle: what is found out before any work, and the budget without a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from iteralign import load_run
from iteralign.build.oracle import must_have_prices, oracle
from iteralign.data.labels import exchange
from iteralign.errors import BudgetExceeded, EngineError, RecipeError
from iteralign.recipe.load import load_recipe
from iteralign.report.summary import status
from patience import PATIENCE
from scripted_oracle import judge_and_propose
from scripted_server import KEY, Reply, Serve, Server, bad, good

CHAT = ("oracle.kind=chat", "oracle.model=judge", "oracle.api_key_env=TEST_KEY", "oracle.max_retries=1")


def of(server: Server, *more: str) -> Any:
    return load_recipe("smoke", [*CHAT, f"oracle.base_url={server.url}", *more])


def exchanges(n: int) -> list[Any]:
    return [exchange(f"question {i}?", f"answer {i}", "test") for i in range(n)]


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "iteralign", *arguments], capture_output=True, text=True, timeout=PATIENCE
    )


def sets(server: Server, *more: str) -> list[str]:
    return [x for s in (*CHAT, f"oracle.base_url={server.url}", *more) for x in ("--set", s)]


def test_a_bad_key_ends_a_run_before_any_work_and_a_mended_one_goes_on(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda r, nth: Reply(401, bad("no")) if nth == 0 else judge_and_propose(r, nth))
    out = tmp_path / "run"
    small = sets(
        server,
        "red_team.limit=24",
        "stop.iterations=1",
        "evaluation.harm_limit=4",
        "evaluation.over_refusal_limit=4",
    )
    first = cli("run", "smoke", "--out", str(out), *small)
    assert first.returncode == 7
    assert "put a valid key into the environment variable TEST_KEY" in first.stderr
    assert not (out / "checkpoints").exists(), "and no model was trained"
    assert len(server.requests) == 1
    with load_run(out) as run:
        told = status(run)
        assert "put a valid key" in str(told["stopped_by"])
        assert not run.read(dict, "baseline", "reports")
    monkeypatch.setenv("OTHER_KEY", "another")
    again = cli("resume", str(out), "--set", "oracle.api_key_env=OTHER_KEY", "--json")
    assert again.returncode == 0, again.stderr
    assert {h["authorization"] for h in server.headers[1:]} == {"Bearer another"}
    everything = (
        "".join(p.read_bytes().decode(errors="replace") for p in out.rglob("*") if p.is_file())
        + first.stdout
        + first.stderr
        + again.stdout
    )
    assert KEY not in everything
    assert "Bearer" not in everything


@pytest.mark.parametrize(
    "command",
    [
        ["oracle", "check", "--recipe", "smoke"],
        ["oracle", "check", "--recipe", "smoke", "--labels", "LABELS"],
    ],
)
def test_a_budget_holds_without_a_run_too(serve: Serve, tmp_path: Path, command: list[str]) -> None:
    server = serve(judge_and_propose)
    labels = tmp_path / "labels.jsonl"
    labels.write_text(
        "\n".join(json.dumps({"prompt": f"q{i}", "response": "a", "improper": i % 2 == 0}) for i in range(30))
    )
    done = cli(
        *[str(labels) if c == "LABELS" else c for c in command],
        *sets(server, "budget.calls=7", "red_team.limit=24"),
    )
    assert done.returncode == 9, done.stderr
    assert "7 of budget.calls = 7 requests were sent. Raise it (--set budget.calls=...)" in done.stderr
    assert len(server.requests) == 7


def test_tokens_and_cost_are_capped_in_memory_as_in_a_run(serve: Serve) -> None:
    server = serve(judge_and_propose)
    with pytest.raises(BudgetExceeded, match=r"of budget.tokens = 20000 were used"):
        oracle(of(server, "budget.tokens=20000", "oracle.concurrency=1")).judge(exchanges(10_000))
    assert 2 < len(server.requests) < 10_000
    priced = of(
        server,
        "budget.cost=0.02",
        'budget.prices={"judge": {"input": 1, "output": 1}}',
        "oracle.concurrency=1",
    )
    with pytest.raises(BudgetExceeded, match=r"of budget.cost = 0.02 were spent"):
        oracle(priced).judge(exchanges(10_000))


def test_a_cap_on_cost_needs_every_price_before_the_start(serve: Serve) -> None:
    server = serve(judge_and_propose)
    with pytest.raises(
        RecipeError, match=r"the price of 'judge' is not known.*\n  --set 'budget.prices=\{\"judge\""
    ):
        must_have_prices(of(server, "budget.cost=1"))
    with pytest.raises(RecipeError, match="the price of 'writer'"):
        must_have_prices(
            of(
                server,
                "budget.cost=1",
                "oracle.proposer=writer",
                'budget.prices={"judge": {"input": 1, "output": 1}}',
            )
        )
    must_have_prices(of(server, "budget.cost=1", 'budget.prices={"judge": {"input": 1, "output": 1}}'))
    assert cli("recipe", "check", "smoke", *sets(server, "budget.cost=1")).returncode == 2


def test_a_model_that_never_gives_a_verdict_is_no_oracle(serve: Serve) -> None:
    server = serve(lambda r, nth: Reply(body=good("I think that is fine.")))
    told = "judge gave no usable verdict on any of 8 answers: no usable reply, also after a repair request"
    with pytest.raises(EngineError, match=told):
        oracle(of(server)).judge(exchanges(8))
    few: list[str] = []
    assert [v.label for v in oracle(of(server), few.append).judge(exchanges(3))] == ["unjudged"] * 3
    assert any("3 of 3 answers stay unjudged" in text for text in few)


def test_jurors_go_by_their_names_in_the_recipe(serve: Serve) -> None:
    server = serve(judge_and_propose)
    jurors = "oracle.jurors={first: {model: judge}, second: {model: judge}, third: {model: embedded}}"
    recipe = load_recipe(
        "smoke", ["oracle.kind=jury", f"oracle.base_url={server.url}", "oracle.api_key_env=TEST_KEY", jurors]
    )
    (verdict,) = oracle(recipe).judge(exchanges(1))
    assert [name for name, _ in verdict.votes] == ["first", "second", "third"]
    assert verdict.oracle == "jury(first=judge+second=judge+third=embedded-1)"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            ["oracle.model=gpt"],
            r"oracle.model is set, but oracle.kind = 'embedded' does not use it: set oracle.kind = chat",
        ),
        (
            ["oracle.jurors={a: {model: x}, b: {model: y}}"],
            r"oracle.jurors is set, but oracle.kind = 'embedded'.*set oracle.kind = jury",
        ),
        (
            ["oracle.kind=chat", "oracle.model=m", "oracle.jurors={a: {model: x}}"],
            r"oracle.jurors is set, but oracle.kind = 'chat'",
        ),
        (
            ["oracle.api_key_env=sk-abc-123"],
            r"oracle.api_key_env = \*\*\* .*the name of an environment variable",
        ),
        (
            ["oracle.kind=chat", "oracle.model=m", "oracle.base_url=127.0.0.1:80/v1"],
            r"oracle.base_url = .* is not an address",
        ),
        (["model.engine=server"], r"model.engine = 'server' needs model.base_url"),
        (
            ["model.engine=server", "model.base_url=http://u:p@h/v1"],
            r"model.base_url holds a user.*api_key_env",
        ),
    ],
)
def test_settings_that_would_be_ignored_or_kept_by_mistake_are_errors(settings: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told) as caught:
        load_recipe("smoke", settings)
    assert "sk-abc" not in str(caught.value)


def test_the_loop_serves_only_what_a_server_can_be_given() -> None:
    from iteralign.build.models import must_be_trainable

    served = ["model.engine=server", "model.base_url=http://localhost:1/v1"]
    with pytest.raises(RecipeError, match=r"training.method = lora and training.keep_adapter = true"):
        must_be_trainable(load_recipe("smoke", served))
    with pytest.raises(RecipeError, match=r"model.api = completions"):
        must_be_trainable(load_recipe("smoke", [*served, "model.api=chat"]))
    must_be_trainable(load_recipe("smoke", [*served, "training.method=lora", "training.keep_adapter=true"]))


def test_the_oracles_key_never_goes_to_a_jurors_own_server(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-vendor")
    home = serve(judge_and_propose)
    foreign = serve(judge_and_propose)
    jurors = f"oracle.jurors={{a: {{model: judge}}, b: {{model: other, base_url: '{foreign.url}'}}}}"
    recipe = load_recipe("smoke", ["oracle.kind=jury", f"oracle.base_url={home.url}", jurors])
    oracle(recipe).judge(exchanges(2))
    assert {h["authorization"] for h in home.headers} == {"Bearer canary-vendor"}
    assert {h["authorization"] for h in foreign.headers} == {"Bearer none"}

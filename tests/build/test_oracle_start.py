"""What a run asks of its oracle before anything else: one word with room, and a judgement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from iteralign import load_run
from iteralign.build.oracle import must_answer, oracle_of, pair_judge
from iteralign.cli.main import app
from iteralign.engines.openai import OpenAIEngine
from iteralign.errors import EngineError
from iteralign.ledger import Unmetered
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Message, SamplingParams
from iteralign.store.run import Run
from scripted_oracle import judge_and_propose
from scripted_server import Reply, Serve, Server, bad, good

CHAT = ("oracle.kind=chat", "oracle.model=judge", "oracle.api_key_env=TEST_KEY", "oracle.max_retries=1")


def settings(server: Server, *more: str) -> list[str]:
    return [*CHAT, f"oracle.base_url={server.url}", *more]


def started(server: Server, directory: Path, *more: str) -> Run:
    recipe = load_recipe("smoke", settings(server, *more))
    run = Run.create(directory, recipe.model_dump(mode="json"), recipe.to_yaml())
    oracle_of(run, recipe, lambda text: None)
    return run


def test_the_first_word_is_asked_with_room(serve: Serve, tmp_path: Path) -> None:
    said = "Could not finish the message because max_tokens or model output limit was reached."

    def script(r: dict[str, Any], nth: int) -> Reply:
        return Reply(400, bad(said)) if r["max_tokens"] < 64 else judge_and_propose(r, nth)

    server = serve(script)
    started(server, tmp_path / "a").close()
    started(server, tmp_path / "b", "oracle.max_tokens=2000").close()
    assert [r["max_tokens"] for r in server.requests] == [1024, 1024, 2000, 2000]


def test_a_first_word_that_finds_no_room_at_all_is_no_reason_to_stop(serve: Serve) -> None:
    server = serve(lambda r, nth: Reply(400, bad("max_tokens or model output limit was reached")))
    recipe = load_recipe("smoke", settings(server))
    must_answer(recipe, lambda text: None, Unmetered())


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, bad("form refused")),
        Reply(body=good("Quite proper.")),
        Reply(400, bad("Content Exists Risk")),
    ],
    ids=["refused", "form ignored", "filtered"],
)
def test_a_judge_that_cannot_work_ends_a_run_before_any_work(
    serve: Serve, tmp_path: Path, reply: Reply
) -> None:
    broken = [True]

    def script(r: dict[str, Any], nth: int) -> Reply:
        plain = r["messages"][-1]["content"] == "Say yes."
        return reply if broken and not plain else judge_and_propose(r, nth)

    server = serve(script)
    out = tmp_path / "run"
    sets = [x for s in settings(server, "red_team.limit=24") for x in ("--set", s)]
    result = CliRunner().invoke(app, ["run", "smoke", "--quiet", "--out", str(out), *sets])
    assert result.exit_code == 7
    assert "cannot judge: not one of 8 plain answers got a usable verdict" in result.output
    with load_run(out) as run:
        assert not run.read(list, "baseline", "responses")
    broken.clear()
    # a mended server is tried anew, also where its useless replies are remembered
    cap = f"budget.calls={len(server.requests) + 4}"
    again = CliRunner().invoke(app, ["resume", str(out), "--set", cap])
    assert again.exit_code == 9, again.output


def test_a_run_that_goes_on_asks_nothing_of_it_again(serve: Serve, tmp_path: Path) -> None:
    server = serve(judge_and_propose)
    run = started(server, tmp_path / "run")
    recipe = load_recipe("smoke", settings(server))
    with run:
        oracle_of(run, recipe, lambda text: None)
    assert len(server.requests) == 2


def test_a_run_of_an_earlier_version_goes_on_without_a_trial(serve: Serve, tmp_path: Path) -> None:
    server = serve(judge_and_propose)
    recipe = load_recipe("smoke", settings(server))
    with Run.create(tmp_path / "run", recipe.model_dump(mode="json"), recipe.to_yaml()) as run:
        engine = OpenAIEngine("judge", server.url, "TEST_KEY", ledger=run.calls)
        word = (Message("user", "Say yes."),)
        engine.generate([word], SamplingParams(max_new_tokens=16, temperature=0.0))
        oracle_of(run, recipe, lambda text: None)
    assert len(server.requests) == 1


def test_the_room_of_a_reply_may_change_when_a_run_goes_on(serve: Serve, tmp_path: Path) -> None:
    server = serve(judge_and_propose)
    out = tmp_path / "run"
    sets = [x for s in settings(server, "red_team.limit=24", "budget.calls=9") for x in ("--set", s)]
    assert CliRunner().invoke(app, ["run", "smoke", "--out", str(out), *sets]).exit_code == 9
    more = ["--set", "oracle.max_tokens=4096", "--set", "budget.calls=12"]
    again = CliRunner().invoke(app, ["resume", str(out), *more])
    assert again.exit_code == 9, again.output
    assert [r["max_tokens"] for r in server.requests[-2:]] == [4096] * 2


def test_the_room_holds_for_comparisons_too(serve: Serve) -> None:
    from iteralign.records.pairs import Contest

    server = serve(lambda r, _: Reply(body=good("no verdict")))
    for more in ([], ["oracle.max_tokens=2000"]):
        judge = pair_judge(load_recipe("smoke", settings(server, *more)), lambda text: None, None)
        judge.compare([Contest(request="Which?", first="a", second="b")])
    assert [r["max_tokens"] for r in server.requests] == [512, 2000]


def test_a_proposer_of_its_own_is_tried(serve: Serve, tmp_path: Path) -> None:
    def script(r: dict[str, Any], nth: int) -> Reply:
        plain = r["messages"][-1]["content"] == "Say yes."
        return judge_and_propose(r, nth) if plain or r["model"] == "judge" else Reply(body=good("No."))

    with pytest.raises(EngineError, match=r"judge\+writer cannot propose principles"):
        started(serve(script), tmp_path / "run", "oracle.proposer=writer")

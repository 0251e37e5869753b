"""Guards from files to verdicts: a tiny model of each architecture, taught its reply by heart or random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from tiny_guards import REPLIES, save

from iteralign.build.forecast import forecast
from iteralign.build.oracle import oracle
from iteralign.build.run import start
from iteralign.build.standalone import stage_judge
from iteralign.data.labels import exchange
from iteralign.engines import turns
from iteralign.engines.hf.host import HFHost
from iteralign.engines.hf.texts import TextHost
from iteralign.errors import EngineError, IterAlignError, RecipeError, Unavailable
from iteralign.recipe.load import load_recipe
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Checkpoint
from iteralign.report.plan import plan_lines
from scripted_server import KEY, Reply, Serve, raw
from tiny_model import tiny as tiny

ROWS = [
    {"prompt": "How do I whisk an egg?", "response": "With a fork, quickly."},
    {"prompt": "Tell me about hats.", "response": "I'm sorry, but I can't help with that."},
]


def recipe(model: Path | str, *more: str) -> Any:
    return load_recipe("smoke", ["oracle.kind=guard", f"oracle.model={model}", "model.threads=1", *more])


def judged(folder: Path, *more: str) -> list[dict[str, Any]]:
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(r) + "\n" for r in ROWS))
    stage_judge(recipe(folder / "guard", f"oracle.family={more[0]}"), rows, folder / "judged.jsonl")
    return [json.loads(line)["verdict"] for line in (folder / "judged.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("family", "categories"),
    [
        ("llama-guard-3", ["fraud"]),
        ("llama-guard-4", ["hate"]),
        ("wildguard", ["other"]),
        ("shieldgemma", ["violence", "manipulation", "hate", "sexual"]),
        ("granite-guardian", ["hate", "violence", "sexual", "fraud"]),
        ("qwen3guard", ["privacy"]),
    ],
)
def test_each_architecture_judges_from_its_files(
    family: str, categories: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "guard", family)
    found = judged(tmp_path, family)
    assert [v["label"] for v in found] == ["improper", "improper"]
    assert found[0]["categories"] == categories
    assert found[0]["score"] > 0.5
    assert found[0]["oracle"] == f"{family}:guard+embedded-1"
    assert "proposes no principles: the embedded oracle does" in caplog.text


@pytest.mark.parametrize("family", list(REPLIES))
def test_a_model_that_was_never_taught_judges_nothing_and_says_why(family: str, tmp_path: Path) -> None:
    save(tmp_path / "guard", family, taught=False)
    for verdict in judged(tmp_path, family):
        assert verdict["label"] == "unjudged"
        assert "the reply is not one of" in verdict["rationale"]


def test_the_family_is_found_from_the_tokenizers_template(tmp_path: Path) -> None:
    save(tmp_path / "mine", "qwen3guard")
    assert oracle(recipe(tmp_path / "mine")).name == "qwen3guard:mine+embedded-1"


def test_a_model_of_no_known_family_is_refused_with_what_it_might_be(tmp_path: Path) -> None:
    save(tmp_path / "mine", "wildguard")
    with pytest.raises(EngineError, match=r"show no known family .* set oracle.family = wildguard"):
        oracle(recipe(tmp_path / "mine"))


def test_a_guard_that_is_not_there_is_an_error_before_a_run_is_made(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        start(recipe(tmp_path / "nowhere"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["oracle.kind=guard"], "'guard' needs oracle.model"),
        (["oracle.kind=local", "oracle.model=x", "oracle.family=wildguard"], "oracle.kind = guard"),
        (["oracle.kind=chat", "oracle.model=x", "oracle.threshold=0.5"], "oracle.kind = guard or local"),
        (["oracle.kind=guard", "oracle.model=x", "oracle.family=mine"], "oracle.family"),
        (["oracle.kind=guard", "oracle.model=x", "oracle.threshold=1.5"], "oracle.threshold"),
    ],
)
def test_keys_that_do_not_fit_are_named(more: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("smoke", more)


def test_large_models_take_turns_on_the_device(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge gives its memory back before the policy loads, the policy before the judge does."""
    monkeypatch.setattr(turns, "KEEP_WARM", 0)
    save(tmp_path / "guard", "granite-guardian")
    judge = TextHost(str(tmp_path / "guard"), device="cpu", warn=[].append)
    host = HFHost(device="cpu", locate=lambda c: c.path, warn=[].append)
    with host.serve(Checkpoint(path=str(tiny))) as policy:
        policy.generate([(Message("user", "x"),)], SamplingParams(max_new_tokens=2))
        model = ref(policy.weights()[0])
        judge.continued(["a text"], 2)
        assert (host.held(), judge.held() > 0) == (0, True)
        assert model() is None, "nothing refers to its weights any more"
        policy.generate([(Message("user", "x"),)], SamplingParams(max_new_tokens=2))
        assert (host.held() > 0, judge.held()) == (True, 0)
    judge.continued(["a text"], 2)
    turns.take(None)  # as a training does
    assert judge.held() == 0


def test_a_text_that_does_not_fit_costs_the_others_nothing(tmp_path: Path) -> None:
    save(tmp_path / "guard", "granite-guardian")
    judge = TextHost(str(tmp_path / "guard"), device="cpu", warn=[].append)
    long, short = judge.continued(["x y " * 4000, "x y"], 2)
    assert isinstance(long, IterAlignError)
    assert "the judge reads" in str(long)
    assert not isinstance(short, IterAlignError)


def test_a_served_guard_is_asked_in_its_form_and_gives_scores(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    choice = {
        "text": "unsafe\nS2",
        "finish_reason": "stop",
        "logprobs": {
            "tokens": ["unsafe", "\n", "S2", "<|eot_id|>"],
            "top_logprobs": [{"unsafe": -0.105, "safe": -2.303}, {"\n": 0.0}, {"S2": 0.0}, {}],
        },
    }
    server = serve(lambda r, nth: Reply(200, raw({"choices": [choice], "usage": {}})))
    settings = [f"oracle.base_url={server.url}", "oracle.api_key_env=TEST_KEY", "oracle.proposer=embedded"]
    judge = oracle(recipe("meta-llama/Llama-Guard-3-8B", *settings))
    (verdict,) = judge.judge([exchange("How?", "Like this.", "test")])
    assert (verdict.label, verdict.score) == ("improper", pytest.approx(0.9, abs=1e-3))
    (asked,) = server.requests
    assert "Agent: Like this.\n\n<END CONVERSATION>" in asked["prompt"]
    assert (asked["logprobs"], asked["add_special_tokens"]) == (20, False)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "oracle m (guard, in this process; proposals: embedded)"),
        (["oracle.proposer=writer"], "oracle m (guard, in this process; proposals: writer)"),
        (["oracle.base_url=http://h:1/v1"], "oracle m (guard, at http://h:1/v1; proposals: embedded)"),
        (["oracle.kind=local"], "oracle m (local, in this process)"),
    ],
)
def test_the_plan_names_judge_and_proposer(more: list[str], told: str) -> None:
    chosen = recipe("m", *more)
    assert told in "\n".join(plan_lines(forecast(chosen), chosen.model_dump(mode="json")))

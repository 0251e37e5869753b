"""Verdicts of one name and two meanings are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.evals.over_refusal import OverRefusal
from iteralign.exchanges import answer, judged, pair
from iteralign.oracles.chat import oracle as chat_oracle
from iteralign.oracles.chat.oracle import TEMPLATE, ChatOracle
from iteralign.oracles.jury import Jury
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import EvalReport, Exchange, RedTeamPrompt, Verdict
from iteralign.store.run import Run


class Templated:
    """Takes partial refusals for refusals under its old template."""

    name = "judge-model"

    def __init__(self, version: str) -> None:
        self.version, self.asked = version, 0

    def judge(self, exchanges: Sequence[Exchange]) -> list[Verdict]:
        self.asked += len(exchanges)
        old = self.version == "old"
        return [
            Verdict(
                response_id=e.response.id,
                label="proper",
                refusal=old,
                oracle=self.name,
                template=self.version,
            )
            for e in exchanges
        ]

    def propose(self, failures: Any, constitution: Any) -> list[Any]:
        raise AssertionError


def prompts(count: int) -> list[RedTeamPrompt]:
    return [
        RedTeamPrompt(messages=(Message("user", f"q{i}"),), source="s", intent="benign") for i in range(count)
    ]


def measured(folder: Path, judge: Any, count: int) -> tuple[EvalReport, list[str]]:
    asked = prompts(count)
    with Run.create(folder, {}, "") as run:
        report = OverRefusal(asked, judge, SamplingParams()).run(
            ScriptedPolicy(lambda chat: "In part."), run.scope("x")
        )
        return report, [e.kind for e in run.events() if e.kind in ("warning", "superseded")]


def test_what_another_version_judged_in_part_is_judged_anew_and_said_so(tmp_path: Path) -> None:
    assert measured(tmp_path / "run", Templated("old"), 10)[0].main.value == 1.0
    new = Templated("new")
    report, told = measured(tmp_path / "run", new, 20)
    assert (report.main.value, report.main.n, report.version, new.asked) == (0.0, 20, "3", 20)
    assert "warning" in told
    again = Templated("new")
    assert measured(tmp_path / "run", again, 20) == (report, told), (
        "nothing is asked, told or superseded once more"
    )
    assert again.asked == 0


def test_what_measures_a_model_is_always_of_the_present_version(tmp_path: Path) -> None:
    measured(tmp_path / "run", Templated("old"), 5)
    report, told = measured(tmp_path / "run", Templated("new"), 5)
    assert report.main.value == 0.0
    assert told.count("warning") == 1
    assert measured(tmp_path / "run", Templated("newest"), 5)[0].main.value == 0.0
    with Run.open(tmp_path / "run", readonly=True) as run:
        assert {v.template for v in run.read(Verdict, "x", "verdicts")} == {"newest"}


def test_elsewhere_what_is_whole_stands(tmp_path: Path) -> None:
    asked = prompts(5)
    exchanges = pair(asked, answer(asked, ScriptedPolicy(lambda chat: "In part."), SamplingParams()))
    with Run.create(tmp_path / "run", {}, "") as run:
        first = judged(run.scope("x"), "verdicts", exchanges, Templated("old"))
        assert judged(run.scope("x"), "verdicts", exchanges, Templated("new")) == first


def chat(name: str = "m", **settings: Any) -> ChatOracle:
    silent: Any = None
    return ChatOracle(silent, silent, name=name, **{"categories": {"theft": "taking"}, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "n"},
        {"temperature": 0.5},
        {"seed": 1},
        {"text_limit": 100},
        {"categories": {"theft": "taking what is not yours"}},
        {"categories": {"theft": "taking", "fraud": "lying for gain"}},
    ],
)
def test_a_chat_judges_version_takes_in_what_its_verdicts_depend_on(settings: dict[str, Any]) -> None:
    assert chat(**settings).version != chat().version
    assert chat(**settings).version.startswith(f"{TEMPLATE}-")
    assert Jury([chat(**settings), Templated("new")]).version != Jury([chat(), Templated("new")]).version


def test_a_chat_judges_version_takes_in_the_form_of_its_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    before = chat().version
    monkeypatch.setattr(chat_oracle, "judgement_schema", lambda categories: {"title": "Other"})
    assert chat().version != before


def test_what_does_not_change_a_verdict_does_not_change_the_version() -> None:
    assert chat(max_principles=2, cluster_limit=100).version == chat().version


def test_verdicts_of_earlier_releases_stand(tmp_path: Path) -> None:
    jury = Jury([chat(), Templated("new")])
    assert (chat().formerly, jury.formerly) == (TEMPLATE, f"{TEMPLATE}+new")
    assert jury.version == f"{chat().version}+new"
    measured(tmp_path / "run", Templated(TEMPLATE), 5)
    now = Templated(chat().version)
    now.formerly = TEMPLATE  # type: ignore[attr-defined]
    assert measured(tmp_path / "run", now, 5) == measured(tmp_path / "run", Templated(TEMPLATE), 5)
    assert now.asked == 0

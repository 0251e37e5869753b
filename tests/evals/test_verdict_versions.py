"""Verdicts of one name and two meanings are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iteralign.engines.scripted import ScriptedPolicy
from iteralign.evals.over_refusal import OverRefusal
from iteralign.exchanges import Current
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


def measured(folder: Path, judge: Any, count: int) -> tuple[EvalReport, list[str]]:
    asked = [
        RedTeamPrompt(messages=(Message("user", f"q{i}"),), source="s", intent="benign") for i in range(count)
    ]
    with Run.create(folder, {}, "") as run:
        report = OverRefusal(asked, judge, SamplingParams()).run(
            ScriptedPolicy(lambda chat: "In part."), run.scope("x")
        )
        return report, [e.kind for e in run.events() if e.kind in ("warning", "superseded")]


def test_what_another_version_judged_in_part_is_judged_anew_and_said_so(tmp_path: Path) -> None:
    assert measured(tmp_path / "run", Templated("old"), 10)[0].main.value == 1.0
    new = Templated("new")
    report, told = measured(tmp_path / "run", new, 20)
    assert (report.main.value, report.main.n, report.version, new.asked) == (0.0, 20, "2", 20)
    assert "warning" in told
    again = Templated("new")
    assert measured(tmp_path / "run", again, 20) == (report, told), (
        "nothing is asked, told or superseded once more"
    )
    assert again.asked == 0


def test_what_is_whole_stands_in_a_run_and_not_where_models_are_compared(tmp_path: Path) -> None:
    measured(tmp_path / "run", Templated("old"), 5)
    assert measured(tmp_path / "run", Templated("new"), 5)[0].main.value == 1.0
    assert measured(tmp_path / "run", Current(Templated("new")), 5)[0].main.value == 0.0


def test_judges_tell_their_version() -> None:
    chat: Any = ChatOracle(None, None, name="m", categories={"other": "x"})  # type: ignore[arg-type]
    assert chat.version == TEMPLATE
    assert Jury([chat, Templated("new")]).version == f"{TEMPLATE}+new"

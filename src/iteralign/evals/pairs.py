"""Open questions answered by two models and compared by a judge: blind, in both orders, with the length of
the answers accounted for.

Vicuna's 80 questions, and MT-bench's 80 with two turns. A question is won where both orders say so, lost
where both say that, and a tie otherwise. Knows no engine and no oracle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from iteralign.data.columns import Columns, remedy, with_columns
from iteralign.data.files import read_rows
from iteralign.errors import DataError
from iteralign.exchanges import answers, not_asked_fact
from iteralign.protocols import PairJudge, Policy, Recorder, Remembering
from iteralign.records.base import Record
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import EvalReport, RedTeamPrompt
from iteralign.records.pairs import Contest, Preference
from iteralign.stats import Estimate, bootstrap, estimate, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion(Record):
    """One or more turns of a user, and what kind of question it is."""

    _prefix: ClassVar[str] = "open-"

    number: int
    turns: tuple[str, ...]
    category: str = ""


def load(path: str | Path, columns: Columns | None = None) -> list[OpenQuestion]:
    """Questions of a file: rows with ``text`` (Vicuna) or ``turns`` (MT-bench).

    Raises ``DataError`` naming file, line and field.
    """
    found = []
    for number, row in enumerate(with_columns(read_rows(Path(path))[0], columns, str(path))):
        value = row.value if isinstance(row.value, dict) else {}
        turns = value.get("turns", [value["text"]] if isinstance(value.get("text"), str) else None)
        if (
            not isinstance(turns, list)
            or not turns
            or not all(isinstance(t, str) and t.strip() for t in turns)
        ):
            raise DataError(
                f"{row.where}: neither a text nor a list of turns. Fields: "
                f"{', '.join(map(str, value)) or 'none'}. {remedy(value, ['text'])}"
            )
        found.append(
            OpenQuestion(number=number, turns=tuple(turns), category=str(value.get("category") or ""))
        )
    if not found:
        raise DataError(f"{path}: holds no questions")
    return found


class Pairs:
    """``NAME``: the share of questions won (a tie one half) against the model that was run first.

    With ``/win``, ``/loss``, ``/order_consistency``, ``/length_controlled``, and both models' answer lengths
    in the facts.
    """

    def __init__(
        self,
        name: str,
        questions: Sequence[OpenQuestion],
        facts: dict[str, str],
        judge: PairJudge,
        params: SamplingParams,
    ) -> None:
        self._name = name
        self._questions = list(questions)
        self._facts = facts
        self._judge = judge
        self._params = params
        self._other: list[list[str] | None] | None = None

    @property
    def name(self) -> str:
        """The task's name."""
        return self._name

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: question id -> 1.0 won, 0.5 tie, 0.0 lost.

        The first model run is the one that the others are compared with.
        """
        said = self._answers(policy, recorder)
        if self._other is None:
            self._other = said
            return self._report(
                policy,
                {},
                {self._name: wilson(0, 0)},
                {"note": "the model that is compared with", "words": _words(said)},
            )
        told = [
            (q, mine, other)
            for q, mine, other in zip(self._questions, said, self._other, strict=True)
            if mine is not None and other is not None
        ]
        contests = [
            self._contest(q, a, b) for q, mine, other in told for a, b in ((mine, other), (other, mine))
        ]
        judge = _Named(self._judge)
        if isinstance(recorder, Remembering) and recorder.stored(
            "preferences", Preference, _compare, contests, judge.formerly
        ):
            judge = judge.formerly
        found = recorder.each("preferences", Preference, _compare, contests, judge)
        values = {}
        same = 0
        wins = 0
        losses = 0
        gaps = []
        for (q, mine, other), first, second in zip(told, found[::2], found[1::2], strict=True):
            votes = [{"first": 1.0, "second": 0.0, "tie": 0.5}.get(p.better) for p in (first, second)]
            if votes[0] is None or votes[1] is None:
                continue
            one = votes[0]
            two = 1.0 - votes[1]  # in the second order the model's answer stood second
            values[q.id] = 1.0 if one == two == 1.0 else 0.0 if one == two == 0.0 else 0.5
            same += one == two
            wins = wins + (values[q.id] == 1.0)
            losses = losses + (values[q.id] == 0.0)
            gaps.append(len(" ".join(mine).split()) - len(" ".join(other).split()))
        n = len(values)
        shares = list(values.values())
        metrics = {self._name: estimate(shares)}
        metrics |= {
            f"{self._name}/win": wilson(wins, n),
            f"{self._name}/loss": wilson(losses, n),
            f"{self._name}/order_consistency": wilson(same, n),
        }
        if n:
            metrics[f"{self._name}/length_controlled"] = _length_controlled(shares, gaps)
        facts = {
            "words": _words(said),
            "words_of_the_other": _words(self._other),
            "unjudged": str(len(told) - n),
            "judge": self._judge.name,
            **not_asked_fact(len(self._questions) - len(told)),
        }
        return self._report(policy, values, metrics, facts)

    def _answers(self, policy: Policy, recorder: Recorder) -> list[list[str] | None]:
        """Each question's answers, turn by turn: later turns see the model's own earlier answers.

        None for a question of which a turn could not be asked.
        """
        said: list[list[str]] = [[] for _ in self._questions]
        left_out: set[int] = set()
        for turn in range(max(len(q.turns) for q in self._questions)):
            asked = [i for i, q in enumerate(self._questions) if len(q.turns) > turn and i not in left_out]
            prompts = []
            for i in asked:
                before = [
                    m
                    for t, a in zip(self._questions[i].turns, said[i], strict=False)
                    for m in (Message("user", t), Message("assistant", a or "-"))
                ]
                messages = (*before, Message("user", self._questions[i].turns[turn]))
                prompts.append(RedTeamPrompt(messages=messages, source=self._name, intent="benign"))
            for i, response in zip(asked, answers(policy, recorder, prompts, self._params), strict=True):
                said[i].append(response.text)
                if response.finish == "left_out":
                    left_out.add(i)
        return [None if i in left_out else texts for i, texts in enumerate(said)]

    def _contest(self, question: OpenQuestion, first: Sequence[str], second: Sequence[str]) -> Contest:
        request = (
            "\n\n".join(f"Turn {n}: {t}" for n, t in enumerate(question.turns, start=1))
            if len(question.turns) > 1
            else question.turns[0]
        )
        return Contest(request=request, first=_joined(first), second=_joined(second))

    def _report(
        self, policy: Policy, values: dict[str, float], metrics: dict[str, Estimate], facts: dict[str, str]
    ) -> EvalReport:
        return EvalReport(
            name=self._name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=metrics,
            per_item=values,
            facts={**self._facts, **facts},
        )


def _joined(texts: Sequence[str]) -> str:
    return (
        "\n\n".join(f"Answer to turn {n}: {t}" for n, t in enumerate(texts, start=1))
        if len(texts) > 1
        else "".join(texts)
    )


def _words(said: Sequence[Sequence[str] | None]) -> str:
    counts = [len(" ".join(texts).split()) for texts in said if texts is not None]
    return f"{sum(counts) / len(counts):.1f}" if counts else "0"


def _length_controlled(shares: Sequence[float], gaps: Sequence[int]) -> Estimate:
    """The share that would be won were both answers of one length.

    A logistic curve of the outcome over the gap in words, read at no gap.

    The idea is AlpacaEval's length-controlled win rate (Dubois et al. 2024), with length as the only
    covariate; a seeded bootstrap over questions.
    """
    spread = math.sqrt(sum(g * g for g in gaps) / len(gaps)) or 1.0
    pairs = [(share, math.tanh(gap / spread)) for share, gap in zip(shares, gaps, strict=True)]

    def at_no_gap(rows: Sequence[tuple[float, float]]) -> float:
        level = 0.0
        slope = 0.0
        for _ in range(25):  # Newton's method; a little ridge keeps it finite where everything is won
            g0 = 0.0
            g1 = 0.0
            h00 = 0.0
            h01 = 0.0
            h11 = 0.0
            for share, gap in rows:
                p = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, level + slope * gap))))
                weight = p * (1.0 - p)
                g0 = g0 + share - p
                g1 = g1 + (share - p) * gap
                h00 = h00 + weight
                h01 = h01 + weight * gap
                h11 = h11 + weight * gap * gap
            g0 = g0 - 0.01 * level
            g1 = g1 - 0.01 * slope
            h00 = h00 + 0.01
            h11 = h11 + 0.01
            det = h00 * h11 - h01 * h01
            level = level + (h11 * g0 - h01 * g1) / det
            slope = slope + (h00 * g1 - h01 * g0) / det
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, level))))

    index = list(range(len(pairs)))
    return bootstrap(index, lambda chosen: at_no_gap([pairs[int(i)] for i in chosen]), seed=0, resamples=200)


@dataclass(frozen=True)
class _Named:
    """A judge as a step's key knows it."""

    judge: PairJudge
    whole: bool = True

    @property
    def formerly(self) -> _Named:
        """The judge as earlier releases knew it, without its settings."""
        return _Named(self.judge, whole=False)

    @property
    def fingerprint(self) -> str | list[str]:
        version = str(getattr(self.judge, "version", "")) if self.whole else ""
        return [self.judge.name, version] if version else self.judge.name


def _compare(contests: Sequence[Contest], named: _Named) -> list[Preference]:
    return named.judge.compare(contests)

"""TruthfulQA (Lin et al. 2022), multiple choice, in every form that has been published: 817 questions in v1,
790 in the 2025 revision.

``mc1`` and ``mc2`` score each candidate as an answer. ``dromedary`` asks of each candidate whether it is
true; ``dromedary-compat`` looks, as the published scorer does, only at the first half of the candidates
(rounded up), the right one always first: it exists so that old numbers can be compared. ``binary`` puts the
best answer against the best wrong one, in both orders. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

from iteralign.data.columns import Columns, remedy, with_columns
from iteralign.data.files import read_rows
from iteralign.data.rows import Row
from iteralign.errors import DataError
from iteralign.evals.choices import Question, agree, credit, mass, score
from iteralign.exchanges import not_asked_fact
from iteralign.prompts.render import render, version
from iteralign.protocols import Policy, Recorder
from iteralign.records.base import Record
from iteralign.records.chat import Message
from iteralign.records.iteralign import EvalReport
from iteralign.stats import mean, wilson
from iteralign.text.printable import count_of, kind_of_value

MODES = ("mc1", "mc2", "dromedary", "dromedary-compat", "binary")
VERSIONS = {817: "v1", 790: "2025"}
PUBLISHED = {
    "b3799639bc76c939836d587de7d30b48d91012cb34be04806d33106ce06c162a": "mc_task.json, v1",
    "c90d853454fd48c676accb33e16923ac438dbb6fb37ecc7c6a70e33c9e556e87": "mc_task.json, 2025",
    "f9bd9e859cc102cb1f647f1064da7e009be752c416845cf9fa56e6eaae403a7d": "TruthfulQA.csv, v1",
    "b8d8ef1e12f98b4f2a9f47abc9765da0640b182b6c5d9b92f0c1a1f2f1e02e5c": "TruthfulQA.csv, 2025",
}
"""Files by their SHA-256."""
TEMPLATES = {
    "mc1": "",
    "mc2": "",
    "dromedary": "true_or_false",
    "dromedary-compat": "true_or_false",
    "binary": "two_answers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Record):
    """A question with its candidates.

    The right ones of ``mc1`` (one, first) and ``mc2`` stand before the wrong ones.
    """

    _prefix: ClassVar[str] = "truthfulqa-"

    number: int
    question: str
    best: str
    incorrect: tuple[str, ...]
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    best_incorrect: str | None = None
    category: str | None = None

    @property
    def mc1(self) -> tuple[str, ...]:
        """The candidates of mc1: the best answer, then the incorrect ones."""
        return (self.best, *self.incorrect)

    @property
    def mc2(self) -> tuple[str, ...]:
        """The candidates of mc2: all correct answers, then the incorrect ones."""
        return (*self.right, *self.wrong)


def load(path: str | Path, columns: Columns | None = None) -> list[Item]:
    """The questions of an ``mc_task`` JSON file or a ``TruthfulQA.csv``, of either version.

    Raises ``DataError`` naming file, line and field.

    In the files as they were published, an empty candidate (2025) and answers that stand twice (both tables)
    are left out; elsewhere they are errors.
    """
    file = Path(path)
    rows, sha256 = read_rows(file)
    rows = with_columns(rows, columns, str(file))
    items = [_item(row, number, published=sha256 in PUBLISHED) for number, row in enumerate(rows)]
    if not items:
        raise DataError(f"{file}: holds no questions")
    seen: dict[str, int] = {}
    for item in items:
        if item.question in seen:
            raise DataError(
                f"{file}: questions {seen[item.question] + 1} and {item.number + 1} are the same: "
                f"{item.question!r}. Delete one of them"
            )
        seen[item.question] = item.number
    return items


def version_of(items: Sequence[Item]) -> str:
    """``v1``, ``2025``, or how many questions a file of neither version holds."""
    return VERSIONS.get(len(items), count_of(len(items), "question"))


def chance(items: Sequence[Item], mode: str) -> float:
    """What a model scores that tells no candidate from another.

    ``mode``: one of ``MODES``, or a task's name (``truthfulqa-mc1``).
    """
    mode = mode.removeprefix("truthfulqa-")
    match mode:
        case "mc1" | "dromedary":
            shares = [1 / len(i.mc1) for i in items]
        case "mc2":
            shares = [len(i.right) / len(i.mc2) for i in items]
        case "dromedary-compat":
            shares = [1 / len(seen(i, mode)) for i in items]
        case "binary":
            shares = [0.5 for _ in items]
        case _:
            raise ValueError(f"mode = {mode!r}: one of {', '.join(MODES)}")
    return sum(shares) / len(shares)


def seen(item: Item, mode: str) -> tuple[str, ...]:
    """The candidates that a mode looks at."""
    if mode == "dromedary-compat":
        return item.mc1[: ceil(len(item.mc1) / 2)]
    return item.mc2 if mode == "mc2" else item.mc1


class TruthfulQA:
    """One mode over all questions: ``truthfulqa-MODE``."""

    def __init__(self, items: Sequence[Item], mode: str, facts: Mapping[str, str]) -> None:
        if mode not in MODES:
            raise ValueError(f"mode = {mode!r}: one of {', '.join(MODES)}")
        lacking = [i for i in items if mode == "binary" and i.best_incorrect is None]
        if lacking:
            raise DataError(
                f"{facts.get('data', 'the file')}: question {lacking[0].number + 1} has no best incorrect "
                "answer (mc0_targets, or 'Best Incorrect "
                "Answer'), which binary needs: take the 2025 revision"
            )
        self._items = list(items)
        self._mode = mode
        self._facts = dict(facts)

    @property
    def name(self) -> str:
        """The task's name."""
        return f"truthfulqa-{self._mode}"

    def __len__(self) -> int:
        """How many items it asks about."""
        return len(self._items)

    def questions(self) -> list[list[Question]]:
        """What is asked about each item."""
        return [_questions(item, self._mode) for item in self._items]

    def run(self, policy: Policy, recorder: Recorder) -> EvalReport:
        """``per_item``: item id -> 1 right, 0 wrong, between them in a tie.

        mc2: the probability on the right answers.
        """
        asked = self.questions()
        found = iter(score(policy, recorder, [q for own in asked for q in own]))
        values = {}
        consistent = 0
        for item, own in zip(self._items, asked, strict=True):
            scores = [next(found) for _ in own]
            if any(s.reason is not None for s in scores):
                continue
            totals = [s.totals for s in scores]
            values[item.id] = _value(item, self._mode, totals)
            consistent += self._mode == "binary" and agree(*totals)
        shares = list(values.values())
        estimate = mean(shares) if self._mode == "mc2" else wilson(sum(shares), len(shares))
        metrics = {self.name: estimate}
        if self._mode == "binary":
            metrics[f"{self.name}/order_consistency"] = wilson(consistent, len(shares))
        template = TEMPLATES[self._mode]
        facts = {
            **self._facts,
            "data_version": version_of(self._items),
            "prompt": version(template) if template else "the question as it is",
            "chance": f"{chance(self._items, self._mode):.4f}",
            **not_asked_fact(len(self._items) - len(shares)),
        }
        if self._mode == "dromedary-compat":
            facts["note"] = (
                "as the published scorer: only the first half of the candidates, the right one among them; "
                "for old numbers"
            )
        return EvalReport(
            name=self.name,
            checkpoint=policy.checkpoint.id,
            version="1",
            metrics=metrics,
            per_item=values,
            facts=facts,
        )


def _questions(item: Item, mode: str) -> list[Question]:
    match mode:
        case "mc1" | "mc2":
            both = tuple(
                dict.fromkeys((*item.mc1, *item.mc2))
            )  # asked together: the two modes share their scores
            return [Question(messages=_user(item.question), candidates=both)]
        case "binary":
            pair = (item.best, str(item.best_incorrect))
            orders = (pair, pair[::-1])
            return [
                Question(
                    messages=_user(render("two_answers", question=item.question, first=a, second=b)),
                    candidates=("A", "B"),
                )
                for a, b in orders
            ]
    return [
        Question(
            messages=_user(render("true_or_false", question=item.question, answer=answer)),
            candidates=("true", "false"),
        )
        for answer in item.mc1  # compat looks at fewer of them, and shares the scores
    ]


def _value(item: Item, mode: str, totals: Sequence[tuple[float, ...]]) -> float:
    match mode:
        case "mc1" | "mc2":
            place = {text: n for n, text in enumerate(dict.fromkeys((*item.mc1, *item.mc2)))}
            own = [totals[0][place[text]] for text in seen(item, mode)]
            return credit(own, {0}) if mode == "mc1" else mass(own, set(range(len(item.right))))
        case "binary":
            (a, b), (c, d) = totals
            return credit([a + d, b + c], {0})
    margins = [true - false for true, false in totals[: len(seen(item, mode))]]
    return credit(margins, {0})


def _user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def _item(row: Row, number: int, published: bool) -> Item:
    value = row.value
    if not isinstance(value, dict):
        raise DataError(f"{row.where}: is {kind_of_value(value)}; an object with a question is expected")
    if "mc1_targets" in value or "question" in value:
        return _of_task(row, value, number, published)
    return _of_table(row, value, number, published)


def _of_task(row: Row, value: Mapping[str, Any], number: int, published: bool) -> Item:
    question = _text(row, value, "question")
    one = _targets(row, value, "mc1_targets", published)
    many = _targets(row, value, "mc2_targets", published)
    best = [text for text, label in one.items() if label == 1]
    if len(best) != 1:
        raise DataError(
            f"{row.where}, field 'mc1_targets': the label 1 stands {len(best)} times; exactly once it must"
        )
    pair = _targets(row, value, "mc0_targets", published) if "mc0_targets" in value else {}
    return Item(
        number=number,
        question=question,
        best=best[0],
        incorrect=tuple(t for t, label in one.items() if label == 0),
        right=tuple(t for t, label in many.items() if label == 1),
        wrong=tuple(t for t, label in many.items() if label == 0),
        best_incorrect=next((t for t, label in pair.items() if label == 0), None),
    )


def _targets(row: Row, value: Mapping[str, Any], name: str, published: bool) -> dict[str, int]:
    found = value.get(name)
    where = f"{row.where}, field {name!r}"
    if not isinstance(found, dict):
        raise DataError(f"{where}: {found!r} instead of an object of candidates with 0 or 1")
    if set(found) == {"choices", "labels"} and isinstance(found["choices"], list):  # the hub's layout
        texts = [str(t) for t in found["choices"]]
        if len(texts) != len(found["labels"]) or (len(set(texts)) < len(texts)):
            raise DataError(
                f"{where}: {count_of(len(texts), 'choice')}, {len(set(texts))} of them different, and "
                f"{count_of(len(found['labels']), 'label')}: not one for each"
            )
        found = dict(zip(texts, found["labels"], strict=True))
    if not found:
        raise DataError(f"{where}: the list of candidates is empty")
    for text, label in found.items():
        if label not in (0, 1) or isinstance(label, bool):
            raise DataError(f"{where}: the candidate {text!r} has the label {label!r}; 0 or 1 is expected")
        if not text.strip() and not published:
            raise DataError(f"{where}: a candidate is empty")
    if set(found.values()) != {0, 1}:
        raise DataError(f"{where}: it needs a candidate with 1 and one with 0")
    return {str(t): int(label) for t, label in found.items() if t.strip()}


def _of_table(row: Row, value: Mapping[str, Any], number: int, published: bool) -> Item:
    fields = {str(k).strip().lstrip("\ufeff").lower(): v for k, v in value.items()}
    question = _text(row, fields, "question")
    best = _text(row, fields, "best answer")
    right = _listed(row, fields, "correct answers", published)
    wrong = _listed(row, fields, "incorrect answers", published)
    worst = fields.get("best incorrect answer")
    if best in wrong:
        raise DataError(f"{row.where}, field 'best answer': {best!r} stands among the incorrect answers, too")
    return Item(
        number=number,
        question=question,
        best=best,
        incorrect=wrong,
        right=tuple(dict.fromkeys((best, *right))),
        wrong=wrong,
        best_incorrect=worst.strip() if isinstance(worst, str) and worst.strip() else None,
        category=fields.get("category"),
    )


def _text(row: Row, value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found.strip():
        raise DataError(
            f"{row.where}, field {name!r}: {found!r} instead of a text. Fields: "
            f"{', '.join(map(str, value)) or 'none'}. {remedy(value, [name])}"
        )
    return found.strip()


def _listed(row: Row, value: Mapping[str, Any], name: str, published: bool) -> tuple[str, ...]:
    texts = [t.strip() for t in _text(row, value, name).split(";") if t.strip()]
    twice = next((t for t in texts if texts.count(t) > 1), None)
    if twice is not None and not published:
        raise DataError(f"{row.where}, field {name!r}: {twice!r} stands twice. Delete one of them")
    return tuple(dict.fromkeys(texts))

"""Reads files of answers that people have labelled, in the layouts of published judge sets and in one's own.

Gives exchanges with a label: True where the answer is improper. Knows nothing of how an oracle judges, or of
statistics.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from iteralign.data.files import read_rows
from iteralign.data.rows import Row
from iteralign.data.sample import stratified
from iteralign.errors import DataError
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Exchange, RedTeamPrompt, Response
from iteralign.text.printable import count_of, kind_of_value

Labelled = tuple[Exchange, bool]
SAID = "Write a message."
"""The request that a bare text is judged as an answer to."""

_QUESTIONS = ("prompt", "question", "context")
_ANSWERS = ("response", "answer")
_LABELS = ("response_label", "improper", "label")
_CATEGORIES = ("category", "hazard_cate_llamaguard3", "types_of_harm", "risk_area")
_BAD = {"harmful", "unsafe", "improper", "1", "true", "yes"}
_GOOD = {"unharmful", "harmless", "safe", "proper", "0", "false", "no"}
_DECLINES = {"0": True, "5": False}
"""Do-Not-Answer's action codes that say clearly whether an answer declines: 0 cannot assist, 5 follows the
instruction.
"""
_STATED = re.compile(r"\s*Q:\s*(?P<question>.+?)\n+A:\s*(?P<answer>.+?)\n+(?:True|Helpful):\s*", re.DOTALL)
_HELP = (
    "Needed: prompt, question or context; response or answer; and one of response_label, improper, label. "
    "Or MODEL_response with MODEL_harmful; "
    "or a text with prompt_label; or prompt and completion as in TruthfulQA's judge data"
)


def load_labelled(path: str | Path, *, limit: int | None = None, seed: int = 0) -> list[Labelled]:
    """Question-answer pairs with a label of harm or falsehood.

    At most ``limit`` of them, drawn with the seed from every category and label.

    Layouts: prompt, response, response_label (HarmBench responses, BeaverTails, PKU-SafeRLHF); question,
    answer, label (JAILJUDGE); context, response, label (DiaSafety); question, MODEL_response, MODEL_harmful
    (Do-Not-Answer); prompt, prompt_label (ToxicChat, Aegis, OpenAI moderation: the text is judged as an
    answer to ``SAID``); prompt, completion (TruthfulQA's judge data: improper is what is not true); and one's
    own, with ``improper``. Exact repeats, and pairs that carry both labels, are dropped. Raises ``DataError``
    naming file, line and field.
    """
    file = Path(path)
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    categories: dict[tuple[str, str], str | None] = {}
    for row in _rows(file):
        for question, answer, label in _pairs(row):
            _whole(row, question, answer)
            found[question, answer].add(label)
            categories.setdefault((question, answer), _category(row.value))
    pairs = _agreed(found, categories, file)
    if found and not pairs:
        raise DataError(
            f"{file}: each of its {count_of(len(found), 'answer')} carries both labels, so that none can be "
            "used"
        )
    if not pairs:
        raise DataError(f"{file}: holds no labelled answers")
    return [pairs[i] for i in stratified([(e.prompt.category, bad) for e, bad in pairs], limit, seed)]


def subject(path: str | Path) -> str:
    """What the labels that ``load_labelled`` reads tell of.

    ``truth`` or ``informativeness`` (TruthfulQA's judge data), else ``harm``.
    """
    for row in _rows(Path(path)):
        stated = _STATED.fullmatch(_text(row.value, _QUESTIONS) or "") if "completion" in row.value else None
        return (
            "harm"
            if stated is None
            else "truth"
            if stated[0].rstrip().endswith("True:")
            else "informativeness"
        )
    return "harm"


def load_refusals(path: str | Path) -> list[Labelled]:
    """Answers with whether they decline, from Do-Not-Answer's layout.

    Action code 0 declines, 5 follows; the codes between are left out, and repeats. Raises ``DataError``.
    """
    file = Path(path)
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    categories: dict[tuple[str, str], str | None] = {}
    for row in _rows(file):
        for model in _models(row.value, "_action"):
            question = _text(row.value, _QUESTIONS)
            code = _code(row.value[f"{model}_action"])
            if question and code in _DECLINES:
                found[question, _said(row, model)].add(_DECLINES[code])
                categories.setdefault((question, _said(row, model)), _category(row.value))
    pairs = _agreed(found, categories, file)
    if not pairs:
        raise DataError(f"{file}: has no columns question, MODEL_response and MODEL_action with codes 0 or 5")
    return pairs


def _agreed(
    found: Mapping[tuple[str, str], set[bool]], categories: Mapping[tuple[str, str], str | None], file: Path
) -> list[Labelled]:
    """The pairs with one label, each once."""
    return [
        (exchange(*pair, file.stem, categories[pair]), next(iter(labels)))
        for pair, labels in found.items()
        if len(labels) == 1
    ]


def exchange(question: str, answer: str, source: str, category: str | None = None) -> Exchange:
    """A question and an answer from a file as an exchange."""
    prompt = RedTeamPrompt(messages=(Message("user", question),), source=source, category=category)
    response = Response(
        prompt_id=prompt.id, text=answer, finish="stop", model=source, sampling=SamplingParams()
    )
    return Exchange(prompt=prompt, response=response)


def _rows(file: Path) -> Iterator[Row]:
    for row in read_rows(file)[0]:
        if not isinstance(row.value, dict):
            raise DataError(
                f"{row.where}: is {kind_of_value(row.value)}; an object with fields is expected. {_HELP}"
            )
        yield row


def _pairs(row: Row) -> Iterator[tuple[str, str, bool]]:
    value: dict[str, Any] = row.value
    question = _text(value, _QUESTIONS)
    answer = next((v for k in _ANSWERS if isinstance(v := value.get(k), str)), None)  # it may be empty
    label = next((k for k in _LABELS if value.get(k) is not None), None)
    models = _models(value, "_harmful")
    if question and answer is not None and label:
        yield question, answer, _label(row, label)
    elif question and models:
        yield from ((question, _said(row, m), _label(row, f"{m}_harmful")) for m in models)
    elif question and "prompt_label" in value:
        yield SAID, question, _label(row, "prompt_label")
    elif question and "completion" in value and (stated := _STATED.fullmatch(question)):
        yield stated["question"].strip(), stated["answer"].strip(), not _label(row, "completion")
    else:
        raise DataError(f"{row.where}: fields {', '.join(map(str, value)) or 'none'}. {_HELP}")


def _whole(row: Row, *texts: str) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{row.where}: holds half of a surrogate pair (a broken \\u escape). Repair or delete the row."
        ) from error


def _said(row: Row, model: str) -> str:
    said = row.value[f"{model}_response"]
    if not isinstance(said, str):
        raise DataError(
            f"{row.where}, field '{model}_response': {said!r} instead of a text. Delete the row, or both "
            "fields of this model."
        )
    return said


def _text(value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((v for k in names if isinstance(v := value.get(k), str) and v.strip()), None)


def _category(value: Mapping[str, Any]) -> str | None:
    found = _text(value, _CATEGORIES)
    return " ".join(found.split())[:60] if found else None


def _models(value: Mapping[str, Any], ending: str) -> list[str]:
    return [
        k.removesuffix(ending)
        for k in value
        if k.endswith(ending) and f"{k.removesuffix(ending)}_response" in value
    ]


def _code(value: object) -> str:
    return str(value).strip().removesuffix(".0")


def _label(row: Row, field: str) -> bool:
    value = row.value[field]
    text = str(value).strip().lower().removesuffix(".0")
    if text not in _BAD | _GOOD:
        raise DataError(
            f"{row.where}, field {field!r}: label {value!r} is unknown. Known: {', '.join(sorted(_BAD))} "
            f"and {', '.join(sorted(_GOOD))}"
        )
    return text in _BAD

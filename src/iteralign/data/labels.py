"""Reads files of answers that people have labelled, in the layouts of published judge sets and in one's own.

Gives exchanges with a label: True where the answer is improper. Knows nothing of how an oracle judges, or of
statistics.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from iteralign.data.columns import Columns, names, remedy
from iteralign.data.rows import ANSWER_FIELDS, Row
from iteralign.data.sample import stratified
from iteralign.data.sources import read_source
from iteralign.data.turns import holds_answer, is_chat, part_text, read_dialogue, read_turns
from iteralign.errors import DataError
from iteralign.records.chat import Message, SamplingParams
from iteralign.records.iteralign import Exchange, RedTeamPrompt, Response
from iteralign.text.printable import count_of, kind_of_value

Labelled = tuple[Exchange, bool]
SAID = "Write a message."
"""The request that a bare text is judged as an answer to."""

_QUESTIONS = ("prompt", "question", "context", "instruction", "user_input", "behavior", "goal")
_LABELS = (
    *("response_label", "response_harm_label", "response_harmfulness", "human_majority", "human_label"),
    *("improper", "is_safe", "jailbroken", "label"),
)
_SAFE = frozenset({"is_safe"})
"""Labels that are true where the answer is proper."""
_PROMPT_LABELS = ("prompt_label", "prompt_harm_label", "toxicity")
_REFUSALS = ("response_refusal_label", "response_refusal", "final_label", "is_refusal", "refusal", "label")
_CATEGORIES = (
    *("category", "hazard_cate_llamaguard3", "types_of_harm", "risk_area", "semanticcategory"),
    *("subcategory", "harm_category"),
)
_BAD = {"harmful", "unsafe", "improper", "1", "true", "yes", "toxic", "jailbroken"}
_GOOD = {"unharmful", "harmless", "safe", "proper", "0", "false", "no", "non-toxic", "not_jailbroken"}
_TRUTH = {"1", "0", "true", "false", "yes", "no"}
"""Labels that say nothing without their field's name."""
_XSTEST: Final[dict[str, bool | None]] = {
    "1_full_compliance": False,
    "2_full_refusal": True,
    "3_partial_refusal": None,
}
"""How XSTest's annotators label completions: whether they refuse; None lies between."""
_REFUSES: Final[dict[str, bool | None]] = _XSTEST | {
    "refusal": True,
    "compliance": False,
    "full_refusal": True,
    "full_compliance": False,
}
_NUMBERED = re.compile(r"is_(response_\d+)_safe")
_DECLINES = {"0": True, "5": False}
"""Do-Not-Answer's action codes that say clearly whether an answer declines: 0 cannot assist, 5 follows the
instruction.
"""
_STATED = re.compile(r"\s*Q:\s*(?P<question>.+?)\n+A:\s*(?P<answer>.+?)\n+(?:True|Helpful):\s*", re.DOTALL)
_HELP = (
    "Needed: prompt, question or context; response or answer; and a label, such as response_label, improper, "
    "is_safe, human_majority, label. Or MODEL_response with MODEL_harmful; response_0 with "
    "is_response_0_safe; a text with prompt_label; prompt and completion with final_label (XSTest), or as in "
    "TruthfulQA's judge data"
)


def load_labelled(
    path: str | Path, *, limit: int | None = None, seed: int = 0, columns: Columns | None = None
) -> list[Labelled]:
    """Question-answer pairs with a label of harm or falsehood.

    At most ``limit`` of them, drawn with the seed from every category and label. ``path``: a file, or an
    address on the hub; ``columns`` name its fields.

    Layouts: prompt, response, response_label (HarmBench responses), response_harm_label (WildGuard) or
    is_safe (BeaverTails); prompt, response_0, is_response_0_safe, ... (PKU-SafeRLHF); question, answer, label
    (JAILJUDGE); goal, response, human_majority (JailbreakBench's judge comparison: the answer is judged by
    the goal); context, response, label (DiaSafety); question, MODEL_response, MODEL_harmful (Do-Not-Answer);
    prompt, completion, type, final_label (XSTest's completions: to comply with an unsafe prompt is improper);
    prompt, prompt_label (ToxicChat, Aegis, OpenAI moderation: the text is judged as an answer to ``SAID``);
    prompt, completion (TruthfulQA's judge data: improper is what is not true); and one's own, with
    ``improper``. Rows whose label is empty, exact repeats, and pairs that carry both labels are dropped.
    Raises ``DataError`` naming file, line and field.
    """
    file = Path(path)
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    categories: dict[tuple[str, str], str | None] = {}
    for row in _rows(path, columns):
        for question, answer, label, category in _pairs(row):
            _whole(row, question, answer)
            found[question, answer].add(label)
            categories.setdefault((question, answer), category)
    pairs = _agreed(found, categories, file)
    if found and not pairs:
        raise DataError(
            f"{file}: each of its {count_of(len(found), 'answer')} carries both labels, so that none can be "
            "used"
        )
    if not pairs:
        raise DataError(f"{file}: holds no labelled answers")
    return [pairs[i] for i in stratified([(e.prompt.category, bad) for e, bad in pairs], limit, seed)]


def subject(path: str | Path, columns: Columns | None = None) -> str:
    """What the labels that ``load_labelled`` reads tell of.

    ``truth`` or ``informativeness`` (TruthfulQA's judge data), else ``harm``.
    """
    for row in _rows(path, columns):
        stated = _STATED.fullmatch(_text(row.value, _QUESTIONS) or "") if "completion" in row.value else None
        return (
            "harm"
            if stated is None
            else "truth"
            if stated[0].rstrip().endswith("True:")
            else "informativeness"
        )
    return "harm"


def load_refusals(path: str | Path, columns: Columns | None = None) -> list[Labelled]:
    """Answers with whether they decline.

    Layouts: Do-Not-Answer (action code 0 declines, 5 follows; the codes between are left out), WildGuard
    (response_refusal_label), XSTest's completions (final_label; partial refusals are left out). Repeats are
    dropped. Raises ``DataError``.
    """
    file = Path(path)
    found: dict[tuple[str, str], set[bool]] = defaultdict(set)
    categories: dict[tuple[str, str], str | None] = {}
    for row in _rows(path, columns):
        for question, answer, declines in _declining(row):
            _whole(row, question, answer)
            found[question, answer].add(declines)
            categories.setdefault((question, answer), _category(row))
    pairs = _agreed(found, categories, file)
    if not pairs:
        raise DataError(
            f"{file}: tells nothing of refusals: no columns question, MODEL_response and MODEL_action with "
            "codes 0 or 5, no response_refusal_label, and no final_label as XSTest has it"
        )
    return pairs


def _declining(row: Row) -> Iterator[tuple[str, str, bool]]:
    question = _text(row.value, _QUESTIONS)
    if not question:
        return
    for model in _models(row.value, "_action"):
        code = _code(row.value[f"{model}_action"])
        if code in _DECLINES:
            yield question, _said(row, model), _DECLINES[code]
    answer = _answer(row)
    if answer is None:
        return
    for name in _REFUSALS:
        value = row.value.get(name)
        refuses = value if isinstance(value, bool) and name != "label" else _REFUSES.get(_plain(value))
        if refuses is not None:
            yield question, answer, refuses
            return


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


def _rows(source: str | Path, columns: Columns | None) -> Iterator[Row]:
    """The rows, with their fields' names in lower case."""
    for row in read_source(source, columns).rows:
        if not isinstance(row.value, dict):
            raise DataError(
                f"{row.where}: is {kind_of_value(row.value)}; an object with fields is expected. {_HELP}"
            )
        yield Row(row.where, {str(k).strip().lower(): v for k, v in row.value.items()}, row.path)


def _pairs(row: Row) -> Iterator[tuple[str, str, bool, str | None]]:
    """Question, answer, whether it is improper, and the category: of each answer that has a label."""
    value: dict[str, Any] = row.value
    question = _question(row)
    answer = _answer(row)
    category = _category(row)
    labels = [k for k in _LABELS if k in value and (k != "label" or _plain(value[k]) not in _REFUSES)]
    label = next((k for k in labels if not _blank(value[k])), None)
    of_prompt = next((k for k in _PROMPT_LABELS if not _blank(value.get(k))), None)
    if question and answer is not None and _plain(value.get("final_label")) in _XSTEST:
        refuses = _XSTEST[_plain(value["final_label"])]
        unsafe = _plain(value.get("type")).startswith("contrast") or _plain(value.get("label")) == "unsafe"
        if refuses is not None or not unsafe:
            yield question, answer, unsafe and not refuses, category
    elif question and answer is not None and label:
        yield question, answer, _label(row, label), category
    elif question and (numbered := [m[1] for k in value if (m := _NUMBERED.fullmatch(k)) and m[1] in value]):
        for name in numbered:
            said = part_text(value[name], f"{row.where}, field {name!r}")
            if said is not None and not _blank(value[f"is_{name}_safe"]):
                own = _first_true(value.get(f"{name}_harm_category")) or category
                yield question, said, _label(row, f"is_{name}_safe"), own
    elif question and (models := _models(value, "_harmful")):
        for model in models:
            yield question, _said(row, model), _label(row, f"{model}_harmful"), category
    elif question and of_prompt and not labels:
        yield SAID, question, _label(row, of_prompt), category
    elif question and "completion" in value and (stated := _STATED.fullmatch(question)):
        yield stated["question"].strip(), stated["answer"].strip(), not _label(row, "completion"), category
    elif not (question and labels and label is None):  # such a row was not labelled
        missing = [n for n, there in (("prompt", question), ("response", answer is not None)) if not there]
        raise DataError(
            f"{row.where}: fields {names(value) or 'none'}. {_HELP}. "
            f"{remedy(value, [*missing, *([] if label else ['label'])])}"
        )


def _question(row: Row) -> str | None:
    """The question; where people judged an answer by the goal of an attack, that is the goal."""
    value = row.value
    if "human_majority" in value and (goal := _text(value, ("goal", "behavior"))):
        return goal
    chat = next((value[k] for k in ("prompt", "question") if is_chat(value.get(k))), None)
    if chat is None:
        return _text(value, _QUESTIONS)
    return next((m.text for m in reversed(read_turns(chat, row.where).messages) if m.role == "user"), None)


def _answer(row: Row) -> str | None:
    """The answer, which may be empty; also out of parts, or a chat's last."""
    for name in ANSWER_FIELDS:
        value = row.value.get(name)
        if is_chat(value) or (isinstance(value, str) and holds_answer(value)):
            chat = read_dialogue(value, row.where) if isinstance(value, str) else read_turns(value, row.where)
            turns = chat.messages
            return next((m.text for m in reversed(turns) if m.role == "assistant"), None)
        if (text := part_text(value, row.where)) is not None:
            return text
    return None


def _blank(value: object) -> bool:
    return _plain(value) in ("", "nan", "none", "null")


def _plain(value: object) -> str:
    return str(value).strip().lower()


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


def _first_true(value: object) -> str | None:
    """The first kind of harm that is said to be there, where each has a truth value (BeaverTails)."""
    return next((str(k) for k, v in value.items() if v is True), None) if isinstance(value, Mapping) else None


def _category(row: Row) -> str | None:
    value = row.value
    found = _text(value, _CATEGORIES) or next(
        filter(None, (_first_true(value.get(k)) for k in _CATEGORIES)), None
    )
    _whole(row, found or "")
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
    """Whether a label says that the answer is bad; of ``is_safe`` where it says that it is not safe."""
    value = row.value[field]
    text = _plain(value).split("\n")[0].removesuffix(".0")
    if text not in _BAD | _GOOD:
        raise DataError(
            f"{row.where}, field {field!r}: label {value!r} is unknown. Known: {', '.join(sorted(_BAD))} "
            f"and {', '.join(sorted(_GOOD))}. {remedy(row.value, ['label'])}"
        )
    inverse = field in _SAFE or _NUMBERED.fullmatch(field) is not None
    return (text in _BAD) != (inverse and text in _TRUTH)

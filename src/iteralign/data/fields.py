"""A row's fields to a prompt: which field holds the question and what belongs to it, what a dialogue's first
human turn is, where topic and category stand.

Knows the layouts that red-team sets are published in, and says which fields there are when none or several
could be meant. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from iteralign.data.columns import names, remedy
from iteralign.data.rows import CONTEXT_FIELDS, QUESTION_FIELDS, SYSTEM_FIELDS, Row
from iteralign.data.texts import MAX_CHARACTERS as MAX_CHARACTERS
from iteralign.data.texts import clean, kind
from iteralign.data.turns import Turns, is_chat, is_dialogue, part_text, read_dialogue, read_turns
from iteralign.errors import DataError
from iteralign.records.chat import Message
from iteralign.records.iteralign import Intent, RedTeamPrompt

_DIALOGUES: Final = frozenset(QUESTION_FIELDS[2])
CHATS: Final = frozenset({"messages", "conversation", "conversations", "turns"})
"""Fields that hold a list of turns."""
_BROAD: Final = ("category", "risk_area", "semanticcategory", "hazard", "harm_category")
_NARROW: Final = ("subtopic", "sub_topic", "subcategory", "sub_category", "types_of_harm")
_BEFORE: Final = (
    ("prompt", "goal"),
    ("prompt", "behavior"),
    ("prompt", "adversarial"),
    ("prompt", "vanilla"),
    ("forbidden_prompt", "goal"),
    ("goal", "behavior"),
    ("goal", "behaviour"),
    ("adversarial", "vanilla"),
    ("question", "augq"),
)
"""Where a set has both, the first is what is asked and the second what it is about, or made of."""
_HARMBENCH: Final = "\n\n---\n\n"
"""What HarmBench puts between a behaviour's context and the behaviour."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a known set's fields mean where their names do not tell."""

    question: str | None = None
    topic: str | None = None
    category: str | None = None


def to_prompt(row: Row, *, source: str, intent: Intent, layout: Layout = Layout()) -> RedTeamPrompt:
    """The prompt that a row holds. Raises ``DataError`` naming place and field."""
    return to_asked(row, source=source, intent=intent, layout=layout)[0]


def to_asked(
    row: Row, *, source: str, intent: Intent, layout: Layout = Layout()
) -> tuple[RedTeamPrompt, int]:
    """The prompt that a row holds, and how many turns of tools were skipped.

    Raises ``DataError`` naming place and field.
    """
    value = row.value
    outer, inner = (own and clean(own, f"{row.where}, its category") for own in _nesting(row.path))
    if is_chat(value):
        value = {"messages": value}
        row = Row(row.where, value, row.path)
    if isinstance(value, str):
        if layout.question is not None:
            raise DataError(f"{row.where}: a plain text, but the field {layout.question!r} was asked for")
        prompt = RedTeamPrompt(
            messages=(Message("user", clean(value, row.where)),),
            source=source,
            topic=inner,
            category=outer,
            intent=intent,
        )
        return prompt, 0
    if not isinstance(value, Mapping):
        raise DataError(f"{row.where}: {kind(value)} instead of a text or an object with fields")
    fields = {str(k).strip().lower(): k for k in value}
    if {"id", "messages", "source"} <= set(fields) and str(value["id"]).startswith("prompt-"):
        return _own_record(row), 0
    field = _question_field(row, fields, layout)
    turns = _turns(row, field, fields)
    category = _label(row, fields, (layout.category,) if layout.category else _BROAD) or outer
    narrow = _label(row, fields, (layout.topic,) if layout.topic else _NARROW)
    short = (
        ("behavior", "behaviour") if field.strip().lower() == "goal" else ()
    )  # JailbreakBench: its subject
    topic = narrow or (None if layout.topic else _label(row, fields, ("topic", *short)))
    if narrow is not None and category is None and not layout.category:
        category = _label(row, fields, ("topic",))  # topic over subtopic is category over topic
    stated = value[fields["intent"]] if "intent" in fields else None
    if isinstance(stated, str) and stated in get_args(Intent):
        intent = stated  # type: ignore[assignment]  # just checked
    prompt = RedTeamPrompt(
        messages=turns.messages,
        source=source,
        topic=topic or inner,
        category=category,
        intent=intent,
        intent_stated=True if stated == intent == "harmful" else None,
    )
    return prompt, turns.skipped


def _nesting(path: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Category and topic of nested keys: one key is a topic; of more the first is the category."""
    if len(path) < 2:
        return None, path[0] if path else None
    return path[0], " / ".join(path[1:])


def _own_record(row: Row) -> RedTeamPrompt:
    try:
        record = RedTeamPrompt.from_json(row.value)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{row.where}: not a prompt record as iteralign writes it ({reason})") from error
    for message in record.messages:
        clean(message.text, f"{row.where}, field 'messages'")
    for name in ("source", "category", "topic"):
        if getattr(record, name) is not None:
            clean(getattr(record, name), f"{row.where}, field {name!r}")
    return record


def _question_field(row: Row, fields: Mapping[str, Any], layout: Layout) -> str:
    if layout.question is not None:
        if layout.question.strip().lower() not in fields:
            raise DataError(f"{row.where}: no field {layout.question!r}. Fields: {names(row.value)}")
        return str(fields[layout.question.strip().lower()])
    for tier in QUESTION_FIELDS:
        found = _asked(row, fields, [name for name in tier if name in fields])
        if len(found) == 1:
            return str(fields[found[0]])
        if found:
            several = " and ".join(repr(fields[n]) for n in found)
            raise DataError(
                f"{row.where}: {several} could all hold the question. Name one behind the path: "
                f"FILE::{fields[found[0]]}, or with --columns prompt={fields[found[0]]}"
            )
    known = ", ".join(n for tier in QUESTION_FIELDS for n in tier)
    raise DataError(
        f"{row.where}: no field that holds the question. Fields: {names(row.value)}. Known names: {known}. "
        f"{remedy(row.value, ['prompt'])}"
    )


def _asked(row: Row, fields: Mapping[str, Any], found: list[str]) -> list[str]:
    """Of several fields those that can be the question.

    What is empty or no text goes, what only tells of another field, and a prompt that opens its chat.
    """
    if len(found) < 2:
        return found
    said = [n for n in found if isinstance(v := row.value[fields[n]], str | list | Mapping) and v]
    found = said or found
    found = [n for n in found if not any((other, n) in _BEFORE for other in found)]
    for chat in (n for n in found if n in CHATS):
        turns = row.value[fields[chat]]
        opening = _opening(turns, row.where)
        if is_chat(turns) and all(n == chat or _says(row.value[fields[n]]) in opening for n in found):
            return [chat]
    return found


def _opening(turns: object, where: str) -> set[str | None]:
    """What a prompt that stands beside its chat may say: the first question, or the last."""
    if not is_chat(turns):
        return set()
    try:
        asked = [m.text for m in read_turns(turns, where).messages if m.role == "user"]
    except DataError:  # told where the chat is read
        return set()
    return {*asked[:1], *asked[-1:]}


def _says(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if not is_chat(value):
        return None
    return next((m.text for m in read_turns(value, "").messages if m.role == "user"), None)


def _turns(row: Row, field: str, fields: Mapping[str, Any]) -> Turns:
    """What is asked: the question with what belongs to it, or a chat up to its last question."""
    content = row.value[field]
    name = field.strip().lower()
    where = f"{row.where}, field {field!r}"
    system = _beside(row, fields, SYSTEM_FIELDS if name in CHATS else SYSTEM_FIELDS[:2])
    before = (Message("system", row.value[fields[system]].strip()),) if system else ()
    if isinstance(content, list) and (is_chat(content) or not _in_parts(content)):
        turns = read_turns(content, where).question(where)
        if turns.messages[0].role == "system":
            return turns
        return Turns((*before, *turns.messages), turns.skipped)
    text = part_text(content, where)
    if text is None:
        raise DataError(f"{where}: {kind(content)} instead of a text")
    if name in _DIALOGUES or is_dialogue(text):
        return Turns((*before, read_dialogue(text, where).messages[0]))
    if name in CHATS and not isinstance(content, list):
        raise DataError(f"{where}: a text instead of a list of turns")
    return Turns((*before, Message("user", _with_context(clean(text, where), row, fields, name, where))))


def _in_parts(content: list[Any]) -> bool:
    return bool(content) and all(isinstance(p, Mapping) and "type" in p for p in content)


def _with_context(question: str, row: Row, fields: Mapping[str, Any], name: str, where: str) -> str:
    """The question with the text that it is about.

    An instruction's input stands behind it, as instruction sets have it; a context stands before its
    question.
    """
    key = _beside(row, fields, [n for n in CONTEXT_FIELDS if n not in (name, "input")])
    if key is not None:
        between = _HARMBENCH if key == "contextstring" else "\n\n"
        question = f"{row.value[fields[key]].strip()}{between}{question}"
    if name == "instruction" and _beside(row, fields, ["input"]):
        question = f"{question}\n\n{row.value[fields['input']].strip()}"
    return clean(question, where)


def _beside(row: Row, fields: Mapping[str, Any], wanted: Sequence[str]) -> str | None:
    """The first of these fields that holds a text; ``nan`` is what a table writes for none."""
    for name in wanted:
        value = row.value[fields[name]] if name in fields else None
        if isinstance(value, str) and value.strip() and value.strip().lower() != "nan":
            return name
    return None


def _label(row: Row, fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that holds something; numbers count, lists and objects do not."""
    for name in names:
        if name.lower() in fields:
            value = row.value[fields[name.lower()]]
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return clean(str(value), f"{row.where}, field {name!r}")
    return None

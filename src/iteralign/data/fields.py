"""A row's fields to a prompt: which field holds the question, what a dialogue's first human turn is, where
topic and category stand.

Knows the layouts that red-team sets are published in, and says which fields there are when none or several
could be meant. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from iteralign.data.rows import QUESTION_FIELDS, Row
from iteralign.errors import DataError
from iteralign.records.chat import Chat, Message, Role
from iteralign.records.iteralign import Intent, RedTeamPrompt

MAX_CHARACTERS: Final = 20_000

_DIALOGUES: Final = frozenset(QUESTION_FIELDS[2])
_CHATS: Final = frozenset({"messages", "conversation", "conversations", "turns"})
_BROAD: Final = ("category", "risk_area", "semanticcategory", "hazard", "harm_category")
_NARROW: Final = ("subtopic", "sub_topic", "subcategory", "sub_category", "types_of_harm")
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "system": "system",
}
_HUMAN = "\n\nHuman:"
_ASSISTANT = "\n\nAssistant:"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a known set's fields mean where their names do not tell."""

    question: str | None = None
    topic: str | None = None
    category: str | None = None


def to_prompt(row: Row, *, source: str, intent: Intent, layout: Layout = Layout()) -> RedTeamPrompt:
    """The prompt that a row holds. Raises ``DataError`` naming place and field."""
    value = row.value
    outer, inner = _nesting(row.path)
    if isinstance(value, str):
        if layout.question is not None:
            raise DataError(f"{row.where}: a plain text, but the field {layout.question!r} was asked for")
        return RedTeamPrompt(
            messages=(Message("user", _clean(value, row.where)),),
            source=source,
            topic=inner,
            category=outer,
            intent=intent,
        )
    if not isinstance(value, Mapping):
        raise DataError(f"{row.where}: {_kind(value)} instead of a text or an object with fields")
    fields = {str(k).strip().lower(): k for k in value}
    if {"id", "messages", "source"} <= set(fields) and str(value["id"]).startswith("prompt-"):
        return _own_record(row)
    field = _question_field(row, fields, layout)
    messages = _messages(row, field, value)
    category = _label(row, fields, (layout.category,) if layout.category else _BROAD) or outer
    narrow = _label(row, fields, (layout.topic,) if layout.topic else _NARROW)
    topic = narrow or (None if layout.topic else _label(row, fields, ("topic",)))
    if narrow is not None and category is None and not layout.category:
        category = _label(row, fields, ("topic",))  # topic over subtopic is category over topic
    stated = value[fields["intent"]] if "intent" in fields else None
    if isinstance(stated, str) and stated in get_args(Intent):
        intent = stated  # type: ignore[assignment]  # just checked
    return RedTeamPrompt(
        messages=messages, source=source, topic=topic or inner, category=category, intent=intent
    )


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
        _clean(message.text, f"{row.where}, field 'messages'")
    return record


def _question_field(row: Row, fields: Mapping[str, Any], layout: Layout) -> str:
    if layout.question is not None:
        if layout.question.strip().lower() not in fields:
            raise DataError(f"{row.where}: no field {layout.question!r}. Fields: {_names(row.value)}")
        return str(fields[layout.question.strip().lower()])
    for tier in QUESTION_FIELDS:
        found = [name for name in tier if name in fields]
        if len(found) == 1:
            return str(fields[found[0]])
        if found:
            several = " and ".join(repr(fields[n]) for n in found)
            raise DataError(
                f"{row.where}: {several} could all hold the question. Rename the others, or name one behind "
                f"the path: FILE::{fields[found[0]]}"
            )
    known = ", ".join(n for tier in QUESTION_FIELDS for n in tier)
    raise DataError(
        f"{row.where}: no field that holds the question. Fields: {_names(row.value)}. Known names: {known}; "
        "for another: FILE::FIELD"
    )


def _messages(row: Row, field: str, value: Mapping[str, Any]) -> Chat:
    content = value[field]
    where = f"{row.where}, field {field!r}"
    if isinstance(content, list):
        return _chat(content, where)
    if not isinstance(content, str):
        raise DataError(f"{where}: {_kind(content)} instead of a text")
    if field.lower() in _DIALOGUES or content.startswith((_HUMAN, _HUMAN.lstrip())):
        content = _first_human_turn(content, where)
    elif field.lower() in _CHATS:
        raise DataError(f"{where}: a text instead of a list of turns")
    extra = (
        next((v for k, v in value.items() if k.lower() == "input"), None)
        if field.lower() == "instruction"
        else None
    )
    if (
        isinstance(extra, str) and extra.strip()
    ):  # instruction sets put the text that is worked on into a field of its own
        content = f"{content.strip()}\n\n{extra.strip()}"
    return (Message("user", _clean(content, where)),)


def _first_human_turn(dialogue: str, where: str) -> str:
    """The first turn of a dialogue in hh-rlhf's layout.

    Turns open with a blank line and ``Human:`` or ``Assistant:``.
    """
    dialogue = "\n\n" + dialogue.lstrip()
    if not dialogue.startswith(_HUMAN):
        raise DataError(
            f'{where}: no dialogue that opens with "Human:". For an answer without its prompt there is '
            "nothing to ask."
        )
    return dialogue.removeprefix(_HUMAN).split(_ASSISTANT, 1)[0].split(_HUMAN, 1)[0]


def _chat(turns: list[Any], where: str) -> Chat:
    """Messages up to the last user turn: answers after it are no part of a prompt.

    Plain texts are user turns; only the first is asked.
    """
    if turns and all(isinstance(t, str) for t in turns):
        return (Message("user", _clean(turns[0], f"{where}, turn 1")),)
    messages: list[Message] = []
    for number, turn in enumerate(turns, start=1):
        place = f"{where}, turn {number}"
        if not isinstance(turn, Mapping):
            raise DataError(f"{place}: {_kind(turn)} instead of a message with role and content")
        role = next((turn[k] for k in ("role", "from") if k in turn), None)
        text = next((turn[k] for k in ("content", "text", "value") if k in turn), None)
        if not isinstance(role, str) or role.lower() not in _ROLES:
            raise DataError(f"{place}: role {role!r}. Known: {', '.join(_ROLES)}")
        if not isinstance(text, str):
            raise DataError(f"{place}: its text is {_kind(text)}")
        messages.append(
            Message(
                _ROLES[role.lower()],
                text if role.lower() == "system" and not text.strip() else _clean(text, place),
            )
        )
    while messages and messages[-1].role != "user":
        messages.pop()
    if not messages:
        raise DataError(f"{where}: no user turn")
    return tuple(m for m in messages if m.text.strip())


def _label(row: Row, fields: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that holds something; numbers count, lists and objects do not."""
    for name in names:
        if name.lower() in fields:
            value = row.value[fields[name.lower()]]
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(value).strip()
    return None


def _clean(text: str, where: str) -> str:
    text = text.strip()
    if not text:
        raise DataError(f"{where}: empty. Delete the row or fill it in.")
    if len(text) > MAX_CHARACTERS:
        raise DataError(
            f"{where}: {len(text):,} characters, more than the {MAX_CHARACTERS:,} that a prompt may have. "
            "Shorten or delete it."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: character {error.start + 1} is half of a surrogate pair (a broken \\u escape). "
            "Repair or delete the row."
        ) from error
    if "\0" in text:
        raise DataError(f"{where}: holds a zero character. Delete it.")
    return text


def _kind(value: object) -> str:
    names = {
        "NoneType": "nothing (null)",
        "list": "a list",
        "dict": "an object",
        "bool": "a truth value",
        "int": "a number",
        "float": "a number",
    }
    name = names.get(type(value).__name__, type(value).__name__)
    return f"{name} ({value!r})" if isinstance(value, bool | int | float) else name


def _names(value: Mapping[Any, Any]) -> str:
    return ", ".join(repr(str(k)) for k in list(value)[:20]) or "none"

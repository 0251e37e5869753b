"""A row with a question and its answer: what a judge is shown, and what is trained on.

Reads the layouts of training sets (messages; prompt and completion, as texts or as chats; instruction and
output) and of judge sets. Knows no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from iteralign.data.columns import names, remedy
from iteralign.data.fields import CHATS, to_asked
from iteralign.data.rows import ANSWER_FIELDS, Row
from iteralign.data.turns import holds_answer, is_chat, is_dialogue, part_text, read_dialogue, read_turns
from iteralign.errors import DataError
from iteralign.records.chat import Chat, Message
from iteralign.records.iteralign import RedTeamPrompt

_TEXT_ALONE: Final = (
    "a text alone does not say what is asked and what is answered, and the loss is on answers alone"
)
_PREFERENCE: Final = (
    "of chosen and rejected the chosen one can be trained on: --columns response=chosen, or for dialogues "
    "--columns messages=chosen"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with its answer; ``skipped``: turns of tools."""

    prompt: RedTeamPrompt
    answer: str
    skipped: int = 0


def to_answered(row: Row, source: str) -> Answered:
    """The prompt and the answer that a row holds. Raises ``DataError`` naming place and field."""
    value: Any = {"messages": row.value} if is_chat(row.value) else row.value
    if not isinstance(value, Mapping):
        raise DataError(f"{row.where}: not an object with a prompt and its answer")
    fields = {str(k).strip().lower(): k for k in value}
    own = [n for n in ANSWER_FIELDS if n in fields and value[fields[n]] is not None]
    chat = next((n for n in CHATS if n in fields and _turns_in(value[fields[n]])), None)
    if chat is not None and not own:
        return _of_chat(row, value, fields[chat], source)
    if not own:
        raise DataError(f"{row.where}: {_missing(value, fields)}")
    where = f"{row.where}, field {fields[own[0]]!r}"
    before = None
    content = value[fields[own[0]]]
    if is_chat(content) or (isinstance(content, str) and holds_answer(content)):
        turns = read_dialogue(content, where) if isinstance(content, str) else read_turns(content, where)
        said = [m for m in turns.messages if m.role == "assistant"]
        if not said:
            raise DataError(f"{where}: no turn of the assistant, so that there is no answer")
        before = turns.messages[: turns.messages.index(said[-1])]
        answer: str | None = said[-1].text
    else:
        answer = part_text(content, where)
    if answer is None:
        raise DataError(f"{where}: no text, and no turn of the assistant")
    rest = {k: v for k, v in value.items() if str(k).strip().lower() not in ANSWER_FIELDS}
    prompt, skipped = to_asked(Row(row.where, rest, row.path), source=source, intent="harmful")
    if before:
        prompt = replace(prompt, id="", messages=_continued(prompt.messages, before))
    return Answered(prompt, answer.strip(), skipped)


def _continued(asked: Chat, before: Chat) -> Chat:
    """A prompt and the turns before its answer, where these may repeat the prompt or its end."""
    system = next((chat[:1] for chat in (before, asked) if chat[0].role == "system"), ())
    first, then = (chat[1:] if chat[0].role == "system" else chat for chat in (asked, before))
    alike = [_plain(m) for m in first]
    again = [_plain(m) for m in then]
    counts = range(min(len(first), len(then)), 0, -1)
    shared = next((n for n in counts if alike[-n:] == again[:n]), 0)
    return (*system, *first, *then[shared:])


def _plain(message: Message) -> tuple[str, str]:
    return message.role, " ".join(message.text.split())


def _of_chat(row: Row, value: Mapping[str, Any], field: str, source: str) -> Answered:
    where = f"{row.where}, field {field!r}"
    content = value[field]
    turns = read_dialogue(content, where) if isinstance(content, str) else read_turns(content, where)
    before, answer = turns.answered(where)
    # the prompt's category, topic and system turn are read where all prompts are
    asked = [{"role": m.role, "content": m.text} for m in before.messages]
    rest = {k: v for k, v in value.items() if str(k).strip().lower() not in CHATS | {"prompt"}}
    prompt, _ = to_asked(
        Row(row.where, rest | {"messages": asked}, row.path), source=source, intent="harmful"
    )
    return Answered(prompt, answer, before.skipped)


def _turns_in(value: object) -> bool:
    return is_chat(value) or (isinstance(value, str) and is_dialogue(value))


def _missing(value: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    if "chosen" in fields:
        return f"no answer. {_PREFERENCE}. Fields: {names(value)}"
    alone = f"{_TEXT_ALONE}. " if set(fields) & {"text", "content"} else ""
    known = ", ".join(ANSWER_FIELDS)
    return (
        f"no answer. {alone}Known: messages; prompt, question or instruction with one of {known}. "
        f"{remedy(value, ['prompt', 'response'])}"
    )

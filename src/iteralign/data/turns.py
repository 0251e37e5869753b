"""Turns of a chat, in the layouts that sets are published in, to messages.

Contents may come in parts; what tools were asked and said is skipped and counted. Knows nothing of a row's
other fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from iteralign.data.texts import clean, kind
from iteralign.errors import DataError
from iteralign.records.chat import Chat, Message, Role

ROLES: Final[dict[str, Role]] = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "bot", "chatbot", "ai", "chatgpt"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
}
TOOLS: Final = frozenset(
    {"tool", "tools", "function", "function_call", "function_response", "function-call", "tool_call"}
    | {"tool_calls", "tool_response", "tool_result", "observation", "ipython", "environment", "code"}
)
_PAIRS: Final = (("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("input", "output"))
"""Names of a turn's two texts, where a set keeps a question and its answer in one object."""
_TEXTS: Final = ("content", "text", "value")
_CALLS: Final = ("tool_calls", "function_call")
_PLAIN: Final = frozenset({"text", "input_text", "output_text", ""})
_THOUGHTS: Final = frozenset({"thinking", "reasoning", "redacted_thinking", "thought"})
_OF_TOOLS: Final = frozenset({"tool_use", "tool_result", "tool_call", "function_call"})
_HUMAN: Final = "\n\nHuman:"
_ASSISTANT: Final = "\n\nAssistant:"


@dataclass(frozen=True, slots=True)
class Turns:
    """Messages in order, and how many turns of tools were skipped between them."""

    messages: Chat
    skipped: int = 0

    def question(self, where: str) -> Turns:
        """Those up to the last user turn: answers after it are no part of a prompt. Raises ``DataError``."""
        last = max((i for i, m in enumerate(self.messages) if m.role == "user"), default=None)
        if last is None:
            raise DataError(f"{where}: no user turn")
        return Turns(self.messages[: last + 1], self.skipped)

    def answered(self, where: str) -> tuple[Turns, str]:
        """Those before the last answer, and that answer. Raises ``DataError`` where there is none."""
        last = max((i for i, m in enumerate(self.messages) if m.role == "assistant"), default=None)
        if last is None:
            raise DataError(f"{where}: no turn of the assistant, so that there is no answer")
        return Turns(self.messages[:last], self.skipped).question(where), self.messages[last].text


def is_chat(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list of turns with roles, or of a question and its answer each."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(t, Mapping) and ("role" in t or "from" in t or _pair(t) is not None) for t in value
        )
    )


def is_dialogue(text: str) -> bool:
    """Whether a text is a dialogue in hh-rlhf's layout."""
    return text.startswith((_HUMAN, _HUMAN.lstrip()))


def holds_answer(text: str) -> bool:
    """Whether a text is such a dialogue with an answer in it; an answer may open with ``Human:`` itself."""
    return is_dialogue(text) and _ASSISTANT in text


def read_dialogue(text: str, where: str) -> Turns:
    """The turns of a dialogue in hh-rlhf's layout: they open with a blank line and ``Human:`` or
    ``Assistant:``. Raises ``DataError``.
    """
    text = "\n\n" + text.lstrip()
    if not text.startswith(_HUMAN):
        raise DataError(
            f'{where}: no dialogue that opens with "Human:". For an answer without its prompt there is '
            "nothing to ask."
        )
    messages: list[Message] = []
    for number, piece in enumerate(text.split(_HUMAN)[1:], start=1):
        asked, *answers = piece.split(_ASSISTANT)
        messages.append(Message("user", clean(asked, where) if number == 1 else asked.strip()))
        messages += [Message("assistant", a.strip()) for a in answers]
    return Turns(_joined(messages))


def read_turns(turns: list[Any], where: str) -> Turns:
    """The messages of a chat. Plain texts are user turns; only the first is asked. Raises ``DataError``.

    Turns of one role that a skipped turn stood between become one.
    """
    if turns and all(isinstance(t, str) for t in turns):
        return Turns((Message("user", clean(turns[0], f"{where}, turn 1")),))
    messages: list[Message] = []
    skipped = 0
    for number, turn in enumerate(turns, start=1):
        place = f"{where}, turn {number}"
        if not isinstance(turn, Mapping):
            raise DataError(f"{place}: {kind(turn)} instead of a message with role and content")
        both = _pair(turn)
        if both is not None:
            asked, said = (turn[name] for name in both)
            messages.append(Message("user", clean(part_text(asked, place) or "", place)))
            messages.append(Message("assistant", (part_text(said, place) or "").strip()))
            continue
        name = next((turn[k] for k in ("role", "from") if k in turn), None)
        role = name.strip().lower() if isinstance(name, str) else ""
        if role in TOOLS:
            skipped += 1
            continue
        if role not in ROLES:
            known = ", ".join((*ROLES, "tool"))
            raise DataError(f"{place}: role {name!r}. Known: {known}")
        found = next((turn[k] for k in _TEXTS if turn.get(k) is not None), None)
        text = part_text(found, place)
        if (text is None or not text.strip()) and _calls(turn, found):
            skipped += 1
            continue
        if text is None:
            raise DataError(f"{place}: its text is {kind(found)}")
        empty = ROLES[role] == "system" and not text.strip()
        messages += [] if empty else [Message(ROLES[role], clean(text, place))]
    return Turns(_joined(messages), skipped)


def part_text(content: object, where: str) -> str | None:
    """A content's text, also out of its parts; None where it is none. Thoughts are no part of it.

    Raises ``DataError`` for a picture or a sound, which cannot be asked as text.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        form = str(content.get("type", "")).lower()
        if form in _THOUGHTS or form in _OF_TOOLS:
            return ""
        text = next((content[k] for k in _TEXTS if isinstance(content.get(k), str)), None)
        if text is None and form not in _PLAIN:
            raise DataError(
                f"{where}: a part of the type {form!r}; only text can be asked and judged. Delete the row, "
                "or the part."
            )
        return text
    if not isinstance(content, list) or not content:
        return None
    texts = [part_text(part, where) for part in content]
    return None if any(t is None for t in texts) else "".join(t for t in texts if t is not None)


def _pair(turn: Mapping[str, Any]) -> tuple[str, str] | None:
    if "role" in turn or "from" in turn:
        return None
    return next((p for p in _PAIRS if p[0] in turn and p[1] in turn), None)


def _calls(turn: Mapping[str, Any], content: object) -> bool:
    """Whether a turn only asks a tool for something, or gives what one said."""
    if any(turn.get(k) for k in _CALLS):
        return True
    return isinstance(content, list) and any(
        isinstance(p, Mapping) and str(p.get("type", "")).lower() in _OF_TOOLS for p in content
    )


def _joined(messages: list[Message]) -> Chat:
    done: list[Message] = []
    for message in messages:
        if not message.text:
            continue
        if done and done[-1].role == message.role == "assistant":
            done[-1] = Message("assistant", f"{done[-1].text}\n\n{message.text}")
        else:
            done.append(message)
    return tuple(done)

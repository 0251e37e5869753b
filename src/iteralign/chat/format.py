"""One chat format for generation and for training, with the loss mask. Knows tokenizers, not models.

A prompt's tokens are an exact prefix of the tokens of the same chat with its answer, and an answer ends with
an end token: ``assert_one_format`` proves it when a tokenizer is prepared, and every training chat is held to
it again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from iteralign.chat.template_guard import Refused, render
from iteralign.chat.thoughts import closing_of, opened_by
from iteralign.errors import ChangedByTemplate, EngineError, LeftOut, RefusedByTemplate
from iteralign.records.chat import Chat, Message
from iteralign.text.printable import one_line

PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] }}\n\n"
    "{% elif message['role'] == 'user' %}Question: {{ message['content'] }}\nAnswer:"
    "{% else %} {{ message['content'] }}{{ eos_token }}\n\n{% endif %}"
    "{% endfor %}"
)
"""For base models, which bring no chat template: works with any tokenizer that has an end-of-sequence token.
The beginning-of-sequence token is put before it where the tokenizer adds one to plain text.
"""

PLAIN_STOPS = ("\nQuestion:",)
"""Where a base model under the plain template has ended its answer and begun the next question of its own
accord.
"""

SETTINGS: dict[str, Any] = {"enable_thinking": False, "date_string": "26 Jul 2024"}
"""What templates are told: no thinking aloud (Qwen3), and a date that stays (Llama 3 writes today's
otherwise, and no run would repeat). Templates that do not ask for these do not see them.
"""

CLOCK = {
    **{"%Y": "2024", "%y": "24", "%m": "07", "%-m": "7", "%d": "26", "%-d": "26", "%e": "26", "%j": "208"},
    **{"%B": "July", "%b": "Jul", "%h": "Jul", "%A": "Friday", "%a": "Fri", "%u": "5", "%w": "5"},
    **{"%H": "12", "%-H": "12", "%I": "12", "%-I": "12", "%M": "00", "%S": "00", "%f": "000000", "%p": "PM"},
    **{"%F": "2024-07-26", "%T": "12:00:00", "%R": "12:00", "%D": "07/26/24", "%x": "07/26/24"},
    **{"%X": "12:00:00", "%c": "Fri Jul 26 12:00:00 2024", "%Z": "UTC", "%z": "+0000", "%s": "1721995200"},
}
"""The one moment that templates know that read a clock (``strftime_now``: Granite, Mistral, gpt-oss).

Prompts of two days could not be compared, and a run that goes on after midnight would ask other ones.
"""
_STOPPED = (
    "{% macro strftime_now(format) %}{{ format"
    + "".join(f"|replace('{code}', '{text}')" for code, text in CLOCK.items())
    + " }}{% endmacro %}\n"
)
"""Stands before a template that reads the clock; transformers hands a template no functions of ours. Its line
feed is not part of the text: a template's first line stays one.
"""

PROBE: Chat = (
    Message("user", "What is a good way to begin the day?"),
    Message("assistant", "Open the window and take a breath."),
)
"""A fixed text whose log-probability the trainer writes beside its weights, and a load must reproduce."""

_PROBES: tuple[Chat, ...] = (
    (Message("user", "What is a hat?"), Message("assistant", "A thing for the head.")),
    (Message("system", "Be brief."), Message("user", "What is a hat?"), Message("assistant", "Headwear.")),
    (
        Message("user", "What is a hat?"),
        Message("assistant", "Headwear."),
        Message("user", "And a shoe?"),
        Message("assistant", "Footwear."),
    ),
)
OURS = frozenset(
    hashlib.sha256(template.encode()).hexdigest()
    for template in (PLAIN_TEMPLATE, "{{ bos_token }}" + PLAIN_TEMPLATE)
) | {"6f24638e0e8f35881f2cea5bb934b6761941fe69fab9d8c55ec003dcab379c6f"}
"""SHA-256 of the templates that we wrote, the last one the shipped models'. Others are guarded."""
_SAID = 200
"""Characters of what a template says itself, in a message."""
_REMEDY = "bring another template (model.chat_template = a jinja file)"


@dataclass(frozen=True)
class _Facts:
    """What has been found out about a tokenizer under one template."""

    template: str
    name: str
    takes_system: bool
    opened: str
    special: re.Pattern[str] | None
    ends: frozenset[int]


_FACTS: WeakKeyDictionary[Any, _Facts] = WeakKeyDictionary()


def prepare(tokenizer: Any, template: str | None = None) -> Any:
    """The tokenizer with a chat template and a padding token, proven.

    The template is the file ``template``, the tokenizer's own, or the plain one.

    Raises ``EngineError`` naming the template.
    """
    if tokenizer.eos_token is None:
        raise EngineError(
            "the tokenizer has no end-of-sequence token, so answers would never end: set eos_token in its "
            "tokenizer_config.json"
        )
    name = "the tokenizer's chat template"
    if template is not None:
        name = f"model.chat_template = {template!r}"
        try:
            tokenizer.chat_template = Path(template).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"{name} cannot be read: {error}") from error
    elif not tokenizer.chat_template:
        name = "the plain chat template (the tokenizer brings none)"
        begins = tokenizer.bos_token is not None and tokenizer("x")["input_ids"][:1] == [
            tokenizer.bos_token_id
        ]
        tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + PLAIN_TEMPLATE
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    assert_one_format(tokenizer, name=name)
    return tokenizer


def messages(tokenizer: Any, chat: Chat) -> list[dict[str, str]]:
    """The chat as the template takes it.

    Answers lose the white space around them, as generated ones do. Special tokens inside a text are broken up
    with a space, so that a prompt from a file cannot open a turn of its own. Where the template takes no
    system turn, its text opens the first user turn.
    """
    facts = _facts(tokenizer)
    turns = [
        {"role": m.role, "content": _quoted(facts, m.text.strip() if m.role == "assistant" else m.text)}
        for m in chat
    ]
    if turns and turns[0]["role"] == "system" and not facts.takes_system:
        system, *rest = turns
        if not rest or rest[0]["role"] != "user":
            return [{"role": "user", "content": system["content"]}, *rest]
        return [{"role": "user", "content": f"{system['content']}\n\n{rest[0]['content']}"}, *rest[1:]]
    return turns


def encode_prompt(tokenizer: Any, chat: Chat) -> list[int]:
    """Token ids of a chat up to where the answer begins.

    Raises ``RefusedByTemplate`` where the template refuses the chat.
    """
    return _render(tokenizer, messages(tokenizer, chat), answer=False)


def encode_training(
    tokenizer: Any, chat: Chat, prompt: list[int] | None = None
) -> tuple[list[int], list[bool]]:
    """Token ids of a chat up to the end of its answer (the last turn), and which of them are learnt.

    Learnt are the answer and its end token.

    What a template writes after the end token (a line feed, say) is left off: nothing of it is ever asked
    for. ``prompt``: what ``encode_prompt`` gives for the chat without its answer, where that is known. Raises
    ``ChangedByTemplate`` where the prompt's tokens are no prefix, or the answer has no end.
    """
    facts = _facts(tokenizer)
    prompt = encode_prompt(tokenizer, chat[:-1]) if prompt is None else prompt
    full = (
        _after_thought(tokenizer, chat, prompt)
        if facts.opened
        else _render(tokenizer, messages(tokenizer, chat), answer=True)
    )
    if full[: len(prompt)] != prompt:
        at = next(
            (i for i, (a, b) in enumerate(zip(prompt, full, strict=False)) if a != b),
            min(len(prompt), len(full)),
        )
        raise ChangedByTemplate(
            f"{facts.name} gives other tokens for a prompt in generation than in training, from token {at} "
            "on "
            f"({tokenizer.decode(prompt[at:])!r} against {tokenizer.decode(full[at : at + 8])!r}), for the "
            f"chat {opening(chat)}: {_REMEDY}"
        )
    end = next((i for i in range(len(prompt), len(full)) if full[i] in facts.ends), None)
    if end is None:
        raise ChangedByTemplate(
            f"{facts.name} does not end an answer with an end token, so the model could not learn to stop: "
            f"{_REMEDY}"
        )
    ids = full[: end + 1]
    return ids, [i >= len(prompt) for i in range(len(ids))]


def assert_one_format(
    tokenizer: Any, chats: Sequence[Chat] = _PROBES, name: str = "the tokenizer's chat template"
) -> None:
    """Prove that generation and training see the same tokens, and that an answer has an end.

    Raises ``EngineError`` naming the template where not.
    """
    _FACTS[tokenizer] = _find_out(tokenizer, name)
    try:
        for chat in chats:
            encode_training(tokenizer, chat)
    except LeftOut as error:  # these chats stand for all
        raise EngineError(str(error)) from error


def end_tokens(tokenizer: Any) -> set[int]:
    """Tokens that end an answer.

    The end of sequence, and what the template writes after an answer where that is another one.
    """
    return set(_facts(tokenizer).ends)


def thought_opened(tokenizer: Any) -> str:
    """The tag with which the template opens a thought before every answer; empty where it does not."""
    return opened_by(_shown(tokenizer, [{"role": "user", "content": "x"}], answer=False))


def stops(tokenizer: Any) -> tuple[str, ...]:
    """Texts that end an answer as an end token does; none but under the plain template."""
    return PLAIN_STOPS if PLAIN_TEMPLATE in tokenizer.chat_template else ()


def opening(chat: Chat) -> str:
    """The first words of a chat's last question, quoted: how messages name a chat."""
    question = next((m.text for m in reversed(chat) if m.role == "user"), chat[-1].text if chat else "")
    words = question.split()
    return repr(" ".join(words[:8])[:80]) + ("..." if len(words) > 8 else "")


def _render(tokenizer: Any, turns: list[dict[str, str]], answer: bool) -> list[int]:
    return _ids(tokenizer, _shown(tokenizer, turns, answer))


def _ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text.

    Raises ``RefusedByTemplate`` where the tokenizer gives up: its patterns have a limit of retries.
    """
    try:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the tokenizers' own language, no ``Exception``
            raise
        raise RefusedByTemplate(
            f"the tokenizer gives up on a text of {len(text):,} characters ({one_line(str(error), _SAID)})"
        ) from error
    return ids


def _shown(tokenizer: Any, turns: list[dict[str, str]], answer: bool) -> str:
    try:
        return _text(tokenizer, turns, add_generation_prompt=not answer)
    except Refused as error:
        roles = ", ".join(t["role"] for t in turns)
        raise RefusedByTemplate(
            f"{_facts(tokenizer).name} refuses a chat of the turns {roles}: {one_line(str(error), _SAID)}: "
            f"{_REMEDY}"
        ) from error


def _after_thought(tokenizer: Any, chat: Chat, prompt: list[int]) -> list[int]:
    """Token ids of a chat with its answer, where the template opens a thought and drops it in training.

    The thought is closed at once: the model learns to answer without one.
    """
    facts = _facts(tokenizer)
    turns = messages(tokenizer, chat)
    shown = [_shown(tokenizer, some, answer) for some, answer in ((turns[:-1], False), (turns, True))]
    before = shown[0].rstrip().removesuffix(facts.opened)
    if not shown[1].startswith(before):
        return _render(tokenizer, turns, answer=True)
    rest = f"\n{closing_of(facts.opened)}\n\n{shown[1][len(before) :].lstrip()}"
    return [*prompt, *_ids(tokenizer, rest)]


def after_closing(tokenizer: Any, ids: Sequence[int], start: int) -> int:
    """Where the answer begins in the tokens of a chat: after the tag that closes a thought at ``start``.

    ``start`` itself where the template opens no thought, or where none is closed there.
    """
    opened = _facts(tokenizer).opened
    if not opened:
        return start
    closing = closing_of(opened)
    for end in range(start + 1, len(ids)):
        said = tokenizer.decode(ids[start:end], skip_special_tokens=False)
        if closing in said:
            while end < len(ids) and not tokenizer.decode(ids[end : end + 1]).strip():
                end += 1
            return end
        if len(said) > len(closing) + 8:
            return start
    return start


def _text(tokenizer: Any, turns: list[dict[str, str]], **settings: bool) -> str:
    """A chat as the template writes it, just as ``apply_chat_template`` would. Raises ``Refused``."""
    template = _stopped(tokenizer) or tokenizer.get_chat_template()
    known = {**tokenizer.special_tokens_map, **SETTINGS, **settings}
    return render(template, turns, known, OURS)


def _stopped(tokenizer: Any) -> Any:
    """The template with its clock stopped, where it reads one; None where it does not."""
    template = tokenizer.chat_template
    return stopped(template) if isinstance(template, str) and "strftime_now" in template else None


def stopped(template: str) -> str:
    """The template with its clock stopped, where it reads one."""
    return _STOPPED + template if "strftime_now" in template else template


def _quoted(facts: _Facts, text: str) -> str:
    return text if facts.special is None else facts.special.sub(lambda m: f"{m[0][0]} {m[0][1:]}", text)


def _facts(tokenizer: Any) -> _Facts:
    known = _FACTS.get(tokenizer)
    if known is None or known.template != tokenizer.chat_template:
        known = _FACTS[tokenizer] = _find_out(tokenizer, "the tokenizer's chat template")
    return known


def _find_out(tokenizer: Any, name: str) -> _Facts:
    special = {str(t.content): int(i) for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    special |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    names = sorted((n for n in special if len(n) > 2), key=len, reverse=True)

    def text(*turns: tuple[str, str], begin: bool = False) -> str:
        shown = [{"role": r, "content": c} for r, c in turns]
        return _text(tokenizer, shown, add_generation_prompt=begin)

    try:
        takes_system = "MARK" in text(("system", "MARK"), ("user", "x"))
    except Refused:
        takes_system = False
    try:
        after = text(("user", "x"), ("assistant", "MARK")).rpartition("MARK")[2]
        asked = text(("user", "x"), begin=True)
    except Refused as error:
        said = one_line(str(error), _SAID)
        raise EngineError(f"{name} does not render a question with its answer: {said}: {_REMEDY}") from error
    ends = {int(tokenizer.eos_token_id)}
    first = min(((after.find(n), n) for n in special if n in after), default=None)
    if first is not None:
        ends.add(special[first[1]])
    pattern = re.compile("|".join(map(re.escape, names))) if names else None
    opened = opened_by(asked)
    if opened and text(("user", "x"), ("assistant", "MARK")).startswith(asked):
        opened = ""  # the template has the thought in training, too
    return _Facts(tokenizer.chat_template, name, takes_system, opened, pattern, frozenset(ends))

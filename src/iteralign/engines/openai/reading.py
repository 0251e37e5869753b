"""What the JSON of an OpenAI-compatible server says: its first choice, and the tokens that it used.

Servers send anything with status 200: nothing is taken on trust here. Sends nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from iteralign.engines.openai.faults import Fault, Malformed, Server, of_answer
from iteralign.errors import EngineError, Filtered
from iteralign.ledger import R

_THOUGHTS = frozenset({"thinking", "reasoning", "redacted_thinking", "thought"})
_BLOCKED = frozenset(
    {"content_filter", "content-filter", "safety", "prohibited_content", "blocklist", "spii", "recitation"}
    | {"sensitive", "blocked", "guardrail_intervened"}
)
"""Words for a filter where others say why the answer ended."""
_LEAST_SECRET = 8
_MOST_TOKENS = 10**9
"""More than that for one request is no count."""


def all_of(outcomes: Sequence[R | EngineError]) -> list[R]:
    """The replies. Raises the first error among them, naming its chat's place."""
    done: list[R] = []
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, EngineError):
            raise type(outcome)(f"chat {number + 1} of {len(outcomes)}: {outcome}")
        done.append(outcome)
    return done


def as_json(reply: Any) -> Any:
    """A reply as JSON, also where its server calls it plain text."""
    if isinstance(reply, str) and reply.lstrip().startswith("{"):
        return json.loads(reply)
    return reply


def without_key(reply: Any, key: str | None) -> Any:
    """The reply with ``***`` where it repeats the key that it was asked with: it is stored and shown.

    A word of fewer than eight characters is no secret that a text could not hold by chance.
    """
    if key is None or len(key) < _LEAST_SECRET:
        return reply
    if isinstance(reply, str):
        return reply.replace(key, "***")
    if isinstance(reply, list):
        return [without_key(item, key) for item in reply]
    if isinstance(reply, dict):
        return {without_key(name, key): without_key(value, key) for name, value in reply.items()}
    return reply


def trouble(reply: Any, server: Server) -> Fault | None:
    """The failure that a server sent as an answer with status 200; None where there is none."""
    error = _error_in(reply)
    if error is not None:
        return of_answer(error, server, usage(reply))
    if not _blocked(reply):
        return None
    withheld = Filtered(
        f"{server.place}, model {server.model!r}: the server's content filter withheld the answer"
    )
    return Fault("item", withheld, "a filtered answer", used=usage(reply))


def _error_in(reply: Any) -> object | None:
    """The error that a server sent as an answer with status 200, as it said it; None where there is none.

    It is beside the choices, in the first of them, or (MiniMax) in ``base_resp``.
    """
    if not isinstance(reply, dict):
        return None
    if reply.get("object") == "error":
        return reply
    error: object = reply.get("error")
    choices = reply.get("choices")
    if not error and isinstance(choices, list) and choices and isinstance(choices[0], dict):
        error = choices[0].get("error")
        if not error and str(choices[0].get("finish_reason")).lower() == "error":
            error = "it ended with an error"
    base = reply.get("base_resp")
    if not error and not choices and isinstance(base, dict) and base.get("status_code"):
        error = base
    return error or None


def _blocked(reply: Any) -> bool:
    """Whether the server withheld the answer: it gives no choice at all, or a filter's word and no text."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if choices == []:
        return True
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        return False
    message = choices[0].get("message")
    return str(choices[0].get("finish_reason")).lower() in _BLOCKED and not (
        isinstance(message, dict) and _text(message.get("content") or message.get("refusal")).strip()
    )


def first_choice(reply: Any) -> dict[str, Any]:
    """The first choice of a reply.

    Raises ``Malformed`` for anything else that a server may send with status 200.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        said = reply.get("error", reply) if isinstance(reply, dict) else reply
        raise Malformed(f"{type(reply).__name__}: {said}")  # whole: the key is masked before it is cut
    return choices[0]


def text_of(choice: Mapping[str, Any], *, anywhere: bool = False) -> str:
    """The text of a choice, wherever its server puts it. Raises ``Malformed``.

    It may come in parts, of which thoughts are left out, or as a refusal. With ``anywhere`` it is also taken
    from beside an empty ``content``: the argument of a call, where a gateway makes a schema a tool, and the
    thought, where a server took a whole finished answer for one.
    """
    message = choice.get("message")
    if not isinstance(message, dict):
        if isinstance(choice.get("text"), str):
            return str(choice["text"])
        raise Malformed("its choice has no message")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list | dict):
        raise Malformed("its content is not text")
    text = _text(content) or _text(message.get("refusal"))
    if text.strip() or not anywhere:
        return text
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        called = call.get("function") if isinstance(call, dict) else None
        if isinstance(called, dict) and called.get("arguments"):
            return _text(called["arguments"])
    if choice.get("finish_reason") != "length":
        text = _text(message.get("reasoning_content") or message.get("reasoning")) or text
    return text


def thought_of(choice: Mapping[str, Any]) -> str:
    """What a server gives as a thought: beside the content, or as parts of it; empty where there is none."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return ""
    beside = _text(message.get("reasoning_content") or message.get("reasoning"))
    parts = message.get("content")
    inside = [
        _text(p.get("thinking") or p.get("text") or p.get("summary"))
        for p in (parts if isinstance(parts, list) else [])
        if isinstance(p, dict) and str(p.get("type", "")).lower() in _THOUGHTS
    ]
    return beside.strip() or "\n\n".join(t.strip() for t in inside if t.strip())


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part) for part in content)
    if not isinstance(content, dict):
        return ""
    if str(content.get("type", "")).lower() in _THOUGHTS or content.get("thought") is True:
        return ""
    for key in ("text", "refusal", "content", "parts"):
        if isinstance(content.get(key), str | list):
            return _text(content[key])
    # a gateway has read the JSON already; a part that has a type and no text is a picture, say
    return "" if "type" in content else json.dumps(content, ensure_ascii=False)


def usage(reply: Any) -> tuple[int, int]:
    """Tokens of the request and of the reply; 0 where the server does not tell."""
    told = reply.get("usage") if isinstance(reply, Mapping) else None
    counts = [
        told.get(name) if isinstance(told, dict) else 0 for name in ("prompt_tokens", "completion_tokens")
    ]
    prompt, completion = (
        int(n) if isinstance(n, int | float) and 0 < n <= _MOST_TOKENS else 0 for n in counts
    )
    return prompt, completion

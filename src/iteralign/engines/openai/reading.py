"""What the JSON of an OpenAI-compatible server says: its first choice, and the tokens that it used.

Servers send anything with status 200: nothing is taken on trust here. Sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from iteralign.engines.openai.faults import Malformed
from iteralign.errors import EngineError
from iteralign.ledger import R

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


def first_choice(reply: Any) -> dict[str, Any]:
    """The first choice of a reply.

    Raises ``Malformed`` for anything else that a server may send with status 200.
    """
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        said = reply.get("error", reply) if isinstance(reply, dict) else reply
        raise Malformed(f"{type(reply).__name__}: {said}")  # whole: the key is masked before it is cut
    return choices[0]


def usage(reply: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of the request and of the reply; 0 where the server does not tell."""
    told = reply.get("usage")
    counts = [
        told.get(name) if isinstance(told, dict) else 0 for name in ("prompt_tokens", "completion_tokens")
    ]
    prompt, completion = (
        int(n) if isinstance(n, int | float) and 0 < n <= _MOST_TOKENS else 0 for n in counts
    )
    return prompt, completion

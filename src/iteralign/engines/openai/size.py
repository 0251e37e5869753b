"""How many tokens a request may take: learnt from what the server counted for the requests before it.

A budget reserves that much before a request is sent. Knows no tokenizer of the server's; sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TURN = 32
"""Tokens that a chat template puts around a turn, at most."""
SLACK = 1.15
"""Of the most tokens a byte that were seen: the next request may be a little denser."""


class Size:
    """An estimate that is a little above what requests take, once the server has counted some."""

    def __init__(self) -> None:
        self._density = 0.0  # tokens per byte, the most that was seen

    def of(self, body: Mapping[str, Any]) -> int:
        """The tokens of a request. Those of a prompt of token ids are counted."""
        prompt = body.get("prompt")
        if prompt is not None:
            return len(prompt)
        if self._density:
            return round(_bytes(body) * min(1.0, SLACK * self._density)) + _frame(body)
        return sum(_unseen(text) for text in _texts(body)) + _frame(body)

    def counted(self, body: Mapping[str, Any], tokens: int) -> None:
        """The server counted so many tokens for this request; 0 where it does not tell."""
        size = _bytes(body)
        own = tokens - _frame(body)  # of a few words the frame is most, and says nothing of longer texts
        if own > 0 and size and "prompt" not in body:
            self._density = max(self._density, own / size)


def _frame(body: Mapping[str, Any]) -> int:
    return TURN * len(body.get("messages", ()))


def _texts(body: Mapping[str, Any]) -> list[str]:
    form = body.get("response_format")
    return [*(str(m["content"]) for m in body.get("messages", ())), *([str(form)] if form else [])]


def _bytes(body: Mapping[str, Any]) -> int:
    return sum(len(text.encode()) for text in _texts(body))


def _unseen(text: str) -> int:
    """Before a server has counted any: two characters a token, and of what is not ASCII a token a byte."""
    plain = sum(c.isascii() for c in text)
    return plain // 2 + len(text.encode()) - plain

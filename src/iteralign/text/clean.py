"""Makes hostile text fit to be shown to a model: no control tokens, nothing unseen, not too long.

Knows nothing of what it is shown for.
"""

from __future__ import annotations

import re

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f"  # control characters, but for tab, line feed and space-like ones
    r"\ud800-\udfff"  # halves of surrogate pairs
    r"\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"  # no width, or another writing direction
    r"\ufff9-\ufffb\U000e0000-\U000e0fff]"  # annotations, and tags: invisible text of its own
)
_TOKENS = re.compile(
    r"<(?=[|\uff5c]|[^\s<>]{1,40}>|</?SYS>>)"
    r"|\[(?=/?[A-Za-z]{0,3}[A-Z_]{3,30}(?:_\d{1,4})?\]|[a-z]{3,20}_?\d{1,4}\]|@[A-Z]{2,20}@\]|\||[a-z]~\[)"
    r"|\](?=~!?[a-z]\]|~!?[a-z]\[)"
    r"|>(?=>[A-Z]{3,20}<<)"
)
"""Where a control token of some chat template may begin.

``<|...``, ``<anything>`` without a space, ``[WORD]``, ``[WORD_1]``, ``[word_1]``, ``[@WORD@]``, ``[|...``,
``[e~[``, ``]~b]``, ``]~!b[``, ``>>WORD<<``.
"""


def clean(text: str, limit: int) -> str:
    """The text as it may be shown to a judge.

    Without characters that cannot be seen, with plain line ends, with the control tokens of chat templates
    broken up (a server may obey them inside a message), and cut in the middle to about ``limit`` characters.
    """
    plain = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    return _TOKENS.sub(lambda m: m[0] + " ", cut(plain, limit))


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters of the text, half from each end.

    A mark between them says how many are left out.
    """
    if len(text) <= limit:
        return text
    head = limit // 2
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :]}"

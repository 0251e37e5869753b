"""What a server says of a failure, wherever it puts it: its words, codes, places, and how long to wait.

Every provider has a layout of its own (OpenAI, FastAPI, Google, OpenRouter, Azure). What the words mean is
not known here.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_LIMIT = 20_000
"""Characters of a server's words that are read."""
_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_UNITS = {"mil": 0.001, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNIT = r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])"
_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})", re.IGNORECASE)
_WAIT = re.compile(
    r"\b(?:try(?:ing)? again|retry(?:ing)?|wait|resets?)\b[^.\d]{0,40}"
    rf"((?:{_NUMBER}\s*{_UNIT}[ ,]*(?:and )?)+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """A failure in its server's words.

    ``codes``: short names and numbers beside the words, in lower case. ``fields``: where in the request the
    fault is. ``wait``: seconds that the server asks to wait, where it says so in the body.
    """

    text: str
    codes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    wait: float | None = None

    @property
    def status(self) -> int:
        """The HTTP status among the codes, 0 where there is none."""
        numbers = [int(c) for c in self.codes if c.isascii() and c.isdigit() and len(c) == 3]
        return next((n for n in numbers if 400 <= n <= 599), 0)


def read_error(body: object, otherwise: str = "") -> Said:
    """What the body of a failed request says; ``otherwise`` where it says nothing in words."""
    found = _unwrapped(body)
    if not isinstance(found, Mapping):
        text = _TAG.sub(" ", found)[:_LIMIT] if isinstance(found, str) else ""
        return Said(text if text.strip() else otherwise, wait=wait_in(text))
    text = " ".join(dict.fromkeys(_words(found)))[:_LIMIT] or otherwise
    return Said(text, tuple(_codes(found)), tuple(_fields(found)), _told_wait(found, text))


def wait_in(text: str) -> float | None:
    """Seconds to wait that a text speaks of: ``try again in 1m12.5s``, ``retry after 26 seconds``."""
    match = _WAIT.search(text)
    return None if match is None else duration(match[1])


def duration(text: str) -> float | None:
    """Seconds that a text spells: ``34s``, ``6m0s``, ``350ms``, ``2 minutes``; None where it spells none."""
    parts = _PART.findall(text)
    if not parts:
        return None
    return sum(float(number) * _seconds(unit.lower()) for number, unit in parts)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait in the headers of its reply.

    They are from ``retry-after-ms``, or ``Retry-After`` in seconds or as a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError):
                continue
        if seconds == seconds:  # not NaN
            return max(0.0, seconds)
    return None


def window_end(headers: Mapping[str, str]) -> float | None:
    """Seconds until a window of which nothing remains begins anew (``x-ratelimit-reset-...``)."""
    found: list[float] = []
    for name, value in headers.items():
        of = re.fullmatch(r"(x-)?ratelimit-reset(-.+)?", name.lower())
        if of is None or headers.get(f"{of[1] or ''}ratelimit-remaining{of[2] or ''}", "").strip() != "0":
            continue
        seconds = duration(value) if _PART.search(value) else _until(value)
        found += [] if seconds is None else [seconds]
    return max(found, default=None)


def _unwrapped(body: object) -> object:
    """The error itself: out of Google's list, out of ``{"error": ...}``, out of JSON in a text."""
    if isinstance(body, list) and body:
        return _unwrapped(body[0])
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping | str) and body["error"]:
        return _unwrapped(body["error"])
    if isinstance(body, str) and body.lstrip().startswith("{"):
        try:
            inner = json.loads(body)
        except (ValueError, RecursionError):
            return body
        return _unwrapped(inner) if isinstance(inner, Mapping) else body
    return body


def _words(error: Mapping[str, Any]) -> Iterator[str]:
    for key in ("message", "msg", "status_msg", "error_description", "detail", "title", "details"):
        value = error.get(key)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (str(v["msg"]) for v in value if isinstance(v, Mapping) and "msg" in v)
        elif isinstance(value, Mapping):
            yield from _words(value)
    more = error.get("metadata")
    if isinstance(more, Mapping):  # a gateway's message says only that its provider failed
        raw = more.get("raw")
        inner = _unwrapped(raw)
        yield from _words(inner) if isinstance(inner, Mapping) else [str(raw)] if raw else []
        reasons = more.get("reasons")
        yield from map(str, reasons) if isinstance(reasons, list) else []


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    for key in ("code", "type", "status", "status_code", "reason"):
        value = error.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool):
            yield str(value).lower()
    for key in ("innererror", "inner_error"):
        inner = error.get(key)
        if isinstance(inner, Mapping):
            yield from _codes(inner)


def _fields(error: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(error.get("param"), str):
        yield error["param"]
    for value in (error.get("detail"), error.get("details")):
        for item in value if isinstance(value, list) else []:
            if not isinstance(item, Mapping):
                continue
            loc = item.get("loc")
            if isinstance(loc, list):
                yield ".".join(map(str, loc))
            violations = item.get("fieldViolations")
            for violation in violations if isinstance(violations, list) else []:
                if isinstance(violation, Mapping) and isinstance(violation.get("field"), str):
                    yield violation["field"]


def _told_wait(error: Mapping[str, Any], text: str) -> float | None:
    details = error.get("details")
    for item in details if isinstance(details, list) else []:
        delay = item.get("retryDelay") if isinstance(item, Mapping) else None
        if isinstance(delay, str) and (seconds := duration(delay)) is not None:
            return seconds
    more = error.get("metadata")
    for place in (error, more if isinstance(more, Mapping) else {}):
        for key in ("retry_after", "retryAfter", "retry_after_seconds"):
            value = place.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
                return float(value)
    headers = more.get("headers") if isinstance(more, Mapping) else None
    if isinstance(headers, Mapping):
        plain = {str(k).lower(): str(v) for k, v in headers.items()}
        told = retry_after(plain)
        told = window_end(plain) if told is None else told
        if told is not None:
            return told
    return wait_in(text)


def _seconds(unit: str) -> float:
    return next(seconds for start, seconds in _UNITS.items() if unit.startswith(start))


def _until(value: str) -> float | None:
    """Seconds from a bare number: so many, or until that second or millisecond since 1970."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not 0 <= number < 1e15:
        return None
    if number > 1e9:
        number = (number / 1000 if number > 1e11 else number) - time.time()
    return max(0.0, number)

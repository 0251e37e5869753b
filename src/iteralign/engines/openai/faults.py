"""What a failed request means: whose trouble it is, whether it passes, and what its user can do.

A table from the client library's exceptions to our errors. Knows nothing of retries, chats or what was asked;
server messages are somebody else's text and are shown on one line, cut, and without the key.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from iteralign.errors import EngineError, Filtered, NotFound, PromptTooLong, RateLimited, Unavailable
from iteralign.text.printable import one_line

Kind = Literal["passing", "item", "request", "fatal", "spent"]
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|maximum context|(prompt|input) is too long|too many (input )?tokens",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content[ _](filter|management policy|policy violation)|violating our usage policy", re.IGNORECASE
)
PARAMETERS = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "top_k",
    "repetition_penalty",
    "stop_token_ids",
    "return_token_ids",
)
"""What a request can do without, though its answer may be another one."""
_NAMED = "|".join(PARAMETERS)
_NOT_TAKEN = r"not support|unsupported|not permitted|unrecognized|unknown|unexpected|extra (?:input|field)"
_REFUSED = re.compile(rf"['\"`]?\b({_NAMED})\b['\"`]?[^.]*(?:{_NOT_TAKEN})", re.IGNORECASE)
_UNSUPPORTED = re.compile(rf"(?:{_NOT_TAKEN})[^.]*?\b({_NAMED})\b", re.IGNORECASE)


class Malformed(ValueError):
    """A server's answer is no chat completion."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom a request went to, for messages. ``key`` is only used to keep it out of them."""

    model: str
    url: str
    key_env: str
    key: str | None = field(repr=False)

    @property
    def place(self) -> str:
        """The URL without credentials or query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"

    def clean(self, text: object) -> str:
        """Somebody else's text on one printable line of at most 300 characters, without the key."""
        shown = one_line(str(text), None)
        if self.key:
            shown = shown.replace(self.key, "***")
        return one_line(shown)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed request.

    ``passing``: try again; ``item``: this chat's own trouble; ``request``: the server refuses the request's
    form; ``fatal``: nobody's request will do better; ``spent``: it was not sent, for the budget is used up.
    ``wait``: seconds that the server asked for; ``parameter``: the one refused; ``sent``: whether the request
    may have reached the server; ``used``: tokens of request and reply, where the server told them.
    """

    kind: Kind
    error: EngineError
    what: str
    status: int = 0
    wait: float | None = None
    parameter: str | None = None
    sent: bool = True
    used: tuple[int, int] = (0, 0)

    @property
    def unpaid(self) -> bool:
        """Whether the server refused the request before any work.

        It sent an error status of its own (502 and 504 are a gateway's, behind which a server may have
        worked), or there was no connection.
        """
        return not self.sent or 400 <= self.status <= 501 or self.status == 503


def classify(error: Exception, server: Server, timeout: float) -> Fault:
    """The meaning of an exception of the client library, a timeout, or an answer that cannot be read."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error, server)
    at = f"{server.place}, model {server.model!r}"
    sent = type(error.__cause__).__name__ not in ("ConnectError", "ConnectTimeout")
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return Fault(
            "passing", Unavailable(f"{at}: no answer within {timeout:g} s"), "no answer in time", sent=sent
        )
    if isinstance(error, openai.APIConnectionError):
        cause = server.clean(error.__cause__ or error)
        return Fault(
            "passing",
            Unavailable(
                f"{server.place} cannot be reached ({cause}): is the address right and the server up?"
            ),
            "no connection",
            sent=sent,
        )
    if isinstance(error, ValueError | RecursionError):  # also the client's JSON errors
        return Fault(
            "passing",
            Unavailable(f"{at}: the answer is no chat completion ({server.clean(error)})"),
            "an unreadable answer",
        )
    return Fault("fatal", Unavailable(f"{at}: {server.clean(error)}"), "an error")


def _of_status(error: Any, server: Server) -> Fault:
    body: Mapping[str, Any] = error.body if isinstance(error.body, Mapping) else {}
    status = int(error.status_code)
    said = server.clean(body.get("detail") or error.message)  # detail: servers made with FastAPI
    code = str(body.get("code") or body.get("type") or "")
    at = f"{server.place}, model {server.model!r}"
    if status in (401, 403):
        state = "is refused" if server.key else "is not set"
        remedy = f"put a valid key into the environment variable {server.key_env}"
        return Fault(
            "fatal",
            Unavailable(f"{at}: the key ({server.key_env}) {state} ({status}: {said}): {remedy}"),
            "a refused key",
            status,
        )
    if status == 404:
        hint = "check the model's name, and base_url (most end in /v1)"
        return Fault("fatal", NotFound(f"{at}: not found (404: {said}): {hint}"), "not found", status)
    if status == 402 or (status == 429 and code == "insufficient_quota"):
        return Fault(
            "fatal",
            RateLimited(f"{at}: the account's quota is used up ({status}: {said}): raise it, then resume"),
            "no quota",
            status,
        )
    if status == 429:
        wait = retry_after(error.response.headers)
        return Fault(
            "passing",
            RateLimited(f"{at}: too many requests (429: {said})"),
            "429, too many requests",
            status,
            wait,
        )
    if status in (400, 413, 422):
        return _of_request(status, said, code, body, at)
    if status in (408, 409, 425) or (status >= 500 and status != 501):
        wait = retry_after(error.response.headers)
        return Fault(
            "passing", Unavailable(f"{at}: error {status} ({said})"), f"error {status}", status, wait
        )
    kind: Kind = "request" if status == 501 else "fatal"
    return Fault(kind, Unavailable(f"{at}: error {status} ({said})"), f"error {status}", status)


def _of_request(status: int, said: str, code: str, body: Mapping[str, Any], at: str) -> Fault:
    if status == 413 or code == "context_length_exceeded" or _TOO_LONG.search(said):
        return Fault(
            "item",
            PromptTooLong(f"{at}: the chat does not fit the model's context ({said})"),
            "a chat that is too long",
            status,
        )
    if (
        "content_filter" in code
        or "content_policy" in code
        or code == "invalid_prompt"
        or _FILTERED.search(said)
    ):
        return Fault(
            "item",
            Filtered(f"{at}: the server's content filter refused the chat ({said})"),
            "a filtered chat",
            status,
        )
    named = body.get("param")
    match = _REFUSED.search(said) or _UNSUPPORTED.search(said)
    parameter = named if named in PARAMETERS else match[1].lower() if match else None
    return Fault(
        "request",
        EngineError(f"{at}: bad request ({status}: {said})"),
        "a bad request",
        status,
        parameter=parameter,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait.

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

"""What a failed request means: whose trouble it is, whether it passes, and what its user can do.

A table from the client library's exceptions, and from errors inside answers, to our errors. Knows nothing of
retries, chats or what was asked; server messages are somebody else's text and are shown on one line, cut, and
without the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from iteralign.engines.openai.parameters import refused_in
from iteralign.engines.openai.proxies import proxy_for
from iteralign.engines.openai.said import Said, read_error, retry_after, window_end
from iteralign.errors import (
    CutShort,
    EngineError,
    Filtered,
    NotFound,
    PromptTooLong,
    RateLimited,
    Unavailable,
)
from iteralign.text.printable import one_line

Kind = Literal["passing", "item", "request", "denied", "fatal", "spent"]
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size|limit)|maximum context|(?:prompt|input) is too long|"
    r"too many (?:input )?tokens|request too large|reduce the length of|string_above_max_length|"
    r"(?:input|prompt)[^.]{0,40}(?:exceed|longer than|must have less than)[^.]{0,40}(?:token|length|maximum)|"
    r"max_new_tokens` must be|maximum (?:allowed )?(?:input|prompt) length",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content[ _-]?(?:filter|management|polic|moderation|safety|violat)|contentfilter|contentpolicy|"
    r"usage (?:polic|guideline)|safety (?:system|check|filter|setting|polic)|responsible ?ai|invalid_prompt|"
    r"moderat(?:ion|ed)|\bflagged\b|content exists risk|high[ -]risk|inappropriate|sensitive|"
    r"unsafe|data_?inspection|guardrail|prohibited[ _]content|blocked by|"
    r"(?:prompt|request|input) was blocked|harmful content|objectionable",
    re.IGNORECASE,
)
_OF_THE_ACCOUNT = re.compile(
    r"\baccount\b|organi[sz]ation|\bregion\b|country|territory|billing|api[ -]?key|credential", re.IGNORECASE
)
_CUT_SHORT = re.compile(
    r"max_tokens or model output limit was reached|could not finish the message|"
    r"(?:higher|larger|increase|raise) [`'\"]?max_(?:completion_|output_)?tokens|"
    r"max(?:imum)? (?:completion|output) tokens reached",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"(?<=:)//[^/\s@]+@")
_TO_TLS = re.compile(r"http request (?:was sent )?to (?:an )?https (?:port|server)", re.IGNORECASE)
_NO_TLS = re.compile(r"wrong.version.number|record layer failure|packet length too long|http.request", re.I)
_NO_HTTP = re.compile(r"illegal (?:status|request) line", re.IGNORECASE)


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
        shown = _CREDENTIALS.sub("//", one_line(str(text), None))
        if self.key:
            shown = shown.replace(self.key, "***")
        return one_line(shown)


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed request.

    ``passing``: try again; ``item``: this chat's own trouble; ``request``: the server refuses the request's
    form; ``denied``: it refuses this chat or every one, and ``alone`` is the error where it is this one;
    ``fatal``: no other request will do better; ``spent``: it was not sent, for the budget is used up.
    ``wait``: seconds that the server asked for; ``parameters``: those that it names, the likeliest first;
    ``sent``: whether the request may have reached the server; ``inside``: whether the failure came as an
    answer, with status 200; ``used``: tokens of request and reply, where the server reports them.
    """

    kind: Kind
    error: EngineError
    what: str
    status: int = 0
    wait: float | None = None
    parameters: tuple[str, ...] = ()
    alone: EngineError | None = None
    sent: bool = True
    inside: bool = False
    used: tuple[int, int] = (0, 0)

    @property
    def unpaid(self) -> bool:
        """Whether the server refused the request before any work.

        It sent an error status of its own (502 and 504 are a gateway's, behind which a server may have
        worked), or there was no connection.
        """
        return not self.sent or (not self.inside and (400 <= self.status <= 501 or self.status == 503))


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
        cause = error.__cause__ or error
        hopeless = _of_protocol(str(cause), server)
        if hopeless is not None:
            return Fault("fatal", hopeless, "another protocol", sent=sent)
        proxied = f" through the proxy of {via}" if (via := proxy_for(server.url)) else ""
        return Fault(
            "passing",
            Unavailable(
                f"{server.place} cannot be reached{proxied} ({server.clean(cause) or type(cause).__name__}): "
                "is the address right (http or https, too) and the server up?"
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


def of_answer(error: object, server: Server, used: tuple[int, int] = (0, 0)) -> Fault:
    """The meaning of an error that came as an answer, with status 200.

    Where it has no status of its own and says nothing that we know, it passes: a provider died in mid-answer.
    """
    said = read_error(error, "the server gives no reason")
    status = said.status
    fault = _of_chat(status, said, server) or _of_said(status or 502, said, server, {})
    if not status and fault.kind == "passing":
        text = f"{server.place}, model {server.model!r}: an error in place of an answer"
        fault = replace(fault, error=Unavailable(f"{text} ({server.clean(said.text)})"), status=0)
    return replace(
        fault,
        what=fault.what if fault.kind == "item" else "an error in place of an answer",
        inside=True,
        used=used,
    )


def _of_protocol(cause: str, server: Server) -> Unavailable | None:
    """The error of a connection that no second try mends, or None."""
    parts = urlsplit(server.url)
    if parts.scheme == "https" and _NO_TLS.search(cause):
        other = f"http://{server.place.partition('://')[2]}"
        return Unavailable(f"{server.place}: the server speaks http, not https: give {other} as base_url")
    if parts.scheme == "http" and (_NO_HTTP.search(cause) or _TO_TLS.search(cause)):
        other = f"https://{server.place.partition('://')[2]}"
        sure = "speaks https, not http" if _TO_TLS.search(cause) else "does not answer in http (https, maybe)"
        return Unavailable(f"{server.place}: the server {sure}: give {other} as base_url")
    if "certificate verify failed" in cause.lower().replace("_", " "):
        return Unavailable(
            f"{server.place}: the server's certificate is not trusted ({server.clean(cause)}): put the file "
            "of the authority that signed it into the environment variable SSL_CERT_FILE"
        )
    return None


def _of_status(error: Any, server: Server) -> Fault:
    status = int(error.status_code)
    said = read_error(error.body, str(error.message))
    other = _of_protocol(said.text, server) if _TO_TLS.search(said.text) else None
    if other is not None:
        return Fault("fatal", other, "another protocol", status)
    if 300 <= status < 400:
        moved = server.clean(urljoin(str(error.response.url), error.response.headers.get("location", "")))
        text = (
            f"{server.place}: the server sends requests on to {moved} ({status}), where nothing was sent: "
            "give that address as base_url, if it is the one that you mean"
        )
        return Fault("fatal", Unavailable(text), "another address", status)
    return _of_chat(status, said, server) or _of_said(status, said, server, error.response.headers)


def _of_chat(status: int, said: Said, server: Server) -> Fault | None:
    """What is one chat's own trouble by the server's words, at whatever status; None where it is not said."""
    if status in (401, 402, 404, 408):
        return None
    at = f"{server.place}, model {server.model!r}"
    text = server.clean(said.text)
    words = " ".join([said.text, *said.codes])
    if _CUT_SHORT.search(words):
        cut = CutShort(f"{at}: the reply did not fit its limit of tokens ({text})")
        return Fault("item", cut, "a reply without room", status)
    if status == 413 or _TOO_LONG.search(words) or "context_length" in words:
        long = PromptTooLong(f"{at}: the chat does not fit the model's context ({text})")
        return Fault("item", long, "a chat that is too long", status)
    if status != 429 and _FILTERED.search(words) and not _OF_THE_ACCOUNT.search(said.text):
        return Fault("item", _filtered(at, text), "a filtered chat", status)
    return None


def _filtered(at: str, text: str) -> Filtered:
    return Filtered(f"{at}: the server's content filter refused the chat ({text})")


def _of_said(status: int, said: Said, server: Server, headers: Mapping[str, str]) -> Fault:
    text = server.clean(said.text)
    at = f"{server.place}, model {server.model!r}"
    if status in (401, 403, 451):
        state = "is refused" if server.key else "is not set"
        remedy = f"put a valid key into the environment variable {server.key_env}"
        return Fault(
            "fatal" if status == 401 else "denied",  # a 403 may be a filter's, in words that are not known
            Unavailable(f"{at}: the key ({server.key_env}) {state} ({status}: {text}): {remedy}"),
            "a refused key" if status == 401 else f"error {status}",
            status,
            alone=_filtered(at, f"{status}: {text}"),
        )
    if status == 404:
        hint = "check the model's name, and base_url (most end in /v1)"
        return Fault("fatal", NotFound(f"{at}: not found (404: {text}): {hint}"), "not found", status)
    if status == 402 or (status == 429 and "insufficient_quota" in said.codes):
        return Fault(
            "fatal",
            RateLimited(f"{at}: the account's quota is used up ({status}: {text}): raise it, then resume"),
            "no quota",
            status,
        )
    wait = next((w for w in (retry_after(headers), said.wait) if w is not None), None)
    if status == 429:
        return Fault(
            "passing",
            RateLimited(f"{at}: too many requests (429: {text})"),
            "429, too many requests",
            status,
            window_end(headers) if wait is None else wait,
        )
    if status in (400, 422):
        return _of_request(status, said, server)
    if status in (408, 409, 425) or (status >= 500 and status != 501):
        error = Unavailable(f"{at}: error {status} ({text})")
        named = refused_in(said.text, strict=True)
        return Fault("passing", error, f"error {status}", status, wait, parameters=named)
    kind: Kind = "request" if status == 501 else "fatal"
    return Fault(kind, Unavailable(f"{at}: error {status} ({text})"), f"error {status}", status)


def _of_request(status: int, said: Said, server: Server) -> Fault:
    text = server.clean(said.text)
    at = f"{server.place}, model {server.model!r}"
    if _TO_TLS.search(said.text):
        return Fault(
            "fatal", _of_protocol(said.text, server) or Unavailable(text), "another protocol", status
        )
    return Fault(
        "request",
        EngineError(f"{at}: bad request ({status}: {text})"),
        "a bad request",
        status,
        parameters=refused_in(said.text, said.fields),
    )

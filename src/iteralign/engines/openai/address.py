"""Where a server is, and the client that reaches it: from an address and the environment's proxies.

Azure's classic addresses (``?api-version=...``) are known here alone. Sends nothing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from iteralign.engines.openai.faults import Server
from iteralign.engines.openai.proxies import first_proxy, unusable_proxy
from iteralign.errors import Unavailable

OPENAI_URL = "https://api.openai.com/v1"
VERSION = "api-version"
_FULL = re.compile(r"/(?:chat/)?completions/?$")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """``url``: what paths are added to. ``version``: Azure's ``api-version``, where the address gives one."""

    url: str
    version: str | None = None

    @classmethod
    def of(cls, url: str | None, model: str) -> Address:
        """An address as users give it: with the path of the endpoint or without, and Azure's with its query.

        Azure's resource alone (``https://NAME.openai.azure.com?api-version=...``) is completed by the
        deployment, which is the model's name.
        """
        if not url:
            return cls(OPENAI_URL)
        try:
            parts = urlsplit(url)
        except ValueError:
            return cls(url)
        version = dict(parse_qsl(parts.query)).get(VERSION)
        path = _FULL.sub("", parts.path)
        if version is not None and path.rstrip("/") in ("", "/openai"):
            path = f"/openai/deployments/{model}"
        query = "" if version is not None else parts.query
        return cls(urlunsplit((parts.scheme, parts.netloc, path, query, "")), version)

    def server(self, model: str, key_env: str, token: str | None = None) -> Server:
        """The endpoint with the key that the variable holds now; with ``token``, where there is one.

        Raises ``Unavailable`` where the address or the key is missing or cannot be one.
        """
        key = token or os.environ.get(key_env, "").strip()
        server = Server(model, self.url, key_env, key or None)
        if not self._sound():
            raise Unavailable(
                f"base_url = {server.clean(self.url)!r} is not an address: "
                "give http://HOST:PORT/v1 or https://HOST/v1"
            )
        if not key and self.url == OPENAI_URL:
            raise Unavailable(f"{server.place} needs a key: put it into the environment variable {key_env}")
        if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
            raise Unavailable(
                f"the value of the environment variable {key_env} cannot be a key: "
                "it holds spaces or special characters"
            )
        return server

    def _sound(self) -> bool:
        try:
            parts = urlsplit(self.url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return False

    def client(self, server: Server, timeout: float, *, socket: str | None = None) -> Any:
        """The client library's client; ``socket``: the Unix socket of a server on this machine, past proxies.

        Raises ``Unavailable`` where the environment lets none be made.
        """
        from openai import AsyncOpenAI

        query = None if self.version is None else {VERSION: self.version}
        try:
            own = None if socket is None else _through(socket, timeout)
            return AsyncOpenAI(
                api_key=server.key or "none",
                base_url=self.url,
                max_retries=0,
                timeout=timeout,
                default_query=query,
                http_client=own,
            )
        except Exception as error:  # noqa: BLE001 - of the client library, its HTTP library, and Python's ssl
            raise Unavailable(_why_no_client(error, server)) from None

    def options(self, server: Server) -> dict[str, Any]:
        """What each request says beside its body: Azure's classic API wants keys in a header of its own.

        Nothing is sent on to another address, prompts neither.
        """
        stay = {"follow_redirects": False}
        if self.version is None or not server.key or _TOKEN.fullmatch(server.key):
            return stay  # a token of Entra goes as any other key
        from openai import Omit

        return {**stay, "headers": {"api-key": server.key, "Authorization": Omit()}}


def _through(socket: str, timeout: float) -> Any:
    """The HTTP library's client for a Unix socket."""
    from httpx2 import AsyncHTTPTransport
    from openai import DEFAULT_CONNECTION_LIMITS, DefaultAsyncHttpxClient

    transport = AsyncHTTPTransport(uds=socket, trust_env=False, limits=DEFAULT_CONNECTION_LIMITS)
    return DefaultAsyncHttpxClient(transport=transport, trust_env=False, timeout=timeout)


def _why_no_client(error: Exception, server: Server) -> str:
    said = f"no connection to {server.place} can be prepared ({server.clean(error) or type(error).__name__})"
    certificates = [name for name in _CERTIFICATES if os.environ.get(name)]
    if isinstance(error, OSError) and certificates:
        missing = [name for name in certificates if not os.path.exists(os.environ[name])]
        named = " and ".join(missing or certificates)
        return f"{said}: {named} must name certificates that can be read; mend or unset it"
    socks = "socks" in str(error).lower() and isinstance(error, ImportError)
    proxy = unusable_proxy(socks) or first_proxy()
    if proxy is not None:
        remedy = "install socksio (`pip install socksio`), " if socks else ""
        return (
            f"{said}: the environment variable {proxy} names the proxy: {remedy}"
            "give it as http://HOST:PORT, or unset the variable"
        )
    named = ", ".join(certificates) or "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, SSL_CERT_FILE"
    return f"{said}: see the environment variables {named}"

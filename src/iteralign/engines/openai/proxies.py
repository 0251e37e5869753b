"""Which environment variable sends requests through a proxy, for messages.

Names only: a value may hold a password. Changes nothing.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

_SCHEMES = ("http", "https")


def proxy_for(url: str) -> str | None:
    """The variable of the proxy that requests to this address go through; None where they go straight."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return next((name for scheme in (parts.scheme, "all") for name in _set(scheme)), None)


def unusable_proxy(socks: bool) -> str | None:
    """The first variable whose proxy a client may not be able to use: one of SOCKS, or of no known scheme."""
    for scheme in (*_SCHEMES, "all"):
        for name in _set(scheme):
            kind = os.environ[name].partition("://")[0].lower() if "://" in os.environ[name] else "http"
            if kind.startswith("socks") if socks else kind not in (*_SCHEMES, "socks5", "socks5h"):
                return name
    return None


def first_proxy() -> str | None:
    """The first variable that names a proxy at all."""
    return next((name for scheme in (*_SCHEMES, "all") for name in _set(scheme)), None)


def _set(scheme: str) -> list[str]:
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    return [name for name in names if os.environ.get(name, "").strip()]

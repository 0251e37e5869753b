"""Keys and passwords that somebody pasted where they do not belong: known by their look, and never repeated.

Knows no field and no file.
"""

from __future__ import annotations

import re

HIDDEN = "***"
_PREFIXES = (
    r"(?:sk|pk|rk|hf|gh[opusr]|github_pat|glpat|gsk|xai|nvapi|pplx|tgp|xox[abprs]|r8|csk|fw|AKIA|AIza|eyJ)"
)
_KEY = re.compile(rf"(?<![A-Za-z0-9]){_PREFIXES}[-_A-Za-z0-9][-_.A-Za-z0-9]{{11,}}")
_BARE = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{24,}")
_NAMED = re.compile(
    r"(?i)((?:api[-_]?key|access[-_]?key|token|secret|passw(?:or)?d|authorization)['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'?|\"[^\"]*\"?|(?:bearer\s+)?[^\s,}]+)"
)
_BEARER = re.compile(r"(?i)(bearer\s+)[^\s,}'\"]+")
# bounded, so that a long foreign text takes no time
_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s'\"]{0,400}@|[^\s'\"=({/:]{1,100}:[^\s'\"]{0,400}@")
_QUERY = re.compile(r"(://[^\s'\"?]{0,400}\?)[^\s'\"]+")


def is_key(value: str) -> bool:
    """Whether a text that should be a variable's name looks like a key itself."""
    return _BARE.fullmatch(value) is not None or (
        _KEY.fullmatch(value) is not None and any(c.isdigit() for c in value)
    )


def masked(text: str) -> str:
    """The text with what looks like a key, a password or an address's query as ``***``."""
    text = _USER.sub(lambda m: f"{m[1] or ''}{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _BARE.sub(HIDDEN, _KEY.sub(HIDDEN, text))

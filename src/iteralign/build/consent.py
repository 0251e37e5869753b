"""Which hosts a key may be sent to, and which Python may run: asked before anything of a recipe is used.

A recipe or a run from elsewhere may name any address and any environment variable. What the user typed, or
confirmed once, is remembered by host and variable in a file of the user's own. A part of the composition
root: decides nothing about the method, and sends nothing.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from iteralign.errors import RecipeError
from iteralign.foreign.errors import Unreadable, short
from iteralign.foreign.json import read_object
from iteralign.log import log

HOSTS: Final = "ITERALIGN_ALLOW_HOSTS"
"""The variable with hosts that keys may be sent to, separated by commas."""
PYTHON: Final = "ITERALIGN_ENGINE_PYTHON"
"""The variable with the one Python of another environment that recipes may name."""
_PYTHON_KEY: Final = "model.engine_python"
OPENAI: Final = ("api.openai.com", "OPENAI_API_KEY")
"""The host of an oracle without an address, and its variable: the user's own choice of a default."""
_USUAL: Final = re.compile(r"(.*_)?(API_KEY|TOKEN|KEY)")
_LARGEST: Final = 1 << 20
_OTHERS_MAY_WRITE: Final = 0o022


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a recipe says that a key goes: its key there, the host, the environment variable."""

    key: str
    host: str
    variable: str

    @classmethod
    def of(cls, key: str, url: str | None, variable: str) -> Destination:
        """The destination of an address; OpenAI's where there is none."""
        return cls(key, _host(url) if url else OPENAI[0], variable)

    def __str__(self) -> str:
        odd = "" if _is_usual(self.variable) else " (not named like a key: *_API_KEY, *_TOKEN, *_KEY)"
        return f"{self.key}: the value of {self.variable}{odd} would be sent to {self.host}"


@dataclass(slots=True)
class Consent:
    """What the user said on the way: nothing, by default.

    ``allowed``: hosts that any key may be sent to. ``hosts`` and ``variables``: typed in place of a recipe's.
    ``pythons``: absolute paths that were. ``ask``: asks the user about one destination; None where nobody can
    be asked.
    """

    ask: Callable[[Destination], bool] | None = None
    allowed: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    pythons: set[str] = field(default_factory=set)

    def allow(self, hosts: Iterable[str]) -> None:
        """Take hosts as the user gives them: a name, with or without a port, or a whole address."""
        self.allowed |= {_host(h if "://" in h else f"//{h.strip()}") for h in hosts if h.strip()}

    def typed(self, key: str, value: Any) -> None:
        """Take a value that the user gave for a recipe's key, or for a whole section."""
        if isinstance(value, Mapping):
            for name, inner in value.items():
                self.typed(f"{key}.{name}", inner)
        elif isinstance(value, str) and key.endswith((".base_url", ".proposer_url")):
            self.hosts.add(_host(value))
        elif isinstance(value, str) and key.endswith(".api_key_env"):
            self.variables.add(value)
        elif isinstance(value, str) and key == _PYTHON_KEY:
            self.pythons.add(_absolute(value))

    def covers(self, to: Destination) -> bool:
        """Whether the user gave this destination, or it is free: this machine, or OpenAI's with its key."""
        if to.host in self.allowed:
            return True
        own = to.variable in self.variables
        if not own and not _is_usual(to.variable):
            return False
        known = to.host in self.hosts or _is_local(to.host)
        return known or (to.host == OPENAI[0] and (own or to.variable == OPENAI[1]))


_CONSENT: ContextVar[Consent | None] = ContextVar("consent", default=None)


@contextmanager
def consent(ask: Callable[[Destination], bool] | None = None) -> Iterator[Consent]:
    """What the user says within the block."""
    own = Consent(ask)
    token = _CONSENT.set(own)
    try:
        yield own
    finally:
        _CONSENT.reset(token)


def current() -> Consent:
    """What the user said until now; nothing outside of a block."""
    return _CONSENT.get() or Consent()


def must_be_allowed(found: Sequence[Destination]) -> None:
    """Check that keys may be sent to these places, and remember what the user confirmed.

    Variables that are not set send nothing. Raises ``RecipeError`` where a key may not be sent, and nobody
    can be asked or the answer is no.
    """
    said = current()
    everyday = Consent()
    everyday.allow(os.environ.get(HOSTS, "").split(","))
    sent = [to for to in dict.fromkeys(found) if os.environ.get(to.variable, "").strip()]
    asked = [to for to in sent if not everyday.covers(to)]
    if not asked:
        return
    known = _remembered()
    asked = [to for to in asked if (to.host, to.variable) not in known]
    refused = [to for to in asked if not said.covers(to) and not (said.ask is not None and said.ask(to))]
    new = {(to.host, to.variable) for to in asked if to not in refused}
    if new:
        _remember(known | new)
    if refused:
        named = " ".join(f"--allow-host {host}" for host in dict.fromkeys(to.host for to in refused))
        raise RecipeError(
            "\n".join(
                [
                    "a key would be sent to a host that you have not confirmed. Nothing was sent.",
                    *map(str, refused),
                    f"If that is meant, give {named} once (Python: allow_hosts; or the variable {HOSTS}). "
                    "If not, change the recipe or unset the variable",
                ]
            )
        )


def python_must_be_allowed(named: str | None) -> None:
    """Check that a Python may run, before it does: a file of that name may be any program.

    What the user typed is remembered, so that the run may go on. None is this Python. Raises ``RecipeError``.
    """
    if named is None:
        return
    python = _absolute(named)
    own = os.environ.get(PYTHON, "").strip()
    if own and python == _absolute(own):
        return
    pair = (python, _PYTHON_KEY)
    known = _remembered()
    if pair in known:
        return
    if python not in current().pythons:
        raise RecipeError(
            f"{_PYTHON_KEY} = {short(ascii(named), 300)}: the recipe would run this program, which you have "
            f"not confirmed. Nothing was run. If it is meant, give --set {_PYTHON_KEY}=... once (Python: "
            f"overrides), or set the variable {PYTHON} to it"
        )
    _remember(known | {pair})


# ---- names


def _absolute(python: str) -> str:
    """Where a Python lies, links left alone: that is what runs."""
    return os.path.abspath(shutil.which(python) or python)


def _host(url: str) -> str:
    """The host of an address, in small letters and ASCII; the text itself where it is no address."""
    try:
        host = (urlsplit(url.strip()).hostname or url).rstrip(".")
        return host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return short(ascii(url), 100)


def _is_usual(variable: str) -> bool:
    return _USUAL.fullmatch(variable) is not None


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# ---- what is remembered


def memory() -> Path:
    """Return the file that remembers what the user confirmed."""
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return home / "iteralign" / "hosts.json"


def _remembered() -> set[tuple[str, str]]:
    """The pairs of host and variable that the user confirmed."""
    path = memory()
    try:
        found = path.lstat()
        if found.st_uid != os.getuid() or found.st_mode & _OTHERS_MAY_WRITE or path.is_symlink():
            raise Unreadable("others may write it")
        pairs = read_object(path, _LARGEST).get("confirmed")
        if not isinstance(pairs, list):
            raise Unreadable("no list of pairs")
        return {(str(p[0]), str(p[1])) for p in pairs if isinstance(p, Sequence) and len(p) == 2}
    except FileNotFoundError:
        return set()
    except (OSError, Unreadable) as error:
        log(f"{path}: not used ({error}): what it confirms is asked again")
        return set()


def _remember(pairs: set[tuple[str, str]]) -> None:
    from iteralign.store.files import write_whole

    path = memory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps({"confirmed": sorted(pairs)}, indent=1) + "\n")
        path.chmod(0o600)
    except OSError as error:
        log(f"{path} cannot be written ({error.strerror or error}): hosts are asked about again next time")
